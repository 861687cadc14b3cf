"""Compare two models on many pictures: who is right how often, which answers change, and by how much."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.predictor import Predictor
from pellucid.debugging import pictures as sources
from pellucid.debugging.comparison import Compared, Comparison
from pellucid.debugging.paired import Paired, paired
from pellucid.debugging.pictures import Pictures
from pellucid.debugging.variant import Variant
from pellucid.errors import CatalogError, RecipeError, none_usable
from pellucid.network import scores
from pellucid.runs.looking import Looked, looking
from pellucid.runs.made_from import Memory, memory
from pellucid.texts import LABELS_BETWEEN, listed

LEAST = 2  # classes to compare on


@dataclass(frozen=True)
class _Common:
    """The classes that both models know, and their places in the outputs of each."""

    classes: tuple[str, ...]
    first: list[int]
    second: list[int]


def comparing(
    first: Variant, second: Variant, pictures: Sequence[str | Path] = ()
) -> Generator[tuple[int, int], None, Comparison]:
    """Yields how many pictures are done, and of how many.

    `pictures`: see pictures.chosen; by default those that the first model kept for its figure.

    Models whose classes differ are compared on those that both know: each answers with the most probable of these, its
    probabilities are scaled to sum to 1 over them, and pictures of other classes are left out. Raises RecipeError if
    fewer than two are common, or if only one model gives several labels, CatalogError if there is no usable picture,
    and ArtefactError.
    """
    several = _several(first, second)
    common = _common(first, second)
    every = tuple(dict.fromkeys([*first.predictor.classes, *second.predictor.classes]))
    chosen = sources.chosen(first.folder, pictures, every, several)
    notes = [*first.notes, *second.notes, *chosen.notes]
    rows = [(path, _targets(label, common.classes)) for path, label in chosen.labelled]
    shared = rows if several else [(path, target) for path, target in rows if target != ()]
    if len(shared) < len(rows):
        notes.append(f"{len(rows) - len(shared):,} pictures of classes that only one model knows are left out.")
    if not shared:
        raise CatalogError(f"There is no picture of a class that both models know in {chosen.name}.")
    answered = yield from _answered(first, second, [path for path, _ in shared], chosen)
    compared = _compared(first, second, common, shared, answered)
    known = [each for each in compared if each.labels is not None]
    seen = _seen(first, second, chosen, [each.picture for each in known])
    fresh = [each for each, row in zip(known, seen.either.tolist(), strict=True) if not row]
    if known and len(known) < len(compared):
        notes.append(f"The labels of {len(compared) - len(known):,} pictures are unknown.")
    return Comparison(
        first.name,
        second.name,
        chosen.name,
        common.classes,
        tuple(name for name in first.predictor.classes if name not in common.classes),
        tuple(name for name in second.predictor.classes if name not in common.classes),
        compared,
        _paired(known),
        _paired(fresh) if len(fresh) < len(known) else None,
        seen.first,
        seen.second,
        answered.unusable,
        (*notes, *seen.notes),
        several,
    )


@dataclass(frozen=True)
class _Answered:
    """The usable pictures by their rows, the logits of both models for each, and (path, reason) of the unusable."""

    rows: list[int]
    first: list[tuple[float, ...]]
    second: list[tuple[float, ...]]
    unusable: tuple[tuple[str, str], ...]


def _answered(
    first: Variant, second: Variant, paths: list[str], chosen: Pictures
) -> Generator[tuple[int, int], None, _Answered]:
    """Raises CatalogError if no picture can be used."""
    unusable = list(chosen.unusable)
    answered = _Answered([], [], [], ())
    answers = zip(first.predictor.stream(paths), second.predictor.stream(paths), strict=True)
    for row, (one, other) in enumerate(answers):
        yield row, len(paths)
        if (reason := one.error or other.error) is not None:
            unusable.append((paths[row], reason))
            continue
        assert one.logits is not None
        assert other.logits is not None
        answered.rows.append(row)
        answered.first.append(one.logits)
        answered.second.append(other.logits)
    if not answered.rows:
        raise CatalogError(none_usable(len(unusable), *unusable[0], f" ({chosen.name})"))
    return replace(answered, unusable=tuple(unusable))


def _compared(
    first: Variant,
    second: Variant,
    common: _Common,
    rows: list[tuple[str, tuple[int, ...] | None]],
    answered: _Answered,
) -> tuple[Compared, ...]:
    one, one_called = _called(first.predictor, answered.first, common.first)
    other, other_called = _called(second.predictor, answered.second, common.second)
    return tuple(
        Compared(
            *rows[row],
            tuple(np.flatnonzero(one_called[at]).tolist()),
            tuple(np.flatnonzero(other_called[at]).tolist()),
            tuple(one[at].tolist()),
            tuple(other[at].tolist()),
        )
        for at, row in enumerate(answered.rows)
    )


def _several(first: Variant, second: Variant) -> bool:
    one, other = (side.predictor.thresholds is not None for side in (first, second))
    if one != other:
        names = (first.name, second.name) if one else (second.name, first.name)
        raise RecipeError(f"{names[0]} gives a picture several labels, and {names[1]} one class; they do not compare.")
    return one


def _common(first: Variant, second: Variant) -> _Common:
    one, other = first.predictor.classes, second.predictor.classes
    classes = tuple(name for name in one if name in other)
    if len(classes) < min(LEAST, len(one), len(other)) or not classes:
        which = f"only {classes[0]!r}" if classes else "no class"
        raise RecipeError(
            f"The models have {which} in common, so they do not compare: {first.name} knows {listed(one, 10)}; "
            f"{second.name} knows {listed(other, 10)}."
        )
    return _Common(classes, [one.index(name) for name in classes], [other.index(name) for name in classes])


def _targets(label: str | None, classes: tuple[str, ...]) -> tuple[int, ...] | None:
    """The numbers of a picture's labels; None if they are unknown, () if it has none of these classes."""
    if label is None:
        return None
    return tuple(sorted(classes.index(name) for name in label.split(LABELS_BETWEEN) if name in classes))


