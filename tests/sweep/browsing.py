"""Probes of the admin: every address, filter, search and action of every screen, with rows of the other tenant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.kernel import isolation
from tests.sweep import canaries, mirrored
from tests.sweep.probing import Answer, Probe, Request, Sweep

# A number that no row has and no page shows.
NO_NUMBER = "987654321"
# What is drawn for each page: the token of its forms, and what its own scripts and styles are known by.
DRAWN = re.compile(r"""((?:csrfmiddlewaretoken" value=|csrfToken: |nonce=)"|'nonce-)[\w-]+["']""")


@dataclass
class Browsing(Sweep):
    """A sweep by somebody who is logged in to the admin on the host of `here`. What the next page would tell them is
    part of the answer."""

    client: Client = field(default_factory=Client)

    def _send(self, request: Request) -> Answer:
        with isolation.to_nobody():
            self.client.cookies.pop("messages", None)  # what was told before
            ask = getattr(self.client, request.method.lower())
            response: Any = ask(request.path, request.body or request.query, headers={"Host": self.here.host})
        told = " ".join(str(message) for message in get_messages(response.wsgi_request))
        return Answer(response.status_code, dict(response.headers), f"{told} {response.content.decode()}")

    def _plain(self, text: str) -> str:
        return super()._plain(DRAWN.sub(r"\1<drawn>", text))


def screens() -> list[ModelAdmin[Any]]:
    return sorted(admin.site._registry.values(), key=lambda screen: screen.model._meta.label)


def probes_of(screen: ModelAdmin[Any], other: mirrored.Side) -> Iterator[Probe]:
    """Everything the screen can be asked about a row of the other tenant."""
    name = screen.model._meta.label
    keys = keys_of(screen.model, other)
    for action in ("change", "delete", "history"):
        yield _pair(name, action, keys, lambda key, action=action: _get(_address(screen, action, key)))
    data = {"post": "yes"}
    for action in ("change", "delete"):
        yield _pair(name, f"POST {action}", keys, lambda key, action=action: _post(_address(screen, action, key), data))
    kind = ContentType.objects.get_for_model(screen.model, for_concrete_model=False)
    yield _pair(name, "on site", keys, lambda key: _get(reverse("admin:view_on_site", args=[kind.pk, quote(key)])))
    listed = _address(screen, "changelist")
    for action in (*screen.get_actions(_request_of_a_superuser()), "delete_selected"):
        chosen = {"action": action, "post": "yes", "reason": "because"}
        yield _pair(name, action, keys, lambda key, chosen=chosen: _post(listed, {**chosen, "_selected_action": key}))
    yield _pair(name, "list of one", keys, lambda key: _get(listed, pk__exact=key))
    for parameter, about in _filters(screen, other).items():
        yield _pair(name, parameter, about, lambda key, parameter=parameter: _get(listed, **{parameter: key}))
    word = _word(screen.model, other)
    yield _pair(name, "search", (word, canaries.twin(word, other.words.mark)), lambda key: _get(listed, q=key))
    yield from _choosers(screen, other)


def glances_of(screen: ModelAdmin[Any], other: mirrored.Side) -> Iterator[Probe]:
    """The page of a row, and the list narrowed to the other tenant and to a word of it."""
    return (probe for probe in probes_of(screen, other) if probe.what in {"change", "tenant__id__exact", "search"})


def keys_of(model: type[models.Model], side: mirrored.Side) -> tuple[str, str]:
    """The key of a row of the tenant, and one of the same form that no row has."""
    row = row_of(model, side)
    key = str(row.pk) if row is not None else NO_NUMBER
    return key, NO_NUMBER if key.isdigit() else canaries.twin(key, side.words.mark)


def row_of(model: type[models.Model], side: mirrored.Side) -> Any:
    """A row of the tenant, itself among tenants, its owner among people; None where it has none."""
    with isolation.all_tenants(reason="test"):
        if model._meta.label == "tenants.Tenant":
            return side.tenant
        if model._meta.label == "accounts.User":
            return side.staff
        if not any(each.column == "tenant_id" for each in model._meta.concrete_fields):
            return None
        return model._base_manager.filter(tenant_id=side.tenant.id).order_by("pk").first()


def own_addresses(screen: ModelAdmin[Any], side: mirrored.Side) -> list[str]:
    """The screen's pages about the tenant's own rows."""
    listed = _address(screen, "changelist")
    row = row_of(screen.model, side)
    if row is None:
        return [listed]
    return [listed, *(_address(screen, action, str(row.pk)) for action in ("change", "history"))]


def _word(model: type[models.Model], other: mirrored.Side) -> str:
    """A word that stands in the other tenant's row, or else in those it shows."""
    row = row_of(model, other)
    own = [getattr(row, each.attname) for each in model._meta.concrete_fields] if row is not None else []
    words = (value for value in own if isinstance(value, str) and other.words.mark in value)
    return next(words, other.names["title"])


def _filters(screen: ModelAdmin[Any], other: mirrored.Side) -> dict[str, tuple[str, str]]:
    """By what a list can be narrowed: the tenant, and whatever rows refer to."""
    found = {"tenant__id__exact": (other.names["tenant_id"], other.unknown["tenant_id"])}
    for each in screen.model._meta.get_fields():
        if each.is_relation and isinstance(each.related_model, type):
            found[f"{each.name}__pk__exact"] = keys_of(each.related_model, other)
    return found


def _choosers(screen: ModelAdmin[Any], other: mirrored.Side) -> Iterator[Probe]:
    """What choosers of related rows find."""
    names = screen.model._meta
    for each in names.get_fields():
        if not each.is_relation or not each.concrete or each.name == "tenant":
            continue
        asked = {"app_label": names.app_label, "model_name": names.model_name, "field_name": each.name}
        about = (other.names["title"], other.unknown["title"])
        yield _pair(
            names.label,
            f"chooser of {each.name}",
            about,
            lambda key, asked=asked: _get(reverse("admin:autocomplete"), **asked, term=key),
        )


def _pair(where: str, what: str, keys: tuple[str, str], request: Any) -> Probe:
    foreign, nobodys = (request(key) for key in keys)
    return Probe(where, what, _with(foreign, keys[0]), _with(nobodys, keys[1]))


def _with(request: Request, sent: str) -> Request:
    return Request(request.method, request.path, request.query, request.body, request.headers, (sent,))


def _get(path: str, **query: Any) -> Request:
    return Request("GET", path, query, None, {})


def _post(path: str, data: dict[str, str]) -> Request:
    return Request("POST", path, {}, data, {})


def _address(screen: ModelAdmin[Any], action: str, *keys: str) -> str:
    names = screen.model._meta
    return reverse(f"admin:{names.app_label}_{names.model_name}_{action}", args=[quote(key) for key in keys])


def _request_of_a_superuser() -> Any:
    from apps.accounts.models import User

    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True)
    return request
