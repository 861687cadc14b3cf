import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from tests.pictures.photographs import cropped, photograph, saved

from pellucid.pictures import all_pairs, twins
from pellucid.pictures.hashes import ALIKE, NEAREST, ONE, stored
from pellucid.pictures.twins import DESCRIPTION, describe, groups, pairs


def described(*pictures: Image.Image) -> NDArray[np.uint8]:
    return np.stack([describe(np.asarray(picture.convert("RGB"))) for picture in pictures])


def groups_of(*pictures: Image.Image) -> list[list[int]]:
    return pairs(described(*pictures)).tolist()


def page(changed: int = 0) -> Image.Image:
    """A page of 300 words, `changed` of them different."""
    random = np.random.default_rng(4)
    words = ["".join(random.choice(list("abcdefghiklmnop"), 7)) for _ in range(300)]
    other = np.random.default_rng(5)
    for i in other.choice(300, changed, replace=False):
        words[i] = "".join(other.choice(list("TUVWXYZ"), 4))
    picture = Image.new("RGB", (600, 800), "white")
    for i, word in enumerate(words):
        ImageDraw.Draw(picture).text((30 + i % 10 * 54, 40 + i // 10 * 24), word, fill="black")
    return picture


def icon(colour: str, shape: str = "ellipse") -> Image.Image:
    picture = Image.new("RGB", (64, 64), "white")
    getattr(ImageDraw.Draw(picture), shape)((14, 14, 50, 50), fill=colour)
    return picture


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": lambda p: saved(p, quality=40),
    "halved": lambda p: saved(p.resize((p.width // 2, p.height // 2))),
    "cropped by 5%": lambda p: saved(cropped(p, 0.05)),
    "15% brighter": lambda p: saved(ImageEnhance.Brightness(p).enhance(1.15)),
    "WebP": lambda p: saved(p, "WEBP", 60),
    "grey": lambda p: saved(p.convert("L")),
    "bordered": lambda p: saved(ImageOps.expand(p, 6, "white")),
    "mirrored": lambda p: saved(ImageOps.mirror(p)),
    "grey and cropped": lambda p: saved(cropped(p, 0.04).convert("L")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_others(change: str) -> None:
    originals = [photograph(seed) for seed in range(12)]
    copies = [CHANGES[change](picture) for picture in originals]
    assert groups_of(*originals, *copies) == [[i, i + 12] for i in range(12)]


def test_two_copies_of_one_original_are_twins_too() -> None:
    picture = photograph(0)
    assert groups_of(saved(picture, quality=30), picture, saved(cropped(picture, 0.03))) == [[0, 1], [0, 2], [1, 2]]


def test_different_photographs_are_apart() -> None:
    assert groups_of(*[photograph(seed) for seed in range(60)]) == []


@pytest.mark.parametrize("changed", [8, 300])
def test_pages_that_differ_by_words_are_apart_and_the_copy_of_a_page_is_not(changed: int) -> None:
    assert groups_of(page(), page(changed)) == []
    assert groups_of(page(), saved(page(), quality=50)) == [[0, 1]]


def test_a_small_logo_on_a_blank_page_keeps_it_apart() -> None:
    blank = Image.new("RGB", (600, 800), "white")
    one, two = blank.copy(), blank.copy()
    ImageDraw.Draw(one).rectangle((40, 40, 80, 80), fill="black")
    ImageDraw.Draw(two).ellipse((40, 40, 90, 90), fill="black")
    assert groups_of(blank, one, two) == []
    assert groups_of(one, saved(one)) == [[0, 1]]


def test_the_same_icon_in_another_colour_is_another_picture() -> None:
    assert groups_of(icon("red"), icon("green")) == []
    assert groups_of(icon("red"), icon("red", "rectangle")) == []
    assert groups_of(icon("red"), icon("red").convert("L")) == []  # colour is what an icon says
    assert groups_of(icon("red"), icon("red")) == [[0, 1]]


def test_a_mirrored_icon_is_another_picture() -> None:
    arrow = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(arrow).polygon([(10, 32), (50, 12), (50, 52)], fill="black")
    assert groups_of(arrow, ImageOps.mirror(arrow)) == []


def test_blank_pictures_are_twins_where_their_colour_is_the_same() -> None:
    blank = [Image.new("RGB", size, colour) for size, colour in (((40, 40), "white"), ((90, 60), "white"),
             ((40, 40), "black"), ((40, 40), (200, 200, 200)), ((40, 40), (255, 230, 255)))]  # fmt: skip
    assert groups_of(*blank) == [[0, 1]]


def test_ten_thousand_blank_pictures_are_one_group_in_few_pairs() -> None:
    same = np.repeat(described(Image.new("RGB", (9, 9), "white")), 10_000, axis=0)
    result = pairs(same)
    assert len(result) == 9_999
    assert not groups(10_000, result).any()


def test_many_nearly_identical_pictures_have_few_pairs_each_and_one_group() -> None:
    one = described(photograph(1)).astype(np.int16)
    noisy = one + np.random.default_rng(0).integers(-1, 2, (80, DESCRIPTION))
    noisy[:, -1] = 150
    result = pairs(np.clip(noisy, 0, 255).astype(np.uint8))
    assert len(result) <= 80 * NEAREST * 4
    assert not groups(80, result).any()


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [photograph(seed) for seed in range(10)]
    all_of_them = described(*pictures, *[CHANGES["cropped by 5%"](p) for p in pictures])
    whole = pairs(all_of_them)
    for module, name, size in (
        *((twins, "ROWS", 2), (twins, "LOOKS", 1)),
        *((all_pairs, "TILE", 3), (all_pairs, "DOWN", 2), (all_pairs, "ACROSS", 2)),
    ):
        monkeypatch.setattr(module, name, size)
    np.testing.assert_array_equal(pairs(all_of_them), whole)


def test_each_picture_has_its_nearest_candidates_best_first_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    alike = 1 + 0.2 * random.standard_normal((150, 64)).astype(np.float32)
    hashes = stored(alike / np.linalg.norm(alike, axis=1, keepdims=True))
    for name, size in (("NEAREST", 3), ("TILE", 8), ("DOWN", 2), ("ACROSS", 2)):
        monkeypatch.setattr(all_pairs, name, size)
    likeness = (hashes / ONE) @ (hashes / ONE).T
    with ThreadPoolExecutor(2) as executor:
        for once in (False, True):
            allowed = np.triu(likeness, 1) if once else likeness - 2 * np.eye(150)
            parts = list(all_pairs.near(hashes, hashes, np.ones(64, np.float32), once, executor))
            near = np.concatenate([part for _, part in parts]).tolist()
            best = [[i, int(j)] for i in range(150) for j in np.argsort(-allowed[i])[:3] if allowed[i, j] > ALIKE]
            assert near == best
            assert len(near) > 400
            assert [share for share, _ in parts] == [k / len(parts) for k in range(1, len(parts) + 1)]


def test_the_search_tells_how_far_it_is_and_ends_its_threads_when_closed() -> None:
    every = described(*[photograph(seed) for seed in range(5)], photograph(2))
    steps = twins.search(every)
    reports, result = [], None
    while result is None:
        try:
            reports.append(next(steps))
        except StopIteration as end:
            result = end.value
    assert result.tolist() == [[2, 5]]
    # six pictures read, then compared whole, cut twice, and mirrored; there are no candidates to look at again
    assert list(dict.fromkeys(reports)) == [(done, 54) for done in (6, 12, 18, 24, 30, 36, 48, 54)]
    stopped = twins.search(every)
    next(stopped)
    stopped.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("twins")]


def test_a_planted_leak_across_classes_is_found() -> None:
    cats, dogs = [photograph(seed) for seed in range(5)], [photograph(seed) for seed in range(5, 10)]
    dogs.append(saved(cats[3], quality=60))
    labels = np.array([0] * 5 + [1] * 6)
    result = pairs(described(*cats, *dogs))
    assert [pair for pair in result.tolist() if labels[pair[0]] != labels[pair[1]]] == [[3, 10]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1), (2, 3), (31, 33), (375, 450)])
def test_every_shape_is_described(shape: tuple[int, int]) -> None:
    description = describe(np.full((*shape, 3), (255, 0, 0), dtype=np.uint8))
    assert description.shape == (DESCRIPTION,)
    assert description.dtype == np.uint8
    # Red: Y = 0.299 * 255 = 76, Cb = 128 - 0.168736 * 255 = 85, Cr = 128 + 127.5 = 255 (clipped)
    np.testing.assert_array_equal(np.unique(description[:1024]), [76])
    assert (description[1024], description[1088], description[-1]) == (85, 255, min(*shape, 255))


def test_no_pictures_and_one_picture() -> None:
    assert pairs(np.zeros((0, DESCRIPTION), np.uint8)).shape == (0, 2)
    assert pairs(described(photograph(0))).shape == (0, 2)


def test_groups_join_chains_under_the_smallest_index() -> None:
    assert groups(6, np.array([[1, 4], [2, 5], [4, 5]])).tolist() == [0, 1, 1, 3, 1, 1]
    assert groups(2, np.zeros((0, 2), np.int64)).tolist() == [0, 1]
