"""`pellucid explain --html`: the page as one file, complete or absent."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.glassbox.page import offline as pages


@pytest.fixture
def picture(photos: Path) -> Path:
    return photos / "red" / "1.png"


def test_the_page_is_written_and_its_size_told(
    pellucid: Callable, trained: Path, picture: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out.html"
    result = pellucid("explain", trained, picture, "--html", place)
    assert (result.status, result.err) == (0, "")
    content = place.read_text(encoding="ascii")
    assert f"{place} ({place.stat().st_size / 1e6:,.1f} MB)" in result.out.replace("\n", " ")
    document = json.loads(re.findall(r'id="document">(.*?)</script>', content)[0])
    assert document["model"]["name"] == trained.name
    assert document["model"]["classes"] == ["blue", "red"]
    assert document["picture"] == "1.png"
    assert str(picture.parent) not in content, "where the pictures lie is not told to whoever gets the file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.html"]


def test_with_json_the_path_stands_in_it(pellucid: Callable, trained: Path, picture: Path, tmp_path: Path) -> None:
    place = tmp_path / "out.html"
    content = json.loads(pellucid("explain", trained, picture, "--html", place, "--json").out)
    assert content["html"] == {"written": str(place), "bytes": place.stat().st_size}


def test_several_pictures_go_into_one_file(
    pellucid: Callable, trained: Path, photos: Path, picture: Path, tmp_path: Path
) -> None:
    place = tmp_path / "out.html"
    result = pellucid("explain", trained, picture, tmp_path / "no.png", photos / "blue" / "2.png", "--html", place)
    assert (result.status, result.err) == (3, f"not used: {tmp_path}/no.png: not found\n")
    size = f"{place.stat().st_size / 1e6:,.1f} MB"
    assert result.out == f"page on 2 pictures, for any browser: {place} ({size})\n"
    document = json.loads(re.findall(r'id="document">(.*?)</script>', place.read_text(encoding="ascii"))[0])
    assert [each["picture"] for each in document["pictures"]] == ["1.png", "2.png"]
    report = pellucid("explain", trained, picture, photos / "blue" / "2.png", "--html", tmp_path / "x.html", "--json")
    written = {"written": str(tmp_path / "x.html"), "bytes": (tmp_path / "x.html").stat().st_size}
    assert [each["html"] for each in json.loads(report.out)] == [written, written]


def test_nothing_is_overwritten(pellucid: Callable, trained: Path, picture: Path, tmp_path: Path) -> None:
    place = tmp_path / "out.html"
    place.write_text("mine")
    result = pellucid("explain", trained, picture, "--html", place)
    assert result.status == 1
    assert "already exists, and nothing of yours is overwritten. Choose another --html." in result.err
    assert place.read_text() == "mine"


def test_a_folder_that_is_not_there_is_told(pellucid: Callable, trained: Path, picture: Path, tmp_path: Path) -> None:
    result = pellucid("explain", trained, picture, "--html", tmp_path / "none" / "out.html")
    assert result.status == 1
    assert "could not be written" in result.err


def test_too_large_a_file_is_refused(
    pellucid: Callable, trained: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "LARGEST", 1000)
    result = pellucid("explain", trained, picture, "--html", tmp_path / "out.html")
    assert result.status == 1
    assert "`pellucid open MODEL PICTURE`" in result.err
    assert list(tmp_path.iterdir()) == []
