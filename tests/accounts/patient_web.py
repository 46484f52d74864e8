"""The product's WSGI application, which waits for Valkey on a busy machine and says which process answered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from rustok.wsgi import application as product
from tests.kernel import limiting

limiting.be_patient()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [*headers, ("X-Process", str(os.getpid()))], *rest)

    return product(environ, start)
