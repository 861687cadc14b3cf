"""Speed and plans, worked out by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.training.pace import Speed, fitting_steps, leaves_time, mean_seconds, validation_steps


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


def test_the_mean_looks_back_over_a_twentieth_of_the_time() -> None:
    assert mean_seconds(0.0, 3.0, allowed=60) == 3.0
    assert mean_seconds(0.5, 1.0, allowed=100) == 0.5 + 0.5 / 10  # 5 s are 10 steps of half a second
    assert mean_seconds(10.0, 30.0, allowed=60) == 30.0  # a step is more than a twentieth: the last one counts
    assert mean_seconds(0.5, 100.0, allowed=100) == 0.5 + 2.0 / 10  # one slow step counts as five times the mean


def test_a_validation_is_a_third_of_a_step_for_as_many_pictures() -> None:
    assert validation_steps(30, batch=10) == pytest.approx(1.0)
    assert validation_steps(0, batch=10) == 0.0


@pytest.mark.parametrize(
    ("left", "to_boundary", "steps"),
    [
        (0.0, 3, 0),
        (-5.0, 3, 0),
        (0.9, 3, 0),  # a step of 0.5 and a validation of 0.5 do not fit
        (1.0, 3, 1),
        (2.0, 3, 3),  # an epoch
        (3.0, 3, 4),  # an epoch, a step, a validation
        (2.5, 3, 4),  # no time for two validations: the first is left out
        (2.4, 3, 3),
        (30.0, 3, 45),  # fifteen epochs
        (29.0, 1, 43),  # a step and a validation, fourteen epochs
    ],
)
def test_fitting_steps_by_hand(left: float, to_boundary: int, steps: int) -> None:
    """A step takes 0.5 s, a validation after every three 0.5 s."""
    assert fitting_steps(left, 0.5, 0.5, to_boundary, 3) == steps


def test_a_validation_has_to_leave_time_for_a_step_and_another() -> None:
    assert leaves_time(1.5, 0.5, 0.5)
    assert not leaves_time(1.4, 0.5, 0.5)


@settings(max_examples=60)
@given(
    left=st.floats(0, 1e3),
    per_step=st.floats(0.1, 50),
    per_validation=st.floats(0, 50),
    per_epoch=st.integers(1, 50),
    done=st.integers(0, 49),
)
def test_fitting_steps_leave_less_than_a_step_and_never_overrun(
    left: float, per_step: float, per_validation: float, per_epoch: int, done: int
) -> None:
    """Simulated like the loop: a validation after each epoch that leaves time, and one at the end."""
    done %= per_epoch
    steps = fitting_steps(left, per_step, per_validation, per_epoch - done, per_epoch)
    used, at = 0.0, done
    for number in range(1, steps + 1):
        used, at = used + per_step, at + 1
        if number < steps and at % per_epoch == 0 and leaves_time(left - used, per_step, per_validation):
            used += per_validation
    used += per_validation
    slack = 1e-6 * (left + per_step + per_validation)
    assert steps == 0 or used <= left + slack
    assert left - used < per_step + slack
