"""Padding around an array: by hand, against PyTorch, and by differences."""

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import padding

MANY = settings(max_examples=40, deadline=None)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)
SIX = {"input": np.arange(6.0).reshape(2, 3)}  # 0 1 2 / 3 4 5


def test_zeros_by_hand() -> None:
    op = padding.pad((2, 3), [1, 0])
    evaluator = Evaluator(op, SIX)
    assert everything(op, SIX).tolist() == [[0, 0, 1, 2], [0, 3, 4, 5]]
    (terms,) = evaluator.forward((1, 0))
    assert terms.columns[0].inside.tolist() == [False]
    assert everything(padding.pad((2, 3), [-1, 0]), SIX).tolist() == [[1, 2], [4, 5]]


def test_another_number_by_hand() -> None:
    op = padding.pad((2, 3), [1, -1, 0, 1], value=7.0)
    assert everything(op, SIX).tolist() == [[7, 0, 1], [7, 3, 4], [7, 7, 7]]
    evaluator = Evaluator(op, SIX)
    (inside,), (outside,) = evaluator.forward((1, 2)), evaluator.forward((2, 2))
    assert (inside.total, [column.name for column in inside.columns]) == (4, ["input"])
    assert (outside.total, outside.columns, str(outside.formula)) == (7, (), "7")
    infinite = padding.pad((3,), [0, 1], value=-np.inf)
    assert everything(infinite, {"input": np.arange(3.0)}).tolist() == [0, 1, 2, -np.inf]
    assert infinite.as_json()["stages"][1]["term"] == ["*", -1, ["infinity"]]


def test_itself_by_hand() -> None:
    row = {"input": np.array([0.0, 1, 2])}
    assert everything(padding.pad((3,), [2, 1], "reflect"), row).tolist() == [2, 1, 0, 1, 2, 1]
    assert everything(padding.pad((3,), [2, 1], "replicate"), row).tolist() == [0, 0, 0, 1, 2, 2]
    assert everything(padding.pad((3,), [2, 1], "circular"), row).tolist() == [1, 2, 0, 1, 2, 0]
    evaluator = Evaluator(padding.pad((3,), [2, 1], "reflect"), row, np.array([1.0, 2, 4, 8, 16, 32]))
    assert [evaluator.gradient_of("input", (x,))[0] for x in range(3)] == [4, 2 + 8 + 32, 1 + 16]


def test_only_padded_axes_have_tables() -> None:
    (stage,) = padding.pad((2, 64, 112, 112), [1, 1], "reflect").stages
    tables = [
        len(steps["d3"]) if isinstance(steps.get("d3"), list) else 0 for steps, _ in stage.as_json()["maps"]["input"]
    ]
    assert tables == [0, 0, 0, 114]


@MANY
@given(SHAPES, st.sampled_from([None, 0.0, 2.5, -1e9]), st.data())
def test_numbers_around_agree_with_pytorch(oracle, shape, value, data) -> None:
    count = data.draw(st.integers(1, len(shape)))
    sides = [data.draw(st.integers(-2, 3)) for _ in range(2 * count)]
    for axis in range(count):
        assume(shape[-1 - axis] + min(sides[2 * axis], 0) + min(sides[2 * axis + 1], 0) > 0)
    oracle.agrees(padding.pad(shape, sides, "constant", value), lambda x: F.pad(x, sides, value=value), at=8)


@MANY
@given(st.integers(1, 3), st.sampled_from(["reflect", "replicate", "circular"]), st.data())
def test_the_array_itself_around_agrees_with_pytorch(oracle, count, mode, data) -> None:
    lead = data.draw(st.sampled_from([(2,), (2, 3)])) if mode != "circular" or count < 3 else (2, 1)
    shape = (*lead, *(data.draw(st.integers(2, 5)) for _ in range(count)))
    sides = []
    for axis in range(count):
        most = shape[-1 - axis] - (mode == "reflect")
        sides += [data.draw(st.integers(-1, most)), data.draw(st.integers(0 if shape[-1 - axis] < 3 else -1, most))]
        assume(mode != "circular" or min(sides[-2:]) >= 0 or max(sides[-2:]) <= shape[-1 - axis] - 2)
    oracle.agrees(padding.pad(shape, sides, mode), lambda x: F.pad(x, sides, mode), at=10)


@pytest.mark.parametrize(
    "op",
    [
        padding.pad((2, 3), [1, 2, 0, 1]),
        padding.pad((2, 3), [1, -1, 2, 1], value=0.5),
        padding.pad((2, 4, 3), [1, 2, 2, 1], "reflect"),
        padding.replication_pad((2, 3), [3, 1]),
        padding.reflection_pad((2, 3), [1, 1]),
        padding.pad((2, 3), [1, 2], "circular"),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
