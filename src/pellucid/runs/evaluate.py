"""Judge a saved model on labelled pictures: those kept for that, or a folder or table that it may have seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.errors import CatalogError, none_usable
from pellucid.network import scores
from pellucid.pictures import table
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.joined import joined
from pellucid.pictures.order import for_reading
from pellucid.pictures.places import place
from pellucid.pictures.sides import LONG, REPORTED
from pellucid.pictures.tabular import NAMES, USUAL, Columns
from pellucid.runs.evaluation import Answer, Evaluation, LabelsAnswer
from pellucid.runs.events import Evaluating
from pellucid.runs.looking import Looked, looking
from pellucid.runs.made_from import Memory, evaluated_on, known_before, memory
from pellucid.texts import LABELS_BETWEEN, alike, composed, listed
from pellucid.training import evaluate as evaluation
from pellucid.training import several, targets
from pellucid.training.evaluate import Metrics
from pellucid.training.targets import Fitted

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


def evaluating(
    model: str | Path, directory: str | Place | None = None, columns: Columns = USUAL, trust: bool = False
) -> Generator[Evaluating, None, Evaluation]:
    """See pellucid.evaluate; yields progress.

    Memory does not grow with the pictures, except for their logits and 400 bytes each.
    """
    classifier = artefact.load(Path(model), trust=trust)
    if directory is None:
        return (yield from _on_held_out(Path(model), classifier))
    return (yield from _on_folder(Path(model), classifier, place(directory), columns))


def labelled_pictures(directory: Place, classes: tuple[str, ...], several: bool) -> list[tuple[str, str]]:
    """(path, class) of the pictures in a folder or table of any sides. Raises CatalogError.

    `several`: whether a picture may have several labels; its labels are then separated as in split.csv.
    """
    catalog = table.read(directory, replace(USUAL, several=several), known=classes)
    parts = _parts(joined(catalog) if several else catalog, directory, classes)
    return [pair for part in parts for pair in part.labelled]


def _on_held_out(model: Path, classifier: Classifier) -> Generator[Evaluating, None, Evaluation]:
    """On the pictures that the model's reported figure was measured on."""
    side, held_out = evaluated_on(model)
    looked = list(held_out)
    labelled = [(str(path), label) for path, label, reason in looked if reason is None]
    unusable = [(str(path), reason) for path, _, reason in looked if reason is not None]
    judged = yield from _judge(classifier, _PictureSet(side, side, labelled, unusable), None)
    caveat = known_before(model, side)
    return judged if caveat is None else replace(judged, untold=caveat)


def _on_folder(
    model: Path, classifier: Classifier, directory: Place, columns: Columns
) -> Generator[Evaluating, None, Evaluation]:
    """On the pictures of a folder or a table, each side of a split one for itself."""
    known = memory(model)
    results = []
    many = classifier.thresholds is not None
    named = replace(_columns(model, columns), several=many)
    catalog = table.read(directory, named, known=classifier.classes)
    if catalog.table is None and columns.chosen:
        name = next(iter(columns.chosen.values()))
        raise CatalogError(f"{directory} is not a table and has no column {name!r}; its class folders are the labels.")
    if many:
        catalog = joined(catalog)
    notes = _notes(catalog, classifier.classes)
    for part in _parts(catalog, directory, classifier.classes):
        results.append((yield from _judge(classifier, part, known)))
    if len(results) == 1 and results[0].side is None:
        return replace(results[0], notes=notes)
    unusable = [bad for result in results for bad in result.unusable]
    return replace(results[0], unusable=tuple(unusable), sides=tuple(results), notes=notes)


def _columns(model: Path, columns: Columns) -> Columns:
    """The columns, with the names in the model's recipe as likely ones."""
    recipe = artefact.read_config(model).get("recipe") or {}
    likely = ((role, name) for role in NAMES if (name := recipe.get(f"{role}_column")) is not None)
    return replace(columns, likely=tuple(likely))


class _PictureSet(NamedTuple):
    """Pictures to judge together: their name, their side, (path, class) and (path, reason) of each."""

    name: str
    side: str | None
    labelled: list[tuple[str, str]]
    unusable: list[tuple[str, str]]


def _notes(catalog: Catalog, classes: tuple[str, ...]) -> tuple[str, ...]:
    left_out = [f"left out: {catalog.root / folder.path} ({folder.reason})" for folder in catalog.left_out]
    near = [f"class names that differ only by case or spaces: {', '.join(map(repr, each))}" for each in alike(classes)]
    again = [f"listed more than once: {catalog.repeated:,} rows of the table"] if catalog.repeated else []
    return (*left_out, *near, *again)


