"""Access of platform staff to one tenant in an emergency: asked for with a reason, over within the hour, seen by it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet
from prometheus_client import Counter

from apps.accounts import events, models
from apps.accounts.access import catalogue
from apps.audit import recording as audit
from apps.events import registry
from apps.kernel import errors, ids, validation, wording
from apps.outbox.append import append, unit_of_work
from apps.tenants import scope

log = structlog.get_logger(__name__)

LONGEST_MINUTES = int(models.LONGEST_BREAK_GLASS.total_seconds() // 60)
OPENED = Counter(
    "rustok_accounts_break_glass_opened_total", "Emergency accesses asked for, by what they allow.", ["mode"]
)


class NotPlatformStaff(errors.Forbidden):
    """The account is not of the platform's staff who may break the glass or approve it. Ask somebody of the staff."""

    code = "not_platform_staff"
    title = "Only platform staff may do this"


class BreakGlassNotFound(errors.NotFound):
    """The tenant has no such emergency access. List those it has."""

    code = "break_glass_not_found"


class CannotApprove(errors.Conflict):
    """The access waits for no approval, or not for that of this account. Ask somebody else of the staff."""

    code = "cannot_approve"
    title = "The access cannot be approved"


class Opening(validation.Input):
    """`minutes` from now, 60 at most; without `write` nothing can be changed."""

    reason: Annotated[str, validation.Prose(2_000, minimum=10)]
    ticket: validation.ShortText = ""
    minutes: Annotated[int, validation.Whole("minutes", LONGEST_MINUTES, minimum=1)] = 30
    write: validation.Flag = False


def open_access(*, user: models.User, opening: Opening, now: datetime) -> models.BreakGlass:
    """Open the tenant at work to one of the platform's staff, at once or after approval. Raises NotPlatformStaff."""
    _check_staff(user)
    needs_approval = settings.BREAK_GLASS_NEEDS_APPROVAL
    with unit_of_work():
        access = models.BreakGlass.objects.create(
            user=user,
            reason=opening.reason,
            ticket=opening.ticket,
            is_read_only=not opening.write,
            opened_at=now,
            expires_at=now + timedelta(minutes=opening.minutes),
            approved_at=None if needs_approval else now,
        )
        _record(
            access,
            events.BreakGlassOpened(
                user_id=user.pk,
                reason=access.reason,
                ticket=access.ticket,
                is_read_only=access.is_read_only,
                needs_approval=needs_approval,
                expires_at=access.expires_at,
            ),
        )
    OPENED.labels(mode="write" if opening.write else "read").inc()
    log.warning("break_glass.opened", break_glass=str(access.id), user=str(user.pk), expires_at=str(access.expires_at))
    return access


def approve(*, break_glass_id: uuid.UUID, by: models.User, now: datetime) -> models.BreakGlass:
    """Let an access that waits open the tenant. Raises BreakGlassNotFound, NotPlatformStaff, CannotApprove."""
    _check_staff(by)
    with unit_of_work():
        access = _locked(break_glass_id)
        if access.user_id == by.pk:
            raise CannotApprove(wording.say("Nobody approves their own access; ask somebody else of the staff."))
        if access.approved_at is not None or access.closed_at is not None or access.expires_at <= now:
            raise CannotApprove(wording.say("The access waits for no approval: it is approved, closed or has expired."))
        access.approved_by, access.approved_at = by, now
        access.save()
        _record(access, events.BreakGlassApproved(approved_by=by.pk))
    return access


def close(*, break_glass_id: uuid.UUID, now: datetime) -> None:
    """Give the access back; one that is over stays so. Raises BreakGlassNotFound."""
    with unit_of_work():
        access = _locked(break_glass_id)
        if access.closed_at is None and access.expires_at > now:
            access.closed_at = now
            access.save()
            _record(access, events.BreakGlassClosed())


def accesses() -> QuerySet[models.BreakGlass]:
    """Every access there was to the tenant at work."""
    return models.BreakGlass.objects.select_related("user", "approved_by")


def state(access: models.BreakGlass, *, now: datetime) -> str:
    """`waiting`, `open`, `closed` or `expired`."""
    if access.closed_at is not None:
        return "closed"
    if access.expires_at <= now:
        return "expired"
    return "waiting" if access.approved_at is None else "open"


def _check_staff(user: models.User) -> None:
    permission = Q(codename=catalogue.OPEN_BREAK_GLASS.partition(".")[2], content_type__app_label="accounts")
    if not user.is_active or not (
        user.is_superuser or (user.is_staff and user.user_permissions.filter(permission).exists())
    ):
        raise NotPlatformStaff(wording.say("{user} is not of the platform's staff who may break the glass.", user=user))


def _locked(break_glass_id: uuid.UUID) -> models.BreakGlass:
    access = models.BreakGlass.objects.select_for_update().filter(id=break_glass_id).first()
    if access is None:
        raise BreakGlassNotFound(
            wording.say(
                "There is no access {break_glass} to this tenant.", break_glass=ids.encode("glass", break_glass_id)
            )
        )
    return access


def _record(access: models.BreakGlass, payload: registry.Payload, *, before: Mapping[str, Any] | None = None) -> None:
    stream: dict[str, Any] = {
        "tenant_id": scope.current_id(),
        "aggregate_type": events.BREAK_GLASS,
        "aggregate_id": access.id,
    }
    append(payload, **stream)
    audit.record_event(payload, before=before, **stream)
