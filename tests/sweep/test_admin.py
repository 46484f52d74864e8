"""No screen of the admin shows, changes or gives away that there are rows of another tenant."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import factories
from tests.sweep import browsing, inventory, probing
from tests.sweep.conftest import Pair


@pytest.fixture
def staff(sweep: probing.Sweep) -> browsing.Browsing:
    """Somebody of the tenant who may everything there."""
    return logged_in(sweep, sweep.here.staff)


@pytest.fixture
def operator(sweep: probing.Sweep) -> browsing.Browsing:
    """Somebody of the platform, on the tenant's host."""
    return logged_in(sweep, factories.make_user(is_staff=True, is_superuser=True))


def logged_in(sweep: probing.Sweep, user: object) -> browsing.Browsing:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]
    return browsing.Browsing(
        sweep.here, sweep.other, sweep.canaries, sweep.known, sweep.watch, lines=sweep.lines, client=client
    )


def test_a_tenants_staff_learns_and_changes_nothing_of_another_tenant(staff: browsing.Browsing) -> None:
    screens = browsing.screens()

    staff.run(probe for screen in screens for probe in browsing.probes_of(screen, staff.other))

    assert staff.problems == []
    assert len(screens) > 15
    assert staff.pairs > 10 * len(screens)


def test_neither_does_the_platforms_staff_on_a_tenants_host(operator: browsing.Browsing) -> None:
    screens = [screen for screen in browsing.screens() if inventory.of_screen(screen) == "tenant"]

    operator.run(probe for screen in screens for probe in browsing.glances_of(screen, operator.other))

    assert operator.problems == []


def test_the_pages_about_ones_own_rows_open_and_show_nothing_of_another_tenant(
    pair: Pair, operator: browsing.Browsing
) -> None:
    statuses, seen = {}, {}
    for screen in browsing.screens():
        if inventory.of_screen(screen) == "tenant":
            for address in browsing.own_addresses(screen, pair.here):
                answer = operator.ask(probing.Request("GET", address, {}, None, {}))
                statuses[address] = answer.status
                if words := operator.canaries.found_in(answer.whole):
                    seen[address] = words

    assert seen == {}
    assert set(statuses.values()) == {200}
    assert len(statuses) > 40
