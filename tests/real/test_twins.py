"""Twins in photographs: all known pairs except one in twenty, and no others. Needs the shared data."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pellucid.pictures.decode import decode
from pellucid.pictures.reading import read
from pellucid.pictures.twins import describe, groups, pairs

DATA = Path(__file__).parents[3] / "shared" / "data"
if not (DATA / "twins" / "pairs.csv").is_file() or not (DATA / "cats_dogs").is_dir():
    pytest.skip(f"NOT TESTED: twins in photographs, {DATA} is missing", allow_module_level=True)


def described(folder: str) -> tuple[list[str], NDArray[np.uint8]]:
    paths = sorted(path for path in (DATA / folder).glob("*/*") if path.is_file())
    names = [path.relative_to(DATA / folder).as_posix() for path in paths]
    return names, np.stack([describe(decode(read(path))) for path in paths])


def test_the_known_twins_are_found_and_no_others_here_or_among_1399_different_photographs() -> None:
    names, with_twins = described("twins")
    _, without = described("cats_dogs")
    with (DATA / "twins" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        known = [(names.index(row["file"]), names.index(row["twin"])) for row in csv.DictReader(file)]
    truth = groups(len(names), np.array(known))

    assert pairs(without).tolist() == []
    for offset, every in ((0, with_twins), (len(without), np.concatenate([without, with_twins]))):
        result = (pairs(every) - offset).tolist()
        assert [pair for pair in result if min(pair) < 0 or truth[pair[0]] != truth[pair[1]]] == []
        hits = sum(sorted(pair) in result for pair in map(list, known))
        assert hits >= 0.95 * len(known)


def test_handwritten_digits_that_look_alike_are_not_twins() -> None:
    paths = sorted((DATA / "mnist" / "test").glob("1/*.png"))
    assert len(paths) > 50
    assert len(pairs(np.stack([describe(decode(read(path))) for path in paths]))) == 0
