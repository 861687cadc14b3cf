"""The life of a weight: from its first value, through every update, to the saved one, and the pictures that pushed it.

    again = result_of(opened(model, cache))
    life, = result_of(living(again, ["conv1.weight[3, 0, 2, 2]"]))
    print(life.first, "+", life.moved, "=", life.last, life.saved)

    last  =  first  +  pushes of the pictures  +  weight decay  +  momentum from before  +  rounding

A picture's push is the sum, over the steps that it was in, of its part in the gradient times what this gradient does to
the weight, then and later, through the momentum (updates.py). The denominators of Adam and RMSprop count as they were;
they too depend on the pictures, and a training without the picture would have others.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.errors import RecipeError
from pellucid.glassbox.trace import units
from pellucid.life import fitted
from pellucid.life.recorded import Place, Recorded, recording
from pellucid.life.updates import at_once, split
from pellucid.steps import Steps

if TYPE_CHECKING:
    from pellucid.life.again import Again, Drift

LARGEST = 5
PICTURES, PUSHERS = 8, 20  # listed of a step, and of the whole life, in the JSON


@dataclass(frozen=True)
class PicturePart:
    """A picture's part in one step's gradient. `push`: what this part added to the weight in this step."""

    row: int
    path: str
    label: str
    part: float
    push: float


@dataclass(frozen=True)
class LargeStep:
    """One step of a weight, counted from 1. `state`: the optimizer's, before; `pictures`: all, the largest part first.

    * update: after - before, as stored
    * formula: the same by the optimizer's formula in float64
    """

    step: int
    epoch: int
    before: float
    after: float
    gradient: float
    rate: float
    update: float
    formula: float
    state: dict[str, float]
    pictures: tuple[PicturePart, ...]


@dataclass(frozen=True)
class Pusher:
    """A training picture's pushes of a weight: upwards, downwards (not above 0), and in how many steps."""

    row: int
    path: str
    label: str
    up: float
    down: float
    times: int

    @property
    def net(self) -> float:
        return self.up + self.down


@dataclass(frozen=True)
class Life:
    """The life of one weight, or the part of it after step `begin`.

    * begins: what its first value was, in words
    * optimizer, settings: of its updates, by PyTorch's names
    * steps: of the whole training, up to the saved weights; `unused`: made after these, and not used
    * values: float32 numbers, before the first step and after each; gradients, rates: of each step
    * saved: the weight in the model folder; None if the life ends before it
    * drift: how far the training made again is from the saved one; None if it is equal to the last bit
    * largest: the steps with the largest updates, the largest first
    * pushers: every training picture, the strongest first
    * decay, earlier: the shares of weight decay, and of the momentum from before the first step
    * note: what is special about it, a sentence
    """

    weight: str
    shape: tuple[int, ...]
    begins: str
    optimizer: str
    settings: dict[str, Any]
    begin: int
    steps: int
    unused: int
    epoch_steps: int
    values: tuple[float, ...]
    gradients: tuple[float, ...]
    rates: tuple[float, ...]
    saved: float | None
    drift: Drift | None
    largest: tuple[LargeStep, ...]
    pushers: tuple[Pusher, ...]
    decay: float
    earlier: float
    note: str = ""

    @property
    def first(self) -> float:
        return self.values[0]

    @property
    def last(self) -> float:
        return self.values[-1]

    @property
    def exact(self) -> bool:
        """Whether first value plus updates is the saved value, in exact arithmetic, and no weight drifted."""
        ends = self.last if self.saved is None else self.saved
        return self.drift is None and Fraction(self.first) + self._sum() == Fraction(ends)

    @property
    def moved(self) -> float:
        """The sum of all updates: added exactly, then rounded to float64."""
        return float(self._sum())

    @property
    def pushed(self) -> float:
        """The sum of the pushes of all pictures."""
        return math.fsum(value for each in self.pushers for value in (each.up, each.down))

    @property
    def rounding(self) -> float:
        """What remains of `moved`: rounding of steps and parts; for a fitted head, where its search ended."""
        return math.fsum((self.moved, -self.pushed, -self.decay, -self.earlier))

    def _sum(self) -> Fraction:
        pairs = zip(self.values[:-1], self.values[1:], strict=True)
        return sum((Fraction(after) - Fraction(before) for before, after in pairs), Fraction(0))

    def as_json(self, pictures: int = PICTURES, pushers: int = PUSHERS) -> dict[str, Any]:
        """As plain values. `pictures`, `pushers`: how many are listed; the others of each are added up."""
        rest = self.pushers[pushers:]
        return {
            "weight": self.weight,
            "shape": list(self.shape),
            "begins": self.begins,
            "optimizer": self.optimizer,
            "settings": {name: list(v) if isinstance(v, tuple) else v for name, v in self.settings.items()},
            "begin": self.begin,
            "steps": self.steps,
            "unused": self.unused,
            "epoch_steps": self.epoch_steps,
            "values": list(self.values),
            "gradients": list(self.gradients),
            "rates": list(self.rates),
            "first": self.first,
            "last": self.last,
            "moved": self.moved,
            "saved": self.saved,
            "exact": self.exact,
            "drift": None if self.drift is None else asdict(self.drift),
            "largest": [_step_json(each, pictures) for each in self.largest],
            "pushers": [_pusher_json(each) for each in self.pushers[:pushers]],
            "other_pushers": {
                "count": len(rest),
                "up": math.fsum(each.up for each in rest),
                "down": math.fsum(each.down for each in rest),
            },
            "pushed": self.pushed,
            "weight_decay": self.decay,
            "earlier": self.earlier,
            "rounding": self.rounding,
            "note": self.note,
        }


