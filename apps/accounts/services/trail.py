"""What accounts leave in the audit log: staff in the installation's chain, since they are global, customers in their
tenant's. Ids only; a name or an address goes where it can be erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from apps.accounts import attempts
from apps.accounts.realms import Realm
from apps.audit import recording as audit
from apps.kernel import errors, validation
from apps.tenants import scope
from apps.tenants.models import TenantModel

PERSONAL = frozenset({"email", "name"})
UNKNOWN = "unknown"
# Of a refused login, by the code of the refusal. Others are no guess: too busy to look, or a code is to follow.
REFUSALS = {
    "wrong_credentials": "login.failed",
    "wrong_code": "login.failed",
    "too_many_attempts": "login.locked_out",
}


def tell(
    account: Any, action: str, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> None:
    """Write down, in the caller's transaction, what was done to an account or with it. Raises TransactionRequired."""
    # Its class is that of the row, also behind the lazy user of a request.
    _tell(account.__class__, account.pk, action, before, after)


def tell_of_tenant(
    kind: str,
    row: Any,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """The same of something of the tenant in scope: an invitation, an API key. Raises TransactionRequired."""
    audit.record(
        action=f"accounts.{kind}.{action}",
        tenant_id=scope.current_id(),
        object_type=kind,
        object_id=row.pk,
        before=before,
        after=after,
        personal=PERSONAL,
    )


@contextmanager
def of_refusals(*, realm: Realm, email: str) -> Iterator[None]:
    """Write down a login that the block refuses; of those that a lockout refuses, the first."""
    try:
        yield
    except errors.DomainError as refusal:
        is_repeated = isinstance(refusal, attempts.TooManyAttempts) and refusal.refused > 1
        if (action := REFUSALS.get(refusal.code)) is not None and not is_repeated:
            tell_of_guess(action, realm=realm, email=email, after={"because": refusal.code})
        raise


def tell_of_guess(action: str, *, realm: Realm, email: str, after: Mapping[str, Any]) -> None:
    """Write down what came of a login: by the same statements whether or not anybody has the address."""
    with transaction.atomic():
        rows = realm.accounts.objects.filter(email=validation.find_email(email))
        known = rows.values_list("pk", flat=True).first()
        _tell(realm.accounts, known or UNKNOWN, action, None, after)


def _tell(
    kind: type[Any],
    object_id: object,
    action: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    audit.record(
        action=f"accounts.{action}",
        tenant_id=scope.current_id() if issubclass(kind, TenantModel) else None,
        object_type=kind._meta.model_name,
        object_id=object_id,
        before=before,
        after=after,
        personal=PERSONAL,
    )
