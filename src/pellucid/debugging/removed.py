"""The result of removing filters: accuracies with and without each, and which differences chance explains.

A layer has many filters, so some differences look large by chance alone. The probabilities of the paired test are
therefore corrected for their number: of a layer's filters, and of a filter's classes (Holm 1979, "A simple sequentially
rejective multiple test procedure").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pellucid.debugging.paired import TEST, Paired

CORRECTION = "Holm 1979"
SURE = 0.05  # a difference counts if chance explains it with a smaller probability, after the correction


@dataclass(frozen=True)
class ClassRemoved:
    """One class with and without a filter: `right.first` is with all filters, `right.second` without this one.

    `chance`: that of `right`, corrected for the number of classes.
    """

    name: str
    right: Paired
    chance: float

    @property
    def within_chance(self) -> bool:
        return self.chance >= SURE


@dataclass(frozen=True)
class FilterRemoved:
    """The network with and without one filter, in pictures: `right.first` is with all filters.

    `classes`: those that have pictures.
    """

    filter: int
    right: Paired
    classes: tuple[ClassRemoved, ...]

    @classmethod
    def of(
        cls, number: int, counts: Sequence[int], by_class: Iterable[tuple[str, int, int, int, int]]
    ) -> FilterRemoved:
        """`counts`: as the fields of Paired. `by_class`: (name, pictures, right before, lost, gained)."""
        named = [
            (name, Paired(before - lost, lost, gained, pictures - before - gained))
            for name, pictures, before, lost, gained in by_class
            if pictures
        ]
        chances = holm([right.chance for _, right in named])
        classes = (ClassRemoved(name, right, chance) for (name, right), chance in zip(named, chances, strict=True))
        return cls(number, Paired(*counts), tuple(classes))

    @property
    def worst(self) -> ClassRemoved | None:
        """The class whose accuracy changes most; of equal ones that which loses. None if none changes."""
        changed = [each for each in self.classes if each.right.difference]
        return max(changed, key=lambda each: (abs(each.right.difference), -each.right.difference), default=None)


@dataclass(frozen=True)
class LayerWithout:
    """A layer without each of its filters, in their order, on `pictures` pictures.

    `place`: the array whose channels were zero: that of the layer, or of the batch norm or activation that follows it.
    """

    layer: str
    place: str
    pictures: int
    filters: tuple[FilterRemoved, ...]

    @cached_property
    def ranked(self) -> tuple[FilterRemoved, ...]:
        """The filter whose loss costs most accuracy first; of equal ones that which changes more pictures."""
        return tuple(
            sorted(
                self.filters,
                key=lambda each: (each.right.difference, -each.right.only_first - each.right.only_second, each.filter),
            )
        )

    @cached_property
    def chances(self) -> tuple[float, ...]:
        """For each filter, the probability of its difference by chance, corrected for the number of filters."""
        return tuple(holm([each.right.chance for each in self.filters]))

    def within_chance(self, number: int) -> bool:
        return self.chances[number] >= SURE

    def as_json(self) -> dict[str, Any]:
        """The filters by rank."""
        whole = self.filters[0].right
        return {
            "layer": self.layer,
            "zeroed_after": self.place,
            "pictures": self.pictures,
            "accuracy": whole.first,
            "interval": list(whole.first_interval),
            "chance_source": f"{TEST}, corrected by {CORRECTION}",
            "classes": [
                {"name": each.name, "pictures": each.right.pictures, "accuracy": each.right.first}
                for each in self.filters[0].classes
            ],
            "filters": [self._filter(each) for each in self.ranked],
        }

    def _filter(self, each: FilterRemoved) -> dict[str, Any]:
        right = each.right
        return {
            "filter": each.filter,
            "accuracy": right.second,
            "difference": right.difference,
            "difference_interval": list(right.difference_interval),
            "only_with": right.only_first,
            "only_without": right.only_second,
            "chance": self.chances[each.filter],
            "within_chance": self.within_chance(each.filter),
            "classes": [
                {
                    "name": one.name,
                    "accuracy": one.right.second,
                    "chance": one.chance,
                    "within_chance": one.within_chance,
                }
                for one in each.classes
            ],
        }


@dataclass(frozen=True)
class Without:
    """Layers without each of their filters.

    * name: what the output calls the pictures; `side`: "test" or "validation", if the model kept them, else ""
    * pictures: how many there are; a layer at which the work ended early has fewer
    * wanted: how many layers were wanted
    * seen: how many pictures the training has seen; None if unknown
    * unusable: (path, reason)
    """

    name: str
    side: str
    pictures: int
    classes: tuple[str, ...]
    layers: tuple[LayerWithout, ...]
    wanted: int
    seen: int | None
    unusable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    several: bool = False

    @property
    def complete(self) -> bool:
        """Whether every wanted layer was measured on every picture."""
        return len(self.layers) == self.wanted and all(each.pictures == self.pictures for each in self.layers)

    def as_json(self) -> dict[str, Any]:
        return {
            "on": self.name,
            "side": self.side,
            "pictures": self.pictures,
            "seen": self.seen,
            "classes": list(self.classes),
            "several": self.several,
            "complete": self.complete,
            "layers": [each.as_json() for each in self.layers],
            "unusable": [{"picture": path, "reason": reason} for path, reason in self.unusable],
            "notes": list(self.notes),
        }


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, in their order."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected, largest = [0.0] * len(chances), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[at]))
        corrected[at] = largest
    return corrected
