"""Tokens by mail: asked for at once, sent later by a worker, used once.

Asking writes one row whether or not anybody has the address, so that neither the answer nor its time tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core import mail
from django.db import transaction
from django.urls import reverse

from apps.accounts import models, tokens
from apps.accounts.models import Purpose
from apps.kernel import errors, isolation, nudges, validation, wording
from apps.outbox.append import unit_of_work
from apps.tenants import queries, scope
from apps.tenants.models import Tenant, TenantModel

log = structlog.get_logger(__name__)

PREFIX = "rts"
LIFETIMES = {
    Purpose.PASSWORD_RESET: timedelta(minutes=15),
    Purpose.EMAIL_VERIFICATION: timedelta(hours=24),
    Purpose.INVITATION: timedelta(hours=72),
    Purpose.REGISTRATION: timedelta(hours=24),
}
# Who asks again within this time gets no second mail: nobody's mailbox is flooded through us.
SPACING = timedelta(minutes=1)
GIVEN_UP_AFTER = timedelta(hours=1)
ACCOUNT_URL = "account_url"
WORDS = {
    Purpose.PASSWORD_RESET: (
        "Reset your password",
        "Somebody, hopefully you, asked to reset your password at {place}. If it was not you, do nothing.",
    ),
    Purpose.EMAIL_VERIFICATION: (
        "Confirm your e-mail address",
        "Please confirm that this is your address at {place}. If you don't know what this is about, do nothing.",
    ),
    Purpose.REGISTRATION: (
        "Confirm your e-mail address",
        "Please confirm that you want an account at {place}. If you don't know what this is about, do nothing.",
    ),
    Purpose.INVITATION: ("You are invited", "You are invited to work on {place}."),
}


class TokenUnusable(errors.DomainError):
    """The token of a mail is unknown, expired or used; which of these is not said. Ask for another mail."""

    code = "token_unusable"
    status = 422
    title = "The token cannot be used"


def ask(*, table: type[Any], purpose: Purpose, email: str, now: datetime, **facts: Any) -> Any:
    """Have a token mailed soon to whoever has the address."""
    row = table.objects.create(purpose=purpose, email=validation.find_email(email), requested_at=now, **facts)
    transaction.on_commit(_nudge)
    return row


def send_due(*, table: type[Any], now: datetime) -> int:
    """Send what was asked for and not sent yet, each after its token is committed; returns how many mails went out."""
    sent = 0
    for row_id, at_work in _due(table):
        with scope.use(at_work) if at_work else nullcontext():
            sent += _send(table, row_id, now)
    return sent


def find_usable(*, table: type[Any], purpose: Purpose, token: str, now: datetime) -> Any:
    """The row of a token that could be used now. Raises TokenUnusable."""
    row = _usable(table, purpose, token, now).first()
    if row is None:
        raise TokenUnusable(wording.say("The token is unknown, used or expired; ask for another mail."))
    return row


@contextmanager
def using(*, table: type[Any], purpose: Purpose, token: str, now: datetime) -> Iterator[Any]:
    """One transaction in which the token, whose row this gives, is used up and what it is for is done.

    Raises TokenUnusable.

    Of two at once the second waits for the first and finds the token used.
    """
    with unit_of_work():
        if not _usable(table, purpose, token, now).update(used_at=now):
            raise TokenUnusable(wording.say("The token is unknown, used or expired; ask for another mail."))
        yield table.objects.get(digest=tokens.digest(token), purpose=purpose)


def forget_old(*, table: type[Any], before: datetime) -> int:
    """Delete what was asked for before the moment; returns how many rows went."""
    deleted: int
    deleted, _ = table.objects.filter(requested_at__lt=before).delete()
    return deleted


def _usable(table: type[Any], purpose: Purpose, token: str, now: datetime) -> Any:
    return table.objects.filter(digest=tokens.digest(token), purpose=purpose, used_at=None, expires_at__gt=now)


def _due(table: type[Any]) -> list[tuple[Any, scope.Scope | None]]:
    is_of_tenants = issubclass(table, TenantModel)
    if not is_of_tenants:
        return [(row_id, None) for row_id in table.objects.filter(sent_at=None).values_list("id", flat=True)]
    with isolation.all_tenants(reason="mails to be sent"):
        rows = list(table.objects.filter(sent_at=None).values_list("id", "tenant_id"))
        scopes = {
            tenant_id: queries.scope_of(queries.get_tenant(slug_or_id=str(tenant_id)))
            for tenant_id in {tenant_id for _, tenant_id in rows}
        }
    return [(row_id, scopes[tenant_id]) for row_id, tenant_id in rows]


def _send(table: type[Any], row_id: Any, now: datetime) -> bool:
    with transaction.atomic():
        row = table.objects.select_for_update(skip_locked=True).filter(id=row_id, sent_at=None).first()
        if row is None:
            return False
        if not _is_wanted(table, row, now):
            row.delete()
            return False
        token = tokens.new_secret(PREFIX)
        _others(table, row).filter(used_at=None).exclude(digest="").delete()
        row.digest, row.sent_at, row.expires_at = tokens.digest(token), now, now + LIFETIMES[Purpose(row.purpose)]
        row.save()
    try:
        _message(row, token).send()
    except Exception as error:  # noqa: BLE001 - mail backends raise what they like; the next run tries again
        log.warning("accounts.mail_failed", purpose=row.purpose, error=type(error).__name__)
        table.objects.filter(id=row.id).update(sent_at=None, digest="", expires_at=None)
        return False
    return True


def _is_wanted(table: type[Any], row: Any, now: datetime) -> bool:
    """Whether the mail is to go out; the row knows its account then."""
    if row.requested_at < now - GIVEN_UP_AFTER:
        return False
    if row.purpose != Purpose.INVITATION:
        accounts = type(row).account.field.related_model.objects
        row.account = accounts.filter(email=row.email, is_active=True).first()
    if row.purpose == Purpose.REGISTRATION and row.account is not None:
        # Who tried may have forgotten that they are a customer; whoever else it was learns nothing.
        row.purpose, row.password = Purpose.PASSWORD_RESET, ""
    if row.purpose == Purpose.PASSWORD_RESET and row.account is None:
        return False
    if row.purpose == Purpose.EMAIL_VERIFICATION and (row.account is None or row.account.email_verified_at):
        return False
    # Whoever may invite may correct themselves at once.
    is_repeated = _others(table, row).filter(sent_at__gt=now - SPACING).exists()
    return row.purpose == Purpose.INVITATION or not is_repeated


def _others(table: type[Any], row: Any) -> Any:
    return table.objects.filter(email=row.email, purpose=row.purpose).exclude(id=row.id)


def _message(row: Any, token: str) -> mail.EmailMessage:
    place, url = "RusToK", settings.ACCOUNT_URL
    if (at_work := scope.find()) is not None:
        tenant = queries.get_tenant(slug_or_id=str(at_work.tenant_id))
        place = tenant.name
        if row.purpose != Purpose.INVITATION:
            url = tenant.settings.get(ACCOUNT_URL)
        elif not url:
            url = _join_address(tenant)
    subject, opening = WORDS[Purpose(row.purpose)]
    lines = [opening.format(place=place), ""]
    if url:
        lines += [f"{url}#{row.purpose}={token}", ""]
    hours = LIFETIMES[Purpose(row.purpose)].total_seconds() / 3600
    lasts = f"{hours:.0f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"
    lines += [f"Token: {token}", f"It is good for one use within {lasts}."]
    return mail.EmailMessage(subject, "\n".join(lines), to=[row.email])


def _join_address(tenant: Tenant) -> str:
    """The page of the admin that takes invitations, on the oldest host of the tenant; nothing where it has none."""
    domain = tenant.domains.order_by("created_at").first()
    scheme = "https" if settings.SESSION_COOKIE_SECURE else "http"
    return f"{scheme}://{domain.host}{settings.OWN_PORT}{reverse('admin:join')}" if domain else ""


def _nudge() -> None:
    from apps.accounts import tasks

    nudges.send(tasks.send_mails, "accounts.mail")


TABLES: tuple[type[models.MailedTokenRecord], ...] = (
    models.MailedToken,
    models.Invitation,
    models.CustomerMailedToken,
)
