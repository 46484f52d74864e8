"""No secret and no personal address gets into the log, by whatever way it got near."""

from __future__ import annotations

import io
import logging
import logging.config
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from django.core import mail
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from rustok import logs, urls
from rustok.environment import CHECKOUT
from tests import factories

SECRETS = {
    "password": "canary-Password-7F3a9",
    "refresh": "rtr_canaryRefresh0123456789abcdefgh",
    "jwt": ".".join(["eyJjYW5hcnkiOiJ0b2tlbiJ9", "eyJzdWIiOiJjYW5hcnkifQ", "c2lnbmF0dXJlLWNhbmFyeQ"]),
    "address": "postgresql://app:canary-pw@db.example/rustok",
    "person": "canary.person+shop@mail.example",
}


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(f"could not work with {SECRETS['jwt']} of {SECRETS['person']} at {SECRETS['address']}")


urlpatterns = [*urls.urlpatterns, path("health/broken", broken)]
handler404, handler500 = urls.handler404, urls.handler500


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the log writes from here on, with every message there is."""
    written = io.StringIO()
    before = structlog.get_config()
    configured = logs.configure(log_format=request.param, level="DEBUG", process="test")
    built = configured["formatters"]["structured"]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=built["foreign_pre_chain"], processors=built["processors"]
    )
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    structlog.configure(**before)


def leaks(written: io.StringIO, *more: str) -> list[str]:
    """The secrets that are in the log; an address counts by its password."""
    text = written.getvalue()
    wanted = [value for name, value in SECRETS.items() if name != "address"] + ["canary-pw", *more]
    return [secret for secret in wanted if secret in text]


def test_secrets_are_covered_wherever_they_stand(log: io.StringIO) -> None:
    named = structlog.get_logger("canary")
    plain = logging.getLogger("canary")

    named.error("failed", password=SECRETS["password"], Authorization=SECRETS["password"], kept="seen")
    named.error(f"failed with {SECRETS['refresh']} and {SECRETS['jwt']}", nested={"of": [SECRETS["person"]]})
    plain.error("no way to %s", SECRETS["address"])
    plain.error("of %s", SECRETS["person"], extra={"api_key": SECRETS["password"], "cookie": SECRETS["password"]})
    try:
        {}[f"Key (email)=({SECRETS['person']}) already exists, {SECRETS['jwt']}"]
    except KeyError:
        named.exception("failed")
        plain.exception("failed")

    assert leaks(log) == []
    assert "seen" in log.getvalue()
    assert "db.example/rustok" in log.getvalue()  # the place is no secret


def test_lines_of_others_can_not_be_forged(log: io.StringIO) -> None:
    logging.getLogger("canary").error("of %s", "me\n2026-01-01 [info] forged\r\n\x1b[31mred")

    if log.getvalue().startswith("{"):  # the console is for people, who have no other lines to confuse
        assert [orjson.loads(line)["level"] for line in log.getvalue().splitlines() if "forged" in line] == ["error"]
        assert "\x1b" not in log.getvalue()


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
def test_what_people_send_and_get_is_not_in_the_log(log: io.StringIO, django_capture_on_commit_callbacks: Any) -> None:
    client = Client(raise_request_exception=False, headers={"user-agent": SECRETS["person"]})
    tenant = factories.make_tenant()
    email = SECRETS["person"].replace("person", f"p{tenant.id.hex[-6:]}")
    user = factories.make_member(tenant, user=factories.make_user(email=email, password=SECRETS["password"]))

    def post(path: str, body: dict[str, Any], **headers: str) -> Any:
        return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)

    with django_capture_on_commit_callbacks(execute=True):
        given = post("auth/token", {"email": email, "password": SECRETS["password"]})
        tokens = given.json()
        access = {"authorization": f"Bearer {tokens['access_token']}", "x-tenant": tenant.slug}
        wrong = post("auth/token", {"email": email, "password": f"{SECRETS['password']}-wrong"})
        again = post("auth/refresh", {"refresh_token": tokens["refresh_token"]})
        post("auth/refresh", {"refresh_token": tokens["refresh_token"] + "x"})
        post("auth/reset", {"email": email})
        post("auth/reset/confirm", {"token": SECRETS["refresh"], "password": SECRETS["password"]})
        key = post("admin/api-keys", {"name": "canary", "scopes": ["products:read"]}, **access)
        client.get("/api/v1/admin/products", headers={"authorization": "Bearer " + SECRETS["jwt"], "x-tenant": "none"})
        client.get(f"/api/v1/store/products?token={SECRETS['jwt']}", headers={"x-tenant": tenant.slug})
        failed = client.get("/health/broken", headers=access)

    assert (wrong.status_code, given.status_code, again.status_code, failed.status_code) == (401, 200, 200, 500)
    told = [email, tokens["access_token"], tokens["refresh_token"], again.json()["refresh_token"]]
    told += [value for value in key.json().values() if isinstance(value, str) and value.startswith("rtk_")]
    told += [word for message in mail.outbox for word in str(message.body).split() if len(word) > 30]
    assert "could not work with" in log.getvalue()
    assert leaks(log, *told, user.password) == []


@pytest.mark.parametrize(("level", "shown"), [("INFO", ["info", "error"]), ("WARNING", ["error"])])
def test_a_refused_request_is_information_and_a_fault_an_error(level: str, shown: list[str]) -> None:
    told = f"""
import logging.config
from rustok import logs
logging.config.dictConfig(logs.configure(log_format="json", level="{level}", process="test"))
logging.getLogger("django.request").warning("Not Found: %s", "/nowhere")
logging.getLogger("django.request").error("Internal Server Error: %s", "/broken")
"""

    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=CHECKOUT)

    assert [orjson.loads(line)["level"] for line in ended.stderr.splitlines()] == shown
