"""Who taught an answer, for a head on a frozen backbone: in closed form, because the head is the minimum of its loss.

The minimum's condition writes the head's weights as a sum over the training pictures, so a logit is one as well
(representer points: Yeh, Kim, Yen & Ravikumar 2018, theorem 3.1): exactly, as far as the search for the minimum went.
The change of the minimum without a picture follows from the loss's second derivative there (influence functions: Koh &
Liang 2017, eq. 2), to first order; the head is small enough to solve it by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.life.again import features
from pellucid.life.answer import Answer
from pellucid.life.fitted import errors_of
from pellucid.network import scores
from pellucid.training.features import Extracting
from pellucid.training.head import LinearHead, Side

if TYPE_CHECKING:
    from pellucid.life.again import Again

SOLVED = 1e-8  # the rest that conjugate gradients leave, as a share of where they began
ITERATIONS = 500
Array = NDArray[np.float64]


@dataclass(frozen=True)
class OfHead:
    """Of one answer, by training picture.

    * effect: how much higher its loss would be without the picture, in nats, to first order, (N,)
    * parts: the picture's term in the answer's logit, (N,)
    * rest: the logit's other terms: the bias, and the head that the fit began from
    """

    effect: Array
    parts: Array
    rest: float


def of_answer(again: Again, answer: Answer) -> Generator[Extracting, None, OfHead]:
    """Effects and parts of all training pictures, in the order of again.task.train. Yields progress."""
    fit = yield from _fit(again)
    features = fit.reading(answer)
    error = fit.errors(features[None], answer)[0]
    solved = fit.solve(np.outer(error, np.append(features - fit.mean, 1.0)))
    pull = np.einsum("nc,nc->n", fit.error, fit.centred @ solved[:, :-1].T + solved[:, -1])
    parts = -fit.c * fit.error[:, answer.label] * (fit.centred @ (features - fit.mean))
    begun = fit.begun.weight[answer.label].astype(np.float64)
    bias = float(fit.head.bias[answer.label] + (fit.head.weight[answer.label] - begun) @ fit.mean)
    return OfHead(_by_picture(pull, again), _by_picture(parts, again), float(begun @ features) + bias)


def self_influence(again: Again) -> Generator[Extracting, None, Array]:
    """The squared length of each picture's own gradient at the head, (N,): n^2 |p - y|^2 (|features - mean|^2 + 1)."""
    fit = yield from _fit(again)
    plain = len(again.task.train)
    lengths = np.einsum("nd,nd->n", fit.centred[:plain], fit.centred[:plain]) + 1
    return (fit.error[:plain] ** 2).sum(1) * lengths  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Fit:
    """A fitted head with its pictures: features less their mean, p - y times how much each counts, and both heads."""

    head: LinearHead
    begun: LinearHead
    side: Side
    mean: Array
    centred: NDArray[np.float32]
    error: Array
    p: Array
    c: float
    several: bool
    again: Again

    def reading(self, answer: Answer) -> Array:
        """The features of an answer's picture, (D,)."""
        import torch

        classifier = self.again.material.classifier
        with torch.inference_mode():
            body = torch.nn.Sequential(*list(classifier.module.children())[:-1])
            return body(classifier.standardised(answer.image[None]))[0].double().cpu().numpy()  # type: ignore[no-any-return]

    def errors(self, features: Array, answer: Answer) -> Array:
        """The derivative of the answer's loss by its logits, (1, classes)."""
        p = scores.probabilities(features @ self.head.weight.T.astype(np.float64) + self.head.bias, 1.0, self.several)
        p[:, answer.label] -= 1
        if self.several:
            p[:, np.arange(p.shape[1]) != answer.label] = 0
        return p

    def solve(self, slope: Array) -> Array:
        """H^-1 times a slope of the head, (classes, D + 1), by conjugate gradients (Hestenes & Stiefel 1952)."""
        at = np.zeros_like(slope)
        rest, way = slope.copy(), slope.copy()
        length = first = float((rest * rest).sum())
        for _ in range(ITERATIONS):
            if length <= SOLVED**2 * first:
                break
            curved = self._curved(way)
            pace = length / float((way * curved).sum())
            at += pace * way
            rest -= pace * curved
            before, length = length, float((rest * rest).sum())
            way = rest + length / before * way
        return at

    def _curved(self, way: Array) -> Array:
        """The second derivative of sum(counts * losses) + |weight - begun|^2 / (2 C), times `way`."""
        logits = (self.centred @ way[:, :-1].astype(np.float32).T).astype(np.float64) + way[:, -1]
        if self.several:
            moved = self.p * (1 - self.p) * logits / self.p.shape[1]
        else:
            moved = self.p * (logits - (self.p * logits).sum(1, keepdims=True))
        if self.side.weights is not None:
            moved = moved * self.side.weights[:, None]
        weight = (moved.T.astype(np.float32) @ self.centred).astype(np.float64) + way[:, :-1] / self.c
        return np.concatenate([weight, moved.sum(0)[:, None]], axis=1)


def _fit(again: Again) -> Generator[Extracting, None, _Fit]:
    seen = yield from features(again)
    classifier, side = again.material.classifier, seen.train
    about = again.material.config["pretrained"]
    layer = again.state.module.get_submodule(about["layer"])
    head = LinearHead(layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy())  # type: ignore[union-attr]
    several = classifier.thresholds is not None
    p = scores.probabilities(head.logits(side.features), 1.0, several)
    mean = side.features.mean(axis=0, dtype=np.float64)
    centred = side.features - mean.astype(np.float32)
    return _Fit(head, seen.start, side, mean, centred, -errors_of(side, p), p, about["head"]["c"], several, again)


def _by_picture(values: Array, again: Again) -> Array:
    """Of several views of a picture the sum: (views * N,) -> (N,)."""
    return values.reshape(-1, len(again.task.train)).sum(0)  # type: ignore[no-any-return]
