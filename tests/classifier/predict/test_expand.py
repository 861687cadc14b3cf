"""Names become pictures: folders are walked as in training, and globs are tried literally first."""

import os
from pathlib import Path

import pytest

from pellucid.classifier.predict.expand import LeftOut, expand, walked
from pellucid.errors import CatalogError
from pellucid.pictures.catalog import scan


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)
    return root


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures(*sources: str) -> list[str]:
    return [str(source) for source in expand(sources)]


def test_a_folder_gives_the_files_that_a_training_reads(here: Path) -> None:
    make(
        here,
        "data/a/1.png",
        "data/a/Thumbs.db",
        "data/a/__MACOSX/2.png",
        "data/b/3.png",
        "data/b/._3.png",
        "more/4.png",
    )
    make(here, "data/b/model/config.json", "data/b/model/model.safetensors", "data/b/model/thumbnails/01.jpg")
    (here / "data/b/linked").symlink_to("../../more")
    (here / "data/b/up").symlink_to("..")
    assert pictures("data") == ["data/a/1.png", "data/b/3.png", "data/b/linked/4.png"]
    assert pictures("data") == sorted(f"data/{picture.path}" for picture in scan(here / "data").pictures)
    assert [each for each in walked(["data"]) if isinstance(each, LeftOut)] == [
        LeftOut("data/b/model/", "a model folder"),
        LeftOut("data/b/up/", "a link to a folder that was read already"),
    ]


@pytest.mark.parametrize("name", ["list.csv", "list.TSV"])
def test_a_table_gives_the_files_that_it_lists(here: Path, name: str) -> None:
    make(here, "in/a/1.png", "in/plain.csv")
    (here / "in" / name).write_text("n\tfile_name\n1\ta/1.png\n2\tgone.png\n3\t\n4\t/far/2.png\n")
    listed = ["in/a/1.png", "in/gone.png", f"in/{name}, line 4: the table has no path for it", "/far/2.png"]
    assert pictures(f"in/{name}") == listed
    assert f"in/{name}" in pictures("in")  # among the files of a folder it is one of them
    with pytest.raises(CatalogError, match=r"has no column 'path' or 'file_name'. Its columns are 'in/plain.csv'"):
        pictures("in/plain.csv")


def test_unusable_files_are_included(here: Path) -> None:
    make(here, "data/1.png")
    (here / "data/broken").symlink_to("nowhere")
    os.mkfifo(here / "data/pipe")
    assert pictures("data") == ["data/1.png", "data/broken", "data/pipe"]


@pytest.mark.parametrize("start", ["", "{here}/"])
def test_existing_names_are_not_patterns(here: Path, start: str) -> None:
    start = start.format(here=here)
    make(
        here,
        "trip [2020]/1.png",
        "trip [2020]/2.png",
        "trip 0/3.png",
        "a[1]/b[2]/x[3].png",
        "what?/4.png",
        "whats/5.png",
    )
    assert pictures(f"{start}trip [2020]/*.png") == [f"{start}trip [2020]/1.png", f"{start}trip [2020]/2.png"]
    assert pictures(f"{start}trip [2020]/[1]*.png") == [f"{start}trip [2020]/1.png"]
    assert pictures(f"{start}trip [2020]*/*.png") == [f"{start}trip [2020]/1.png", f"{start}trip [2020]/2.png"]
    assert pictures(f"{start}a[1]/b[2]/x[3].*") == [f"{start}a[1]/b[2]/x[3].png"]
    assert pictures(f"{start}what?/*.png") == [f"{start}what?/4.png"]
    assert pictures(f"{start}**/trip [2020]/1.png") == [f"{start}trip [2020]/1.png"]


def test_missing_names_are_patterns(here: Path) -> None:
    make(here, "trip 0/1.png", "trip 2/2.png", "trip 1/3.png")
    assert pictures("trip [2020]/*.png") == ["trip 0/1.png", "trip 2/2.png"]
    (here / "trip [2020]").mkdir()
    assert pictures("trip [2020]/*.png") == ["trip 0/1.png", "trip 2/2.png"]  # the folder of that name is empty
    assert pictures("trip [9]/*.png") == ["trip [9]/*.png"]


def test_a_glob_skips_what_a_folder_skips(here: Path) -> None:
    make(here, "win/1.png", "win/Thumbs.db", "win/desktop.ini", "win/__MACOSX/1.png", "win/.hidden")
    make(here, "win/m/config.json", "win/m/model.safetensors", "win/m/thumbnails/01.png")
    left_out = LeftOut("win/m", "a model folder")
    assert list(walked(["win/*"])) == ["win/1.png", left_out]
    make(here, "win/m/thumbnails/02.png")
    assert list(walked(["win/*/*/*.png"])) == [left_out]
    assert pictures("win/*/*.png") == ["win/*/*.png"]
    assert pictures("win/**/*.png") == ["win/1.png"]
    assert pictures("win/__MACOSX/*.png") == ["win/__MACOSX/1.png"]  # the glob spells it out
    assert pictures("win/Thumbs.db") == ["win/Thumbs.db"]


def test_two_stars_stop_at_circular_links(here: Path) -> None:
    make(here, "a/1.png", "a/b/2.png", "a/b/3.jpg")
    for name in ("one", "two", "three"):
        (here / "a/b" / name).symlink_to("../..")
    assert pictures("**/*.png") == ["a/1.png", "a/b/2.png"]
    assert pictures("a/**/b/*") == ["a/b/2.png", "a/b/3.jpg"]
    assert pictures("a/**") == ["a/1.png", "a/b/2.png", "a/b/3.jpg"]
