"""Copies of known pictures are recognised by 289 bytes each, and other pictures are not."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from tests.pictures import photographs
from tests.pictures.photographs import cropped, saved

from pellucid.pictures import familiar as module
from pellucid.pictures.familiar import COARSE, coarse, familiar
from pellucid.pictures.twins import DESCRIPTION, describe

photograph = cache(photographs.photograph)  # not to be changed


def descriptions(*pictures: Image.Image) -> NDArray[np.uint8]:
    return coarse(np.stack([describe(np.asarray(picture.convert("RGB"))) for picture in pictures]))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda p: p,
    "recompressed": lambda p: saved(p, quality=30),
    "WebP": lambda p: saved(p, "WEBP", 60),
    "halved": lambda p: saved(p.resize((p.width // 2, p.height // 2))),
    "15% brighter": lambda p: saved(ImageEnhance.Brightness(p).enhance(1.15)),
    "grey": lambda p: saved(p.convert("L")),
    "mirrored": lambda p: saved(ImageOps.mirror(p)),
    "cropped by 4%": lambda p: saved(cropped(p, 0.04)),
}


@pytest.fixture(scope="module")
def twelve() -> NDArray[np.uint8]:
    """The coarse descriptions of the first twelve photographs. Tests must not change them."""
    return descriptions(*[photograph(seed) for seed in range(12)])


@pytest.mark.parametrize("change", CHANGES)
def test_copies_among_others(change: str, twelve: NDArray[np.uint8]) -> None:
    queries = descriptions(
        photograph(100), *[CHANGES[change](photograph(seed)) for seed in (3, 7, 11)], photograph(101)
    )
    assert familiar(twelve, queries).tolist() == [-1, 3, 7, 11, -1]


def test_the_known_one_may_be_the_part_that_was_cut_out() -> None:
    known = descriptions(*[cropped(photograph(seed), 0.04) for seed in range(5)])
    assert familiar(known, descriptions(photograph(3), photograph(9))).tolist() == [3, -1]


def test_icons_are_compared_in_place_and_by_colour() -> None:
    def arrow(colour: str) -> Image.Image:
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).polygon([(10, 32), (50, 12), (50, 52)], fill=colour)
        return picture

    known = descriptions(arrow("red"))
    queries = descriptions(saved(arrow("red"), quality=90), arrow("green"), ImageOps.mirror(arrow("red")))
    assert familiar(known, queries).tolist() == [0, -1, -1]


def test_blank_pictures_go_by_their_brightness() -> None:
    known = descriptions(*[Image.new("RGB", (40, 40), (level,) * 3) for level in (0, 100, 255)])
    queries = descriptions(*[Image.new("RGB", (60, 50), (level,) * 3) for level in (255, 101, 60)], photograph(1))
    assert familiar(known, queries).tolist() == [2, 1, -1, -1]


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    known = descriptions(*[photograph(seed) for seed in range(9)])
    queries = descriptions(*[CHANGES["cropped by 4%"](photograph(seed)) for seed in range(4, 14)])
    whole = familiar(known, queries)
    assert whole.tolist() == [4, 5, 6, 7, 8, -1, -1, -1, -1, -1]
    monkeypatch.setattr(module, "BLOCK", 3)
    monkeypatch.setattr(module, "KNOWN", 2)
    np.testing.assert_array_equal(familiar(known, queries), whole)


def test_nothing_known_and_nothing_asked() -> None:
    none = coarse(np.zeros((0, DESCRIPTION), np.uint8))
    assert none.shape == (0, COARSE)
    assert familiar(none, descriptions(photograph(1))).tolist() == [-1]
    assert familiar(descriptions(photograph(1)), none).tolist() == []
