"""The one walk: what is read, in which order, what is left out, and that links end."""

import os
from pathlib import Path

import pytest

from pellucid.pictures.walk import Entry, is_system, walk


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        place = root / path
        (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            place.write_text(path)
    return root


def kinds(root: Path, leave_out: Path | None = None) -> dict[str, str]:
    result = list(walk(root, leave_out))
    assert len({entry.path for entry in result}) == len(result)
    return {entry.path: entry.kind for entry in result}


def files(root: Path) -> list[str]:
    return [entry.path for entry in walk(root) if entry.kind == "file"]


def test_a_folders_files_come_by_name_before_those_of_the_folders_in_it(tmp_path: Path) -> None:
    make(tmp_path, "z.png", "a.png", "b/2.png", "b/1.png", "b/deep/3.png", "c/4.png")
    assert files(tmp_path) == ["a.png", "z.png", "b/1.png", "b/2.png", "b/deep/3.png", "c/4.png"]


@pytest.mark.parametrize(
    "name", [".DS_Store", "._cat.png", "Thumbs.db", "THUMBS.DB", "desktop.ini", "__MACOSX/cat.png", "@eaDir/cat.png"]
)
def test_what_is_the_systems(tmp_path: Path, name: str) -> None:
    make(tmp_path, "cat.png", name)
    assert files(tmp_path) == ["cat.png"]
    assert kinds(tmp_path) == {"cat.png": "file", name.split("/")[0]: "system"}
    assert is_system(name.split("/")[0])


def test_links_are_followed_last_and_each_folder_is_read_once(tmp_path: Path) -> None:
    make(tmp_path, "data/z/1.png", "elsewhere/2.png", "elsewhere/deep/3.png")
    (tmp_path / "data/a").symlink_to(tmp_path / "data/z")
    (tmp_path / "data/more").symlink_to("../elsewhere")
    (tmp_path / "data/again").symlink_to("../elsewhere/deep")
    assert files(tmp_path / "data") == ["z/1.png", "again/3.png", "more/2.png"]
    assert kinds(tmp_path / "data")["a/"] == "again"
    assert kinds(tmp_path / "data")["more/deep/"] == "again"


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_a_link_to_what_holds_it_ends_there(tmp_path: Path, target: str) -> None:
    make(tmp_path, "data/cat/1.png", "beside.png")
    (tmp_path / "data/cat/up").symlink_to(target)
    assert files(tmp_path / "data/cat") == ["1.png"]
    assert kinds(tmp_path / "data/cat")["up/"] == "again"


def test_links_to_each_other_end(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/b").symlink_to("../b")
    (tmp_path / "b/a").symlink_to("../a")
    (tmp_path / "b/up").symlink_to("..")
    assert files(tmp_path / "a") == ["1.png", "b/2.png"]


def test_what_cannot_be_used_has_its_reason(tmp_path: Path) -> None:
    make(tmp_path, "1.png")
    (tmp_path / "broken").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert list(walk(tmp_path)) == [
        Entry("1.png", "file"),
        Entry("broken", "unusable", "a broken link"),
        Entry("pipe", "unusable", "not a regular file (a pipe, a socket or a device)"),
    ]


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        (("config.json", "model.safetensors", "thumbnails/01.jpg"), "a model folder"),
        (("split.csv", "quarantine.csv", "checkpoint/step-00000010.safetensors"), "that has not ended"),
        (("checkpoint/step-00000010.safetensors",), "that has not ended"),
        (("checkpoint/.step-00000001.safetensors.abcdefgh.part",), "that has not ended"),
        (("checkpoint/",), "that has not ended"),
        (("filters.json", "conv1.png"), "`pellucid filters`"),
        (("store.json", "descriptions.raw"), "decoded pictures"),
    ],
)
def test_folders_that_pellucid_wrote(tmp_path: Path, inside: tuple[str, ...], what: str) -> None:
    make(tmp_path, "data/a/1.png", *(f"data/a/models/mine/{name}" for name in inside))
    results = [entry for entry in walk(tmp_path / "data") if entry.kind != "file"]
    assert [(entry.path, entry.kind) for entry in results] == [("a/models/mine/", "ours")]
    assert what in results[0].reason
    assert files(tmp_path / "data") == ["a/1.png"]


def test_a_folder_of_the_users_that_is_called_like_one_of_ours_is_read(tmp_path: Path) -> None:
    make(tmp_path, "a/checkpoint/", "a/1.png", "b/checkpoint/2.png", "c/config.json", "c/3.png")
    assert files(tmp_path) == ["a/1.png", "b/checkpoint/2.png", "c/3.png", "c/config.json"]


def test_the_folder_that_is_about_to_be_written_is_left_out_whatever_it_holds(tmp_path: Path) -> None:
    make(tmp_path, "data/a/1.png", "data/out/notes.txt")
    assert kinds(tmp_path / "data", tmp_path / "data/../data/out") == {"a/1.png": "file", "out/": "ours"}
    assert "out/notes.txt" in kinds(tmp_path / "data")
