"""Augmentation: which level changes what, how much, and the same result from the same generator."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from pellucid.network.standardise import Standardise, to_unit
from pellucid.pictures.augment import LIGHT, STRONG, Augment, augment, augment_stored
from pellucid.runtime.threads import share_out

CHANGING: tuple[Augment, ...] = ("light", "strong")


def seeded(seed: int = 7) -> Generator:
    return torch.Generator().manual_seed(seed)


def middles(images: Tensor) -> Tensor:
    """(n, 2): column and row of each one-channel picture's centre of mass, from -1 (left, top) to 1."""
    mass = images[:, 0]
    total = mass.sum((1, 2))
    height, width = mass.shape[1:]
    columns, rows = (torch.arange(width) + 0.5) / width * 2 - 1, (torch.arange(height) + 0.5) / height * 2 - 1
    return torch.stack([(mass * columns).sum((1, 2)) / total, (mass * rows[:, None]).sum((1, 2)) / total], 1)


def test_none_is_the_batch_itself_and_draws_nothing() -> None:
    images, generator = torch.rand(4, 3, 8, 8, generator=seeded()), seeded()
    state = generator.get_state()
    assert augment(images, "none", generator) is images
    assert torch.equal(generator.get_state(), state)


@settings(max_examples=25, deadline=None)
@given(
    level=st.sampled_from(CHANGING),
    shape=st.tuples(st.integers(0, 5), st.sampled_from([1, 3]), st.integers(8, 40), st.integers(8, 40)),
    last=st.booleans(),
)
def test_keeps_shape_type_device_and_range(level: Augment, shape: tuple[int, ...], last: bool) -> None:
    images = torch.rand(shape, generator=seeded())
    if last:
        images = images.to(memory_format=torch.channels_last)
    before = images.clone()
    result = augment(images, level, seeded())
    assert (result.shape, result.dtype, result.device) == (images.shape, images.dtype, images.device)
    assert bool(((result >= 0) & (result <= 1)).all())
    assert torch.equal(images, before), "the batch that came in is left alone"


@pytest.mark.parametrize("level", CHANGING)
def test_the_generator_alone_decides(level: Augment) -> None:
    images, generator = torch.rand(6, 3, 16, 16, generator=seeded()), seeded()
    torch.manual_seed(1)
    first, next_one = augment(images, level, generator), augment(images, level, generator)
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, level, seeded()))
    assert not torch.equal(first, next_one)
    assert not torch.equal(first, augment(images, level, seeded(8)))


@pytest.mark.parametrize("level", CHANGING)
def test_every_picture_is_changed_by_itself(level: Augment) -> None:
    image = torch.rand(1, 3, 16, 16, generator=seeded())
    result = augment(image.repeat(8, 1, 1, 1), level, seeded())
    assert all(not torch.allclose(result[i], result[j]) for i in range(8) for j in range(i))
    assert not torch.allclose(result[0], image[0])


def test_strong_mirrors_half_of_the_pictures_and_light_none() -> None:
    """A ramp, dark on the left and bright on the right: only a mirror reverses it."""
    ramp = torch.linspace(0.2, 0.8, 32).expand(400, 1, 32, 32)

    def turned(level: Augment) -> int:
        result = augment(ramp, level, seeded())
        return int((result[..., :10].mean((1, 2, 3)) > result[..., -10:].mean((1, 2, 3))).sum())

    assert turned("light") == 0
    assert 160 <= turned("strong") <= 240  # 200 expected, four standard deviations of 10 either way


def test_light_moves_scales_and_turns_only_a_little() -> None:
    """A blot in the middle: its centre moves within the shift, its extent within area and aspect."""
    blot = torch.zeros(300, 1, 40, 40)
    blot[:, :, 14:26, 14:26] = 1
    result = augment(blot, "light", seeded())
    moved = middles(result)
    # 2 * shift in -1..1, divided by the smallest side of the part that is shown, and half a pixel
    assert LIGHT.shift is not None
    bound = 2 * LIGHT.shift / (LIGHT.area[0] / LIGHT.aspect) ** 0.5 + 1 / 40
    assert float(moved.abs().max()) <= bound
    assert float(moved.abs().max()) > bound / 2, "the range is used"
    assert float(moved.mean(0).abs().max()) < 0.02, "and is even to both sides"
    share = (result > 0.4).float().sum((1, 2, 3)) / 144
    assert 1 / LIGHT.area[1] * 0.85 < float(share.min()) < 1 < float(share.max()) < 1 / LIGHT.area[0] * 1.15


