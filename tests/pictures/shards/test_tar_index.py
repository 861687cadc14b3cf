"""The index of a tar, against Python's `tarfile`."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.pictures.shards.tar import Fault, Opened, members

NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=130)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
MEMBERS = st.lists(st.tuples(PATHS, KINDS, st.binary(max_size=1100)), max_size=8)
FORMATS = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


def packed(entries: list[tuple[str, bytes, bytes]], form: int, **settings: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, **settings) as tar:  # type: ignore[call-overload]
        for name, kind, content in entries:
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, "somewhere/else" * 12 if kind in (b"1", b"2") else ""
            about.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(about, io.BytesIO(content))
    return buffer.getvalue()


def opened(folder: Path, content: bytes) -> Opened:
    path = folder / "x.tar"
    path.write_bytes(content)
    return Opened(str(path))


@given(MEMBERS, FORMATS)
def test_it_is_what_tarfile_reads(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, bytes]], form: int
) -> None:
    content = packed(entries, form)
    file = opened(tmp_path_factory.getbasetemp(), content)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        theirs = [
            (each.name, each.offset_data, each.size if each.isreg() else 0, each.isreg(), each.isdir()) for each in tar
        ]
    ours = [(m.name, m.offset, m.size, m.kind == "file", m.kind == "folder") for m in members(file)]
    assert ours == theirs
    assert len(ours) == len(entries)


@given(MEMBERS.filter(len), FORMATS, st.integers(0, 10**6))
def test_a_tar_that_is_cut_anywhere_is_a_fault_and_what_is_before_it_is_whole(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, bytes]], form: int, at: int
) -> None:
    content = packed(entries, form)
    whole = list(members(opened(tmp_path_factory.getbasetemp(), content)))
    end = whole[-1].offset + -(-whole[-1].size // 512) * 512  # the zeros of the end mark begin here
    file = opened(tmp_path_factory.getbasetemp(), content[: at % (end + 1)])
    read = []
    with pytest.raises(Fault):
        read.extend(each for each in members(file) if read.append(each))
    assert read == whole[: len(read)]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_of_150_letters_in_each_format(tmp_path: Path, form: int) -> None:
    name = f"{'a' * 90}/{'b' * 59}"
    (member,) = members(opened(tmp_path, packed([(name, tarfile.REGTYPE, b"content")], form)))
    assert (member.name, member.size) == (name, 7)


def test_records_for_all_and_a_size_in_a_record(tmp_path: Path) -> None:
    """`size` in a pax record counts, as for members over 8 GiB; a global record names none of the members."""
    content = packed([("a.jpg", tarfile.REGTYPE, b"x" * 600)], tarfile.PAX_FORMAT, pax_headers={"comment": "all"})
    (member,) = members(opened(tmp_path, content))
    assert (member.name, member.size) == ("a.jpg", 600)


def test_a_number_in_base_256(tmp_path: Path) -> None:
    content = bytearray(packed([("a.jpg", tarfile.REGTYPE, b"x" * 600)], tarfile.GNU_FORMAT))
    content[124:136] = b"\x80" + (600).to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    assert [member.size for member in members(opened(tmp_path, bytes(content)))] == [600]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"\xff\xd8\xff" + bytes(2000), "not a tar"),
        (b"short", "not a tar"),
        (b"\x1f\x8b" + bytes(2000), r"compressed \(gzip\), and no picture in it can be read alone. Unpack it"),
        (b"PK\x03\x04" + bytes(2000), r"compressed \(zip\)"),
    ],
)
def test_what_is_no_tar(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Fault, match=reason):
        list(members(opened(tmp_path, content)))


def test_several_tars_in_one_file_and_one_without_an_end(tmp_path: Path) -> None:
    one = packed([("a.jpg", tarfile.REGTYPE, b"x")], tarfile.PAX_FORMAT)
    with pytest.raises(Fault, match="several tars in one file"):
        list(members(opened(tmp_path, one + one + one)))
    with pytest.raises(Fault, match="without the end mark of a tar: it may be cut"):
        list(members(opened(tmp_path, one[:1024])))
    with pytest.raises(Fault, match="damaged: what stands at byte 1,024 is no header"):
        list(members(opened(tmp_path, one[:1024] + os.urandom(512) + one)))
