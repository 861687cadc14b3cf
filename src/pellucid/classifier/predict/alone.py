"""Answer pictures on one thread, for a process that has one core while other processes have the others.

`Predictor.stream` uses every core of a machine. The threads of several such processes would only take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from pellucid.classifier.predict.backend import GROUP
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Described
from pellucid.classifier.predict.predictor import MANY, Item, Predictor

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

Answering = Callable[[Iterable[Source]], Iterator[Described]]
"""Pictures -> their predictions in order, and their features where these are computed."""


def answering(predictor: Predictor, batch: int) -> Answering:
    """Predictions without features. At most `batch` pictures go through the network at once. Loads everything now."""
    *_, stage = predictor.backend.stages(MANY, batch)  # the last takes all that remains
    logits = stage.load()

    def answer(group: list[Item]) -> list[Described]:
        return [Described(each, None) for each in predictor.answers(logits, group)]

    return _by_groups(predictor, stage.size, answer)


def describing(classifier: Classifier, batch: int) -> Answering:
    """Predictions with features. Raises NetworkError if the network does not end in a dense layer."""
    from pellucid.classifier.predict import describe
    from pellucid.runtime.threads import work_alone

    work_alone()
    predictor = classifier.predictor
    return _by_groups(predictor, min(batch, GROUP), describe.describing(predictor, classifier.backbone))


def _by_groups(predictor: Predictor, size: int, answer: Callable[[list[Item]], list[Described]]) -> Answering:
    def answers(pictures: Iterable[Source]) -> Iterator[Described]:
        items = map(predictor.item, pictures)
        while group := list(islice(items, size)):
            yield from answer(group)

    return answers
