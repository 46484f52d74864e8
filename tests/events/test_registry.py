"""Event types: named, versioned, upcast on read."""

from collections.abc import Iterator

import pytest

from apps.events import registry


@pytest.fixture(autouse=True)
def restored_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_types", dict(registry._types))
    monkeypatch.setattr(registry, "_names", dict(registry._names))
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


def test_a_version_from_the_future_stops_the_reader() -> None:
    registry.event("test.order.placed")(Payload)

    with pytest.raises(registry.UnknownEventType, match="newer than 1"):
        registry.upcast("test.order.placed", 2, {})


def test_every_registered_event_has_a_module_that_owns_it() -> None:
    names = [entry.name for entry in registry.all_types() if not entry.name.startswith("test.")]

    assert len(names) == len(set(names)) >= 49
    assert {name.split(".")[0] for name in names} == {"tenants", "content", "commerce"}
