"""The compiled resizing gives Pillow's pixels, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.pictures import decode, resample, twins
from pellucid.pictures.interpolate import GAP


def by_pillow(image: np.ndarray, height: int, width: int, box: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box))


def test_it_agrees_with_the_installed_pillow() -> None:
    assert resample.agrees()


side = st.integers(1, 90)
share = st.floats(0, 1, width=32)


@given(side, side, side, side, st.tuples(share, share, share, share), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_any_size_and_any_part(
    high: int, wide: int, height: int, width: int, edges: tuple[float, float, float, float], seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (high, wide, 3), np.uint8)
    left, right = sorted(edge * wide for edge in edges[:2])
    top, bottom = sorted(edge * high for edge in edges[2:])
    box = (left, top, right, bottom) if right - left > 0.01 and bottom - top > 0.01 else (0, 0, wide, high)
    assert np.array_equal(resample.resized(image, height, width, box), by_pillow(image, height, width, box))


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_one_colour_stays_itself_in_the_longest_rows(value: int) -> None:
    image = np.full((2, 8192, 3), value, np.uint8)
    assert (resample.resized(image, 1, 3, (0, 0, 8192, 2)) == value).all()


def test_a_view_with_gaps() -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)[::-1, ::2]
    assert np.array_equal(resample.resized(image, 30, 20, (0, 0, 45, 80)), by_pillow(image, 30, 20, (0, 0, 45, 80)))


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(61, 90), (90, 61), (7, 300), (20, 24)])
def test_who_expects_many_gets_the_same_pixels(
    fit: decode.Fit, channels: int, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    form = decode.Form(20, 24, channels, fit)  # type: ignore[arg-type]
    monkeypatch.setattr(decode, "_compiled_resampling", None)
    plain = form.apply(image)
    decode.expect_many()
    assert decode._compiled_resampling is not None
    assert np.array_equal(form.apply(image), plain)


def test_another_pillow_keeps_its_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_compiled_resampling", None)
    monkeypatch.setattr(resample, "agrees", lambda: False)
    decode.expect_many()
    assert decode._compiled_resampling is None


@given(side, side, st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_shrunk_by_whole_blocks(high: int, wide: int, small: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (high, wide, 3), np.uint8)
    plain = Image.fromarray(image).resize((small, small), Image.Resampling.BILINEAR, reducing_gap=GAP)
    assert np.array_equal(resample.shrunk(image, small), np.array(plain))


@pytest.mark.parametrize("shape", [(61, 90), (480, 640), (7, 300), (1, 1)])
def test_descriptions_are_the_same(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    monkeypatch.setattr(decode, "_compiled_resampling", None)
    plain = twins.describe(image)
    decode.expect_many()
    assert decode._compiled_resampling is not None
    assert np.array_equal(twins.describe(image), plain)
