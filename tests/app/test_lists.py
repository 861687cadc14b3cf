"""Lists of paths on standard input, in the forms of the different systems."""

import codecs
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.app import lists
from pellucid.errors import PictureError


def paths(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[str | bytes]:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))  # type: ignore[arg-type]
    return list(lists.standard_input())


@pytest.mark.parametrize(
    "content",
    [
        b"a.png\nb/c d.png\n",
        b"a.png\r\nb/c d.png",
        b"a.png\n\n\r\nb/c d.png\n",
        codecs.BOM_UTF8 + b"a.png\r\nb/c d.png\r\n",
        codecs.BOM_UTF8 + b"a.png\n" + codecs.BOM_UTF8 + b"b/c d.png\n",  # two files, one after the other
        b"a.png\rb/c d.png\r",  # as old Macs end their lines
        b"a.png\r\rb/c d.png",
        b"a.png\0b/c d.png\0",
        b"a.png\0b/c d.png",
        "a.png\r\nb/c d.png\r\n".encode("utf-16"),
        "\ufeffa.png\r\nb/c d.png\r\n".encode("utf-16-be"),
        "a.png\nb/c d.png".encode("utf-16-le"),
        "a.png\nb/c d.png\n".encode("utf-16-be"),
        "a.png\nb/c d.png\n".encode("utf-32"),
    ],
)
def test_the_same_paths_in_every_writing(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths(content, monkeypatch) == ["a.png", "b/c d.png"]


def test_a_name_after_a_zero_byte_may_hold_a_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths(b"two\nlines.png\0b.png\0", monkeypatch) == ["two\nlines.png", "b.png"]


def test_zero_bytes_come_over_many_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"folder/{number:06}.png" for number in range(5000)]
    assert paths("\0".join(names).encode(), monkeypatch) == names


@pytest.mark.parametrize(
    ("on_disk", "in_list"),
    [
        ("crème.png".encode(), "crème.png".encode("latin-1")),
        ("prix €.png".encode(), "prix €.png".encode("cp1252")),
        ("crème.png".encode("latin-1"), "crème.png".encode()),
        ("cre\u0300me.png".encode(), "crème.png".encode()),
        ("crème.png".encode(), "cre\u0300me.png".encode()),
        ("crème.png".encode("latin-1"), "crème.png".encode("latin-1")),
    ],
)
def test_a_name_in_another_encoding_than_the_disks(
    on_disk: bytes, in_list: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open(on_disk, "wb"):
        pass
    assert paths(in_list + b"\n", monkeypatch) == [os.fsdecode(on_disk)]


def test_a_name_that_is_nowhere_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths(b"caf\xe9.png\n", monkeypatch) == ["caf\udce9.png"]


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", bytes(40), b"\0/\0\0/\0\0/\0", b""])
def test_what_is_no_list_comes_whole(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths(content, monkeypatch) == [content]


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(PictureError, match=r"^Standard input is closed, so - cannot be read\. Name files or folders"):
        list(lists.standard_input())


def test_a_list_of_windows_is_predicted(pellucid: Callable, trained: Path, photos: Path) -> None:
    content = "".join(f"{photos}/red/{number}.png\r\n" for number in range(3)).encode("utf-16")
    result = pellucid("predict", trained, "-", "--format", "jsonl", stdin=content)
    assert result.status == 0
    assert [json.loads(line)["picture"] for line in result.out.splitlines()] == [
        f"{photos}/red/{number}.png" for number in range(3)
    ]
