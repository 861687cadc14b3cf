"""Folder names that mean a side of a split: train, Training, TEST, val_set, train_images, fruits-test, holdout, …

A name is read as words. One names the side; words such as "set" and "images" carry no meaning; the rest (the "fruits"
of fruits-test) must be the same in all the names that belong together.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

TRAIN, VAL, TEST = "train", "val", "test"
LONG = {TRAIN: "train", VAL: "validation", TEST: "test"}
"""A side's name in the catalog and in split.csv -> its name in metrics.json, in config.json and in the Python verbs."""
SHORT = {long: short for short, long in LONG.items()}
SPOKEN = {**LONG, TRAIN: "training"}
"""A side's name in the catalog and in split.csv -> its name in a sentence."""
REPORTED = (TEST, VAL, TRAIN)
"""The first of these sides that exists gives the reported figure."""
_EVAL = "eval"  # the test side, or the validation side if a test side is beside it
_SIDE_WORDS = {
    TRAIN: "train training trn trainval",
    VAL: "val valid validation validate validating dev devel development",
    TEST: "test tests testing tst devtest holdout heldout unseen",
    _EVAL: "eval evaluation evaluate evaluating",
}
_SIDES = {word: side for side, words in _SIDE_WORDS.items() for word in words.split()}
_PLAIN_WORDS = (
    "set sets data dataset datasets image images img imgs picture pictures pic pics photo photos sample samples split "
    "splits folder folders dir part parts subset file files raw small mini full all resized cropped"
)
_PLAIN = set(_PLAIN_WORDS.split())
_PAIRS = {(TRAIN, VAL): TRAIN, (VAL, TEST): TEST}  # train_val is trained on; test-dev and devtest are reported
_GLUED = re.compile(rf"({'|'.join(sorted(_SIDES, key=len, reverse=True))})({'|'.join(sorted(_PLAIN))})")


def read(name: str) -> tuple[str, tuple[str, ...]] | None:
    """("train", "val", "test" or "eval", the remaining words) of a folder's name; None if it names no side."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", name))
    words = re.sub(r"\b(hold|held) out\b", r"\1out", " ".join(parts).casefold()).split()
    words = [part for word in words for part in _unglued(word)]
    named = [_SIDES[word] for word in words if word in _SIDES]
    rest = tuple(word for word in words if word not in _SIDES and word not in _PLAIN)
    if len(named) == 1:
        return named[0], rest
    pair = _PAIRS.get((named[0], named[1])) or _PAIRS.get((named[1], named[0])) if len(named) == 2 else None
    return (pair, rest) if pair else None


def read_all(names: Collection[str]) -> dict[str, str] | None:
    """Folder -> "train", "val" or "test", if all `names` together are the sides of one split; else None.

    One side has to be train, and another has to be beside it.
    """
    readings = {name: read(name) for name in names}
    sides = {name: side[0] for name, side in readings.items() if side is not None}
    if len({side and side[1] for side in readings.values()}) != 1 or not _splits(sides.values()):
        return None
    evaluation = VAL if TEST in sides.values() else TEST
    return {name: evaluation if side == _EVAL else side for name, side in sides.items()}


def suspects(inside: Mapping[str, Collection[str]]) -> list[str]:
    """The folders that look like sides but were not recognised as such. `inside`: folder -> the names of its folders.

    * train and another side with something else beside them
    * only sides, but none to train on
    * a side that shares two or more folder names with its neighbour, whatever that is called
    """
    readings = {name: side for name in inside if (side := read(name)) is not None}
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, (_, rest) in readings.items():
        alike.setdefault(rest, []).append(name)
    split = [name for names in alike.values() if _splits(readings[name][0] for name in names) for name in names]
    if split:
        return split
    plain = alike.get((), [])
    if len(plain) > 1 and len(plain) == len(inside):
        return plain
    for name in plain:
        beside = [other for other in inside if other != name and len({*inside[name]} & {*inside[other]}) > 1]
        if beside:
            return [name, *beside]
    return []


def wraps(name: str) -> bool:
    """Whether a folder that is alone on a side may be passed through: train/train, train/images."""
    side = read(name)
    return side is not None or all(word in _PLAIN for word in re.findall(r"[a-z]+", name.casefold()))


def _unglued(word: str) -> tuple[str, ...]:
    """("test", "set") of testset."""
    parts = _GLUED.fullmatch(word)
    return parts.groups() if parts else (word,)


def _splits(sides: Iterable[str]) -> bool:
    present = set(sides)
    return TRAIN in present and len(present) > 1
