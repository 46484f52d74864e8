"""The operators' screens: how far everybody is, what waits, what was done; and the levers, each with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from apps.consumers import models, operations, projections, status
from apps.kernel import context, errors, isolation
from apps.kernel.admin import ReadOnlyAdmin
from apps.outbox import log

OPERATE = "consumers.operate_events"


def _pause(name: str, reason: str) -> str:
    operations.pause(consumer=name, reason=reason)
    return f"{name} is paused; its lag grows until it is started."


def _start(name: str, reason: str) -> str:
    operations.start(consumer=name, reason=reason)
    return f"{name} goes on from its checkpoint."


def _rebuild_from_log(name: str, reason: str) -> str:
    number = operations.start_rebuild(projection=projections.get(name), source="log", reason=reason)
    return f"Workers build generation {number} of {name}; swap it in when it is ready."


def _rebuild_from_state(name: str, reason: str) -> str:
    number = operations.start_rebuild(projection=projections.get(name), source="state", reason=reason)
    return f"Workers render generation {number} of {name}; swap it in when it is ready."


def _pause_rebuild(name: str, reason: str) -> str:
    operations.pause_rebuild(projection=projections.get(name), reason=reason)
    return f"The rebuild of {name} waits; start it again and it goes on where it was."


def _swap(name: str, reason: str) -> str:
    return f"Readers of {name} see generation {operations.swap(projection=projections.get(name), reason=reason)}."


def _roll_back(name: str, reason: str) -> str:
    number = operations.roll_back(projection=projections.get(name), reason=reason)
    return f"Readers of {name} see generation {number} again."


def _retry_parked(name: str, reason: str) -> str:
    return str(operations.retry(consumer=name, reason=reason))


LEVERS: dict[str, Callable[[str, str], str]] = {
    "pause": _pause,
    "start": _start,
    "rebuild from the log": _rebuild_from_log,
    "rebuild from the states": _rebuild_from_state,
    "pause the rebuild": _pause_rebuild,
    "swap": _swap,
    "roll back": _roll_back,
    "retry what is parked": _retry_parked,
}


def levers_of(consumer: dict[str, Any], generations: list[dict[str, Any]]) -> list[str]:
    """The levers that do something for a consumer as `status` describes it."""
    own = [generation for generation in generations if generation["projection"] == consumer["name"]]
    states = {generation["state"] for generation in own}
    levers = ["pause" if consumer["status"] == "active" else "start"]
    if consumer["parked"]:
        levers.append("retry what is parked")
    if consumer["kind"] != "projection":
        return levers
    if any(generation["is_wanted"] for generation in own):
        levers.append("pause the rebuild")
    else:
        levers += ["rebuild from the log", "rebuild from the states"]
    if "ready" in states:
        levers.append("swap")
    if "standby" in states:
        levers.append("roll back")
    return levers


class OperatorsAdmin(ReadOnlyAdmin):
    """For those who may operate events, on every host: the log is the installation's, not a tenant's."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(OPERATE)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(OPERATE)


class ReasonForm(ActionForm):
    reason = forms.CharField(required=False, label="Reason")


