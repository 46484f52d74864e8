"""The golden corpus: events as older code stored them are read, upcast and folded by today's."""

from __future__ import annotations

import copy
import json
import uuid
from collections import defaultdict
from typing import Any

import jsonschema
import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import create_model

from apps.commerce import events as commerce_events
from apps.consumers import comparing, generations, models, projections, status, tasks
from apps.events import checking, corpus, envelope, registry, schemas
from apps.events.compatibility import Rule
from apps.outbox import append as outbox
from apps.outbox import sequencer
from apps.tenants import models as tenants
from tests.events import strategies

SAMPLES = corpus.published()
FIRST_LOG = [sample.stored for sample in corpus.read(corpus.FOLDER / "version-1.jsonl")]
TENANT_ID = uuid.UUID(FIRST_LOG[0]["tenant_id"])
# Every version there was before the newest, with the schema its events were written under.
OLD_VERSIONS = [
    (name, version, locked.schema)
    for name, versions in schemas.published().items()
    for version, locked in versions.items()
    if version < registry.get(name).version
]
INSERT = """
INSERT INTO outbox_log (event_id, tenant_id, aggregate_type, aggregate_id, version, lane, type, schema_version, actor,
                        correlation_id, causation_id, occurred_at, recorded_at, data)
SELECT event_id, tenant_id, aggregate_type, aggregate_id, version, lane, type, schema_version, actor,
       correlation_id, causation_id, occurred_at, recorded_at, data
FROM json_to_recordset(%s) AS e(
    event_id uuid, tenant_id uuid, aggregate_type text, aggregate_id uuid, version int, lane smallint, type text,
    schema_version smallint, actor text, correlation_id uuid, causation_id uuid, occurred_at timestamptz,
    recorded_at timestamptz, data jsonb, i int) ORDER BY i
"""
HEADS = """
INSERT INTO outbox_stream (tenant_id, aggregate_type, aggregate_id, version)
SELECT tenant_id, aggregate_type, aggregate_id, max(version) FROM outbox_log
WHERE type <> 'outbox.event.erased' GROUP BY 1, 2, 3
"""


def restore(stored: list[dict[str, Any]]) -> None:
    """Put events into the log as they were, in their order, the way a dump would."""
    rows = []
    for number, row in enumerate(stored):
        lane = envelope.lane_of(uuid.UUID(row["tenant_id"]), uuid.UUID(row["aggregate_id"]))
        rows.append(row | {"lane": lane, "i": number})
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [json.dumps(rows)])
        cursor.execute(HEADS)


def ids() -> list[str]:
    return [sample.place for sample in SAMPLES]


@pytest.mark.parametrize("sample", SAMPLES, ids=ids())
def test_a_sample_is_what_its_version_says_and_becomes_the_newest(sample: corpus.Sample) -> None:
    name, version = sample.key
    entry = registry.get(name)

    jsonschema.validate(
        sample.data, schemas.published()[name][version].schema, format_checker=jsonschema.FormatChecker()
    )
    upcast = registry.upcast(name, version, sample.data)

    entry.payload.model_validate(upcast)
    jsonschema.validate(upcast, schemas.of(entry.payload, name=name, version=entry.version))
    assert sample.stored["aggregate_type"] == entry.aggregate


def test_a_version_without_a_sample_is_named() -> None:
    ours = [entry for entry in registry.all_types() if entry.payload.__module__.startswith("apps.")]
    kept = [sample for sample in SAMPLES if sample.key != ("commerce.inventory.low", 1)]

    broken = checking.check(types=ours, lock=schemas.published(), samples=kept)

    assert [(entry.type, entry.version, entry.rule) for entry in broken] == [
        ("commerce.inventory.low", 1, Rule.SAMPLE_MISSING)
    ]


def test_a_line_that_is_no_event_is_named(tmp_path: Any) -> None:
    path = tmp_path / "version-1.jsonl"
    path.write_text(json.dumps(FIRST_LOG[0]) + '\n{"type": "x.y.z"}\n')

    with pytest.raises(corpus.CorpusUnreadable, match=r"version-1\.jsonl:2"):
        corpus.read(path)


def test_there_is_a_version_2_to_prove_the_road() -> None:
    assert ("commerce.inventory.low", 1) in [(name, version) for name, version, _ in OLD_VERSIONS]