def _step_json(step: LargeStep, listed: int) -> dict[str, Any]:
    rest = step.pictures[listed:]
    others = {"count": len(rest), "part": math.fsum(each.part for each in rest)}
    return {**asdict(step), "pictures": [asdict(each) for each in step.pictures[:listed]], "others": others}


def _pusher_json(each: Pusher) -> dict[str, Any]:
    return {"path": each.path, "label": each.label, "up": each.up, "down": each.down, "times": each.times}


def living(
    again: Again, weights: Sequence[str], largest: int = LARGEST, steps: tuple[int, int] | None = None
) -> Generator[tuple[int, int], None, tuple[Life, ...]]:
    """Make a training again, and return the life of each of these weights; yields (steps made, steps in all).

    `weights`: such as "conv1.weight[3, 0, 2, 2]". `largest`: how many of the largest steps are told in full. `steps`:
    only from this one to that, counted from 1; the training is made to its end all the same, to check it.

    Memory: 8 bytes for each picture of each step, and 8 more for each weight. Raises TraceError if there is no such
    weight, if a step is not the optimizer's formula, or if the pictures' parts do not add up to a gradient; RecipeError
    if there is no such step, or `largest` is below 0.
    """
    if largest < 0:
        raise RecipeError(f"largest is {largest}; it must be 0 or more.")
    shapes = {name: tuple(each.shape) for name, each in again.state.module.named_parameters()}
    places = [Place(text, *units.weight(text, shapes)) for text in weights]
    start, last = again.state.step, again.last
    first, end = steps or (start + 1, last)
    if steps is not None and not start < first <= end <= last:
        made = f"made steps {start + 1:,} to {last:,}" if last > start else "made no step"
        raise RecipeError(f"steps are {first}:{end}, but the training {made}. Write the first and the last, FROM:TO.")
    recorded = yield from recording(again, places, first - 1, end)
    drift = again.drift()
    head = None
    if not last and again.material.config.get("pretrained"):
        extracting = Steps(fitted.heads(again))
        for each in extracting:
            yield each.done, each.total
        head = extracting.result
    return tuple(
        _life(again, each, shapes[each.place.name], drift, largest)
        if head is None or not head.fits(each.place)
        else _fitted(again, each, shapes[each.place.name], drift, head)
        for each in recorded
    )


