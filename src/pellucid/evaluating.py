"""A saved model judged on labelled pictures: those that it kept for that, or a folder or a table that it may know."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import matrix
from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predictor import Prepared, Source
from pellucid.errors import CatalogError, PictureError
from pellucid.kept import Memory, Seen, evaluated_on, memory
from pellucid.outcome import Evaluating
from pellucid.pictures import familiar, table, twins
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.cores import cores
from pellucid.pictures.decode import decode, read
from pellucid.pictures.joined import joined
from pellucid.pictures.tabular import NAMES, USUAL, Columns
from pellucid.texts import LABELS_BETWEEN, alike, composed
from pellucid.training import evaluate as evaluation
from pellucid.training import targets
from pellucid.training.evaluate import Metrics
from pellucid.training.targets import Fitted

SIDES = {"test": "test", "val": "validation", "train": "train"}
"""Of a folder that is split, in the order in which one of them is the figure: as the catalog and as people write it."""
AHEAD = 64  # pictures read before they are classified


@dataclass(frozen=True)
class Answer:
    """What one picture was taken for. Classes by number; the probabilities are calibrated."""

    picture: str
    """Its path."""
    label: int
    predicted: int
    label_probability: float
    predicted_probability: float


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a classifier on pictures, which of these it had seen, and those that could not be used.

    Of a folder that is split into train, val and test, everything is said of one side, of test where there is one, and
    `sides` has an Evaluation of each.
    """

    metrics: Metrics
    """On all of the pictures that could be used."""
    unusable: tuple[tuple[str, str], ...]  # path, reason
    answers: tuple[Answer, ...] = ()
    """Of each picture that could be used, in the order in which they were classified; none of several labels."""
    side: str | None = None
    """ "train", "validation" or "test": of the model's own pictures or of a split folder; None for a plain folder."""
    trained_on: tuple[Seen, ...] = ()
    """The pictures that the model learned from, the same files and copies of them."""
    chosen_on: tuple[Seen, ...] = ()
    """The pictures that were the model's validation, on which epoch and temperature were chosen."""
    untold: str | None = None
    """Why it cannot be told which pictures the model has seen, as a sentence; None where it can."""
    without_trained_on: Metrics | None = None
    """Without the pictures that were trained on; None where nothing is left."""
    unseen: Metrics | None = None
    """Without those that chose, too: the honest figure; None where nothing is left."""
    sides: tuple[Evaluation, ...] = ()
    kept: bool = False
    """Of the pictures that the model kept for its figure."""
    notes: tuple[str, ...] = ()
    """What else is to be known of the folder: what was left out of it, and classes whose names hardly differ."""

    @property
    def quotable(self) -> bool:
        """Whether `metrics.accuracy` may be quoted: of every class, on pictures that took no part in the model."""
        seen = self.trained_on or self.chosen_on or self.untold is not None
        return self.side in (None, "test") and not seen and not self.metrics.lacking

    @property
    def honest(self) -> Metrics | None:
        """The metrics to quote: of unseen pictures, where there are some of every class; None where there are not."""
        if self.side not in (None, "test") or self.untold is not None or self.unseen is None or self.unseen.lacking:
            return None
        return self.unseen

    def as_json(self) -> dict[str, Any]:
        """The metrics, what is known of the pictures, and `unusable` as a list of picture and reason."""
        content = {
            **_stored(self.metrics),
            "quotable": self.quotable,
            "trained_on": len(self.trained_on),
            "chosen_on": len(self.chosen_on),
            "untold": self.untold,
        }
        if self.trained_on or self.chosen_on:
            content["seen"] = [
                {
                    "picture": each.picture,
                    "side": each.side,
                    "of": each.of,
                    "same_file": each.same_file,
                    "model": each.model,
                }
                for each in (*self.trained_on, *self.chosen_on)
            ]
            content["without_trained_on"] = _stored(self.without_trained_on) if self.without_trained_on else None
            content["unseen"] = _stored(self.unseen) if self.unseen else None
        if self.sides:
            content["sides"] = {str(each.side): each.as_json() for each in self.sides}
        unusable = [{"picture": p, "reason": r} for p, r in self.unusable]
        return {**content, "unusable": unusable, "notes": list(self.notes)}


