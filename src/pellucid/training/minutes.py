"""The plan of a run in minutes, updated from its speed: how many steps fit, and which epochs to validate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.training import pace

if TYPE_CHECKING:
    from pellucid.training.loop import State, Task


def seconds_left(state: State, speed: pace.Speed) -> float:
    """How long the training will still take."""
    if state.seconds_allowed is not None:
        return max(0.0, state.seconds_allowed - state.seconds)
    return (state.steps - state.step) * speed.seconds_per_step


REPLAN = 1  # steps between two checks of the time left


def note(task: Task, state: State, seconds: float) -> None:
    """Record that a step took `seconds`; in a run in minutes, update the plan."""
    if state.seconds_allowed is not None:
        state.step_seconds = pace.mean_seconds(state.step_seconds, seconds, state.seconds_allowed)
        state.fastest_seconds = min(state.fastest_seconds or seconds, seconds)
        if state.step % REPLAN == 0:
            replan(task, state)


def replan(task: Task, state: State) -> None:
    """In a run in minutes, plan as many steps in all as fit into them at the recent speed.

    At least one, if nothing has been learned yet.
    """
    if state.seconds_allowed is None:
        return
    left, per_validation = _left(task, state)
    per_epoch = task.steps_per_epoch
    to_boundary = per_epoch - state.step % per_epoch
    steps = state.step + pace.fitting_steps(left, state.step_seconds, per_validation, to_boundary, per_epoch)
    state.steps = max(0 if state.history else 1, steps)


def too_few(minutes: float, state: State, before: float) -> tuple[str, ...]:
    """A sentence if so many `minutes` leave no step, else ().

    before: seconds until the first step could begin; those for a head on known weights are in the history.
    """
    allowed = minutes * 60
    known = bool(state.history)
    if state.steps > 0 and (known or before < allowed):
        return ()
    head = state.history[0].seconds if known else 0.0
    took = f"reading the pictures took {before - head:.1f} s"
    if known:
        took += f", their features and the head {head:.1f} s"
    if before >= allowed:
        follows = "only the head is trained" if known else "one step is trained anyway"
        return (f"minutes {minutes:g} were over before the first step: {took}; {follows}",)
    return (f"minutes {minutes:g} are too few for a step of the whole network: {took}; only the head is trained",)


def _left(task: Task, state: State) -> tuple[float, float]:
    """Seconds for steps and validations, without those of the report, and the seconds of a validation."""
    assert state.seconds_allowed is not None
    batch = len(task.train) / task.steps_per_epoch
    estimated = pace.validation_steps(len(task.validation), batch)
    per_picture = pace.validation_steps(1, batch)
    if state.validation_steps and len(task.validation):
        estimated = state.validation_steps
        per_picture = estimated / len(task.validation)
    report = 0.0
    if task.reported:
        report = per_picture * task.reported * state.step_seconds
        report += pace.report_seconds(state.step_seconds, state.fastest_seconds)
    return state.seconds_allowed - state.seconds - report, estimated * state.step_seconds


def is_due(task: Task, state: State) -> bool:
    """Whether the epoch ends here: after all its pictures, if a validation leaves time to continue."""
    if state.step % task.steps_per_epoch:
        return False
    if state.seconds_allowed is None:
        return True
    left, per_validation = _left(task, state)
    return pace.leaves_time(left, state.step_seconds, per_validation)
