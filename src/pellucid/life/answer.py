"""An answer of a model: one picture, one of its classes, and the loss that says how far the network is from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Source
from pellucid.errors import CatalogError, TraceError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Answer:
    """A class that a classifier gives, or might give, to a picture.

    * image: the network's input before standardising, uint8 (H, W, C)
    * label: the class, by number
    * probability: what the saved model says, 0 to 1
    * several: whether pictures may have several labels
    """

    picture: str
    image: NDArray[np.uint8]
    label: int
    probability: float
    several: bool = False


def of(classifier: Classifier, picture: Source, label: str | None = None) -> Answer:
    """The answer `label`, by default the most probable class.

    Raises CatalogError for a picture that cannot be used, and TraceError for an unknown class.
    """
    name, image, reason = classifier.predictor.item(picture)
    if image is None:
        raise CatalogError(f"{name} cannot be used: {reason}.")
    (probabilities,) = classifier.probabilities(classifier.logits(image[None]))
    if label is None:
        number = int(probabilities.argmax())
    elif label in classifier.classes:
        number = classifier.classes.index(label)
    else:
        hint = did_you_mean(label, classifier.classes, quoted=True)
        known = ", ".join(map(repr, classifier.classes[:10]))
        raise TraceError(f"There is no class {label!r}.{hint} The classes are {known}.")
    return Answer(str(name), image, number, float(probabilities[number]), classifier.thresholds is not None)


def losses(logits: Tensor, labels: Tensor, several: bool) -> Tensor:
    """-log of the probability of each picture's label, (n,), in nats: of a softmax, or with `several` of a sigmoid.

    logits: (n, classes), before calibration; labels: int64 (n,).
    """
    import torch.nn.functional as F

    if several:
        return F.softplus(-logits.gather(1, labels[:, None])[:, 0])
    return F.cross_entropy(logits, labels, reduction="none")
