"""The result of the readouts: how much of the classes a linear readout knows after each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.debugging.features import Source
from pellucid.training.evaluate import interval


@dataclass(frozen=True)
class LayerKnows:
    """The readout after one layer.

    * correct: test pictures that it gets right
    * train, validation: its accuracies on the pictures that it was fitted to, and on those that chose its penalty
    * c: the weight of the pictures against the penalty (training/head.py), for the features as they are
    """

    source: Source
    correct: int
    pictures: int
    train: float
    validation: float
    c: float

    @property
    def layer(self) -> str:
        return self.source.layer

    @property
    def accuracy(self) -> float:
        return self.correct / self.pictures

    @property
    def interval(self) -> tuple[float, float]:
        """95 % (Wilson 1927)."""
        return interval(self.correct, self.pictures)

    def as_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "shape": list(self.source.shape),
            "cells": None if self.source.cells is None else list(self.source.cells),
            "numbers": self.source.count,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "train_accuracy": self.train,
            "validation_accuracy": self.validation,
            "c": self.c,
        }


@dataclass(frozen=True)
class Readout:
    """What each layer knows.

    * side: "test" or "validation": the pictures of the figures, of which no readout has seen any
    * pictures: how many they are; `fitted`: to how many the readouts were fitted; `chosen`: how many chose the penalty
    * chosen_from: "validation" or "training": where the latter come from
    * layers: from the pixels to the scores
    * correct: pictures that the network itself gets right; `commonest`: those of the most frequent class
    * wanted: how many layers were wanted
    * unusable: (path, reason)
    """

    side: str
    pictures: int
    fitted: int
    chosen: int
    chosen_from: str
    classes: tuple[str, ...]
    layers: tuple[LayerKnows, ...]
    correct: int
    commonest: int
    wanted: int
    several: bool = False
    unusable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return len(self.layers) == self.wanted

    @property
    def remark(self) -> str | None:
        """A sentence that explains why an early layer gives a better readout than the last; None if none does."""
        first, last = self.layers[0], self.layers[-1]
        if first.accuracy <= last.accuracy:
            return None
        chance = " Their intervals overlap, so this may be chance." if first.interval[0] <= last.interval[1] else ""
        return (
            f"The readout of {first.layer} is better than that of {last.layer}: more of the picture can still be read "
            f"there, while {last.layer} has only what the network has learned to pass on.{chance}"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "pictures": self.pictures,
            "fitted": self.fitted,
            "chosen": self.chosen,
            "chosen_from": self.chosen_from,
            "classes": list(self.classes),
            "several": self.several,
            "complete": self.complete,
            "network": {
                "accuracy": self.correct / self.pictures,
                "interval": list(interval(self.correct, self.pictures)),
            },
            "commonest": self.commonest / self.pictures,
            "remark": self.remark,
            "layers": [each.as_json() for each in self.layers],
            "unusable": [{"picture": path, "reason": reason} for path, reason in self.unusable],
            "notes": list(self.notes),
        }