def _life(again: Again, recorded: Recorded, shape: tuple[int, ...], drift: Drift | None, largest: int) -> Life:
    shares = split(recorded.rule, recorded.moves, recorded.made)
    material, place = again.material, recorded.place
    ends = recorded.begin + len(recorded.rows) == again.last
    values, moves = recorded.values, recorded.moves
    order = np.argsort(-np.abs(np.diff(values)), kind="stable")[:largest]
    made = int(material.config["training"].get("steps", again.last))
    return Life(
        place.text,
        shape,
        _begins(again, recorded),
        recorded.rule.name,
        dict(recorded.rule.settings),
        recorded.begin,
        again.last,
        max(0, made - again.last),
        again.task.steps_per_epoch,
        tuple(values.tolist()),
        tuple(moves.gradients.tolist()),
        tuple(moves.rates.tolist()),
        _saved(again, place) if ends else None,
        drift,
        tuple(_large(again, recorded, int(at)) for at in order),
        _pushers(again, recorded, shares.coefficients),
        shares.decay,
        shares.earlier,
        "" if again.last else "No step changed it: it is as it was before the training.",
    )


def _fitted(again: Again, recorded: Recorded, shape: tuple[int, ...], drift: Drift | None, head: fitted.Heads) -> Life:
    """The life of a weight that was fitted to all pictures at once."""
    first, pushes = head.of(recorded.place)
    pictures = again.material.data.catalog.pictures
    own = [
        Pusher(int(row), pictures[int(row)].path, again.material.label(int(row)), max(push, 0.0), min(push, 0.0), 1)
        for row, push in zip(again.task.train, pushes.tolist(), strict=True)
    ]
    last = float(recorded.values[-1])
    return Life(
        recorded.place.text,
        shape,
        "0, before the head was fitted" if not first else "the row of the known class, before the head was fitted",
        "lbfgs",
        {"c": head.c},
        0,
        0,
        int(again.material.config["training"].get("steps", 0)),
        again.task.steps_per_epoch,
        (first, last),
        (),
        (),
        _saved(again, recorded.place),
        drift,
        (),
        tuple(sorted(own, key=lambda each: -abs(each.net))),
        0.0,
        0.0,
        "It was fitted to all pictures at once; each push is C times error times feature (docs/why/life.md).",
    )


def _large(again: Again, recorded: Recorded, at: int) -> LargeStep:
    pictures, moves = again.material.data.catalog.pictures, recorded.moves
    each_push = at_once(recorded.rule, moves, recorded.made)[at]
    rows, shares = recorded.rows[at], recorded.shares[at]
    order = np.argsort(-np.abs(shares), kind="stable")
    values = recorded.values
    step = recorded.begin + at + 1
    return LargeStep(
        step,
        (step - 1) // again.task.steps_per_epoch + 1,
        float(values[at]),
        float(values[at + 1]),
        float(moves.gradients[at]),
        float(moves.rates[at]),
        float(values[at + 1] - values[at]),
        float(recorded.made.update[at]),
        {name: float(moves.state[name][at]) for name in recorded.made.state},
        tuple(
            PicturePart(
                int(rows[one]),
                pictures[int(rows[one])].path,
                again.material.label(int(rows[one])),
                float(shares[one]),
                float(shares[one] * each_push),
            )
            for one in order
        ),
    )


def _pushers(again: Again, recorded: Recorded, coefficients: np.ndarray) -> tuple[Pusher, ...]:
    """Every training picture with its pushes over all steps, the strongest first."""
    pictures = again.material.data.catalog.pictures
    count = len(pictures)
    up, down, times = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
    for rows, shares, coefficient in zip(recorded.rows, recorded.shares, coefficients, strict=True):
        pushes = shares * coefficient
        np.add.at(up, rows, np.maximum(pushes, 0.0))
        np.add.at(down, rows, np.minimum(pushes, 0.0))
        np.add.at(times, rows, 1)
    there = np.flatnonzero(times)
    order = there[np.argsort(-np.abs(up[there] + down[there]), kind="stable")]
    return tuple(
        Pusher(row, pictures[row].path, again.material.label(row), float(up[row]), float(down[row]), int(times[row]))
        for row in order.tolist()
    )


def _saved(again: Again, place: Place) -> float:
    return float(again.material.classifier.module.state_dict()[place.name][place.index])


def _begins(again: Again, recorded: Recorded) -> str:
    if recorded.begin:
        return f"its value after step {recorded.begin:,}"
    known = again.material.config.get("pretrained")
    if not known:
        return f"random weights, drawn by seed {again.task.recipe.seed}"
    if recorded.place.name.startswith(f"{known['layer']}."):
        return f"the head that was fitted to the features of {known['name']} ({known['source']})"
    return f"known weights of {known['name']} ({known['source']})"
