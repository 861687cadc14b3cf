"""Writing: the old content or the new, never a part, and one clear line if the disk is full."""

import errno
import os
import stat
from pathlib import Path

import pytest

from pellucid import files
from pellucid.errors import StorageError


def test_write_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write(path, "Zürich")
    assert path.read_bytes() == "Zürich".encode()
    files.write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    path, seen = tmp_path / "a.txt", []
    link = os.link

    def watched(source: Path, place: Path) -> None:
        seen.append(place.exists())
        if not links:
            raise OSError(errno.EPERM, "no second names on this disk")
        link(source, place)
        seen.append(place.read_text() == "whole")

    monkeypatch.setattr(os, "link", watched)
    files.create(path, "whole")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("whole", [path])
    assert seen == ([False, True] if links else [False])
    with pytest.raises(StorageError, match="was meanwhile written by another program, and nothing is overwritten"):
        files.create(path, "other")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("whole", [path])


def test_a_file_gets_the_permissions_of_any_other(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    files.write(tmp_path / "ours", "x")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "x"), KeyboardInterrupt(), ValueError("mine")])
def test_what_goes_wrong_inside_leaves_the_old_content(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half_written() -> None:
        with files.replacing(path) as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        half_written()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "a.txt", []
    sync = files.sync

    def watched(what: Path) -> None:
        synced.append((what.is_dir(), path.exists()))
        sync(what)

    monkeypatch.setattr(files, "sync", watched)
    files.write(path, "x")
    assert synced == [(False, False), (True, True)]  # the file before the rename, the folder after it


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "absent" / "a.txt"

    def full() -> None:
        with files.storage_errors(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError) as caught:
        full()
    message = str(caught.value)
    assert message.startswith(f"The disk is full: {path} could not be written (")
    assert message.endswith(" MB free). Free some space and run again.")
    assert isinstance(caught.value.__cause__, OSError)


def test_other_faults_name_path_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "a.txt"
    with pytest.raises(StorageError, match=r"a\.txt could not be written: No such file or directory\.$"):
        files.write(path, "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store"
    for content in ("one", "two"):
        with files.replacing_folder(path) as temporary:
            (temporary / content).write_text(content)
        assert [file.name for file in path.iterdir()] == [content]
        assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.mkdir()
    (path / "old").touch()

    def fail() -> None:
        with files.replacing_folder(path) as temporary:
            (temporary / "new").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_parts_of_killed_writes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    handle = files.replacing(tmp_path / "a.txt")
    left = handle.__enter__()  # as a killed process leaves it
    assert files.is_part(left)
    others = [".hidden", "a.part", ".a.txt.part", ".a.txt.abcd1234.parts", "a.txt"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".b.store.abcd1234.part").mkdir()
    files.remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, ".b.store.abcd1234.part"])
    files.remove_parts(tmp_path / "absent")


@pytest.mark.parametrize("error", [None, OSError(errno.ENOSPC, "x"), KeyboardInterrupt()])
def test_files_that_belong_together_are_replaced_together(tmp_path: Path, error: BaseException | None) -> None:
    places = {"m.bin": tmp_path / "a.bin", "m.xml": tmp_path / "a.xml"}
    places["m.xml"].write_text("old")

    def replace() -> None:
        with files.replacing_together(places) as folder:
            (folder / "m.bin").write_text("new")
            (folder / "m.xml").write_text("new")
            if error is not None:
                raise error

    if error is None:
        replace()
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.bin": "new", "a.xml": "new"}
        assert stat.S_IMODE(places["m.xml"].stat().st_mode) & 0o044 == 0o044 & ~files._umask()
    else:
        with pytest.raises(type(error)):
            replace()
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.xml": "old"}


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
