"""Identifiers keep their meaning through text."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kernel import ids


def test_a_known_value_of_the_typeid_specification() -> None:
    value = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")

    assert ids.encode("prefix", value) == "prefix_01h455vb4pex5vsknk084sn02q"


@given(st.uuids())
def test_there_and_back_is_the_same(value: uuid.UUID) -> None:
    assert ids.decode("prod", ids.encode("prod", value)) == value
    assert ids.decode("prod", str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prod_",
        "prod_01h455vb4pex5vsknk084sn02",
        "node_01h455vb4pex5vsknk084sn02q",
        "prod_81h455vb4pex5vsknk084sn02q",
        "prod_01h455vb4pex5vsknk084sn0uu",
        "../../etc",
        "prod_01H455VB4PEX5VSKNK084SN02Q",
    ],
)
def test_what_is_not_such_an_id_is_refused(text: str) -> None:
    with pytest.raises(ids.InvalidId, match="is not an id of this kind"):
        ids.decode("prod", text)


def test_new_ids_are_uuid7_and_ascend() -> None:
    drawn = [ids.new_id() for _ in range(100)]

    assert {value.version for value in drawn} == {7}
    assert drawn == sorted(drawn)


def test_half_a_character_is_not_echoed() -> None:
    with pytest.raises(ids.InvalidId) as refused:
        ids.decode("node", "\ud800" * 100)

    assert refused.value.detail.encode().startswith(b'"??')
