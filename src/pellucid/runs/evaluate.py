"""A saved model judged on labelled pictures: those that it kept for that, or a folder or a table that it may know."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import store as artefact
from pellucid.classifier.caveats import knew
from pellucid.classifier.classifier import Classifier
from pellucid.errors import CatalogError, none_usable
from pellucid.network import scores
from pellucid.pictures import table
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.joined import joined
from pellucid.pictures.sides import LONG, REPORTED
from pellucid.pictures.tabular import NAMES, USUAL, Columns
from pellucid.runs.evaluation import Answer, Evaluation, LabelsAnswer
from pellucid.runs.events import Evaluating
from pellucid.runs.looking import Looked, looking
from pellucid.runs.made_from import Memory, evaluated_on, memory
from pellucid.texts import LABELS_BETWEEN, alike, composed
from pellucid.training import evaluate as evaluation
from pellucid.training import several, targets
from pellucid.training.evaluate import Metrics
from pellucid.training.targets import Fitted


def evaluating(
    model: str | Path, directory: str | Path | None = None, columns: Columns = USUAL, trust: bool = False
) -> Generator[Evaluating, None, Evaluation]:
    """See pellucid.evaluate; yields progress.

    Memory does not grow with the pictures, but for their logits and 400 bytes each.
    """
    classifier = artefact.load(Path(model), trust=trust)
    if directory is None:
        side, kept = evaluated_on(model)
        looked = list(kept)
        labelled = [(str(path), label) for path, label, reason in looked if reason is None]
        unusable = [(str(path), reason) for path, _, reason in looked if reason is not None]
        judged = yield from _judge(classifier, _Part(side, side, labelled, unusable), None)
        about = artefact.read_config(Path(model)).get("pretrained", {})
        if count := about.get("knew", {}).get(side):
            said = knew(count, about.get("knew_by", {}).get(side, ()), "the model that it started from")
            judged = replace(judged, untold=f"No figure to quote: {said}.")
        return judged
    known = memory(model)
    results = []
    many = classifier.thresholds is not None
    named = replace(_columns(model, columns), several=many)
    catalog = table.read(Path(directory), named, known=classifier.classes)
    if catalog.table is None and columns.chosen:
        name = next(iter(columns.chosen.values()))
        raise CatalogError(f"{directory} is not a table and has no column {name!r}; its class folders are the labels.")
    if many:
        catalog = joined(catalog)
    notes = _notes(catalog, classifier.classes)
    for part in _parts(catalog, Path(directory), classifier.classes):
        results.append((yield from _judge(classifier, part, known)))
    if len(results) == 1 and results[0].side is None:
        return replace(results[0], notes=notes)
    unusable = [bad for result in results for bad in result.unusable]
    return replace(results[0], unusable=tuple(unusable), sides=tuple(results), notes=notes)


def _columns(model: str | Path, columns: Columns) -> Columns:
    """The same, with the names in the model's recipe as likely ones."""
    recipe = artefact.read_config(Path(model)).get("recipe") or {}
    likely = ((role, name) for role in NAMES if (name := recipe.get(f"{role}_column")) is not None)
    return replace(columns, likely=tuple(likely))


class _Part(NamedTuple):
    """Pictures that are judged together: their name, their side, (path, class) and (path, reason) of each."""

    name: str
    side: str | None
    labelled: list[tuple[str, str]]
    unusable: list[tuple[str, str]]


def _notes(catalog: Catalog, classes: tuple[str, ...]) -> tuple[str, ...]:
    left_out = [f"left out: {catalog.root / folder.path} ({folder.reason})" for folder in catalog.left_out]
    near = [f"class names that differ only by case or spaces: {', '.join(map(repr, each))}" for each in alike(classes)]
    again = [f"listed more than once: {catalog.repeated:,} rows of the table"] if catalog.repeated else []
    return (*left_out, *near, *again)