def _parts(catalog: Catalog, directory: Place, classes: tuple[str, ...]) -> list[_PictureSet]:
    """The pictures of a folder, or of each side of one that is split, test first. Raises CatalogError."""
    names = {composed(name): name for name in reversed(classes)}
    unknown = [name for name in catalog.classes if name not in names]
    if unknown:
        near = alike([unknown[0], *classes])
        do = "Rename the folder to" if catalog.table is None else "Write"
        hint = f" {do} {near[0][1]!r} if that is meant." if near and near[0][0] == unknown[0] else ""
        what = f"has a class {unknown[0]!r} that the model does not know; it knows {listed(classes, 10)}"
        raise CatalogError(f"{directory} {what}.{hint}")
    refused = [(str(catalog.picture_at(q.path)), q.reason) for q in catalog.quarantine]
    of_side: dict[str | None, list[tuple[str, str]]] = {}
    for picture in for_reading(catalog.root, catalog.pictures):
        own = (names[name] for name in catalog.classes_of(picture).split("\0") if name)
        labelled = str(catalog.picture_at(picture.path)), LABELS_BETWEEN.join(own)
        of_side.setdefault(picture.side, []).append(labelled)
    if of_side.keys() <= {None}:
        return [_PictureSet(str(directory), None, of_side.get(None, []), refused)]
    parts = [
        _PictureSet(f"{directory} ({LONG[side]})", LONG[side], of_side[side], [])
        for side in REPORTED
        if side in of_side
    ]
    return [parts[0]._replace(unusable=refused), *parts[1:]]


class _Classified(NamedTuple):
    """The pictures of a set that could be used, N of them, and (path, reason) of the others.

    logits (N, classes); labels (N,), or (N, classes) with several labels; `seen`: the descriptions that the model's
    memory compares, one for each picture, or none if no memory is used.
    """

    paths: list[str]
    logits: NDArray[np.float32]
    labels: NDArray[Any]
    seen: list[Looked]
    unusable: list[tuple[str, str]]


def _judge(classifier: Classifier, part: _PictureSet, known: Memory | None) -> Generator[Evaluating, None, Evaluation]:
    """known: the pictures that the model has seen; None for its own pictures, which were kept apart."""
    done = yield from _classify(classifier, part, known is not None)
    fitted = Fitted(classifier.temperature, classifier.thresholds)

    def measured(rows: Any) -> Metrics:
        return targets.measure(part.name, done.logits[rows], done.labels[rows], classifier.classes, fitted)

    metrics = measured(slice(None))
    answered = () if metrics.several else _answers(done.paths, done.logits, done.labels, classifier.temperature)
    labelled = _labelled(done.paths, done.logits, done.labels, fitted) if metrics.several else ()
    judged = Evaluation(metrics, tuple(done.unusable), answered, part.side, labelled=labelled)
    if known is None:
        return replace(
            judged, held_out=True, without_trained_on=metrics, unseen=metrics if part.side == "test" else None
        )
    recognised = known.recognise(
        done.paths, [each.digest for each in done.seen], np.stack([each.coarse for each in done.seen])
    )
    trained = tuple(each for each in recognised if each.side == "train")
    chosen = tuple(each for each in recognised if each.side == "validation")
    fresh = ~np.isin(done.paths, [each.picture for each in trained])
    unseen = fresh & ~np.isin(done.paths, [each.picture for each in chosen])
    return replace(
        judged,
        trained_on=trained,
        chosen_on=chosen,
        untold=known.untold,
        without_trained_on=measured(fresh) if fresh.any() else None,
        unseen=measured(unseen) if unseen.any() else None,
    )


def _classify(classifier: Classifier, part: _PictureSet, remembering: bool) -> Generator[Evaluating, None, _Classified]:
    """Raises CatalogError where no picture can be used."""
    unusable, paths, labels, logits = list(part.unusable), [], [], []
    seen: list[Looked] = []
    looked: deque[Looked] = deque()
    sources = [path for path, _ in part.labelled]
    answers = classifier.stream(looking(classifier, sources, looked) if remembering else sources)
    for done, ((path, label), answer) in enumerate(zip(part.labelled, answers, strict=True)):
        yield Evaluating(part.name, done, len(part.labelled))
        look = looked.popleft() if remembering else None
        if answer.error is not None:
            unusable.append((path, answer.error))
            continue
        paths.append(path)
        labels.append(targets.read(label, classifier.classes, classifier.thresholds is not None))
        logits.append(answer.logits)
        if look is not None:
            seen.append(look)
    if not labels and unusable:
        path, reason = unusable[0]
        raise CatalogError(none_usable(len(unusable), path, reason, f" ({part.name})"))
    outputs = np.array(logits, np.float32).reshape(-1, len(classifier.classes))
    return _Classified(paths, outputs, np.array(labels), seen, unusable)


def _answers(
    paths: list[str], logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> tuple[Answer, ...]:
    p, predicted = evaluation.probabilities(logits, temperature), logits.argmax(axis=1)
    rows = np.arange(len(labels))
    columns = labels.tolist(), predicted.tolist(), p[rows, labels].tolist(), p[rows, predicted].tolist()
    return tuple(Answer(*each) for each in zip(paths, *columns, strict=True))


def _labelled(
    paths: list[str], logits: NDArray[np.float32], labels: NDArray[np.bool_], fitted: Fitted
) -> tuple[LabelsAnswer, ...]:
    p = several.probabilities(logits, fitted.temperature)
    called = scores.called(p, fitted.thresholds)
    rows = zip(paths, labels, called, p, strict=True)
    return tuple(
        LabelsAnswer(path, tuple(np.flatnonzero(has).tolist()), tuple(np.flatnonzero(predicted).tolist()), own)
        for path, has, predicted, own in rows
    )
