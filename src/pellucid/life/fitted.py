"""A head that was fitted to all pictures at once, on a frozen backbone: how far each picture pushed its weights.

The head minimises C times the summed cross-entropies plus half the squared distance of its weights from their start
(training/head.py). Where that function is least its gradient is 0, so for class j and feature d

    w[j, d]  =  start[j, d]  +  C * sum over pictures i of  n_i (y_ij - p_ij) (f_id - mean_d)

with the truth y, the probability p, the feature f and its mean, and n_i: how much the picture counts. This is the
representer theorem for a last layer: Yeh et al. 2018, "Representer point selection for explaining deep neural
networks", theorem 3.1. A picture that the head gets right with certainty pushes nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.life.again import features
from pellucid.network import scores
from pellucid.training.features import Extracting
from pellucid.training.head import FLAT, LinearHead, Side

if TYPE_CHECKING:
    from pellucid.life.again import Again
    from pellucid.life.recorded import Place

SLOPE = 10 * FLAT  # of the scaled problem, at most: 0.3 to 5 times FLAT measured; its products are in float32


@dataclass(frozen=True)
class Heads:
    """The head that was fitted, and its pictures.

    * layer: its name in the module
    * start: the head from which the search began
    * c: for the unscaled features
    * errors: n_i (y_ij - p_ij), float64 (N, classes), of the pictures in each view
    * features: f - mean, float64 (N, D)
    * views: how many times each picture is in N
    * count: the sum of the n_i
    * weight: the head that the search reached, float64 (classes, D)
    """

    layer: str
    start: LinearHead
    c: float
    errors: NDArray[np.float64]
    features: NDArray[np.float64]
    views: int
    count: float
    weight: NDArray[np.float64]

    def fits(self, place: Place) -> bool:
        """Whether it is a weight or a bias of this head."""
        return place.name.rpartition(".")[0] == self.layer

    def of(self, place: Place) -> tuple[float, NDArray[np.float64]]:
        """(the weight's start, each training picture's push (n,), in the order of the training).

        Raises TraceError for a bias, and if start and pushes do not add up to the weight as closely as the search ends.
        """
        if len(place.index) == 1:
            raise TraceError(
                f"{place.text} was fitted without a pull towards its start, so no formula says how far each picture "
                f"pushed it: it makes the errors of its class add up to 0. Choose one of {self.layer}.weight."
            )
        row, column = place.index
        each = self.c * self.errors[:, row] * self.features[:, column]
        first, weight = float(self.start.weight[row, column]), float(self.weight[row, column])
        scale = float(np.sqrt((self.features**2).sum(1).mean()))
        bound = self.c * self.count * scale * SLOPE
        away = first + each.sum() - weight
        if abs(away) > bound:
            raise TraceError(
                f"The pushes of the pictures take {place.text} from {first:.6g} to {first + each.sum():.6g}, not to "
                f"{weight:.6g}: the search for the head ended before its minimum, so it cannot be split by pictures."
            )
        return first, each.reshape(self.views, -1).sum(0)


def heads(again: Again) -> Generator[Extracting, None, Heads]:
    """The head of a training that kept its backbone frozen; its features come from the cache. Yields progress."""
    seen = yield from features(again)
    about = again.material.config["pretrained"]
    layer, c = about["layer"], float(about["head"]["c"])
    head = again.state.module.get_submodule(layer)
    weight, bias = (each.detach().cpu().numpy() for each in (head.weight, head.bias))  # type: ignore[union-attr]
    return taken_apart(layer, seen.train, seen.start, LinearHead(weight, bias), c, seen.views)


def taken_apart(layer: str, train: Side, start: LinearHead, reached: LinearHead, c: float, views: int) -> Heads:
    """A head that a search from `start` has `reached`, with what its pictures push. `c`: for the unscaled features."""
    weight, features = reached.weight.astype(np.float64), train.features.astype(np.float64)
    p = scores.probabilities(features @ weight.T + reached.bias, 1.0, train.labels.ndim == 2)
    errors = errors_of(train, p)
    count = float(len(features) if train.weights is None else train.weights.sum())
    return Heads(layer, start, c, errors, features - features.mean(axis=0), views, count, weight)


def errors_of(side: Side, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """n_i (y_ij - p_ij), float64 (N, classes), from the probabilities p. With several labels the loss is the mean over
    the classes.
    """
    counts = np.ones(len(p)) if side.weights is None else side.weights
    several = side.labels.ndim == 2
    truth = side.labels.astype(np.float64) if several else np.eye(p.shape[1])[side.labels]
    wrong = truth - p
    return counts[:, None] * (wrong / p.shape[1] if several else wrong)