def upcast_problem(entry: registry.EventType, version: int, old: dict[str, Any]) -> str | None:
    """Why the chain from this version is not pure or not total over its data; None when it is both."""
    before = copy.deepcopy(old)
    try:
        once, again = entry.upcast(version, old), entry.upcast(version, old)
        entry.payload.model_validate(once)
    except Exception as error:  # noqa: BLE001 - any of them would stop a reader
        return f"it fails: {error!r}"
    if old != before:
        return "it changes what it is given"
    return "it gives another answer the second time" if once != again else None


# The first text that is drawn makes Hypothesis' table of characters, which takes seconds.
@pytest.mark.parametrize(("name", "version", "schema"), OLD_VERSIONS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_upcasters_are_pure_and_total(name: str, version: int, schema: schemas.Schema, data: st.DataObject) -> None:
    old = data.draw(strategies.data_for(schema))
    entry = registry.get(name)

    assert upcast_problem(entry, version, old) is None
    if (following := schemas.published()[name].get(version + 1)) is not None:
        jsonschema.validate(entry.upcasters[version](old), following.schema)


@pytest.mark.parametrize(
    ("upcaster", "problem"),
    [
        (lambda data: data.update(note="") or data, "changes what it is given"),
        (lambda data: data | {"note": str(uuid.uuid4())}, "another answer"),
        (lambda data: data | {"note": 1 // data["amount"]}, "it fails: ZeroDivisionError"),
        (lambda data: data, "Field required"),
    ],
)
def test_an_upcaster_that_is_impure_or_partial_is_caught(upcaster: registry.Upcaster, problem: str) -> None:
    payload = create_model("Placed", __base__=registry.Payload, amount=int, note=str)
    entry = registry.EventType("test.order.placed", 2, payload, {1: upcaster})

    assert problem in str(upcast_problem(entry, 1, {"amount": 0}))


def test_the_first_log_is_whole_streams_of_version_1_only() -> None:
    streams: dict[str, list[int]] = defaultdict(list)
    for row in FIRST_LOG:
        streams[row["aggregate_id"]].append(row["version"])

    assert {row["schema_version"] for row in FIRST_LOG} == {1}
    assert all(versions == list(range(1, len(versions) + 1)) for versions in streams.values())
    assert {row["type"] for row in FIRST_LOG} == {
        name for name, versions in schemas.published().items() if 1 in versions and versions[1].is_released
    }


@pytest.fixture
def replayed(committed_db: None, over_all_tenants: None) -> None:
    """The first log in today's database, read by everybody who reads it."""
    tenants.Tenant.objects.create(
        id=TENANT_ID, slug="harbour", name="Harbour Goods", default_locale="en", currency="EUR",
        settings={"notice_email": "stock@harbour.example"},
    )  # fmt: skip
    for locale in ("en", "de"):
        tenants.TenantLocale.objects.create(tenant_id=TENANT_ID, locale=locale)
    restore(FIRST_LOG)
    tasks.drain()


def read(path: str) -> Any:
    return Client().get(f"/api/v1/store/{path}", headers={"X-Tenant": "harbour"})


@pytest.mark.usefixtures("replayed")
def test_the_first_log_replays_under_todays_code() -> None:
    assert sequencer.head() == len(FIRST_LOG)
    assert models.Parked.objects.count() == 0
    assert status.verify() == []
    compared = {
        projection.name: comparing.compare_with_fold(projection, generations.live_number(projection))
        for projection in projections.all_projections()
    }
    assert {name: found.problems for name, found in compared.items()} == {name: [] for name in compared}
    logged = {row["type"] for row in FIRST_LOG}
    read = {projection.name for projection in projections.all_projections() if logged & set(projection.types)}
    assert len(read) >= 5
    assert all(compared[name].aggregates > 0 for name in read)


@pytest.mark.usefixtures("replayed")
def test_the_replayed_shop_can_be_read_as_it_was_left() -> None:
    mug = read("products/enamel-mug").json()
    assert mug["vendor"] == "Enamelworks Bremen"
    assert [variant["sku"] for variant in mug["variants"]] == ["MUG-BLUE", "MUG-WHITE-2"]
    assert [(price["currency"], price["amount"]) for price in mug["variants"][0]["prices"]] == [("EUR", "12.90")]
    assert mug["variants"][0]["barcode"] == "4006381333931"
    assert mug["in_stock"] is True
    assert read("products/emaillebecher?locale=de").json()["title"] == "Emaillebecher"
    assert [read(f"products/{gone}").status_code for gone in ("chipped-plate", "old-bowl")] == [404, 404]

    about = read("content/page/about").json()
    assert (about["title"], about["author"], about["locales"]) == ("About Harbour", "Ann and Bo", ["en"])
    assert about["body"]["html"] == "<p>We sell <em>mugs</em>.</p>"
    assert about["metadata"] == {"hero": "quay.jpg"}
    assert read("content/page/about-us").json()["title"] == "About us"
    assert read("content/page/team").json()["depth"] == 1
    assert [read(f"content/{gone}").status_code for gone in ("post/first-post", "page/terms-of-sale")] == [404, 404]


@pytest.mark.usefixtures("replayed")
def test_the_replayed_terms_stand_where_they_stood() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source, locale, name, cardinality(member_ids) FROM readmodels_termdocument_live "
            "WHERE tenant_id = %s ORDER BY source, name, locale",
            [TENANT_ID],
        )
        found = cursor.fetchall()

    assert found == [
        ("commerce.category", "de", "Becher", 0),
        ("commerce.category", "en", "Kitchen", 0),
        ("commerce.category", "en", "Mugs and cups", 0),
        ("commerce.category", "en", "Ropes", 0),
        ("commerce.collection", "en", "On deck", 0),
        ("commerce.collection", "en", "Summer on the water", 1),
        ("content.category", "en", "Boats and ships", 0),
        ("content.category", "en", "Knots and hitches", 0),
        ("content.category", "en", "News", 0),
        ("content.category", "de", "Schiffe", 0),
        ("content.tag", "en", "calm sea", 0),
        ("content.tag", "en", "red", 0),
    ]


@pytest.mark.usefixtures("replayed")
def test_the_replayed_menu_leads_where_it_led() -> None:
    items = read("menus/header?locale=de").json()["items"]

    assert [(item["title"], len(item["children"])) for item in items] == [
        ("Emaillebecher", 0), ("Über uns", 0), ("Elsewhere", 1),
    ]  # fmt: skip


@pytest.mark.usefixtures("replayed")
def test_a_version_1_notice_is_mailed_with_what_version_1_knew() -> None:
    low = next(row["data"] for row in FIRST_LOG if row["type"] == "commerce.inventory.low")

    assert [message.to for message in mail.outbox] == [["stock@harbour.example"]]
    assert low["variant_id"] in mail.outbox[0].subject
    assert f"{low['remaining']} left" in mail.outbox[0].body


@pytest.mark.usefixtures("replayed")
def test_a_replayed_stream_goes_on_where_it_ended() -> None:
    mug = next(uuid.UUID(row["aggregate_id"]) for row in FIRST_LOG if row["type"] == "commerce.product.created")
    length = sum(row["aggregate_id"] == str(mug) for row in FIRST_LOG)
    with outbox.unit_of_work():
        outbox.append(
            commerce_events.ProductArchived(), tenant_id=TENANT_ID, aggregate_type=commerce_events.PRODUCT,
            aggregate_id=mug, expected_version=length,
        )  # fmt: skip

    tasks.drain()

    assert read("products/enamel-mug").status_code == 404
    assert status.verify() == []


@pytest.mark.usefixtures("committed_db", "over_all_tenants")
def test_events_recorded_under_a_former_name_reach_the_projections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("content.node.created", "content.node.published"):
        found, former = registry.get(name), f"{name}_once"
        renamed = registry.EventType(name, 1, found.payload, {}, found.stream, (former,))
        monkeypatch.setitem(registry._types, name, renamed)
        monkeypatch.setitem(registry._aliases, former, name)
    node_id = next(row["aggregate_id"] for row in FIRST_LOG if row["type"] == "content.node.created")
    stream = [row for row in FIRST_LOG if row["aggregate_id"] == node_id and row["version"] <= 2]
    restore([row | {"type": f"{row['type']}_once"} for row in stream])

    tasks.drain()

    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT title FROM readmodels_contentdocument_live ORDER BY title")
        assert [title for (title,) in cursor.fetchall()] == ["About us", "Über uns"]
    assert status.verify() == []
