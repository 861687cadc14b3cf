"""Predictions with the features of each picture: the input of the network's last dense layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Described
from pellucid.classifier.predict.predictor import Item, Predictor
from pellucid.classifier.predict.workers import answered

if TYPE_CHECKING:
    from pellucid.classifier.backbone import Backbone


def described(
    predictor: Predictor, backbone: Backbone, pictures: Iterable[Source], size: int, on_cpu: bool
) -> Iterator[Described]:
    """Yield the predictions and features of pictures, in order. Each group of `size` pictures runs on one thread.

    `on_cpu`: whether the backbone computes on the CPU.
    """

    def decode(group: list[Source]) -> list[Item]:
        return [predictor.item(picture) for picture in group]

    describe = describing(predictor, backbone)

    def load() -> Callable[[list[Item]], list[Described]]:
        if not on_cpu:
            return describe
        from pellucid.runtime.threads import work_alone

        def alone(group: list[Item]) -> list[Described]:
            work_alone()
            return describe(group)

        return alone

    return answered(pictures, size, decode, load, lambda: describe)


def describing(predictor: Predictor, backbone: Backbone) -> Callable[[list[Item]], list[Described]]:
    """A function from a group of decoded pictures to their predictions and features, on the calling thread."""

    def describe(group: list[Item]) -> list[Described]:
        rows: list[NDArray[np.float32]] = []

        def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            outputs, features = backbone.both(images)
            rows.extend(features)
            return outputs

        answers = predictor.answers(logits, group)
        features = iter(rows)
        return [Described(answer, None if answer.error is not None else next(features)) for answer in answers]

    return describe
