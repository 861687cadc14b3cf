"""The result of comparing two models on many pictures. Classes by number, among those that both models know."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from pellucid.debugging.paired import Paired
from pellucid.files import finite


@dataclass(frozen=True)
class Compared:
    """One picture in both models.

    * labels: its classes, by number; None if unknown
    * first, second: the classes that each model answers, ascending; one, unless pictures may have several labels
    * shift: the largest change of a class's probability, the second's minus the first's; `of` is that class
    """

    picture: str
    labels: tuple[int, ...] | None
    first: tuple[int, ...]
    second: tuple[int, ...]
    first_probabilities: tuple[float, ...]
    second_probabilities: tuple[float, ...]

    @property
    def changed(self) -> bool:
        return self.first != self.second

    @property
    def of(self) -> int:
        pairs = zip(self.first_probabilities, self.second_probabilities, strict=True)
        changes = [abs(second - first) for first, second in pairs]
        return max(range(len(changes)), key=changes.__getitem__)

    @property
    def shift(self) -> float:
        return self.second_probabilities[self.of] - self.first_probabilities[self.of]


@dataclass(frozen=True)
class ClassCompared:
    """One class in both models.

    * pictures: those with this label; without labels, those that the first model calls so
    * agree: how many of them get the same answer from both
    * first, second: how many of them each model calls so; None without labels
    """

    name: str
    pictures: int
    agree: int
    first: int | None
    second: int | None


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pictures.

    * classes: those that are compared; `only_first` and `only_second` know further ones, which are left out
    * labelled: who is right about the pictures with labels; None without labels
    * unseen: the same without the pictures that either model has seen; None if that is everything or nothing
    * seen_by_first, seen_by_second: how many each was trained on or chosen by; None if unknown
    * unusable: (path, reason)
    """

    first: str
    second: str
    name: str
    classes: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    pictures: tuple[Compared, ...]
    labelled: Paired | None
    unseen: Paired | None
    seen_by_first: int | None
    seen_by_second: int | None
    unusable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    several: bool = False

    @cached_property
    def changed(self) -> tuple[Compared, ...]:
        """The pictures with another answer, the largest change of a probability first."""
        return tuple(sorted((each for each in self.pictures if each.changed), key=lambda each: -abs(each.shift)))

    @property
    def agreement(self) -> float:
        """The fraction of pictures with the same answer."""
        return 1 - len(self.changed) / len(self.pictures)

    @property
    def largest(self) -> Compared:
        """The picture with the largest change of a probability."""
        return max(self.pictures, key=lambda each: abs(each.shift))

    @cached_property
    def by_class(self) -> tuple[ClassCompared, ...]:
        rows = []
        labelled = self.labelled is not None
        for number, name in enumerate(self.classes):
            own = [each for each in self.pictures if number in ((each.labels or ()) if labelled else each.first)]
            first = sum(number in each.first for each in own) if labelled else None
            second = sum(number in each.second for each in own) if labelled else None
            rows.append(ClassCompared(name, len(own), sum(not each.changed for each in own), first, second))
        return tuple(rows)

    @property
    def moved(self) -> list[tuple[tuple[int, ...], tuple[int, ...], int]]:
        """(the first's answer, the second's, how many pictures), the most frequent first."""
        counts = Counter((each.first, each.second) for each in self.changed)
        return [(first, second, count) for (first, second), count in counts.most_common()]

    def names(self, classes: tuple[int, ...]) -> list[str]:
        """The names of classes."""
        return [self.classes[number] for number in classes]

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON; of the pictures those whose answer changed."""
        return {
            "first": self.first,
            "second": self.second,
            "on": self.name,
            "pictures": len(self.pictures),
            "classes": list(self.classes),
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "right": None if self.labelled is None else self.labelled.as_json(),
            "unseen": None if self.unseen is None else self.unseen.as_json(),
            "seen_by_first": self.seen_by_first,
            "seen_by_second": self.seen_by_second,
            "changed": len(self.changed),
            "agreement": self.agreement,
            "by_class": [asdict(each) for each in self.by_class],
            "largest_change": self.described(self.largest),
            "changes": [self.described(each) for each in self.changed],
            "unusable": [{"picture": path, "reason": reason} for path, reason in self.unusable],
            "notes": list(self.notes),
        }

    def described(self, each: Compared) -> dict[str, Any]:
        """One picture with names in place of numbers, for JSON."""
        return {
            "picture": each.picture,
            "labels": None if each.labels is None else self.names(each.labels),
            "first": self.names(each.first),
            "second": self.names(each.second),
            "changed": each.changed,
            "of": self.classes[each.of],
            "first_probability": finite(each.first_probabilities[each.of]),
            "second_probability": finite(each.second_probabilities[each.of]),
            "change": finite(each.shift),
        }
