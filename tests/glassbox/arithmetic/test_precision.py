"""Numbers beyond a dtype's range: as in PyTorch's own conversion, and unchanged in between."""

import numpy as np
import pytest
import torch

from pellucid.glassbox.arithmetic.precision import PRECISIONS, limited

NARROWER = ("float32", "float16", "bfloat16")


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_limits_are_pytorchs(name: str) -> None:
    theirs, ours = torch.finfo(getattr(torch, name)), PRECISIONS[name]
    assert (ours.largest, 2.0**ours.lowest) == (theirs.max, theirs.smallest_normal)
    assert 2.0 ** (1 - ours.digits) == theirs.eps
    assert ours.smallest == theirs.smallest_normal * theirs.eps


@pytest.mark.parametrize("name", NARROWER)
def test_beyond_the_range_as_pytorch_converts(name: str) -> None:
    random, precision = np.random.default_rng(0), PRECISIONS[name]
    numbers = random.standard_normal(20000) * 2.0 ** random.uniform(precision.lowest - 30, 2 - precision.lowest, 20000)
    half = precision.smallest / 2
    edges = [
        precision.largest,
        precision.beyond,
        np.nextafter(precision.beyond, 0),
        half,
        3 * half,
        5 * half,
        half * 1.1,
    ]
    numbers = np.concatenate([numbers, edges, np.negative(edges), [0, np.inf, -np.inf]])
    theirs = torch.tensor(numbers).to(getattr(torch, name)).double().numpy()
    result = limited(numbers, name)
    inside = np.isfinite(theirs) & (np.abs(numbers) >= 2.0**precision.lowest)
    assert inside.sum() > 1000
    assert np.array_equal(result[inside], numbers[inside])
    assert (~inside).sum() > 1000
    # PyTorch rounds to float32 first, which matters only at a tie
    differ = result[~inside] != theirs[~inside]
    assert differ.sum() <= 2


@pytest.mark.parametrize("name", ["", "float64"])
def test_float64_is_not_limited(name: str) -> None:
    numbers = np.array([1e300, 5e-324, np.nan])
    assert np.array_equal(limited(numbers, name), numbers, equal_nan=True)


def test_no_number_stays_none() -> None:
    assert np.isnan(limited(np.nan, "float16"))
