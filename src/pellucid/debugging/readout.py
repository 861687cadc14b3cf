"""What each layer knows: after each, a linear readout (multinomial logistic regression) that names the classes.

The readouts are fitted to training pictures. Validation pictures choose the penalty. The figures are of test pictures,
which neither step has seen (Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes").
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.debugging.cut import Batched, run
from pellucid.debugging.features import Source, of_batch, sources
from pellucid.debugging.known import LayerKnows, Readout
from pellucid.debugging.labelled import Labelled, reading
from pellucid.debugging.pictures import Pictures, held_out
from pellucid.errors import ArtefactError, TraceError
from pellucid.glassbox.trace import frozen_copy
from pellucid.network import scores
from pellucid.runs import made_from
from pellucid.texts import listed
from pellucid.training.head import GRID, USUAL, LinearHead, Side, fit

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

FITTED, CHOSEN = 2000, 1000  # most pictures to fit to, and to choose the penalty by
PART = 5  # without validation pictures, one training picture in so many chooses the penalty
HELD = 800_000_000  # most bytes of features in memory; with more, the layers are read in groups
WEAKER = (*GRID, 3 * USUAL, 10 * USUAL)  # of C: what a late layer knows is nearly separable
NAMED = 5  # most classes in a sentence
INSTEAD = "the readouts need these pictures; train the model again where they are"
APART = "the readouts need some that it has not learned from; train it again with a part held back, as --test 0.15 does"
FIT = 10  # progress: a fit counts as one picture in so many

Pairs: TypeAlias = "list[tuple[Place, str]]"


class Readouts:
    """Fit a readout after each layer. Iterate over it, and read `result` at any time.

    It yields (done, total). The layers come in order; if the iteration ends early, the result has those that are done.
    """

    def __init__(self, classifier: Classifier, model: Path, layers: Sequence[str] | None = None) -> None:
        """`layers`: by default the pixels and all that compute something.

        Raises ArtefactError if the pictures of the training are gone, and TraceError if the network cannot be traced or
        there is no such layer.
        """
        self._classifier, self._model = classifier, model
        made_from.every(model, INSTEAD)  # its error names what helps here; no other pictures can be named
        self._test = held_out(model, APART)
        self._fitted, self._chosen, self._chosen_from = _sides(model, self._test.side)
        self._network = Batched(classifier, len(self._fitted))
        every = sources(self._network)
        names = [each.layer for each in every]
        for layer in layers or ():
            if layer not in names:
                raise frozen_copy.unknown(layer, names, "layer with numbers of its own")
        self._sources = every if layers is None else [each for each in every if each.layer in layers]
        self._sides: list[Labelled] = []
        self._layers: list[LayerKnows] = []
        self._correct = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Raises CatalogError if no picture of a side can be used, TraceError, and TrainingError."""
        several = self._classifier.thresholds is not None
        own = [
            Pictures(name, rows) for name, rows in zip(("training", self._chosen_from), self._learning(), strict=True)
        ]
        for pictures in (*own, self._test):
            self._sides.append((yield from self._read(pictures)))
        count = sum(len(side.paths) for side in self._sides)
        groups = _groups(self._sources, count)
        each_fit = max(1, count // FIT)
        total, done = len(groups) * count + len(self._sources) * each_fit, 0
        for group in groups:
            features = []
            for side in self._sides:
                collecting = self._features(group, side)
                while True:
                    try:
                        step = next(collecting)
                    except StopIteration as end:
                        features.append(end.value)
                        break
                    done += step
                    yield done, total
            for number, source in enumerate(group):
                train, validation, test = (
                    Side(numbers[number], _targets(side.truth, several))
                    for numbers, side in zip(features, self._sides, strict=True)
                )
                self._layers.append(_fitted(source, train, validation, test, len(self._classifier.classes)))
                done += each_fit
                yield done, total

    @property
    def result(self) -> Readout:
        """What is done so far. Raises TraceError if that is nothing."""
        if not self._layers:
            raise TraceError("Stopped before a readout was fitted.")
        train, validation, test = self._sides
        return Readout(
            self._test.side,
            len(test.paths),
            len(train.paths),
            len(validation.paths),
            self._chosen_from,
            self._classifier.classes,
            tuple(self._layers),
            self._correct,
            int(test.truth.sum(axis=0).max()),
            len(self._sources),
            self._classifier.thresholds is not None,
            tuple(each for side in self._sides for each in side.unusable),
            (*test.notes, *_lacking(train, test, self._classifier.classes)),
        )

    def _learning(self) -> Iterator[tuple[tuple[str, str | None], ...]]:
        for rows in (self._fitted, self._chosen):
            yield tuple((str(path), label) for path, label in rows)

    def _read(self, pictures: Pictures) -> Generator[tuple[int, int], None, Labelled]:
        """Reading is no part of the work that is counted, because its total is not known yet."""
        steps = reading(self._classifier, None, pictures)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            yield 0, 1

    def _features(self, group: list[Source], side: Labelled) -> Generator[int, None, list[NDArray[np.float32]]]:
        """What the sources read of a side's pictures, each (n, count). Yields how many pictures a step has read."""
        import torch

        features = [np.empty((len(side.paths), source.count), np.float32) for source in group]
        tested = side is self._sides[-1]
        if tested:
            self._correct = 0
        for rows, images in side.batches(self._classifier, self._network.size):
            if not rows.start:
                self._network.check(images)
            with torch.inference_mode():
                arrays = run(self._network.graph.calls, self._network.input(images))
                read = of_batch(group, arrays)
            for whole, part in zip(features, read, strict=True):
                whole[rows] = part[: len(images)].cpu().numpy()
            if tested:
                logits = arrays[self._network.graph.output][: len(images)].float().cpu().numpy()
                self._correct += self._right(logits, side.truth[rows])
            yield len(images)
        return features

    def _right(self, logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> int:
        thresholds = self._classifier.thresholds
        p = scores.probabilities(logits, self._classifier.temperature, thresholds is not None)
        return int((scores.called(p, thresholds) == truth).all(axis=1).sum())


def _sides(model: Path, reported: str) -> tuple[Pairs, Pairs, str]:
    """(pictures to fit to, pictures to choose the penalty by, where these come from). Raises ArtefactError."""
    fitted = made_from.spread(made_from.learned_from(model, INSTEAD))
    if len(fitted) < PART:
        raise ArtefactError(f"Only {len(fitted)} training pictures of {model} still exist; {INSTEAD}.")
    chosen = made_from.spread(made_from.chosen_on(model)) if reported != "validation" else []
    if chosen:
        return fitted[:FITTED], chosen[:CHOSEN], "validation"
    fitted = fitted[: FITTED + CHOSEN]
    return [each for at, each in enumerate(fitted) if at % PART], fitted[::PART], "training"


def _lacking(train: Labelled, test: Labelled, classes: tuple[str, ...]) -> Iterator[str]:
    """Sentences about classes without a picture: pictures of a class may be gone since the training."""
    if absent := _without(train, classes):
        yield f"No picture that the readouts are fitted to is of {absent}, so they cannot name it."
    if absent := _without(test, classes):
        yield f"No {test.side} picture is of {absent}, so the figures say nothing about it."


def _without(side: Labelled, classes: tuple[str, ...]) -> str:
    absent = [name for name, of_it in zip(classes, side.truth.T, strict=True) if not of_it.any()]
    return listed(absent, NAMED)


def _groups(sources: list[Source], pictures: int) -> list[list[Source]]:
    """Sources whose features fit into memory together, in their order."""
    groups: list[list[Source]] = []
    held = 0
    for source in sources:
        size = 4 * pictures * source.count
        if not groups or held + size > HELD:
            groups.append([])
            held = 0
        groups[-1].append(source)
        held += size
    return groups


def _fitted(source: Source, train: Side, validation: Side, test: Side, classes: int) -> LayerKnows:
    start = LinearHead(np.zeros((classes, source.count), np.float32), np.zeros(classes, np.float32))
    head = fit(train, validation, start, WEAKER)
    logits = head.rows.logits(test.features)
    if test.labels.ndim == 2:
        right = ((logits > 0) == test.labels).all(axis=1)
    else:
        right = logits.argmax(axis=1) == test.labels
    assert head.validation_accuracy is not None
    count = len(test.labels)
    return LayerKnows(source, int(right.sum()), count, head.train_accuracy, head.validation_accuracy, head.c)


def _targets(truth: NDArray[np.bool_], several: bool) -> NDArray[np.int64]:
    return truth if several else truth.argmax(axis=1)  # type: ignore[return-value]
