"""Which names of encodings are taken: those that make text of bytes, and nothing that unpacks or escapes."""

import pytest

from apps.kernel import encodings, errors, validation

NONE = [
    *("bz2", "zlib", "zip", "base64", "hex", "rot13", "uu", "quopri"),
    *(
        "utf-7",
        "UTF7",
        "unicode_escape",
        "raw-unicode-escape",
        "punycode",
        "idna",
        "undefined",
        "latin-9000",
        "aliases",
    ),
]


@pytest.mark.parametrize("name", NONE)
def test_what_makes_no_text_of_bytes_is_no_encoding(name: str) -> None:
    with pytest.raises(errors.ValidationFailed, match="no encoding of text"):
        validation.check(encodings.Named, name, field="encoding")


@pytest.mark.parametrize(
    "name", ["", "utf-8", "UTF-8-SIG", "utf-16", "windows-1251", "latin1", "cp437", "shift_jis", "koi8-r", "gb18030"]
)
def test_an_encoding_of_text_is_taken(name: str) -> None:
    assert validation.check(encodings.Named, name, field="encoding") == name
