"""Speed and plans, worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.training.pace import Speed, fitting_steps, plan_steps


def test_speed_is_a_running_mean() -> None:
    speed = Speed()
    speed.note(images=32, seconds=0.5)
    assert (speed.images_per_second, speed.seconds_per_step) == (64.0, 0.5)
    speed.note(images=32, seconds=1.0)
    assert speed.images_per_second == pytest.approx(0.95 * 64 + 0.05 * 32)
    assert speed.seconds_per_step == pytest.approx(0.95 * 0.5 + 0.05 * 1.0)


def test_a_step_without_a_measurable_time_does_no_harm() -> None:
    speed = Speed()
    speed.note(images=1, seconds=0.0)
    assert speed.images_per_second == pytest.approx(1e9)


def test_planned_steps_by_hand() -> None:
    assert plan_steps(0.5, allowed=60, train=100, validation=0) == 120
    # 30 validation pictures a 100 training pictures cost a tenth more
    assert plan_steps(0.5, allowed=66.01, train=100, validation=30) == 120
    assert plan_steps(0.5, allowed=0, train=100, validation=0) == 1


def test_fitting_steps_by_hand() -> None:
    assert fitting_steps(step=40, seconds=20.0, allowed=60.0) == 120  # 0.5 s each
    assert fitting_steps(step=40, seconds=40.0, allowed=60.0) == 60
    assert fitting_steps(step=40, seconds=60.0, allowed=60.0) == 40
    assert fitting_steps(step=40, seconds=70.0, allowed=60.0) == 40  # over: stop here


@given(step=st.integers(1, 10**6), seconds=st.floats(1e-3, 1e6), allowed=st.floats(0, 1e6))
def test_fitting_steps_never_undo_what_is_done_and_never_overrun(step: int, seconds: float, allowed: float) -> None:
    steps = fitting_steps(step, seconds, allowed)
    assert steps >= step
    assert steps == step or steps * (seconds / step) <= allowed * (1 + 1e-9)
