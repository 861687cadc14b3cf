"""What stands between a collection and a figure that can be trusted, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.collecting.collection import Class
from pellucid.pictures.catalog import LEAST
from pellucid.texts import listed

FEW = 10  # pictures of a class
UNEQUAL = 2  # times as many pictures; from there on the training weights the classes
NAMED = 3


@dataclass(frozen=True)
class Advice:
    """`missing`: what the training needs. `warnings`: what makes its figure weak."""

    missing: tuple[str, ...]
    warnings: tuple[str, ...]


def advice(classes: Sequence[Class]) -> Advice:
    """The advice on these classes."""
    missing = [] if len(classes) >= 2 else [f"Two classes or more are needed; there {_are(len(classes))}."]
    short = [each for each in classes if len(each.pictures) < LEAST]
    missing += [f"{_named(short)} needs at least {LEAST} pictures."] if len(short) == 1 else []
    missing += [f"Each class needs at least {LEAST} pictures: {_named(short)} have fewer."] if len(short) > 1 else []
    if missing:
        return Advice(tuple(missing), ())
    return Advice((), (*_few(classes), *_unequal(classes), *_one_recording(classes)))


def _few(classes: Sequence[Class]) -> list[str]:
    few = [each for each in classes if len(each.pictures) < FEW]
    if not few:
        return []
    has = "has" if len(few) == 1 else "have"
    return [f"{_named(few)} {has} fewer than {FEW} pictures: the figure will be uncertain. Collect more."]


def _unequal(classes: Sequence[Class]) -> list[str]:
    most = max(classes, key=lambda each: len(each.pictures))
    least = min(classes, key=lambda each: len(each.pictures))
    if len(most.pictures) <= UNEQUAL * len(least.pictures):
        return []
    return [
        f"The classes differ in size: “{most.name}” has {len(most.pictures)} pictures, “{least.name}” "
        f"{len(least.pictures)}. Pictures of the small class will count more; collect more of them instead."
    ]


def _one_recording(classes: Sequence[Class]) -> list[str]:
    alone = [each for each in classes if each.parts == 1]
    if not alone:
        return []
    return [
        f"All pictures of {_named(alone)} come from one recording. They show nearly the same, so none of them is held "
        "back as a test. Record again a little later, with another hand, place or light."
    ]


def _named(classes: Sequence[Class]) -> str:
    return listed([f"“{each.name}”" for each in classes], NAMED)


def _are(count: int) -> str:
    return "is none" if count == 0 else "is one"
