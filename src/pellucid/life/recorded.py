"""The numbers of some weights through a training that is made again: written down step by step, then checked."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.life import parts
from pellucid.life.again import threads
from pellucid.life.updates import STATES, Formula, Moves, Rule, formula, group_of

if TYPE_CHECKING:
    import torch

    from pellucid.life.again import Again
    from pellucid.life.parts import Seen

ROUNDED = 2.0**-23  # of a float32, relative
OPERATIONS = 16  # roundings of a term on its way into an update
SUMMED = {"float32": 4e-5, "bfloat16": 2.0**-6}  # of the sum of the absolute parts: how far they may be from a gradient
TINY = 1e-9


@dataclass(frozen=True)
class Place:
    """One weight: "conv1.weight[3, 0, 2, 2]", the parameter in the module, and the index in it."""

    text: str
    name: str
    index: tuple[int, ...]


@dataclass(frozen=True)
class Recorded:
    """A weight through T steps.

    * begin: how many steps were made before the first of these
    * values: float64 (T + 1,), the float32 numbers before the first step and after each
    * moves: see Moves; its `before` is values[:-1]
    * made: the updates by the optimizer's formula
    * rows: for each step, the rows of its pictures, int64 (n,)
    * shares: for each step, each picture's part in the gradient, float64 (n,)
    """

    place: Place
    rule: Rule
    begin: int
    values: NDArray[np.float64]
    moves: Moves
    made: Formula
    rows: tuple[NDArray[np.int64], ...]
    shares: tuple[NDArray[np.float64], ...]


@dataclass
class _Notes:
    """What is written down of a weight while the steps are made."""

    place: Place
    parameter: torch.Tensor
    layer: str
    own: str
    rule: Rule
    group: dict[str, object]
    values: list[float]
    gradients: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    states: list[dict[str, float]] = field(default_factory=list)
    shares: list[NDArray[np.float64]] = field(default_factory=list)


def recording(
    again: Again, places: Sequence[Place], begin: int, end: int
) -> Generator[tuple[int, int], None, tuple[Recorded, ...]]:
    """Make the training again from its present step to its last; write down the steps after `begin`, up to `end`.

    Yields (steps made, steps in all). Afterwards `again.drift()` says whether it ended in the saved weights. Raises
    TraceError if a step is not the optimizer's formula, or the pictures' parts do not add up to the gradient.
    """
    for made in again.steps(begin):
        yield made.step, again.last
    notes = [_begun(again, place) for place in places]
    rows: list[NDArray[np.int64]] = []
    with parts.watching(again, {each.layer for each in notes}) as watch, threads(again.task.engine.threads):
        while again.state.step < end:
            for each in notes:
                each.states.append(_state(again, each))
            made = again.make()
            runs = watch.take()
            rows.append(made.rows)
            for each in notes:
                _note(each, runs.get(each.layer, ()), len(made.rows))
            yield made.step, again.last
    for made in again.steps():
        yield made.step, again.last
    precision = again.task.engine.precision
    return tuple(_checked(each, rows, begin, precision) for each in notes)


def _begun(again: Again, place: Place) -> _Notes:
    parameter = again.state.module.get_parameter(place.name)
    layer, own = parts.split(place.name, again.state.module)
    optimizer = again.state.optimizer
    rule, group = Rule.of(optimizer, parameter), group_of(optimizer, parameter)
    return _Notes(place, parameter, layer, own, rule, group, [_at(parameter, place.index)])


def _note(notes: _Notes, runs: Sequence[Seen], pictures: int) -> None:
    gradient = notes.parameter.grad
    notes.values.append(_at(notes.parameter, notes.place.index))
    notes.gradients.append(0.0 if gradient is None else _at(gradient, notes.place.index))
    notes.rates.append(float(notes.group["lr"]))  # type: ignore[arg-type]
    nothing = gradient is None
    notes.shares.append(np.zeros(pictures) if nothing else parts.of_weight(runs, notes.own, notes.place.index))


def _state(again: Again, notes: _Notes) -> dict[str, float]:
    """The optimizer's own numbers for the weight, before a step; 0 before its first."""
    state = again.state.optimizer.state.get(notes.parameter, {})
    shape, index = notes.parameter.shape, notes.place.index
    tensors = {name: state[name] for name in STATES if state.get(name) is not None}
    return {name: _at(each, index) if each.shape == shape else float(each) for name, each in tensors.items()}


def _at(tensor: torch.Tensor, index: tuple[int, ...]) -> float:
    return float(tensor.detach()[index])


def _checked(notes: _Notes, rows: Sequence[NDArray[np.int64]], begin: int, precision: str) -> Recorded:
    values, gradients = np.array(notes.values), np.array(notes.gradients)
    state = {name: np.array([each.get(name, 0.0) for each in notes.states]) for name in STATES}
    moves = Moves(values[:-1], gradients, np.array(notes.rates), state)
    made = formula(notes.rule, moves)
    recorded = Recorded(notes.place, notes.rule, begin, values, moves, made, tuple(rows), tuple(notes.shares))
    _check_updates(recorded)
    _check_parts(recorded, precision)
    return recorded


def _check_updates(recorded: Recorded) -> None:
    """Raise TraceError unless each update is the optimizer's formula, within the rounding of float32."""
    values, made = recorded.values, recorded.made
    away = np.abs(values[:-1] + made.update - values[1:])
    bound = ROUNDED * (np.abs(values[:-1]) + np.abs(values[1:]) + OPERATIONS * made.size) + np.finfo(np.float32).tiny
    if (away > bound).any():
        at = int(np.argmax(away / bound))
        raise TraceError(
            f"Step {recorded.begin + at + 1} took {recorded.place.text} from {values[at]!r} to {values[at + 1]!r}; "
            f"by the formula of {recorded.rule.name} it would be {values[at] + made.update[at]!r}. Rounding does not "
            "explain the difference."
        )


def _check_parts(recorded: Recorded, precision: str) -> None:
    """Raise TraceError unless each gradient is the sum of its pictures' parts, within rounding."""
    share = SUMMED.get(precision, SUMMED["bfloat16"])
    for step, (gradient, each) in enumerate(zip(recorded.moves.gradients, recorded.shares, strict=True)):
        if abs(each.sum() - gradient) > share * np.abs(each).sum() + TINY:
            raise TraceError(
                f"At step {recorded.begin + step + 1} the gradient of {recorded.place.text} is {gradient:.6g}, but "
                f"the parts of its {len(each):,} pictures add up to {each.sum():.6g}. Its layer is used in another way "
                "than Pellucid knows, so its pictures cannot be named."
            )
