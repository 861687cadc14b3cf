"""The third look at twins in two classes: which are copies, and which are alike for a good reason."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from tests.pictures.photographs import cropped, photograph, saved

from pellucid.pictures import across
from pellucid.pictures.across import COPY, MIRRORED, PARTLY, UNSEEN, differs, kinds
from pellucid.pictures.twins import describe, pairs


def scene(seed: int, width: int = 160, height: int = 130) -> Image.Image:
    return photograph(seed, width, height)


def shot(seed: int, lamp: tuple[int, int] | None = None, part: int = 2) -> Image.Image:
    """A fixed camera's picture: the same scene with its own noise and gain, and perhaps a lamp that is on."""
    random = np.random.default_rng(seed)
    pixels = np.array(scene(0), float)
    if lamp is not None:
        x, y = lamp
        pixels[y : y + part, x : x + part] += 90 / part  # too small for the thumbnails to show it
    pixels = pixels * (1 + 0.01 * random.normal()) + random.normal(0, 2, (130, 160, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def arrays(*pictures: Image.Image) -> list[NDArray[np.uint8]]:
    return [np.asarray(picture.convert("RGB")) for picture in pictures]


def kind_of(one: Image.Image, two: Image.Image) -> str:
    images = arrays(one, two)
    descriptions = np.stack([describe(image) for image in images])
    assert pairs(descriptions).tolist() == [[0, 1]]
    return across.KINDS[kinds(descriptions, np.array([[0, 1]]), images.__getitem__)[0]]


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda p: p,
    "recompressed": lambda p: saved(p, quality=40),
    "recompressed a lot": lambda p: saved(p, quality=15),
    "WebP": lambda p: saved(p, "WEBP", 60),
    "halved": lambda p: saved(p.resize((p.width // 2, p.height // 2))),
    "doubled": lambda p: saved(p.resize((p.width * 2, p.height * 2))),
    "brighter": lambda p: saved(ImageEnhance.Brightness(p).enhance(1.15)),
    "grey": lambda p: saved(p.convert("L")),
    "cropped by 5%": lambda p: saved(cropped(p, 0.05)),
    "bordered": lambda p: saved(ImageOps.expand(p, 6, "white")),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_one_whichever_is_the_original(change: str) -> None:
    for seed in range(3):
        original = scene(seed)
        assert kind_of(original, COPIES[change](original)) == "copy"
        assert kind_of(COPIES[change](original), original) == "copy"


def test_a_mirror_image_is_none_also_recompressed() -> None:
    assert kind_of(scene(1), ImageOps.mirror(scene(1))) == "mirrored"
    assert kind_of(saved(ImageOps.mirror(scene(1)), quality=50), scene(1)) == "mirrored"


def test_a_picture_that_is_its_own_mirror_image_is_a_copy_of_itself() -> None:
    half = np.asarray(scene(2, 80))
    whole = Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1))
    assert kind_of(whole, saved(whole, quality=60)) == "copy"


def test_flipped_upside_down_or_turned_is_no_twin_at_all() -> None:
    one = scene(1, 140, 140)
    for other in (ImageOps.flip(one), one.rotate(90), one.rotate(180)):
        assert pairs(np.stack([describe(image) for image in arrays(one, other)])).tolist() == []


@pytest.mark.parametrize("lamp", [(20, 30), (80, 64), (150, 112)])
def test_two_shots_of_a_fixed_camera_differ_in_the_lamp(lamp: tuple[int, int]) -> None:
    assert kind_of(shot(1), shot(2, lamp)) == "partly"
    assert kind_of(saved(shot(1), quality=95), saved(shot(2, lamp), quality=95)) == "partly"


def test_two_shots_of_a_fixed_camera_in_which_nothing_differs_are_named() -> None:
    assert kind_of(shot(1), shot(2)) == "copy"
    assert kind_of(shot(1, (80, 64)), shot(2, (80, 64))) == "copy"


def test_the_lamp_shows_also_where_the_camera_has_moved_a_little() -> None:
    one, two = arrays(shot(1), cropped(shot(2, (80, 64), 3), 0.03))
    assert differs(one, two, 1.0)
    assert not differs(one, np.asarray(cropped(shot(2), 0.03)), 1.0)


def test_tiny_and_blank_pictures_are_compared_without_a_fault() -> None:
    blank = np.full((3, 5, 3), 200, np.uint8)
    assert not differs(blank, blank)
    assert not differs(blank, np.full((400, 300, 3), 200, np.uint8))
    assert not differs(blank, blank, 1.0)


def test_what_cannot_be_read_any_more_counts_as_a_copy() -> None:
    descriptions = np.stack([describe(image) for image in arrays(shot(1), shot(2, (80, 64)))])
    assert kinds(descriptions, np.array([[0, 1]]), lambda _: None).tolist() == [COPY]
    assert kinds(descriptions, np.zeros((0, 2), np.int64), lambda _: None).tolist() == []


def test_of_very_many_pairs_the_most_alike_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    original = shot(9)
    images = arrays(original, shot(1, (80, 64)), shot(2, (20, 30)), saved(original), ImageOps.mirror(original))
    descriptions = np.stack([describe(image) for image in images])
    monkeypatch.setattr(across, "MOST", 1)
    every = np.array([[0, 1], [0, 2], [0, 3], [0, 4]])
    assert kinds(descriptions, every, images.__getitem__).tolist() == [UNSEEN, UNSEEN, COPY, MIRRORED]
    monkeypatch.setattr(across, "MOST", 500)
    assert kinds(descriptions, every, images.__getitem__).tolist() == [PARTLY, PARTLY, COPY, MIRRORED]
