"""The training pictures that made each filter: what `pellucid makers` reports, and stores in a model folder.

As JSON (`Makers.as_json`; a number has six significant digits):

    steps       how many steps the training made; 0: the head was fitted at once
    begins      where the movement begins, in words
    optimizer   its name
    estimate    whether pushes and decay add up to the movement only nearly, as for Adam; not for SGD and RMSprop
    drift       null; or how far the repeated training ended from the saved weights: largest, where, different, weights
    pictures    row -> {"path", "label"}, of the pictures that the layers name; a path is relative to the folder `root`
    root        the folder of the pictures
    layers      [{"layer", "shape" of its weights, "filters"}]

    a filter    {"filter", "straight", "distance", "whole", "tenths"}: the length of its movement from the first weights
                to the last; the lengths of all its steps, added; a span for the whole training, and one for each tenth
    a span      {"first", "last": its steps, "moved", "push", "decay", "distance", "toward", "away"}: how far the filter
                moved along its whole movement, exactly; the sums of all pictures' pushes and of the decay; makers
    a maker     [row, push, step, most]: the sum of the picture's pushes in the span; the step of its strongest push in
                that direction, and that push
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.life.again import Drift

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

TOP = 24
"""Pictures each way, for each filter and span."""


class Maker(NamedTuple):
    """A picture that pushed a filter in a span of steps. Pushes are in units of the weights.

    * row: as in `Makers.pictures`
    * push: the sum of its pushes; positive towards the filter's last weights
    * step: of its strongest push in the direction of the sum, counted from 1; 0 for a head that was fitted at once
    * most: that push
    """

    row: int
    push: float
    step: int
    most: float


class Ranked(Sequence[Maker]):
    """Makers, the strongest first. Arrays of (n,), because a network has millions; each becomes a Maker on access."""

    def __init__(
        self,
        rows: NDArray[np.int64],
        pushes: NDArray[np.float32],
        steps: NDArray[np.int32],
        most: NDArray[np.float32],
    ) -> None:
        self.rows, self.pushes, self.steps, self.most = rows, pushes, steps, most

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Maker: ...
    @overload
    def __getitem__(self, at: slice) -> Ranked: ...
    def __getitem__(self, at: int | slice) -> Maker | Ranked:
        if isinstance(at, slice):
            return Ranked(self.rows[at], self.pushes[at], self.steps[at], self.most[at])
        return Maker(int(self.rows[at]), float(self.pushes[at]), int(self.steps[at]), float(self.most[at]))

    def __repr__(self) -> str:
        return f"Ranked({list(self)})"


@dataclass(frozen=True)
class Span:
    """The steps `first` to `last` of a filter, counted from 1. Lengths are Euclidean, in units of the weights.

    * moved: how far the filter moved along its whole movement: exact, and negative if it went back
    * push: the sum of all pictures' pushes; over the whole training it is `moved` - `decay` where the formula is exact
    * decay: how far weight decay moved it, by the same formula
    * distance: the lengths of its steps, added
    * toward, away: the pictures with the largest and the smallest sums, the strongest first
    """

    first: int
    last: int
    moved: float
    push: float
    decay: float
    distance: float
    toward: Ranked
    away: Ranked

    def as_json(self, most: int) -> dict[str, Any]:
        numbers = {key: _short(getattr(self, key)) for key in ("moved", "push", "decay", "distance")}
        sides = {"toward": _rows(self.toward[:most]), "away": _rows(self.away[:most])}
        return {"first": self.first, "last": self.last, **numbers, **sides}


@dataclass(frozen=True)
class FilterMakers:
    """An output channel of a convolution, or a unit of a dense layer. `tenths`: fewer if there are fewer steps."""

    filter: int
    straight: float
    whole: Span
    tenths: tuple[Span, ...]

    def as_json(self, whole: int, tenth: int) -> dict[str, Any]:
        return {
            "filter": self.filter,
            "straight": _short(self.straight),
            "distance": _short(self.whole.distance),
            "whole": self.whole.as_json(whole),
            "tenths": [each.as_json(tenth) for each in self.tenths],
        }


@dataclass(frozen=True)
class LayerMakers:
    """A layer's filters, and its weights before the first step and after the last, float32 (filters, ...)."""

    layer: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    filters: tuple[FilterMakers, ...]

    @property
    def ranked(self) -> list[FilterMakers]:
        """The filters that moved farthest first."""
        return sorted(self.filters, key=lambda each: -each.straight)

    def as_json(self, whole: int, tenth: int) -> dict[str, Any]:
        filters = [each.as_json(whole, tenth) for each in self.filters]
        return {"layer": self.layer, "shape": list(self.after.shape), "filters": filters}


class Shown(NamedTuple):
    """A training picture: its path, relative to `Makers.root` or absolute, and its class or labels."""

    path: str
    label: str


@dataclass(frozen=True)
class Makers:
    """Who made each filter. The module's docstring describes the fields."""

    steps: int
    begins: str
    optimizer: str
    exact: bool
    drift: Drift | None
    root: Place
    pictures: dict[int, Shown]
    layers: tuple[LayerMakers, ...]

    def as_json(self, whole: int = TOP, tenth: int = TOP) -> dict[str, Any]:
        """`whole`, `tenth`: how many pictures each way for the whole training, and for each tenth."""
        layers = [each.as_json(whole, tenth) for each in self.layers]
        spans = (span for layer in layers for each in layer["filters"] for span in (each["whole"], *each["tenths"]))
        rows = sorted({maker[0] for span in spans for maker in (*span["toward"], *span["away"])})
        return {
            "steps": self.steps,
            "begins": self.begins,
            "optimizer": self.optimizer,
            "estimate": not self.exact,
            "drift": None if self.drift is None else asdict(self.drift),
            "root": str(self.root),
            "pictures": {str(row): self.pictures[row]._asdict() for row in rows},
            "layers": layers,
        }


def _rows(makers: Sequence[Maker]) -> list[list[float]]:
    return [[each.row, _short(each.push), each.step, _short(each.most)] for each in makers]


def _short(number: float) -> float:
    return float(f"{number:.6g}")
