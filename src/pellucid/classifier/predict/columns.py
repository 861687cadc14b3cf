"""A prediction as a row of a table: the names of its columns, and its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.classifier.predict.prediction import Prediction
from pellucid.texts import LABELS_BETWEEN

Cell = str | float | tuple[str, ...] | None
"""A text, a probability from 0 to 1, the labels of a picture with several, or None where there is nothing."""


@dataclass(frozen=True)
class Columns:
    """The columns of predictions. `top`: classes named for each picture. `several`: pictures have several labels."""

    top: int
    several: bool

    @classmethod
    def of(cls, classes: Sequence[str], top: int, several: bool) -> Columns:
        """At most as many classes for each picture as there are."""
        return cls(min(top, len(classes)), several)

    @property
    def names(self) -> list[str]:
        """picture, labels (if several), label_1, probability_1, and so on, error."""
        ranks = [f"{word}_{rank}" for rank in range(1, self.top + 1) for word in ("label", "probability")]
        return ["picture", *(["labels"] if self.several else []), *ranks, "error"]

    def cells(self, answer: Prediction) -> list[Cell]:
        """The row of a prediction, a cell for each name. An unusable picture has only its name and the reason."""
        ranked = answer.top(self.top)
        ranks: list[Cell] = [cell for pair in ranked for cell in pair] if ranked else [None] * (2 * self.top)
        return [answer.source, *([answer.labels] if self.several else []), *ranks, answer.error]


def text(cell: Cell) -> str:
    """A cell in CSV."""
    if cell is None:
        return ""
    if isinstance(cell, tuple):
        return LABELS_BETWEEN.join(cell)
    return cell if isinstance(cell, str) else f"{cell:.6f}"
