"""A network without one of its filters: its accuracy when that channel is zero, for each filter of a layer in turn."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.debugging.cut import Batched, Cut, run
from pellucid.debugging.labelled import Labelled, reading
from pellucid.debugging.pictures import Pictures
from pellucid.debugging.removed import FilterRemoved, LayerWithout, Without
from pellucid.errors import TraceError
from pellucid.network import scores

if TYPE_CHECKING:
    from torch import Tensor


class Removing:
    """Remove each filter of some layers in turn. Iterate over it, and read `result` at any time.

    It yields (done, total) in runs of the network: one for each filter and picture. The layers come in order; of the
    layer at which an iteration ends early, the result has those pictures on which every filter has been removed.
    """

    def __init__(
        self, classifier: Classifier, model: Path | None, pictures: Pictures, layers: Sequence[str] | None = None
    ) -> None:
        """`layers`: by default all convolutions. Any other layer whose output has channels, (n, C, H, W) or (n, D), has
        its own channels removed. `model`: the folder that knows which pictures the model has seen.

        Raises TraceError if the network cannot be traced, there is no such layer, or none has filters.
        """
        self._classifier, self._model, self._pictures = classifier, model, pictures
        self._network = Batched(classifier, len(pictures.labelled))
        names = self._network.convolutions() if layers is None else list(dict.fromkeys(layers))
        if not names:
            raise TraceError("This network has no convolution, so it has no filters. Name a layer with --layer.")
        self._cuts = [self._network.cut(name) for name in names]
        self._labelled: Labelled | None = None
        self._counts: list[_Counts] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Raises CatalogError if no picture can be used, and TraceError."""
        self._labelled = yield from self._read()
        count = len(self._labelled.paths)
        total, done = sum(cut.channels for cut in self._cuts) * count, 0
        for cut in self._cuts:
            counts = _Counts(cut, self._labelled.truth)
            self._counts.append(counts)
            for rows, images in self._labelled.batches(self._classifier, self._network.size):
                if not done:
                    self._network.check(images)
                called = []
                for outputs in self._removed(cut, images):
                    called.append(self._called(outputs[: len(images)]))
                    if len(called) > 1:
                        done += len(images)
                        yield done, total
                counts.add(rows, called[0], called[1:])

    @property
    def result(self) -> Without:
        """What is done so far. Raises TraceError if that is nothing."""
        done = [counts for counts in self._counts if counts.pictures]
        if not done or self._labelled is None:
            raise TraceError("Stopped before a filter was removed on any picture.")
        labelled, classes = self._labelled, self._classifier.classes
        return Without(
            labelled.name,
            labelled.side,
            len(labelled.paths),
            classes,
            tuple(counts.layer(classes) for counts in done),
            len(self._cuts),
            labelled.seen,
            labelled.unusable,
            labelled.notes,
            self._classifier.thresholds is not None,
        )

    def _read(self) -> Generator[tuple[int, int], None, Labelled]:
        """Reading is no part of the runs that are counted."""
        steps = reading(self._classifier, self._model, self._pictures)
        total = sum(cut.channels for cut in self._cuts) * len(self._pictures.labelled)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            yield 0, total

    def _removed(self, cut: Cut, images: NDArray[np.uint8]) -> Iterator[Tensor]:
        """The network's scores with every channel, then without each of them in turn."""
        import torch

        with torch.inference_mode():
            arrays = run(cut.before, self._network.input(images))
            whole = arrays[cut.place]
            scored = run(cut.after, {**arrays})[self._network.graph.output]
        yield scored
        for channel in range(cut.channels):
            with torch.inference_mode():
                without = whole.clone()
                without.select(cut.axis, channel).zero_()
                scored = run(cut.after, {**arrays, cut.place: without})[self._network.graph.output]
            yield scored

    def _called(self, outputs: Tensor) -> NDArray[np.bool_]:
        """The predicted classes, bool (n, classes)."""
        logits = outputs.float().cpu().numpy()
        if not np.isfinite(logits).all():
            raise TraceError("Without one of its filters the network's scores are not finite.")
        classifier = self._classifier
        several = classifier.thresholds is not None
        return scores.called(scores.probabilities(logits, classifier.temperature, several), classifier.thresholds)


class _Counts:
    """Pictures of one layer, counted by who is right about them: arrays of (filters,) and (filters, classes)."""

    def __init__(self, cut: Cut, truth: NDArray[np.bool_]) -> None:
        self.cut, self._truth, self.pictures = cut, truth, 0
        filters, classes = cut.channels, truth.shape[1]
        self.both, self.lost, self.gained, self.neither = (np.zeros(filters, np.int64) for _ in range(4))
        self.own, self.before = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
        self.class_lost, self.class_gained = (np.zeros((filters, classes), np.int64) for _ in range(2))

    def add(self, rows: slice, whole: NDArray[np.bool_], without: list[NDArray[np.bool_]]) -> None:
        """The predicted classes, bool (n, classes), of all filters and without each."""
        truth = self._truth[rows]
        right = (whole == truth).all(axis=1)
        self.pictures += len(truth)
        self.own += truth.sum(axis=0)
        self.before += (whole & truth).sum(axis=0)
        for channel, called in enumerate(without):
            now = (called == truth).all(axis=1)
            self.both[channel] += (right & now).sum()
            self.lost[channel] += (right & ~now).sum()
            self.gained[channel] += (~right & now).sum()
            self.neither[channel] += (~right & ~now).sum()
            self.class_lost[channel] += (truth & whole & ~called).sum(axis=0)
            self.class_gained[channel] += (truth & ~whole & called).sum(axis=0)

    def layer(self, classes: tuple[str, ...]) -> LayerWithout:
        filters = [self._filter(channel, classes) for channel in range(self.cut.channels)]
        return LayerWithout(self.cut.layer, self.cut.place, self.pictures, tuple(filters))

    def _filter(self, channel: int, classes: tuple[str, ...]) -> FilterRemoved:
        counts: list[Any] = [each[channel].item() for each in (self.both, self.lost, self.gained, self.neither)]
        by_class = zip(
            classes,
            self.own.tolist(),
            self.before.tolist(),
            self.class_lost[channel].tolist(),
            self.class_gained[channel].tolist(),
            strict=True,
        )
        return FilterRemoved.of(channel, counts, by_class)