def _parts(catalog: Catalog, directory: Path, classes: tuple[str, ...]) -> list[_Part]:
    """The pictures of a folder, or of each side of one that is split, test first. Raises CatalogError."""
    names = {composed(name): name for name in reversed(classes)}
    unknown = [name for name in catalog.classes if name not in names]
    if unknown:
        known = ", ".join(classes[:10]) + (f" and {len(classes) - 10:,} more" if len(classes) > 10 else "")
        near = alike([unknown[0], *classes])
        do = "Rename the folder to" if catalog.table is None else "Write"
        hint = f" {do} {near[0][1]!r} if that is meant." if near and near[0][0] == unknown[0] else ""
        what = f"has a class {unknown[0]!r} that the model does not know; it knows {known}"
        raise CatalogError(f"{directory} {what}.{hint}")
    refused = [(str(catalog.root / q.path), q.reason) for q in catalog.quarantine]
    of_side: dict[str | None, list[tuple[str, str]]] = {}
    for picture in catalog.pictures:
        own = (names[name] for name in catalog.classes_of(picture).split("\0") if name)
        labelled = str(catalog.root / picture.path), LABELS_BETWEEN.join(own)
        of_side.setdefault(picture.side, []).append(labelled)
    if of_side.keys() <= {None}:
        return [_Part(str(directory), None, of_side.get(None, []), refused)]
    parts = [
        _Part(f"{directory} ({LONG[side]})", LONG[side], of_side[side], []) for side in REPORTED if side in of_side
    ]
    return [parts[0]._replace(unusable=refused), *parts[1:]]


def _judge(classifier: Classifier, part: _Part, known: Memory | None) -> Generator[Evaluating, None, Evaluation]:
    """known: what the model has seen; None for its own pictures, which were kept apart."""
    unusable, paths, labels, logits, digests = list(part.unusable), [], [], [], []
    coarse: list[NDArray[np.uint8]] = []
    looked: deque[Looked] = deque()
    sources = [path for path, _ in part.labelled]
    answers = classifier.stream(sources if known is None else looking(classifier, sources, looked))
    for done, ((path, label), answer) in enumerate(zip(part.labelled, answers, strict=True)):
        yield Evaluating(part.name, done, len(part.labelled))
        seen = looked.popleft() if known is not None else None
        if answer.error is not None:
            unusable.append((path, answer.error))
            continue
        paths.append(path)
        labels.append(targets.read(label, classifier.classes, classifier.thresholds is not None))
        logits.append(answer.logits)
        if seen is not None:
            digests.append(seen.digest)
            coarse.append(seen.coarse)
    if not labels and unusable:
        path, reason = unusable[0]
        raise CatalogError(none_usable(len(unusable), path, reason, f" ({part.name})"))
    outputs, truth = np.array(logits, np.float32).reshape(-1, len(classifier.classes)), np.array(labels)
    fitted = Fitted(classifier.temperature, classifier.thresholds)

    def measured(rows: NDArray[np.bool_]) -> Metrics | None:
        if not rows.any():
            return None
        return targets.measure(part.name, outputs[rows], truth[rows], classifier.classes, fitted)

    metrics = targets.measure(part.name, outputs, truth, classifier.classes, fitted)
    answered = () if metrics.several else _answers(paths, outputs, truth, classifier.temperature)
    labelled = _labelled(paths, outputs, truth, fitted) if metrics.several else ()
    if known is None:
        own = Evaluation(metrics, tuple(unusable), answered, part.side, kept=True, labelled=labelled)
        return replace(own, without_trained_on=metrics, unseen=metrics if part.side == "test" else None)
    recognised = known.recognise(paths, digests, np.stack(coarse))
    trained = tuple(each for each in recognised if each.side == "train")
    chosen = tuple(each for each in recognised if each.side == "validation")
    fresh = ~np.isin(paths, [each.picture for each in trained])
    unseen = fresh & ~np.isin(paths, [each.picture for each in chosen])
    return Evaluation(
        metrics,
        tuple(unusable),
        answered,
        part.side,
        trained,
        chosen,
        known.untold,
        measured(fresh),
        measured(unseen),
        labelled=labelled,
    )


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
        LabelsAnswer(path, tuple(np.flatnonzero(has).tolist()), tuple(np.flatnonzero(said).tolist()), own)
        for path, has, said, own in rows
    )
