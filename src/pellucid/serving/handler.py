"""Pictures to predictions, within the limits: what stands behind every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus

import numpy as np

from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Prediction
from pellucid.serving.explain import Explainer
from pellucid.serving.gate import Gate
from pellucid.serving.limits import Limits
from pellucid.serving.metrics import Metrics
from pellucid.serving.models import Models
from pellucid.serving.refusal import Refusal, wrong
from pellucid.serving.served import Served


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a request: what the answer calls it, and its file's bytes or its image uint8 (H, W, 3)."""

    name: str
    content: Source


@dataclass(frozen=True, eq=False)
class Handler:
    """What the dialects share. `decoders`: threads that turn bytes into what the network takes."""

    models: Models
    limits: Limits
    gate: Gate
    metrics: Metrics
    decoders: ThreadPoolExecutor
    explainer: Explainer

    async def predict(self, served: Served, pictures: Sequence[Picture]) -> list[Prediction]:
        """The answers to pictures, in order. One that cannot be used is a Prediction with an error.

        Raises Refusal: 400 without a picture, 413 where there are too many, 429 where the queue is full, 504 where it
        takes too long.
        """
        if not pictures:
            raise wrong("There is no picture in the request.")
        if len(pictures) > self.limits.pictures:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"There are {len(pictures)} pictures in the request, of at most {self.limits.pictures}.",
            )
        try:
            with self.gate.holding(len(pictures), served.batcher.seconds_each):
                self.metrics.working_on(self.gate.pictures)
                begun = [self._begin(served, picture) for picture in pictures]
                try:
                    async with asyncio.timeout(self.limits.seconds):
                        answers = await asyncio.gather(*map(asyncio.wrap_future, begun))
                except TimeoutError as error:
                    raise Refusal(
                        HTTPStatus.GATEWAY_TIMEOUT, f"The answer took longer than {self.limits.seconds:g} s."
                    ) from error
        finally:
            self.metrics.working_on(self.gate.pictures)
        predictions = [
            _usable(replace(answer, source=picture.name)) for answer, picture in zip(answers, pictures, strict=True)
        ]
        unusable = sum(prediction.error is not None for prediction in predictions)
        self.metrics.predicted(served.name, len(predictions) - unusable, unusable)
        return predictions

    def _begin(self, served: Served, picture: Picture) -> Future[Prediction]:
        answer: Future[Prediction] = Future()
        served.batcher.expect()
        self.decoders.submit(_decode, served, picture, answer)
        return answer


def _decode(served: Served, picture: Picture, answer: Future[Prediction]) -> None:
    """On a thread of the decoders: hand the picture to the batcher, or answer that it cannot be used."""
    handed = False
    try:
        if answer.cancelled():
            return
        item = served.predictor.item(picture.content)
        if item[1] is not None:
            handed = True
            served.batcher.submit(item, answer)
        elif answer.set_running_or_notify_cancel():
            answer.set_result(Prediction(picture.name, error=item[2]))
    except BaseException as error:  # a fault of ours: the caller is told, and the thread goes on
        if answer.set_running_or_notify_cancel():
            answer.set_exception(error)
    finally:
        if not handed:
            served.batcher.expect(-1)


def _usable(prediction: Prediction) -> Prediction:
    """JSON has no infinity and no NaN, and nobody could use them."""
    if prediction.logits is not None and not np.isfinite(prediction.logits).all():
        return Prediction(prediction.source, error="the network's outputs for it are not finite")
    return prediction