@admin.register(models.Consumer)
class ConsumerAdmin(OperatorsAdmin):
    """The list is the status page; a row is read there, not on a page of its own."""

    def get_urls(self) -> list[URLPattern]:
        operate = path("operate/", self.admin_site.admin_view(self.operate), name="consumers_consumer_operate")
        return [operate, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = status.status()
        for consumer in found["consumers"]:
            consumer["levers"] = levers_of(consumer, found["generations"])
        return TemplateResponse(
            request,
            "admin/consumers/consumer/change_list.html",
            {
                **self.admin_site.each_context(request),
                "title": "Events: how far everybody is",
                "opts": self.opts,
                "found": found,
                "actions": models.OperatorAction.objects.all()[:10],
            },
        )

    def operate(self, request: HttpRequest) -> HttpResponse:
        """Pull one lever of one consumer; what is refused is told and changes nothing."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(OPERATE):
            raise PermissionDenied
        name, lever = request.POST.get("consumer", ""), request.POST.get("lever", "")
        reason = request.POST.get("reason", "").strip()
        pull = LEVERS.get(lever)
        if pull is None:
            messages.error(request, f'There is no lever "{lever}"; there are: {", ".join(LEVERS)}.')
        elif not reason:
            messages.error(request, f"Give a reason to {lever}: it is kept for those who ask later. Nothing was done.")
        else:
            _pull(request, partial(pull, name, reason))
        return HttpResponseRedirect(reverse("admin:consumers_consumer_changelist"))


@admin.register(models.Parked)
class ParkedAdmin(OperatorsAdmin):
    list_display = ("position", "consumer", "generation", "aggregate", "state", "attempts", "error_start", "parked_at")
    list_filter = ("state", "consumer")
    search_fields = ("=aggregate_id", "=tenant_id", "error")
    ordering = ("consumer", "position")
    actions = ("retry", "skip")
    action_form = ReasonForm
    fields = (
        "consumer", "generation", "position", "state", "tenant_id", "aggregate_type", "aggregate_id", "attempts",
        "error", "reason", "parked_at", "event",
    )  # fmt: skip
    readonly_fields = ("event",)

    @admin.display(description="aggregate")
    def aggregate(self, row: models.Parked) -> str:
        return f"{row.aggregate_type} {row.aggregate_id}"

    @admin.display(description="error")
    def error_start(self, row: models.Parked) -> str:
        return row.error if len(row.error) <= 120 else f"{row.error[:120]}…"

    @admin.display(description="the event, as stored")
    def event(self, row: models.Parked) -> str:
        with isolation.all_tenants(reason="show parked event"):
            found = log.find_at(row.position)
        if found is None or found.tenant_id != row.tenant_id:
            return "The log has no event at this position."
        return format_html(
            "{} version {}, by {} at {}<pre>{}</pre>",
            found.type,
            found.schema_version,
            found.actor,
            found.recorded_at.isoformat(timespec="seconds"),
            json.dumps(found.data, indent=2, ensure_ascii=False),
        )

    @admin.action(description="Retry the aggregates of the selected events")
    def retry(self, request: HttpRequest, rows: QuerySet[models.Parked]) -> None:
        reason = request.POST.get("reason", "").strip()
        for consumer, aggregate_id in sorted(set(rows.values_list("consumer", "aggregate_id").order_by())):
            _pull(request, partial(operations.retry, consumer=consumer, aggregate_id=aggregate_id, reason=reason))

    @admin.action(description="Skip the selected events for good (needs a reason)")
    def skip(self, request: HttpRequest, rows: QuerySet[models.Parked]) -> None:
        reason = request.POST.get("reason", "").strip()
        for consumer, position in sorted(set(rows.values_list("consumer", "position").order_by())):
            _pull(request, partial(operations.skip, consumer=consumer, position=position, reason=reason))


@admin.register(models.Effect)
class EffectAdmin(OperatorsAdmin):
    list_display = ("position", "consumer", "target", "tenant_id", "state", "attempts", "next_at", "response_start")
    list_filter = ("state", "consumer")
    search_fields = ("=event_id", "=tenant_id", "response")
    actions = ("retry",)
    action_form = ReasonForm
    show_full_result_count = False

    @admin.display(description="response")
    def response_start(self, row: models.Effect) -> str:
        return row.response if len(row.response) <= 120 else f"{row.response[:120]}…"

    @admin.action(description="Try the selected failed effects again")
    def retry(self, request: HttpRequest, rows: QuerySet[models.Effect]) -> None:
        reason = request.POST.get("reason", "").strip()
        keys = list(rows.values_list("key", flat=True))
        _pull(request, lambda: f"{operations.retry_effects(keys=keys, reason=reason)} effects are tried again.")


@admin.register(models.OperatorAction)
class OperatorActionAdmin(OperatorsAdmin):
    list_display = ("at", "actor", "action", "consumer", "subject", "reason")
    list_filter = ("action", "consumer")


def _pull(request: HttpRequest, lever: Callable[[], str | operations.Retried]) -> None:
    try:
        with context.use(actor=f"user:{request.user.pk}"):
            told = lever()
    except errors.DomainError as error:
        messages.error(request, error.detail)
    except LookupError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, str(told))
