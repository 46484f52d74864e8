"""An event is recorded if and only if its transaction commits, as the next version of its aggregate."""

import uuid
from contextlib import suppress

import pytest
from django.db import transaction
from pydantic import ValidationError

from apps.content import events as content_events
from apps.events import registry
from apps.kernel import context
from apps.outbox import append as appending
from apps.outbox import log, wake
from apps.outbox.append import append, unit_of_work
from apps.outbox.models import Log, Stream

TENANT = uuid.UUID(int=1)


def record(aggregate_id: uuid.UUID, **options: object) -> None:
    append(
        content_events.TagCreated(translations=[]),
        tenant_id=TENANT,
        aggregate_type=content_events.TAG,
        aggregate_id=aggregate_id,
        **options,  # type: ignore[arg-type]
    )


def versions_of(aggregate_id: uuid.UUID) -> list[int]:
    return list(Log.objects.filter(aggregate_id=aggregate_id).order_by("id").values_list("version", flat=True))


def test_append_outside_a_transaction_is_refused(committed_db: None) -> None:
    with pytest.raises(appending.TransactionRequired, match="unit_of_work"):
        record(uuid.uuid4())


def test_an_event_on_a_stream_of_another_kind_is_refused(db: None) -> None:
    with pytest.raises(appending.WrongStream, match=r"content\.tag\.created belongs on a stream of content\.tag"):
        append(
            content_events.TagCreated(translations=[]),
            tenant_id=TENANT,
            aggregate_type=content_events.NODE,
            aggregate_id=uuid.uuid4(),
        )


def test_events_are_written_when_the_unit_of_work_ends(db: None) -> None:
    aggregate_id = uuid.uuid4()

    with unit_of_work():
        record(aggregate_id)
        assert versions_of(aggregate_id) == []

    assert versions_of(aggregate_id) == [1]


def test_a_unit_alone_in_another_ones_transaction_records_and_fails_by_itself(db: None) -> None:
    kept, stale = uuid.uuid4(), uuid.uuid4()

    with unit_of_work():
        with unit_of_work(alone=True):
            record(kept)
        assert versions_of(kept) == [1]
        with pytest.raises(appending.ConcurrencyConflict), unit_of_work(alone=True):
            record(stale, expected_version=7)
        with unit_of_work(alone=True):
            record(kept, expected_version=1)

    assert (versions_of(kept), versions_of(stale)) == ([1, 2], [])


def test_a_unit_alone_does_not_overtake_events_of_the_outer_one(db: None) -> None:
    aggregate_id = uuid.uuid4()

    with pytest.raises(appending.UnitBroken, match="after those"), unit_of_work():
        record(aggregate_id)
        with unit_of_work(alone=True):
            record(aggregate_id)

    assert versions_of(aggregate_id) == []


def test_a_failed_unit_of_work_records_nothing(db: None) -> None:
    aggregate_id = uuid.uuid4()

    with pytest.raises(ZeroDivisionError), unit_of_work():
        record(aggregate_id)
        raise ZeroDivisionError

    assert versions_of(aggregate_id) == []
    assert not Stream.objects.filter(aggregate_id=aggregate_id).exists()


def test_a_failed_inner_block_takes_its_events_with_it(db: None) -> None:
    kept, dropped = uuid.uuid4(), uuid.uuid4()

    with unit_of_work():
        record(kept)
        with pytest.raises(ZeroDivisionError), unit_of_work(savepoint=True):
            record(dropped)
            record(kept)
            raise ZeroDivisionError

    assert (versions_of(kept), versions_of(dropped)) == ([1], [])


def test_append_in_a_plain_transaction_is_written_at_once(db: None) -> None:
    aggregate_id = uuid.uuid4()

    with transaction.atomic():
        record(aggregate_id)
        assert versions_of(aggregate_id) == [1]


def test_versions_count_per_aggregate_in_the_order_of_appending(db: None) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()

    with unit_of_work():
        for aggregate_id in (first, second, first, first):
            record(aggregate_id)
    with unit_of_work():
        record(first)

    assert versions_of(first) == [1, 2, 3, 4]
    assert versions_of(second) == [1]
    assert Stream.objects.get(aggregate_id=first).version == 4


def test_an_expected_version_that_is_not_there_is_a_conflict_and_rolls_back(db: None) -> None:
    aggregate_id = uuid.uuid4()
    with unit_of_work():
        record(aggregate_id, expected_version=0)

    with pytest.raises(appending.ConcurrencyConflict, match="is at version 1, not 0") as conflict, unit_of_work():
        record(aggregate_id, expected_version=0)

    assert conflict.value.data == {"current_version": 1}
    assert versions_of(aggregate_id) == [1]


def test_an_expected_version_that_is_there_is_taken(db: None) -> None:
    aggregate_id = uuid.uuid4()

    with unit_of_work():
        record(aggregate_id, expected_version=0)
        record(aggregate_id)
    with unit_of_work():
        record(aggregate_id, expected_version=2)

    assert versions_of(aggregate_id) == [1, 2, 3]


def test_a_payload_with_an_unknown_field_is_refused_before_it_is_written(db: None) -> None:
    with pytest.raises(ValidationError, match="colour"):
        content_events.TagCreated.model_validate({"translations": [], "colour": "red"})


def test_an_unregistered_payload_is_refused(db: None) -> None:
    class Unregistered(registry.Payload):
        pass

    with pytest.raises(registry.UnknownEventType), unit_of_work():
        append(Unregistered(), tenant_id=TENANT, aggregate_type="x.y", aggregate_id=uuid.uuid4())


def test_the_acting_context_is_recorded(db: None) -> None:
    aggregate_id, correlation_id = uuid.uuid4(), uuid.uuid4()

    with context.use(actor="user:42", correlation_id=correlation_id), unit_of_work():
        record(aggregate_id)

    row = Log.objects.get(aggregate_id=aggregate_id)
    assert (row.actor, row.correlation_id) == ("user:42", correlation_id)


def test_a_commit_wakes_once_and_a_failing_listener_breaks_nothing(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def failing() -> None:
        raise ConnectionError

    monkeypatch.setattr(wake, "_on_commit", [failing, lambda: calls.append("woken")])
    aggregate_id = uuid.uuid4()

    with unit_of_work():
        record(aggregate_id)
        record(aggregate_id)

    assert calls == ["woken"]
    assert versions_of(aggregate_id) == [1, 2]


def test_an_event_in_a_foreign_savepoint_is_refused(db: None) -> None:
    """Its savepoint could be rolled back while the buffered event stays."""
    with unit_of_work():
        with pytest.raises(appending.TransactionRequired, match="savepoint=True"), transaction.atomic():
            record(uuid.uuid4())
        record(uuid.uuid4())


def test_a_unit_that_swallowed_an_inner_failure_says_so(db: None) -> None:
    # Swallowed on purpose: the outer unit must not pass for whole.
    with pytest.raises(appending.UnitBroken), unit_of_work(), suppress(ZeroDivisionError), unit_of_work():
        raise ZeroDivisionError


def test_ids_read_from_json_are_those_that_were_written() -> None:
    event_id = uuid.uuid4()

    made = log._made_uuid(str(event_id))

    assert (made, hash(made), str(made), made.is_safe) == (event_id, hash(event_id), str(event_id), event_id.is_safe)
