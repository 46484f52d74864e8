"""Event types: named, versioned, upcast on read."""

from collections.abc import Iterator

import pytest
from django.apps import apps

from apps.events import registry


@pytest.fixture(autouse=True)
def restored_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_types", dict(registry._types))
    monkeypatch.setattr(registry, "_names", dict(registry._names))
    monkeypatch.setattr(registry, "_aliases", dict(registry._aliases))
    yield


class Payload(registry.Payload):
    amount: int


def test_a_name_that_is_not_module_entity_verb_is_refused() -> None:
    with pytest.raises(ValueError, match=r"module\.entity\.verb"):
        registry.event("order.placed")(Payload)


def test_a_second_registration_is_refused() -> None:
    registry.event("test.order.placed")(Payload)

    with pytest.raises(ValueError, match="already registered"):
        registry.event("test.order.placed")(Payload)


def test_a_new_version_without_an_upcaster_is_refused() -> None:
    with pytest.raises(ValueError, match="needs one upcaster"):
        registry.event("test.order.placed", version=2)(Payload)


def test_old_data_is_upcast_through_every_version() -> None:
    registry.event(
        "test.order.placed",
        version=3,
        upcasters={
            1: lambda data: {"price": data["cost"]},
            2: lambda data: {"amount": data["price"] * 100},
        },
    )(Payload)

    assert registry.upcast("test.order.placed", 1, {"cost": 5}) == {"amount": 500}
    assert registry.upcast("test.order.placed", 2, {"price": 5}) == {"amount": 500}
    assert registry.upcast("test.order.placed", 3, {"amount": 5}) == {"amount": 5}


def test_a_renamed_type_is_found_and_upcast_under_its_old_name() -> None:
    registry.event(
        "test.order.placed",
        version=2,
        upcasters={1: lambda data: {"amount": data["cost"]}},
        aliases=("test.order.made",),
    )(Payload)

    assert registry.get("test.order.made") is registry.get("test.order.placed")
    assert registry.upcast("test.order.made", 1, {"cost": 5}) == {"amount": 5}
    assert registry.stored_names(["test.order.placed", "x.y.z"]) == ["test.order.placed", "test.order.made", "x.y.z"]
    assert [entry.name for entry in registry.all_types()].count("test.order.made") == 0


def test_an_alias_that_is_taken_or_no_name_is_refused() -> None:
    registry.event("test.order.placed", aliases=("test.order.made",))(Payload)

    for name, aliases in (("test.order.made", ()), ("test.order.sent", ("test.order.made",))):
        with pytest.raises(ValueError, match=r"test\.order\.made is already registered"):
            registry.event(name, aliases=aliases)(Payload)
    with pytest.raises(ValueError, match=r"module\.entity\.verb"):
        registry.event("test.order.sent", aliases=("made",))(Payload)


def test_an_event_is_recorded_on_the_stream_of_its_entity_unless_it_says_so() -> None:
    registry.event("test.order.placed")(Payload)
    registry.event("test.line.added", aggregate="test.order")(type("Added", (Payload,), {}))

    assert registry.get("test.order.placed").aggregate == registry.get("test.line.added").aggregate == "test.order"


def test_a_version_from_the_future_stops_the_reader() -> None:
    registry.event("test.order.placed")(Payload)

    with pytest.raises(registry.UnknownEventType, match="newer than 1"):
        registry.upcast("test.order.placed", 2, {})


def test_every_registered_event_has_a_module_that_owns_it() -> None:
    names = [entry.name for entry in registry.all_types() if not entry.name.startswith("test.")]

    assert len(names) == len(set(names)) >= 49
    assert {name.split(".")[0] for name in names} <= {app.label for app in apps.get_app_configs()}
