"""Encodings of the user's files, and names that mean the same."""

import codecs

import pytest

from pellucid.texts import alike, composed, decoded, encoding, listed

TEXT = "photos/crème.png\r\nphotos/😀.png\n"


@pytest.mark.parametrize(
    ("written", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
    ],
)
def test_text_is_read_in_whatever_unicode_it_is_written(written: str, mark: bytes) -> None:
    assert decoded(mark + TEXT.encode(written)) == TEXT


def test_what_is_no_utf8_is_said_to_be() -> None:
    assert encoding(b"caf\xe9.png\n") == "utf-8"
    with pytest.raises(UnicodeDecodeError):
        decoded(b"caf\xe9.png\n")


def test_zero_bytes_after_paths_are_no_utf16() -> None:
    assert encoding(b"photos/1.png\0photos/2.png\0") == "utf-8"


def test_composed() -> None:
    assert composed("cafe\u0301") == "caf\u00e9"
    assert composed("caf\udce9") == "caf\udce9"  # a byte that is no UTF-8


def test_names_that_hardly_differ() -> None:
    names = ["Cat", "cat", "cat ", "ca\u200bt", "New York", "new_york", "newyork", "dog", "\uff44og", "owl"]
    assert alike(names) == (
        ("Cat", "cat", "cat ", "ca\u200bt"),
        ("New York", "new_york", "newyork"),
        ("dog", "\uff44og"),
    )
    assert alike(["a", "b", "1-2", "12"]) == ()


def test_a_few_of_many_names() -> None:
    assert [listed(["a", "b", "c"], most) for most in (1, 2, 3, 4)] == [
        "a and 2 more",
        "a, b and 1 more",
        "a, b, c",
        "a, b, c",
    ]
    assert listed(["a"] * 1501, 1, "more in config.json") == "a and 1,500 more in config.json"
    assert listed([], 3) == ""
