"""An edit says which version it replaces, and does not take away what somebody else has written since."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from apps.accounts.access import declaring
from apps.outbox import append
from apps.tenants import endpoint, models
from tests import factories
from tests.accounts import calling

NAMED = {"translations": [{"locale": "en", "name": "red"}]}


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en")


@pytest.fixture
def editor(tenant: models.Tenant) -> calling.Caller:
    return calling.make_caller(tenant, "owner")


@pytest.fixture
def tag(editor: calling.Caller) -> str:
    return f"tags/{editor.call('POST', 'tags', NAMED).json()['id']}"


def renamed(name: str) -> Any:
    return {"translations": [{"locale": "en", "name": name}]}


def test_a_read_says_its_version_and_an_edit_the_next(editor: calling.Caller, tag: str) -> None:
    first = editor.call("GET", tag)["ETag"]
    edited = editor.call("PATCH", tag, renamed("blue"), **{"If-Match": first})
    second = editor.call("GET", tag)["ETag"]

    assert edited.status_code == 200
    assert first != second == edited["ETag"]


def test_of_two_editors_the_second_is_told_and_loses_nothing(editor: calling.Caller, tag: str) -> None:
    read = editor.call("GET", tag)["ETag"]
    editor.call("PATCH", tag, renamed("blue"), **{"If-Match": read})

    late = editor.call("PATCH", tag, renamed("green"), **{"If-Match": read})
    deleted = editor.call("DELETE", tag, **{"If-Match": read})

    now = editor.call("GET", tag)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert f'"v{late.json()["current_version"]}"' == now["ETag"]
    assert deleted.status_code == 412
    assert now.json()["translations"][0]["name"] == "blue"


def test_an_edit_that_says_nothing_is_refused(editor: calling.Caller, tag: str) -> None:
    path = f"/api/v1/admin/{tag}"
    patched = editor.client.patch(path, NAMED, content_type="application/json", headers=editor.headers)
    deleted = editor.client.delete(path, headers=editor.headers)

    for answer in (patched, deleted):
        assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")
    assert editor.call("GET", tag).status_code == 200


@pytest.mark.parametrize("sent", ['W/"v1"', '"v7"', '"1"', "v1", "", '"other", "another"', '"v99999999999999999999"'])
def test_weak_and_foreign_tags_match_nothing(editor: calling.Caller, tag: str, sent: str) -> None:
    assert editor.call("PATCH", tag, renamed("blue"), **{"If-Match": sent}).status_code == 412


def test_one_of_several_tags_is_enough(editor: calling.Caller, tag: str) -> None:
    read = editor.call("GET", tag)["ETag"]

    assert editor.call("PATCH", tag, renamed("blue"), **{"If-Match": f'"v77", {read}'}).status_code == 200


def test_an_edit_that_changes_nothing_is_held_to_its_version_too(editor: calling.Caller, tag: str) -> None:
    read = editor.call("GET", tag)["ETag"]
    same = editor.call("PATCH", tag, NAMED, **{"If-Match": read})
    editor.call("PATCH", tag, renamed("blue"), **{"If-Match": read})

    late = editor.call("PATCH", tag, renamed("blue"), **{"If-Match": read})

    assert (same.status_code, same["ETag"]) == (200, read)
    assert late.status_code == 412


def test_what_has_not_changed_is_not_sent_again(editor: calling.Caller, tag: str) -> None:
    read = editor.call("GET", tag)["ETag"]

    known = editor.call("GET", tag, **{"If-None-Match": f'"v77", W/{read}'})
    other = editor.call("GET", tag, **{"If-None-Match": '"v77"'})

    assert (known.status_code, known.content, known["ETag"]) == (304, b"", read)
    assert other.status_code == 200


def test_nobody_learns_a_version_they_may_not_read(tenant: models.Tenant, tag: str) -> None:
    stranger = calling.make_caller(factories.make_tenant(), "owner")
    no_editor = calling.make_caller(tenant)
    unknown = "tags/tag_01h455vb4pex5vsknk084sn02q"

    answers = [stranger.call("PATCH", path, NAMED, **{"If-Match": '"v7"'}) for path in (tag, unknown)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert no_editor.call("PATCH", tag, NAMED, **{"If-Match": '"v7"'}).status_code == 403


@pytest.mark.usefixtures("committed_db")
def test_who_commits_between_the_check_and_the_write_is_not_overwritten(
    editor: calling.Caller, tag: str, monkeypatch: pytest.MonkeyPatch, _superuser: Any
) -> None:
    read = editor.call("GET", tag)["ETag"]
    checked, go_on, answers = threading.Event(), threading.Event(), list[Any]()
    flush = append._flush
    late = threading.local()

    def flush_late(*args: Any) -> None:
        if getattr(late, "is_me", False):
            checked.set()
            go_on.wait(30)
        flush(*args)

    def edit() -> None:
        late.is_me = True
        try:
            answers.append(editor.call("PATCH", tag, renamed("green"), **{"If-Match": read}))
        finally:
            connection.close()

    monkeypatch.setattr(append, "_flush", flush_late)
    thread = threading.Thread(target=edit)
    thread.start()
    checked.wait(30)
    # The row of the tag is locked by this editor; its stream is not.
    _superuser.execute("UPDATE outbox_stream SET version = version + 1 WHERE aggregate_type = 'content.tag'")
    _superuser.commit()
    go_on.set()
    thread.join()

    assert [answer.status_code for answer in answers] == [412]


def test_every_edit_of_something_that_can_be_read_alone_needs_its_version() -> None:
    """Those that have no version say so here."""
    unversioned = {
        path
        for path, view in declaring.api_views()
        if "GET" in declaring.methods_of(view)
        and {"PUT", "PATCH", "DELETE"} & set(declaring.methods_of(view))
        and path.startswith("/api/v1/admin/")
        and not (issubclass(view, endpoint.Endpoint) and view.versioned)
    }

    assert unversioned == {
        "/api/v1/admin/roles/<str:slug>",  # no stream of events yet
        "/api/v1/admin/customers/<str:customer_id>",  # one switch, on or off
    }
