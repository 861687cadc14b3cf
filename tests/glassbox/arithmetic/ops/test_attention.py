"""Attention: by hand, against PyTorch with every kind of mask, and by differences."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops.attention import scaled_dot_product_attention

MANY = settings(max_examples=25, deadline=None)
SIZES = st.integers(1, 4)
TRUTHS = {"attn_mask": "bool"}


def attention(*shapes: Any, **arguments: Any) -> Op:
    op = scaled_dot_product_attention(*shapes, **arguments)
    assert op is not None
    return op


def test_two_keys_by_hand() -> None:
    # scores 2*1 and 2*(1 + log(3)/2): the second power is three times the first, the shares 1/4 and 3/4
    op = attention((1, 1), (2, 1), (2, 1))
    arrays = {
        "query": np.array([[2.0]]),
        "key": np.array([[1.0], [1 + math.log(3) / 2]]),
        "value": np.array([[8.0], [4.0]]),
    }
    evaluator = Evaluator(op, arrays, np.array([[10.0]]))
    assert evaluator.value("share", (0, 1))[0] == pytest.approx(3 / 4)
    (terms,) = evaluator.forward((0, 0))
    assert terms.values == pytest.approx([8 / 4, 4 * 3 / 4])
    assert str(terms.formula) == "share * value"
    assert evaluator.gradient_of("value", (1, 0))[0] == pytest.approx(10 * 3 / 4)
    # the score's gradient is share * (what its value adds to the average) = 1/4 * (8 - 5), times the query
    assert evaluator.gradient_of("key", (0, 0))[0] == pytest.approx(10 * 1 / 4 * (8 - 5) * 2)


def test_a_query_sees_the_keys_up_to_itself() -> None:
    op = attention((2, 1), (2, 1), (2, 1), is_causal=True)
    arrays = {"query": np.ones((2, 1)), "key": np.array([[1.0], [1.0]]), "value": np.array([[8.0], [4.0]])}
    assert everything(op, arrays).ravel().tolist() == [8, 6]


def test_a_query_that_sees_nothing_gives_0() -> None:
    arrays = {"query": np.ones((2, 1)), "key": np.ones((2, 1)), "value": np.array([[8.0], [4.0]])}
    truths = attention((2, 1), (2, 1), (2, 1), (2, 2), types=TRUTHS)
    mask = np.array([[False, False], [False, True]])
    assert everything(truths, arrays | {"attn_mask": mask}).ravel().tolist() == [0, 4]
    added = attention((2, 1), (2, 1), (2, 1), (2, 2))
    evaluator = Evaluator(added, arrays | {"attn_mask": np.where(mask, 0, -np.inf)}, np.ones((2, 1)))
    assert evaluator.value(OUT, (0, 0)) == pytest.approx((0, 0), abs=1e-30)
    assert np.isfinite(evaluator.value(OUT, (1, 0))).all()
    assert np.isfinite([evaluator.gradient_of(name, (0, 0)) for name in ("query", "key", "value")]).all()
    assert evaluator.gradient_of("key", (1, 0))[0] == 0


def test_with_dropout_it_is_not_written() -> None:
    assert scaled_dot_product_attention((2, 1), (2, 1), (2, 1), dropout_p=0.5) is None


@MANY
@given(st.lists(SIZES, max_size=2), SIZES, SIZES, SIZES, SIZES, st.booleans(), st.sampled_from([None, 0.3, 2.0]))
def test_attention_agrees_with_pytorch(oracle, lead, queries, keys, size, width, causal, scale) -> None:
    shapes = (*lead, queries, size), (*lead, keys, size), (*lead, keys, width)
    op = attention(*shapes, is_causal=causal, scale=scale)
    oracle.agrees(op, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale))


@MANY
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(["whole", "keys", "heads", "batch"]), st.integers(0, 99))
def test_masks_of_truth_values_agree_with_pytorch(oracle, heads, queries, keys, size, kind, seed) -> None:
    shapes = (2, heads, queries, size), (2, heads, keys, size), (2, heads, keys, 3)
    shape = {"whole": (queries, keys), "keys": (2, 1, 1, keys), "heads": (heads, queries, keys)}
    shape = shape.get(kind, (2, heads, queries, keys))
    mask = torch.from_numpy(np.random.default_rng(seed).random(shape) < 0.6)
    op = attention(*shapes, shape, types=TRUTHS)
    q, k, v = (torch.from_numpy(oracle.numbers(op)[name]).requires_grad_() for name in ("query", "key", "value"))
    out = F.scaled_dot_product_attention(q, k, v, mask)
    gradient = torch.from_numpy(oracle.random.standard_normal(out.shape))
    gradients = torch.autograd.grad(out, (q, k, v), gradient)
    arrays = {"query": q, "key": k, "value": v}
    numbers = {name: each.detach().numpy() for name, each in arrays.items()} | {"attn_mask": mask.numpy()}
    evaluator = Evaluator(op, numbers, gradient.numpy())
    for index in oracle.indices(op.shapes[OUT], 6):
        value, scale = evaluator.value(OUT, index)
        assert value == pytest.approx(out[index].item(), rel=0, abs=1e-11 * scale)
    for name, result in zip(arrays, gradients, strict=True):
        for index in oracle.indices(tuple(result.shape), 6):
            value, scale = evaluator.gradient_of(name, index)
            assert value == pytest.approx(result[index].item(), rel=0, abs=1e-11 * scale)


@MANY
@given(SIZES, SIZES, SIZES, SIZES, st.booleans())
def test_added_masks_agree_with_pytorch_and_have_a_gradient(oracle, heads, queries, keys, size, shared) -> None:
    shapes = (2, heads, queries, size), (2, heads, keys, size), (2, heads, keys, 3)
    op = attention(*shapes, (1 if shared else heads, queries, keys))
    oracle.agrees(op, F.scaled_dot_product_attention)


@pytest.mark.parametrize("hidden", [-math.inf, -1e9, torch.finfo(torch.float64).min])
def test_what_a_mask_hides_has_no_part_and_leaves_the_bound_small(oracle, hidden) -> None:
    op = attention((1, 2, 5, 4), (1, 2, 5, 4), (1, 2, 5, 3), (5, 5))
    arrays = oracle.numbers(op, attn_mask=np.triu(np.full((5, 5), hidden), 1))
    oracle.agrees(op, F.scaled_dot_product_attention, arrays, at=20)
    evaluator = Evaluator(op, arrays, np.ones(op.shapes[OUT]))
    (terms,) = evaluator.forward((0, 1, 2, 0))
    assert terms.values[3:].tolist() == [0, 0]
    assert terms.scale < 100
    assert evaluator.gradient_of("query", (0, 1, 2, 0))[1] < 1000


@MANY
@given(SIZES, SIZES, SIZES, st.integers(1, 3), st.integers(1, 3))
def test_grouped_queries_agree_with_pytorch(oracle, queries, keys, size, shared, per) -> None:
    shapes = (2, shared * per, queries, size), (2, shared, keys, size), (2, shared, keys, 3)
    op = attention(*shapes, enable_gqa=True)
    oracle.agrees(op, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))


@pytest.mark.parametrize(
    "op",
    [
        attention((2, 3, 4), (2, 5, 4), (2, 5, 2)),
        attention((2, 2, 3, 4), (2, 2, 3, 4), (2, 2, 3, 2), is_causal=True),
        attention((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), (2, 1, 1, 5)),
        attention((1, 4, 3, 2), (1, 2, 3, 2), (1, 2, 3, 2), enable_gqa=True),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
