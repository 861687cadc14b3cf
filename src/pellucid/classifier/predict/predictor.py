"""What predicts: pictures in whatever form, one after the other, to classes with calibrated probabilities.

A Classifier does, and so does what is read of a model folder before torch is imported (saved.py). Nothing heavy is
imported here: one picture from a cold command is as fast as this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.workers import answered
from pellucid.errors import PictureError, RecipeError
from pellucid.network import scores
from pellucid.network.scores import Thresholds
from pellucid.pictures.decode import ALONE, Form, Ranges, decode, expect_many, read


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image that is as the network gets it, uint8 (H, W, C) of its form's size: nothing more is done to it."""

    image: NDArray[np.uint8]
    name: str = "<prepared>"


Source = str | Path | bytes | NDArray[np.uint8] | Prepared
"""A picture: its path, its bytes, or its image as uint8 (H, W, 3), upright RGB."""

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Prepared images uint8 (n, H, W, C) -> the network's raw outputs, float32 (n, classes)."""

DECODERS = 2
GROUP = 16  # pictures that go through the network at once on a core: more is no faster, and takes memory
MANY = 1000  # pictures in a stream for which the kernel that resizes is worth loading

Item = tuple[str, NDArray[np.uint8] | None, str | None]
"""A name, the prepared image, or else the reason why there is none."""


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one picture, or why it says nothing.

    `probabilities` follow the order of the classifier's classes, are calibrated and sum to 1; `logits` are the
    network's raw outputs. Of a picture that cannot be used, `error` is the reason and all else is None.

    A classifier of several labels gives each label a probability by itself. `labels` are those from their thresholds
    on, the most probable first, and there may be none. `label` is the first of them, or None; `probability` is its own.
    """

    source: str
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    logits: tuple[float, ...] | None = None
    error: str | None = None
    labels: tuple[str, ...] | None = None
    """None of a classifier of one label a picture."""

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable classes with their probabilities, best first; none where there is an error."""
        ranked = sorted((self.probabilities or {}).items(), key=lambda item: -item[1])
        return ranked[:count]

    def as_json(self, top: int | None = None) -> dict[str, Any]:
        """A flat description for a line of JSON."""
        if self.error is not None:
            return {"picture": self.source, "error": self.error}
        ranked = dict(self.top(top if top is not None else len(self.probabilities or {})))
        if self.labels is not None:
            return {"picture": self.source, "labels": list(self.labels), "probabilities": ranked}
        return {
            "picture": self.source,
            "label": self.label,
            "probability": self.probability,
            "probabilities": ranked,
        }


@dataclass(frozen=True)
class Described:
    """A prediction, and what the network's last dense layer made it of: float32 (F,), None where there is an error."""

    prediction: Prediction
    features: NDArray[np.float32] | None