def test_light_leaves_a_line_of_text_where_it_stands() -> None:
    """Bright above, dark below, brighter on the lower left: so it stays (no turn, no mirror)."""
    image = torch.zeros(200, 1, 32, 32)
    image[:, :, :16] = 1
    image[:, :, 16:, :16] = 0.5
    result = augment(image, "light", seeded())
    upper, lower = result[:, :, :10].mean((1, 2, 3)), result[:, :, -10:].mean((1, 2, 3))
    left, right = result[:, :, -10:, :10].mean((1, 2, 3)), result[:, :, -10:, -10:].mean((1, 2, 3))
    assert bool((upper > lower).all())
    assert bool((left > right).all())


def test_strong_shows_a_part_of_the_picture() -> None:
    """A ramp from 0 to 1: a crop shows less of it than the whole, but at least as much as the smallest part."""
    ramp = torch.linspace(0, 1, 64).expand(300, 1, 64, 64)
    plain = STRONG.brightness, STRONG.contrast
    result = augment(ramp, "strong", seeded())
    extent = result[..., 32, :].amax(1).amax(1) - result[..., 32, :].amin(1).amin(1)
    smallest = (STRONG.area[0] / STRONG.aspect) ** 0.5 * (1 - plain[0]) * (1 - plain[1]) * 0.9
    assert smallest < float(extent.min()) < 0.6
    assert float(extent.max()) > 0.9


@pytest.mark.parametrize("level", CHANGING)
def test_brightness_and_contrast_stay_in_their_ranges(level: Augment) -> None:
    """A uniform grey changes only by brightness: 0.5 * (1 +- brightness)."""
    ranges = LIGHT if level == "light" else STRONG
    result = augment(torch.full((300, 3, 8, 8), 0.5), level, seeded())
    assert torch.allclose(result.amax((1, 2, 3)), result.amin((1, 2, 3)), atol=1e-4)
    values = result[:, 0, 0, 0]
    assert 0.5 * (1 - ranges.brightness) - 1e-4 <= float(values.min()) < 0.5 < float(values.max())
    assert float(values.max()) <= 0.5 * (1 + ranges.brightness) + 1e-4


def test_only_strong_changes_how_colourful_a_picture_is() -> None:
    """A uniform red: saturation changes the difference between the channels, relative to the grey."""
    red = torch.tensor([0.6, 0.24, 0.24])[None, :, None, None].expand(200, 3, 8, 8)

    def spread(level: Augment) -> Tensor:
        result = augment(red, level, seeded())[:, :, 4, 4]
        return (result[:, 0] - result[:, 1]) / (result * torch.tensor([0.299, 0.587, 0.114])).sum(1)

    light, strong = spread("light"), spread("strong")
    assert float(strong.std()) > 1.5 * float(light.std())
    assert torch.allclose(augment(red, "light", seeded())[:, 1], augment(red, "light", seeded())[:, 2])


@settings(max_examples=40)
@given(
    level=st.sampled_from(CHANGING),
    shape=st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])),
    seed=st.integers(0, 1000),
    threads=st.integers(1, 3),
)
def test_stored_pictures_as_a_batch(level: Augment, shape: tuple[int, ...], seed: int, threads: int) -> None:
    """One pass over the bytes equals the batch's own operations, with the same random numbers."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    scale = Standardise((0.48, 0.45, 0.4)[: shape[3]], (0.23, 0.2, 0.25)[: shape[3]])
    ours, theirs = seeded(seed), seeded(seed)
    shared = partial(share_out, threads=threads)
    result = augment_stored(pixels, level, ours, scale.mean, scale.deviation, shared)
    expected = scale(augment(to_unit(pixels), level, theirs))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-3)
    if shape[0]:
        assert result.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(ours.get_state(), theirs.get_state())


def test_stored_pictures_do_not_depend_on_the_threads() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (9, 30, 20, 3), np.uint8)
    one, three = (
        augment_stored(pixels, "strong", seeded(), (0.5,) * 3, (0.25,) * 3, partial(share_out, threads=threads))
        for threads in (1, 3)
    )
    assert torch.equal(one, three)
    assert one.std() > 0.1
