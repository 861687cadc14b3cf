"""What a training by hand remembers: its counters and curves, and exact copies of earlier moments, to go back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pellucid.network.network import Network
from pellucid.training.history import Epoch
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from pellucid.live.step import Last
    from pellucid.training.loop import State

MOST_POINTS = 300
MOST_EPOCHS = 1000
MOST_CHANGES = 200
"""In the log; the oldest are only counted."""
MOST_MOMENTS = 200
MOST_BYTES = 256_000_000
"""Of the moments to go back and forth to; the oldest are forgotten first."""


@dataclass(frozen=True)
class Point:
    """A point of the curves. Training: means over the batches since the last point, each before its step.

    Watched: the held-out pictures, after the step. None: nothing measured, or not a finite number.
    """

    step: int
    epoch: float
    loss: float | None
    accuracy: float | None
    watched_loss: float | None
    watched_accuracy: float | None


@dataclass(frozen=True)
class Tally:
    """Sums over the pictures of some steps."""

    loss: float = 0.0
    correct: int = 0
    pictures: int = 0
    seconds: float = 0.0

    def plus(self, loss: float, correct: int, pictures: int, seconds: float) -> Tally:
        """`loss`: the mean of these pictures."""
        return Tally(
            self.loss + loss * pictures, self.correct + correct, self.pictures + pictures, self.seconds + seconds
        )

    @property
    def mean(self) -> tuple[float, float] | None:
        """(loss, accuracy); None without a picture."""
        return (self.loss / self.pictures, self.correct / self.pictures) if self.pictures else None


@dataclass(frozen=True)
class Progress:
    """The counters of a network's training by hand, and what it has led to.

    * step: steps since the network began, or since the model as it was
    * epoch, position: the place in the order of the training pictures: which order, and which batch is next
    * now: sums since this order began; recent: since the last point
    * epochs: what each epoch came to, fewer of a very long training: see `merged`
    * log: what was done, in the order in which it was, for the model card; unlisted: how much was done before that
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    now: Tally = Tally()
    recent: Tally = Tally()
    points: tuple[Point, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    log: tuple[str, ...] = ()
    unlisted: int = 0

    @property
    def epochs_done(self) -> int:
        return self.epochs[-1].epoch if self.epochs else 0

    def logged(self, what: str) -> Progress:
        """With one more change in the log."""
        log = (*self.log, f"after {self.step:,} steps: {what}")
        gone = max(0, len(log) - MOST_CHANGES)
        return replace(self, log=log[gone:], unlisted=self.unlisted + gone)


@dataclass(frozen=True)
class Moment:
    """Everything that a step or a change can change. Weights and the optimizer's memory are copies."""

    recipe: Recipe
    network: Network
    state: State
    weights: dict[str, torch.Tensor]
    memory: list[dict[str, Any]]
    progress: Progress
    last: Last | None

    @property
    def bytes(self) -> int:
        tensors = [*self.weights.values(), *(value for each in self.memory for value in each.values())]
        last = [] if self.last is None else [*self.last.before.values(), *self.last.gradient.values()]
        return sum(each.nbytes for each in (*tensors, *last) if hasattr(each, "nbytes"))


def memory_of(state: State) -> list[dict[str, Any]]:
    """Copies of the optimizer's numbers of each parameter, in the order of its groups."""
    parameters = [each for group in state.optimizer.param_groups for each in group["params"]]
    return [_copies(state.optimizer.state.get(each, {})) for each in parameters]


def restore(moment: Moment) -> State:
    """The moment's own state, with the numbers that it had, bit for bit and in their memory order."""
    import torch

    state = moment.state
    with torch.no_grad():
        for name, each in state.module.state_dict().items():
            each.copy_(moment.weights[name])
    parameters = [each for group in state.optimizer.param_groups for each in group["params"]]
    state.optimizer.state.clear()
    for each, numbers in zip(parameters, moment.memory, strict=True):
        if numbers:
            state.optimizer.state[each] = _copies(numbers)
    return state


def _copies(numbers: dict[str, Any]) -> dict[str, Any]:
    return {key: value.clone() if hasattr(value, "clone") else value for key, value in numbers.items()}


class Past:
    """Moments to go back to, and those that were left by going back."""

    def __init__(self) -> None:
        self._back: list[tuple[Moment, str]] = []
        self._forth: list[tuple[Moment, str]] = []

    def remember(self, moment: Moment, then: str) -> None:
        """`moment` stands before what is about to be done. `then`: its name; "" for steps, which are counted."""
        self._forth.clear()
        self._back.append((moment, then))
        while len(self._back) > MOST_MOMENTS or (len(self._back) > 1 and self._bytes > MOST_BYTES):
            self._back.pop(0)

    def forget_empty(self, step: int) -> None:
        """Drop the last moment if no step followed it."""
        if self._back and not self._back[-1][1] and self._back[-1][0].progress.step == step:
            self._back.pop()

    def back(self, now: Callable[[], Moment]) -> Moment | None:
        return _moved(self._back, self._forth, now)

    def forth(self, now: Callable[[], Moment]) -> Moment | None:
        return _moved(self._forth, self._back, now)

    def undoable(self, step: int) -> str | None:
        return _named(self._back, step)

    def redoable(self, step: int) -> str | None:
        return _named(self._forth, step)

    @property
    def _bytes(self) -> int:
        return sum(moment.bytes for moment, _ in (*self._back, *self._forth))


def _moved(
    source: list[tuple[Moment, str]], target: list[tuple[Moment, str]], now: Callable[[], Moment]
) -> Moment | None:
    if not source:
        return None
    moment, then = source.pop()
    target.append((now(), then))
    return moment


def _named(moments: list[tuple[Moment, str]], step: int) -> str | None:
    if not moments:
        return None
    moment, then = moments[-1]
    count = abs(moment.progress.step - step)
    return then or f"{count:,} step{'s' if count != 1 else ''}"


def merged(epochs: tuple[Epoch, ...]) -> tuple[Epoch, ...]:
    """At most MOST_EPOCHS.

    If there are more, each pair behind the first becomes its later one, with the time of both.
    """
    if len(epochs) <= MOST_EPOCHS:
        return epochs
    first, *rest = epochs
    pairs = zip(rest[::2], [*rest[1::2], None], strict=False)
    return (
        first,
        *(one if other is None else replace(other, seconds=one.seconds + other.seconds) for one, other in pairs),
    )


def thinned(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """At most MOST_POINTS: if there are more, every second one goes, but never the first or the last."""
    if len(points) <= MOST_POINTS:
        return points
    return (*points[:-1:2], points[-1])
