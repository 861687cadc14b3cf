"""Softmax, and the article's two measures of how wrong an answer is."""

from __future__ import annotations

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.glassbox.arithmetic.ops import losses as ops
from pellucid.lessons import material
from pellucid.lessons.lesson import Grid, Lesson, Value, Worked
from pellucid.lessons.work import Work

SOFTMAX = {"d1": "k", "input": "scores", OUT: "probabilities"}
CROSS_ENTROPY = {"d1": "k", "input": "scores", "share": "truth", OUT: "cross-entropy"}
SQUARED_ERROR = {
    "d1": "k",
    "input": "scores",
    "target": "truth",
    "probability": "probabilities",
    OUT: "squared error",
}
BETWEEN = {"cross-entropy": ("total", "power"), "squared error": ("probability", "total", "power")}
"""The arrays through which a loss's gradient reaches the scores."""


def gradients(work: Work, loss: str) -> tuple[Worked, ...]:
    """The gradients of the scores, after those of the numbers on the way to them."""
    return tuple(number for name in (*BETWEEN[loss], "input") for number in work.gradients(name))


def softmax_and_losses() -> Lesson:
    scores, truth = material.SCORES[None], material.SCORES_TRUTH
    softmax = Work(ops.softmax(scores.shape), {"input": scores}, SOFTMAX, keep=0)
    entropy, squared = (
        Work(declare(scores.shape, [truth]), {"input": scores}, names, keep=0, gradient=np.ones(()))
        for declare, names in ((ops.cross_entropy, CROSS_ENTROPY), (ops.brier, SQUARED_ERROR))
    )
    target = np.eye(scores.size)[truth]
    others = [
        [float(Work(declare(scores.shape, [label]), {"input": scores}, {}).output) for label in range(scores.size)]
        for declare in (ops.cross_entropy, ops.brier)
    ]
    return Lesson(
        "softmax-and-losses",
        "Softmax, and two losses",
        "The last layer gives a score for each class. Softmax raises e to each and divides by the sum, which makes "
        "probabilities: none below 0, all together 1. A loss then says how far they are from the truth. Cross-entropy "
        "is minus the logarithm of the true class's probability; mean squared error averages the squared differences. "
        "With cross-entropy the gradient of a score is simply its probability minus the truth.",
        (
            Grid("scores", "scores", scores[0]),
            Grid("probabilities", "probabilities", softmax.output[0], "computed"),
            Grid("truth", "truth", target),
            Grid("difference", "probabilities - truth", softmax.output[0] - target, "computed"),
            *(
                Grid(f"{loss} gradient", f"gradient of the scores, {loss}", work.gradient_of("input")[0], "computed")
                for loss, work in (("cross-entropy", entropy), ("squared error", squared))
            ),
        ),
        (
            *softmax.numbers("largest"),
            *softmax.numbers("power"),
            *softmax.numbers("total"),
            *softmax.numbers(),
            *entropy.numbers(),
            *squared.numbers(),
            *gradients(entropy, "cross-entropy"),
        ),
        (
            Value("cross-entropy", "cross-entropy if each class were the true one", others[0]),
            Value("squared error", "mean squared error, likewise", others[1]),
        ),
    )
