"""From bytes to a network's input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.network.standardise import Standardise, measure, to_unit


def test_bytes_become_0_to_1_channels_first() -> None:
    images = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    unit = to_unit(images)
    assert unit.shape == (2, 3, 3, 4)
    assert unit.dtype == torch.float32
    assert unit.is_contiguous(memory_format=torch.channels_last)
    assert unit[1, 2, 0, 3].item() == np.float32(images[1, 0, 3, 2]) / np.float32(255)
    assert to_unit(np.full((1, 1, 1, 1), 255, np.uint8)).item() == 1.0


def test_read_only_and_scattered_arrays_are_taken_as_they_are() -> None:
    images = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    frozen = images.copy()
    frozen.flags.writeable = False
    assert torch.equal(to_unit(frozen), to_unit(images))
    assert torch.equal(to_unit(images[:, ::-1]), to_unit(images).flip(2))


def test_standardised_by_hand() -> None:
    images = torch.tensor([0.0, 0.5, 1.0, 0.25]).reshape(1, 2, 1, 2)
    result = Standardise((0.5, 0.25), (0.5, 0.125))(images)
    assert result.tolist() == [[[[-1.0, 0.0]], [[6.0, 0.0]]]]


def test_the_table_has_every_byte_as_pictures_get_it() -> None:
    scale = Standardise((0.4873, 0.41), (0.229, 0.2251))
    every = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1), 2, axis=3)
    assert scale.table().dtype == np.float32
    assert np.array_equal(scale.table(), scale(to_unit(every))[0, :, 0].numpy())


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([1, 3]))
def test_measured_as_numpy_does_in_any_batches(seed: int, batches: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (9, 4, 5, channels), np.uint8)
    measured = measure(np.array_split(images, batches), channels)
    unit = images.astype(float) / 255
    assert measured.mean == pytest.approx(unit.mean(axis=(0, 1, 2)))
    assert measured.deviation == pytest.approx(unit.std(axis=(0, 1, 2)))
    assert measured == measure([images], channels)


def test_a_channel_that_never_varies_is_not_divided_by_0() -> None:
    images = np.zeros((2, 3, 3, 3), np.uint8)
    images[..., 1] = 51
    images[0, ..., 2] = 255
    measured = measure([images], 3)
    assert measured.mean == pytest.approx((0, 0.2, 0.5))
    assert measured.deviation == pytest.approx((1, 1, 0.5))
