"""From a folder to rows: nothing lost in silence, twins on one side, training pictures for every class."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import CatalogError
from pellucid.pictures import catalog as catalogs
from pellucid.pictures.decode import Form
from pellucid.steps import result_of
from pellucid.training import data as datas
from pellucid.training import recipe as recipes
from pellucid.training.data import Data, Sample, prepare, sample, write_lists

FORM = Form(16, 16, 3, "pad")
Draw = Callable[..., Path]


@pytest.fixture
def draw() -> Draw:
    """draw(path, seed, size=..., grey=...) -> the path of a new smooth picture, different for each seed."""

    def draw(path: Path, seed: int, size: tuple[int, int] = (48, 40), grey: bool = False) -> Path:
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 1 if grey else 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.broadcast_to(coarse, (6, 6, 3)).copy())
        image.resize(size, Image.Resampling.BICUBIC).save(path)
        return path

    return draw


def prepared(root: Path, cache: Path, **settings: object) -> Data:
    return result_of(prepare(catalogs.scan(root), FORM, recipes.make(**settings), cache))


def test_a_sample_tells_size_and_colour(tmp_path: Path, draw: Draw) -> None:
    for number, size in enumerate([(30, 20), (20, 50), (70, 60)]):
        draw(tmp_path / "a" / f"{number}.png", number, size, grey=True)
    (tmp_path / "a" / "broken.png").write_bytes(b"nothing")
    assert sample(catalogs.scan(tmp_path)) == Sample(side=50, grey=True)
    draw(tmp_path / "b" / "colour.png", 9, (500, 10))
    assert sample(catalogs.scan(tmp_path)) == Sample(side=60, grey=False)
    assert sample(catalogs.scan(tmp_path), pixel_limit=30 * 20) == Sample(side=30, grey=True)


def test_a_sample_of_nothing(tmp_path: Path) -> None:
    assert sample(catalogs.scan(tmp_path)) == Sample(300, grey=False)


def test_a_sample_looks_at_few_of_many(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    first = draw(tmp_path / "a" / "000.png", 0)
    for number in range(1, 100):
        shutil.copy(first, tmp_path / "a" / f"{number:03}.png")
    looked: list[str] = []
    monkeypatch.setattr(datas, "content", lambda path: (looked.append(Path(path).name) or first.read_bytes(), None))
    sample(catalogs.scan(tmp_path))
    assert len(looked) == 48
    assert (looked[0], looked[-1]) == ("000.png", "099.png")


def test_rows_and_lists(tmp_path: Path, draw: Draw) -> None:
    for label, name in enumerate("ab"):
        for number in range(10):
            draw(tmp_path / "in" / name / f"{number}.png", 100 * label + number)
    (tmp_path / "in" / "a" / "broken.png").write_bytes(b"nothing")
    Image.open(tmp_path / "in" / "a" / "0.png").save(tmp_path / "in" / "b" / "leak.jpg", quality=92)
    data = prepared(tmp_path / "in", tmp_path / "cache", validation=0.2, test=0.2)
    sides = [data.rows(side).tolist() for side in ("train", "val", "test")]
    assert sorted(row for side in sides for row in side) == list(range(21))
    assert all(len(side) >= 4 for side in sides)
    assert data.labels.tolist() == [0] * 10 + [1] * 11
    assert data.twins_across_classes == [("a/0.png", "b/leak.jpg")]
    assert data.twin_pictures == 2
    assert data.sides[0] == data.sides[20]

    write_lists(data, tmp_path)
    assert (tmp_path / "twins.csv").read_text() == "path,twin,same_class,across\na/0.png,b/leak.jpg,0,copy\n"
    assert (tmp_path / "quarantine.csv").read_text().splitlines()[1].startswith("a/broken.png,")
    with (tmp_path / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [picture.path for picture in data.catalog.pictures]
    assert {row["class"] for row in rows} == {"a", "b"}
    assert [row["side"] for row in rows].count("train") == len(sides[0])
    assert [row["sha256"] for row in rows] == list(data.store.digests)


def test_twins_that_the_folders_split_are_left_out_and_listed(tmp_path: Path, draw: Draw) -> None:
    for side, start in (("train", 0), ("test", 50)):
        for label, name in enumerate("ab"):
            for number in range(4):
                draw(tmp_path / "in" / side / name / f"{number}.png", start + 10 * label + number)
    shutil.copy(tmp_path / "in/test/a/0.png", tmp_path / "in/train/a/same.png")
    data = prepared(tmp_path / "in", tmp_path / "cache", validation=0)
    assert [bad.path for bad in data.quarantine] == ["train/a/same.png"]
    assert data.quarantine[0].reason == "its twin is on another side of the folders' split"
    assert [len(data.rows(side)) for side in ("train", "val", "test")] == [8, 0, 8]
    write_lists(data, tmp_path)
    assert "train/a/same.png" in (tmp_path / "quarantine.csv").read_text()
    assert "train/a/same.png" not in (tmp_path / "split.csv").read_text()


def test_a_class_without_training_pictures_is_an_error(tmp_path: Path, draw: Draw) -> None:
    for side, name, number in [(s, n, k) for s in ("train", "test") for n in "ab" for k in range(3)]:
        if (side, name) != ("train", "b"):
            draw(
                tmp_path / "in" / side / name / f"{number}.png",
                100 * ("train", "test").index(side) + 10 * "ab".index(name) + number,
            )
    with pytest.raises(CatalogError, match=r"Class b of .*in has 0 pictures to train on") as caught:
        prepared(tmp_path / "in", tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_the_fingerprint_follows_content_class_and_side(tmp_path: Path, draw: Draw) -> None:
    for label, name in enumerate("ab"):
        for number in range(5):
            draw(tmp_path / "in" / name / f"{number}.png", 100 * label + number)
    prints = [
        prepared(tmp_path / "in", tmp_path / cache, seed=seed).fingerprint
        for cache, seed in (("one", 0), ("two", 0), ("one", 1))
    ]
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]  # another split
    (tmp_path / "in" / "a" / "broken.png").write_bytes(b"nothing")
    assert prepared(tmp_path / "in", tmp_path / "one", seed=0).fingerprint == prints[0]
    draw(tmp_path / "in" / "a" / "0.png", 999)
    assert prepared(tmp_path / "in", tmp_path / "one", seed=0).fingerprint != prints[0]


def test_a_name_that_is_not_utf8_is_kept(tmp_path: Path, draw: Draw) -> None:
    for label, name in enumerate("ab"):
        for number in range(3):
            draw(tmp_path / "in" / name / f"{number}.png", 100 * label + number)
    odd = b"\xff\xfe.png"
    shutil.copy(draw(tmp_path / "x.png", 77), tmp_path / "in" / "a" / odd.decode("utf-8", "surrogateescape"))
    write_lists(prepared(tmp_path / "in", tmp_path / "cache"), tmp_path)
    assert b"a/\xff\xfe.png," in (tmp_path / "split.csv").read_bytes()