def evaluate(
    model: str | Path,
    directory: str | Path | None = None,
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    trust: bool = False,
) -> Evaluation:
    """How good a saved model is: on a labelled folder or table, or on the test pictures that it remembers.

    A table's column that is not named here is called as in the table that the model was trained on, or has its usual
    name.

    Which pictures of a folder the model has seen is told by their SHA-256 and by their likeness. The sides of a folder
    that is split into train, val and test are judged one by one. Raises ArtefactError where the model cannot be read,
    and CatalogError where there is nothing to evaluate or a class that the model does not know. `trust`: as for
    pellucid.load.
    """
    steps = evaluating(model, directory, Columns(path_column, label_column, split_column), trust)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def evaluating(
    model: str | Path, directory: str | Path | None = None, columns: Columns = USUAL, trust: bool = False
) -> Generator[Evaluating, None, Evaluation]:
    """The same, yielding progress. Memory does not grow with the pictures, but for their logits and 400 bytes each."""
    classifier = artefact.load(Path(model), trust=trust)
    if directory is None:
        side, kept = evaluated_on(model)
        looked = list(kept)
        labelled = [(str(path), label) for path, label, reason in looked if reason is None]
        unusable = [(str(path), reason) for path, _, reason in looked if reason is not None]
        judged = yield from _judge(classifier, _Part(side, side, labelled, unusable), None)
        if knew := artefact.read_config(Path(model)).get("pretrained", {}).get("knew", {}).get(side):
            said = f"No figure to quote: the model that it started from had seen {knew:,} of these pictures."
            judged = replace(judged, untold=said)
        return judged
    known = memory(model)
    results = []
    several = classifier.thresholds is not None
    named = replace(_columns(model, columns), several=several)
    catalog = table.read(Path(directory), named, known=classifier.classes)
    if catalog.table is None and columns.chosen:
        name = next(iter(columns.chosen.values()))
        raise CatalogError(f"{directory} is no table, and has no column {name!r}: its class folders say what is what.")
    if several:
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
        _Part(f"{directory} ({name})", name, of_side[short], []) for short, name in SIDES.items() if short in of_side
    ]
    return [parts[0]._replace(unusable=refused), *parts[1:]]


def _judge(classifier: Classifier, part: _Part, known: Memory | None) -> Generator[Evaluating, None, Evaluation]:
    """known: what the model has seen; None for its own pictures, which were kept apart."""
    unusable, paths, labels, logits, digests = list(part.unusable), [], [], [], []
    coarse: list[NDArray[np.uint8]] = []
    looked: deque[_Looked] = deque()
    sources = [path for path, _ in part.labelled]
    answers = classifier.stream(sources if known is None else _looking(classifier, sources, looked))
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
        raise CatalogError(
            f"None of the {len(unusable):,} pictures ({part.name}) can be used; the first is {path}: {reason}."
        )
    scores, truth = np.array(logits, np.float32).reshape(-1, len(classifier.classes)), np.array(labels)
    fitted = Fitted(classifier.temperature, classifier.thresholds)

    def measured(rows: NDArray[np.bool_]) -> Metrics | None:
        if not rows.any():
            return None
        return targets.measure(part.name, scores[rows], truth[rows], classifier.classes, fitted)

    metrics = targets.measure(part.name, scores, truth, classifier.classes, fitted)
    answered = () if metrics.several else _answers(paths, scores, truth, classifier.temperature)
    if known is None:
        own = Evaluation(metrics, tuple(unusable), answered, part.side, kept=True)
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
    )


class _Looked(NamedTuple):
    """A picture's SHA-256 and what it is recognised by."""

    digest: str
    coarse: NDArray[np.uint8]


def _looking(classifier: Classifier, paths: list[str], looked: deque[_Looked]) -> Iterator[Source]:
    """The pictures, read and decoded once by a few threads that run ahead, for the classifier; what is kept of each
    is appended to `looked`. One that cannot be used is handed on as its path, for the classifier to say why."""

    def look(path: str) -> tuple[Source, _Looked]:
        try:
            content = read(Path(path))
            image = decode(content, classifier.pixel_limit)
        except (PictureError, ValueError):
            return path, _Looked("", np.zeros(familiar.COARSE, np.uint8))
        description = familiar.coarse(twins.describe(image)[None])[0]
        return Prepared(classifier.form.apply(image), path), _Looked(hashlib.sha256(content).hexdigest(), description)

    with ThreadPoolExecutor(cores(), "looking") as pool:
        pending: deque[Future[tuple[Source, _Looked]]] = deque()
        rest = iter(paths)
        try:
            while True:
                for path in rest:
                    pending.append(pool.submit(look, path))
                    if len(pending) >= AHEAD:
                        break
                if not pending:
                    return
                source, seen = pending.popleft().result()
                looked.append(seen)
                yield source
        finally:
            pool.shutdown(cancel_futures=True)


def _answers(
    paths: list[str], logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> tuple[Answer, ...]:
    p, predicted = evaluation.probabilities(logits, temperature), logits.argmax(axis=1)
    rows = np.arange(len(labels))
    columns = labels.tolist(), predicted.tolist(), p[rows, labels].tolist(), p[rows, predicted].tolist()
    return tuple(Answer(*each) for each in zip(paths, *columns, strict=True))


def _stored(metrics: Metrics) -> dict[str, Any]:
    """As metrics.json has a side."""
    return {**metrics.as_json(), "confusion": matrix.stored(metrics.confusion)}
