"""Celery's share of accounts: nudges that drain, right if they run zero, one or many times at once."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from apps.accounts.realms import STAFF, STORE
from apps.accounts.services import mailed, sessions
from apps.kernel import context, nudges
from apps.kernel.tasks import platform_task

KEPT = timedelta(days=90)


@platform_task("accounts.send_mails")
def send_mails() -> int:
    """Send the mails that were asked for; returns how many went out."""
    nudges.taken("accounts.mail")
    with context.use(actor="task:accounts.send_mails"):
        return sum(mailed.send_due(table=table, now=timezone.now()) for table in mailed.TABLES)


@platform_task("accounts.forget")
def forget() -> int:
    """Delete sessions and mailed tokens that were over 90 days ago; returns how many rows went."""
    before = timezone.now() - KEPT
    gone = sum(mailed.forget_old(table=table, before=before) for table in mailed.TABLES)
    return gone + sum(sessions.forget_ended(realm=realm, before=before) for realm in (STAFF, STORE))
