"""The learning rate at chosen steps, by hand. Step s of n is at (s + 0.5) / n of the way."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.training.recipe import Recipe
from pellucid.training.schedule import learning_rate


@pytest.mark.parametrize(
    ("schedule", "warmup", "step", "expected"),
    [
        ("constant", 0.0, 0, 1.0),
        ("constant", 0.0, 9, 1.0),
        ("constant", 0.2, 0, 0.25),  # 0.05 of the way, warm-up ends at 0.2
        ("constant", 0.2, 1, 0.75),
        ("constant", 0.2, 2, 1.0),
        ("cosine", 0.0, 0, 0.5 * (1 + math.cos(0.05 * math.pi))),
        ("cosine", 0.0, 9, 0.5 * (1 + math.cos(0.95 * math.pi))),
        ("cosine", 0.5, 4, 0.9),  # 0.45 / 0.5
        ("cosine", 0.5, 7, 0.5),  # half-way down, at 0.75
        ("cosine", 1.0, 9, 0.95),  # all warm-up
        ("onecycle", 0.0, 1, 0.04 + 0.96 * 0.5),  # half-way up, at 0.15 of 0.3
        ("onecycle", 0.0, 6, 0.5),  # half-way down, at 0.65
        ("onecycle", 0.5, 2, 0.04 + 0.96 * 0.5),  # a longer warm-up: at 0.25 of 0.5
        ("onecycle", 1.0, 9, 0.04 + 0.96 * 0.5 * (1 + math.cos(0.05 * math.pi))),
    ],
)
def test_by_hand(schedule: str, warmup: float, step: int, expected: float) -> None:
    recipe = Recipe(schedule=schedule, warmup=warmup, learning_rate=1.0)  # type: ignore[arg-type]
    assert learning_rate(recipe, step, 10) == pytest.approx(expected)
    twice = Recipe(schedule=schedule, warmup=warmup, learning_rate=2.0)  # type: ignore[arg-type]
    assert learning_rate(twice, step, 10) == pytest.approx(2 * expected)


@given(schedule=st.sampled_from(["constant", "cosine", "onecycle"]), warmup=st.floats(0, 1), steps=st.integers(1, 400))
def test_it_rises_then_falls_and_is_never_0(schedule: str, warmup: float, steps: int) -> None:
    recipe = Recipe(schedule=schedule, warmup=warmup, learning_rate=0.5)  # type: ignore[arg-type]
    rates = [learning_rate(recipe, step, steps) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)
    top = rates.index(max(rates))
    assert all(a <= b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
