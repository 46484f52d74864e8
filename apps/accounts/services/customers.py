"""Customers of the tenant in scope: they register, confirm their address, log in and look after themselves."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError

from apps.accounts import events, models
from apps.accounts.clients import Client
from apps.accounts.models import Purpose
from apps.accounts.realms import STORE
from apps.accounts.services import logins, mailed, passwords, sessions, trail
from apps.accounts.services.people import OwnChanges
from apps.events import registry
from apps.kernel import validation, wording
from apps.outbox.append import append, unit_of_work
from apps.tenants import scope


class Registration(validation.Input):
    email: validation.Email
    password: passwords.NewPassword
    name: validation.ShortText = ""


class CustomerChanges(validation.Input):
    """What those who work in the tenant change about a customer."""

    is_active: validation.Flag


def register(*, registration: Registration, now: datetime) -> None:
    """Have the address asked by mail. Does and answers the same whether or not somebody has it.

    Raises ValidationFailed, Busy. Whoever is a customer already gets a mail to reset the password instead.
    """
    someone = models.Customer(email=registration.email, name=registration.name)
    passwords.check_new(password=registration.password, account=someone, pointer="/password")
    mailed.ask(
        table=models.CustomerMailedToken,
        purpose=Purpose.REGISTRATION,
        email=registration.email,
        now=now,
        name=registration.name,
        password=make_password(registration.password),
    )


def confirm_registration(*, token: str, now: datetime) -> models.Customer:
    """The new customer behind a mailed token. Raises TokenUnusable."""
    table, purpose = models.CustomerMailedToken, Purpose.REGISTRATION
    try:
        with mailed.using(table=table, purpose=purpose, token=token, now=now) as row:
            customer = models.Customer.objects.create(
                email=row.email, name=row.name, password=row.password, created_at=now, email_verified_at=now
            )
            models.CustomerMailedToken.objects.filter(id=row.id).update(password="", account=customer)
            _record(customer, events.CustomerRegistered)
            trail.tell(customer, "customer.registered", after={"email": customer.email, "name": customer.name})
    except IntegrityError:
        raise mailed.TokenUnusable(
            wording.say("The token is unknown, used or expired; ask for another mail.")
        ) from None
    return customer


def log_in(*, credentials: logins.Credentials, client: Client, now: datetime) -> logins.LoggedIn:
    """A session of a customer. Raises WrongCredentials, TooManyAttempts, Busy."""
    customer = logins.identify(realm=STORE, credentials=credentials, client=client)
    return logins.succeed(realm=STORE, account=customer, client=client, now=now)


def change_own(*, customer: models.Customer, changes: OwnChanges) -> models.Customer:
    """Nothing is written and no event recorded when nothing differs."""
    if customer.name == changes.name:
        return customer
    with unit_of_work():
        trail.tell(customer, "customer.updated", before={"name": customer.name}, after={"name": changes.name})
        customer.name = changes.name
        customer.save(update_fields=["name"])
        _record(customer, events.CustomerUpdated)
    return customer


def set_active(*, customer: models.Customer, is_active: bool) -> models.Customer:
    """Switch a customer's account off or on; switched off, all its sessions end for good."""
    if customer.is_active == is_active:
        return customer
    with unit_of_work():
        customer.is_active = is_active
        customer.save(update_fields=["is_active"])
        sessions.end_all(realm=STORE, account=customer)
        _record(customer, events.CustomerUpdated)
        trail.tell(customer, "customer.enabled" if is_active else "customer.disabled")
    return customer


def _record(customer: models.Customer, kind: type[events.CustomerState]) -> None:
    payload: registry.Payload = kind(is_active=customer.is_active, registered_at=customer.created_at)
    append(payload, tenant_id=scope.current_id(), aggregate_type=events.CUSTOMER, aggregate_id=customer.id)
