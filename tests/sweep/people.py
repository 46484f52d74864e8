"""Who belongs to a mirrored tenant: its owner, a member and a customer, and what they and machines come in with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from apps.accounts import clients, realms, tokens
from apps.accounts import models as accounts
from apps.accounts import services as account_services
from apps.accounts.access import catalogue, members, roles
from apps.accounts.models import Purpose
from apps.accounts.services import customers, keys
from apps.content.services import sharing
from apps.kernel import ids
from tests import factories
from tests.sweep import canaries

type Names = dict[str, str]
# What people come in with, longer than the slowest sweep: afterwards all would be refused alike.
LASTING = timedelta(hours=12)


def fill_people(words: canaries.Words, names: Names) -> accounts.User:
    """The owner, who may enter the admin; and a member with a role of the tenant's own."""
    owner, member = (
        factories.make_user(email=f"{words()}@people.test", name=words(), is_staff=is_staff)
        for is_staff in (True, False)
    )
    grants = [roles.GrantInput(permission="nodes:read", constraint={"locale": ["en"]})]
    slugs = [words(), words()]
    for slug in slugs:
        new = roles.NewRole(slug=slug, name=words(), description=words(), grants=grants)
        roles.create_role(new=new, by=None)
    members.put_member(user=owner, roles=["owner"], by=None)
    members.put_member(user=member, roles=["merchandiser", slugs[0]], by=None)
    share = sharing.NewShare(email=member.email, action="read")
    sharing.share_node(node_id=ids.decode("node", names["node"]), new=share)
    now = timezone.now()
    accounts.BreakGlass.objects.create(
        user=member, reason=words(), ticket=words(), opened_at=now, expires_at=now + timedelta(minutes=30)
    )
    names |= {
        "member": ids.encode("user", member.pk),
        "member_email": member.email,
        "owner": ids.encode("user", owner.pk),
        "role": slugs[1],
        "actor": f"user:{owner.pk}",
    }
    return owner


def fill_secrets(owner: accounts.User, words: canaries.Words, names: Names) -> tuple[dict[str, tuple[str, str]], Names]:
    """What people and machines come in with: (the tenant's, one of the same form that nobody has)."""
    now = timezone.now()
    client = clients.Client(address=words(), user_agent=words())
    registered = _mailed(
        accounts.CustomerMailedToken,
        Purpose.REGISTRATION,
        words,
        now,
        name=words(),
        password=make_password(factories.PASSWORD),
    )
    customer = customers.confirm_registration(token=registered[1], now=now)
    staff = account_services.open_session(realm=realms.STAFF, account=owner, client=client, now=now, is_strong=True)
    buyer, other, over = (
        account_services.open_session(realm=realms.STORE, account=customer, client=client, now=now) for _ in range(3)
    )
    over.session.revoked_at, over.session.revoked_because = now, words()
    over.session.save()
    other_staff = factories.make_tokens(owner)
    held = sorted(name for name in catalogue.PERMISSIONS if name.startswith("nodes:"))
    made = [keys.create_key(new=keys.NewApiKey(name=words(), scopes=held), by=owner, now=now) for _ in range(2)]
    made[1].row.delete()
    invitation = _mailed(accounts.Invitation, Purpose.INVITATION, words, now, role=names["role"], invited_by=owner)
    registration = _mailed(accounts.CustomerMailedToken, Purpose.REGISTRATION, words, now, name=words())
    reset = _mailed(
        accounts.CustomerMailedToken, Purpose.PASSWORD_RESET, words, now, account=customer, email=customer.email
    )
    names |= {
        "customer": ids.encode("cust", customer.id),
        "customer_email": customer.email,
        "session": ids.encode("sess", other_staff.session.id),
        "customer_session": ids.encode("sess", other.session.id),
        "api_key": ids.encode("key", made[0].row.id),
        "invitation": ids.encode("inv", invitation[0].id),
    }
    of_staff = [
        _mailed(accounts.MailedToken, purpose, words, now, account=owner, email=owner.email)
        for purpose in (Purpose.PASSWORD_RESET, Purpose.EMAIL_VERIFICATION)
    ]
    secrets = {
        "staff_reset_token": (of_staff[0][1], tokens.new_secret("rts")),
        "staff_verify_token": (of_staff[1][1], tokens.new_secret("rts")),
        "staff_refresh_token": (staff.refresh_token, tokens.new_secret("rtr")),
        "refresh_token": (buyer.refresh_token, tokens.new_secret("rtr")),
        "invitation_token": (invitation[1], tokens.new_secret("rts")),
        "registration_token": (registration[1], tokens.new_secret("rts")),
        "reset_token": (reset[1], tokens.new_secret("rts")),
        "key": (made[0].key, made[1].key),
        "owner_token": (staff.access_token, factories.make_tokens(factories.make_user()).access_token),
        "customer_token": (buyer.access_token, factories.make_tokens(factories.make_user()).access_token),
    }
    return secrets, {"staff": staff.access_token, "customer": buyer.access_token}


def _mailed(table: Any, purpose: Purpose, words: canaries.Words, now: datetime, **fields: Any) -> tuple[Any, str]:
    """As after a mail was sent: the row, and the token that stood in the mail."""
    token = tokens.new_secret("rts")
    fields.setdefault("email", f"{words()}@mail.test")
    row = table.objects.create(
        purpose=purpose,
        requested_at=now,
        sent_at=now,
        digest=tokens.digest(token),
        expires_at=now + LASTING,
        **fields,
    )
    return row, token