def _called(
    predictor: Predictor, logits: list[tuple[float, ...]], places: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(probabilities, answers) for the common classes, both (n, classes); of one label they sum to 1 over these."""
    several = predictor.thresholds is not None
    p = scores.probabilities(np.array(logits, np.float64)[:, places], predictor.temperature, several)
    thresholds = None if predictor.thresholds is None else tuple(predictor.thresholds[place] for place in places)
    return p, scores.called(p, thresholds)


def _paired(pictures: Sequence[Compared]) -> Paired | None:
    if not pictures:
        return None
    first = np.array([each.first == each.labels for each in pictures])
    return paired(first, np.array([each.second == each.labels for each in pictures]))


@dataclass(frozen=True)
class _Seen:
    """How many of the labelled pictures each model has seen, None if unknown; and which of them either has."""

    first: int | None
    second: int | None
    either: NDArray[np.bool_]
    notes: tuple[str, ...] = ()


def _seen(first: Variant, second: Variant, chosen: Pictures, paths: list[str]) -> _Seen:
    """A model's own kept pictures are new to it, but its start or the other model may have been trained on them."""
    either = np.zeros(len(paths), bool)
    if not paths:
        return _Seen(None, None, either)
    counts: list[int | None] = []
    notes: list[str] = []
    looked: list[Looked] | None = None
    memories: dict[Path, Memory] = {}
    for side in (first, second):
        own = chosen.own and side.folder == first.folder
        if side.folder is None:
            counts.append(None)
            notes.append(f"{side.name} is an exported file: it is unknown which of these pictures it has seen.")
            continue
        if side.folder not in memories:
            memories[side.folder] = _memory(side.folder)
        # it kept these apart, but the model that its training started from may have seen some
        known = memories[side.folder].started if own else memories[side.folder]
        if known is None:
            counts.append(0)
            continue
        if known.untold is not None:
            notes.append(known.untold)
        looked = _looked(first.predictor, paths) if looked is None else looked
        recognised = known.recognise(
            paths, [each.digest for each in looked], np.stack([each.coarse for each in looked])
        )
        counts.append(len(recognised) if known.digests or known.untold is None else None)
        either |= np.isin(paths, [each.picture for each in recognised])
    return _Seen(counts[0], counts[1], either, tuple(dict.fromkeys(notes)))


def _memory(folder: Path) -> Memory:
    from pellucid.classifier import store

    if (folder / store.CONFIG).is_file():
        return memory(folder)
    return Memory({}, {}, f"{folder} is unfinished: it is unknown which of these pictures its training has seen.")


def _looked(predictor: Predictor, paths: list[str]) -> list[Looked]:
    looked: deque[Looked] = deque()
    for _ in looking(predictor, paths, looked):
        pass
    return list(looked)
