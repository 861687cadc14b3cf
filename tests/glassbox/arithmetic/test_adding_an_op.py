"""The op that docs/why/arithmetic.md adds works as the page says: the test runs the page's code."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import aten

PAGE = Path(__file__).parents[3] / "docs/why/arithmetic.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def page() -> dict[str, Any]:
    """The names that the section's code defines, after its assertions have passed."""
    blocks = BLOCK.findall(PAGE.read_text().partition("\n## Adding an op\n")[2])
    assert len(blocks) == 3
    defined: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), defined)
    return defined


@pytest.fixture(scope="session")
def gem_pool(page: dict[str, Any]) -> Callable[..., Op]:
    return page["gem_pool"]


def test_the_page_adds_an_op_that_is_not_there_yet(page: dict[str, Any]) -> None:
    assert page["op"].kind == "GeM pooling"
    assert not [name for name in aten.DECLARATIONS if "gem" in name]
    json.dumps(page["op"].as_json())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_the_added_op_agrees_with_pytorch(gem_pool, batch, channels, height, width, seed) -> None:
    random = np.random.default_rng(seed)
    shape = (batch, channels, height, width)
    arrays = {"input": random.uniform(0.1, 3, shape), "p": random.uniform(0.5, 4, channels)}
    x, p = (torch.tensor(array, requires_grad=True) for array in arrays.values())
    exponent = p[:, None, None]
    out = (x**exponent).mean((2, 3)) ** (1 / p)
    gradient = random.standard_normal(out.shape)
    gradients = torch.autograd.grad(out, [x, p], torch.tensor(gradient))
    op = gem_pool(shape, (channels,))
    np.testing.assert_allclose(everything(op, arrays), out.detach().numpy(), rtol=1e-12)
    evaluator = Evaluator(op, arrays, gradient)
    for name, expected in zip(op.inputs, gradients, strict=True):
        for index in np.ndindex(*expected.shape):
            result, scale = evaluator.gradient_of(name, index)
            assert result == pytest.approx(expected[index].item(), rel=0, abs=1e-12 * scale)


def test_the_added_op_by_differences(gem_pool) -> None:
    random = np.random.default_rng(7)
    op = gem_pool((1, 2, 2, 3), (2,))
    arrays = {"input": random.uniform(0.2, 2, (1, 2, 2, 3)), "p": np.array([0.7, 3.0])}
    gradient = random.standard_normal(op.shapes[OUT])
    evaluator = Evaluator(op, arrays, gradient)
    for name, array in arrays.items():
        for index in np.ndindex(*array.shape):
            moved = [array.copy(), array.copy()]
            moved[0][index] += 1e-5
            moved[1][index] -= 1e-5
            right, left = ((everything(op, arrays | {name: each}) * gradient).sum() for each in moved)
            assert evaluator.gradient_of(name, index)[0] == pytest.approx((right - left) / 2e-5, abs=1e-8)