class Predictor(ABC):
    """A trained network that can be asked what is in a picture."""

    classes: tuple[str, ...]
    form: Form
    temperature: float
    pixel_limit: int
    ranges: Ranges
    thresholds: Thresholds
    """Of several labels a picture, the probability from which on each is called; None of one label."""

    @abstractmethod
    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's raw outputs, float32 (n, classes), for prepared images uint8 (n, H, W, C) of `form`'s size."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network takes."""
        return self.form.channels, self.form.height, self.form.width

    @overload
    def predict(self, pictures: Source) -> Prediction: ...
    @overload
    def predict(self, pictures: Sequence[Source]) -> list[Prediction]: ...
    def predict(self, pictures: Source | Sequence[Source]) -> Prediction | list[Prediction]:
        """Classify one picture, or several, in order. One that cannot be used is a Prediction with an error.

        >>> classifier.predict("cat.jpg").label  # doctest: +SKIP
        'cat'
        """
        if isinstance(pictures, str | Path | bytes | np.ndarray | Prepared):
            return next(self.stream([pictures]))
        return list(self.stream(pictures))

    def stream(self, pictures: Iterable[Source], batch: int = 32) -> Iterator[Prediction]:
        """Classify pictures one after the other as they are asked for, in order, in constant memory.

        At most `batch` pictures go through the network at once; it changes the speed, and probabilities by no more
        than rounding. Every core takes pictures of its own; how many cores changes nothing. Raises RecipeError where
        it is below 1.
        """
        if batch < 1:
            raise RecipeError(f"batch is {batch}; it must be 1 or more.")
        return self._stream(pictures, batch)

    def _stream(self, pictures: Iterable[Source], batch: int) -> Iterator[Prediction]:
        return self._answered(pictures, batch, lambda: self.logits, lambda: self.logits)

    def _answered(
        self,
        pictures: Iterable[Source],
        size: int,
        load: Callable[[], Logits],
        load_for_one: Callable[[], Logits],
    ) -> Iterator[Prediction]:
        """In groups of `size`, by what `load` gives on several threads at once; for the rest see workers.py."""

        decoded = count()

        def decode(group: list[Source]) -> list[Item]:
            if next(decoded) == MANY // size:
                expect_many()
            return [self._image(picture) for picture in group]

        def answering(load: Callable[[], Logits]) -> Callable[[], Callable[[list[Item]], list[Prediction]]]:
            return lambda: partial(self._predictions, load())

        return answered(pictures, size, decode, answering(load), answering(load_for_one))

    def _predictions(self, logits: Logits, group: list[Item]) -> list[Prediction]:
        images = [image for _, image, _ in group if image is not None]
        outputs = logits(np.stack(images)) if images else np.empty((0, len(self.classes)), np.float32)
        rows = zip(outputs, self.probabilities(outputs), strict=True)
        return [
            self._prediction(name, *next(rows)) if image is not None else Prediction(name, error=error)
            for name, image, error in group
        ]

    def prepared(self, picture: Source) -> NDArray[np.uint8]:
        """The picture as the network gets it before standardising: uint8 (H, W, C). Raises PictureError."""
        return self._prepared(picture)[0]

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated, float64 (n, classes): softmax(logits / temperature), or of several labels sigmoid."""
        return scores.probabilities(logits, self.temperature, self.thresholds is not None)

    def _prepared(self, picture: Source) -> tuple[NDArray[np.uint8], str]:
        name, image, error = self._image(picture)
        if image is None:
            raise PictureError(error or "cannot be read")
        return image, name

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

    def _images(self, pictures: Iterable[Source]) -> Iterator[Item]:
        """(name, prepared image or None, reason or None), decoded by a few threads that run a little ahead."""
        with ThreadPoolExecutor(DECODERS) as pool:
            pending: deque[Future[Item]] = deque()
            try:
                for picture in pictures:
                    pending.append(pool.submit(self._image, picture))
                    if len(pending) > 4 * DECODERS:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _image(self, picture: Source) -> Item:
        if isinstance(picture, Prepared):
            image, size = picture.image, (self.form.height, self.form.width, self.form.channels)
            fits = image.dtype == np.uint8 and image.shape == size
            reason = f"an array of {image.dtype} {image.shape}; a prepared image is uint8 {size}"
            return (picture.name, image, None) if fits else (picture.name, None, reason)
        name = str(picture) if isinstance(picture, str | Path) else f"<{type(picture).__name__}>"
        try:
            return name, self.form.apply(decoded(picture, self.pixel_limit, self.ranges)), None
        except PictureError as error:
            return name, None, error.reason


def decoded(picture: Source, pixel_limit: int, ranges: Ranges = ALONE) -> NDArray[np.uint8]:
    """A picture in whatever form -> its image uint8 (H, W, 3); see `decode`. Raises PictureError."""
    if isinstance(picture, Prepared):
        raise PictureError("it is prepared for a network already")
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise PictureError(f"an array of {picture.dtype} {picture.shape}; a picture is uint8 (height, width, 3)")
        return picture
    if isinstance(picture, bytes):
        return decode(picture, pixel_limit, ranges)
    try:
        content = read(Path(picture))
    except ValueError as error:  # a NUL character, which no path has
        raise PictureError(f"not a path: {error}") from error
    return decode(content, pixel_limit, ranges)
