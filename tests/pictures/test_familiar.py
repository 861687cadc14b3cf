"""Copies of known pictures are recognised by 289 bytes each, and other pictures are not."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from pellucid.pictures import familiar as module
from pellucid.pictures.familiar import COARSE, coarse, familiar
from pellucid.pictures.twins import DESCRIPTION, describe


@cache
def photograph(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    """Texture at every scale, in colour, with the 1/f spectrum of natural pictures. Tests must not change it."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for size in (3, 6, 12, 25, 50):
        noise = Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8))
        total += (np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), float) - 128) / size**0.5
    return Image.fromarray(np.clip(110 + 0.6 * total, 0, 255).astype(np.uint8))


def saved(picture: Image.Image, kind: str = "JPEG", quality: int = 85) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return Image.open(file).convert("RGB")


def cropped(picture: Image.Image, share: float) -> Image.Image:
    x, y = round(picture.width * share), round(picture.height * share)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def kept(*pictures: Image.Image) -> NDArray[np.uint8]:
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
    return kept(*[photograph(seed) for seed in range(12)])


@pytest.mark.parametrize("change", CHANGES)
def test_copies_among_others(change: str, twelve: NDArray[np.uint8]) -> None:
    asked = kept(photograph(100), *[CHANGES[change](photograph(seed)) for seed in (3, 7, 11)], photograph(101))
    assert familiar(twelve, asked).tolist() == [-1, 3, 7, 11, -1]


def test_the_known_one_may_be_the_part_that_was_cut_out() -> None:
    known = kept(*[cropped(photograph(seed), 0.04) for seed in range(5)])
    assert familiar(known, kept(photograph(3), photograph(9))).tolist() == [3, -1]


def test_icons_are_compared_in_place_and_by_colour() -> None:
    def arrow(colour: str) -> Image.Image:
        picture = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(picture).polygon([(10, 32), (50, 12), (50, 52)], fill=colour)
        return picture

    known = kept(arrow("red"))
    asked = kept(saved(arrow("red"), quality=90), arrow("green"), ImageOps.mirror(arrow("red")))
    assert familiar(known, asked).tolist() == [0, -1, -1]


def test_blank_pictures_go_by_their_brightness() -> None:
    known = kept(*[Image.new("RGB", (40, 40), (level,) * 3) for level in (0, 100, 255)])
    asked = kept(*[Image.new("RGB", (60, 50), (level,) * 3) for level in (255, 101, 60)], photograph(1))
    assert familiar(known, asked).tolist() == [2, 1, -1, -1]


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    known = kept(*[photograph(seed) for seed in range(9)])
    asked = kept(*[CHANGES["cropped by 4%"](photograph(seed)) for seed in range(4, 14)])
    whole = familiar(known, asked)
    assert whole.tolist() == [4, 5, 6, 7, 8, -1, -1, -1, -1, -1]
    monkeypatch.setattr(module, "ASKED", 3)
    monkeypatch.setattr(module, "KNOWN", 2)
    np.testing.assert_array_equal(familiar(known, asked), whole)


def test_nothing_known_and_nothing_asked() -> None:
    none = coarse(np.zeros((0, DESCRIPTION), np.uint8))
    assert none.shape == (0, COARSE)
    assert familiar(none, kept(photograph(1))).tolist() == [-1]
    assert familiar(kept(photograph(1)), none).tolist() == []
