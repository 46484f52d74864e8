"""The pictures of docs/: each is declared, there, small, of its size and shown in a page, and nothing else is."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from PIL import Image

from rustok import guides
from tests import factories, screenshots

SHOWN = re.compile(r"^!\[([^\]]*)\]\(\.\./images/([a-z0-9-]+)\.webp\)", re.MULTILINE)


def test_every_picture_is_shown_with_its_text_and_every_shown_one_is_declared() -> None:
    shown = {found for page in guides.all_guides().values() for found in SHOWN.findall(page.text)}

    assert shown == {(picture.shows, picture.name) for picture in screenshots.PICTURES}
    assert {file.stem for file in screenshots.FOLDER.iterdir()} == {picture.name for picture in screenshots.PICTURES}


def test_every_picture_is_small_and_of_its_size() -> None:
    for picture in screenshots.PICTURES:
        with Image.open(picture.file) as image:
            assert (image.format, image.size) == ("WEBP", picture.size), picture.name
        assert picture.file.stat().st_size < 100_000, picture.name
    assert {picture.size[0] for picture in screenshots.PICTURES} == {390, 1280}


@pytest.mark.django_db
def test_every_address_leads_somewhere_for_who_looks() -> None:
    tenant = factories.make_tenant()
    owner, administrator = factories.make_member(tenant), factories.make_user(is_staff=True, is_superuser=True)
    owner.is_staff = True
    owner.save()
    lookers = {"owner": (owner, f"{tenant.slug}.test"), "administrator": (administrator, "testserver")}
    for picture in screenshots.PICTURES:
        client, (user, host) = Client(), lookers.get(picture.seen_by, (None, "testserver"))
        if user:
            client.force_login(user)
        assert client.get(picture.address, headers={"host": host}).status_code == 200, picture.name


def test_a_name_that_is_not_declared_is_refused_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        screenshots.main(["admin-start", "nothing"])

    assert refused.value.code == 2
    assert "there is no nothing; there are: admin-start, " in capsys.readouterr().err
