"""The predictor turns pictures in any form, in order, into classes with calibrated probabilities.

This module imports nothing heavy: the first prediction of a cold command waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from operator import length_hint
from typing import final, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.backend import Backend, Logits, Stage
from pellucid.classifier.predict.pictures import Prepared, Source, coming, decoded, is_one, name_of
from pellucid.classifier.predict.prediction import Prediction
from pellucid.classifier.predict.workers import answered
from pellucid.errors import PictureError, RecipeError
from pellucid.network import scores
from pellucid.network.scores import Thresholds
from pellucid.pictures.ahead import Ahead
from pellucid.pictures.decode import Form, Ranges, expect_many

DECODERS = 2
MANY = 1000  # pictures in a stream for which it pays to load the resizing kernel

Item = tuple[str, NDArray[np.uint8] | None, str | None]
"""A name, and the prepared image or else the reason why there is none."""


@final
@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained network that classifies pictures.

    `form`: how to prepare a picture. `pixel_limit`, `ranges`: as in Classifier. `thresholds`: for several labels a
    picture, the least probability for each label to be assigned; None for one label. `backend` computes the network.
    """

    classes: tuple[str, ...]
    form: Form
    temperature: float
    pixel_limit: int
    ranges: Ranges
    thresholds: Thresholds
    backend: Backend

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's input."""
        return self.form.channels, self.form.height, self.form.width

    @overload
    def predict(self, pictures: Source) -> Prediction: ...
    @overload
    def predict(self, pictures: Sequence[Source]) -> list[Prediction]: ...
    def predict(self, pictures: Source | Sequence[Source]) -> Prediction | list[Prediction]:
        """Classify one picture, or several, in order. An unusable picture gives a Prediction with an error."""
        if is_one(pictures):
            return next(self.stream([pictures]))
        return list(self.stream(pictures))

    def stream(self, pictures: Iterable[Source], batch: int = 32) -> Iterator[Prediction]:
        """Classify pictures in order, as you iterate, in constant memory.

        At most `batch` pictures go through the network at once. `batch` changes the speed, and probabilities only by
        rounding. Each core works on its own pictures; the number of cores does not change the result. Raises
        RecipeError if `batch` is below 1.
        """
        if batch < 1:
            raise RecipeError(f"batch is {batch}; it must be 1 or more.")
        return self._stream(pictures, batch)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's raw outputs, float32 (n, classes), for prepared images uint8 (n, H, W, C) of `form`'s size."""
        return self.backend.logits(images) if len(images) else np.empty((0, len(self.classes)), np.float32)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated, float64 (n, classes): softmax(logits / temperature), or sigmoid for several labels."""
        return scores.probabilities(logits, self.temperature, self.thresholds is not None)

    def prepared(self, picture: Source) -> NDArray[np.uint8]:
        """The picture as the network's input before standardising: uint8 (H, W, C). Raises PictureError."""
        return self.named(picture)[1]

    def named(self, picture: Source) -> tuple[str, NDArray[np.uint8]]:
        """The name of a picture, and the result of `prepared`. Raises PictureError."""
        name, image, error = self.item(picture)
        if image is None:
            raise PictureError(error or "cannot be read")
        return name, image

    def sized(self, picture: Source) -> tuple[str, NDArray[np.uint8], tuple[int, int] | None]:
        """As `named`, and the upright picture's height and width; None if it is prepared. Raises PictureError."""
        if isinstance(picture, Prepared):
            return *self.named(picture), None
        image = decoded(picture, self.pixel_limit, self.ranges)
        return name_of(picture), self.form.apply(image), image.shape[:2]

    def item(self, picture: Source) -> Item:
        """Like `named`, but an unusable picture gives the reason instead of an error."""
        if isinstance(picture, Prepared):
            image, size = picture.image, (self.form.height, self.form.width, self.form.channels)
            fits = image.dtype == np.uint8 and image.shape == size
            reason = f"an array of {image.dtype} {image.shape}; a prepared image is uint8 {size}"
            return (picture.name, image, None) if fits else (picture.name, None, reason)
        name = name_of(picture)
        try:
            return name, self.form.apply(decoded(picture, self.pixel_limit, self.ranges)), None
        except PictureError as error:
            return name, None, error.reason

    def items(self, pictures: Iterable[Source]) -> Iterator[Item]:
        """The item of each picture, in order; a few threads decode a little ahead."""
        with Ahead() as ahead, ThreadPoolExecutor(DECODERS) as pool:
            pending: deque[Future[Item]] = deque()
            try:
                for picture in coming(pictures, ahead):
                    pending.append(pool.submit(self.item, picture))
                    if len(pending) > 4 * DECODERS:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                ahead.close()
                pool.shutdown(cancel_futures=True)

    def answers(self, logits: Logits, group: list[Item]) -> list[Prediction]:
        """The predictions for a group, from the outputs of `logits`."""
        images = [image for _, image, _ in group if image is not None]
        outputs = logits(np.stack(images)) if images else np.empty((0, len(self.classes)), np.float32)
        rows = zip(outputs, self.probabilities(outputs), strict=True)
        return [
            self._prediction(name, *next(rows)) if image is not None else Prediction(name, error=error)
            for name, image, error in group
        ]

    def _stream(self, pictures: Iterable[Source], batch: int) -> Iterator[Prediction]:
        with Ahead() as ahead:
            rest = coming(pictures, ahead)
            for stage in self.backend.stages(length_hint(pictures), batch):
                yield from self._answered(islice(rest, stage.count), stage)

    def _answered(self, pictures: Iterator[Source], stage: Stage) -> Iterator[Prediction]:
        """The predictions of a stage, computed by several threads; see workers.py."""
        decoded_groups = count()

        def decode(group: list[Source]) -> list[Item]:
            if next(decoded_groups) == MANY // stage.size:
                expect_many()
            return [self.item(picture) for picture in group]

        def answering(load: Callable[[], Logits]) -> Callable[[], Callable[[list[Item]], list[Prediction]]]:
            return lambda: partial(self.answers, load())

        return answered(pictures, stage.size, decode, answering(stage.load), answering(stage.load_for_one))

    def _prediction(self, name: str, logits: NDArray[np.float32], p: NDArray[np.float64]) -> Prediction:
        every = dict(zip(self.classes, p.tolist(), strict=True))
        names = scores.names(self.classes, p, self.thresholds)
        first = names[0] if names else None
        return Prediction(
            source=name,
            label=first,
            probability=None if first is None else every[first],
            probabilities=every,
            logits=tuple(logits.tolist()),
            labels=None if self.thresholds is None else names,
        )
