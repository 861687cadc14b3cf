"""One score for two classes: their probabilities, and their distance from the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at, each
from pellucid.glassbox.arithmetic.expression import exp, log, maximum, minimum, names, sigmoid
from pellucid.glassbox.arithmetic.expression import expression as number
from pellucid.glassbox.arithmetic.ops.losses import one_hot, weighing

INPUT, TARGET, SIGN, OFFSET, WEIGHT = names("input", "target", "sign", "offset", "weight")
_SIGN, _OFFSET = np.array([-1.0, 1.0]), np.array([1.0, 0.0])


def two_of_logit(temperature: float = 1.0) -> Op:
    """A logit (1, 1) -> probabilities (1, 2): 1 - p and p, where p = sigmoid(logit / temperature)."""
    term = sigmoid(SIGN * INPUT / temperature)
    return _two("sigmoid", ("sign",), term)


def each_of_logit(input: Shape, temperature: float = 1.0) -> Op:
    """Logits (1, K) -> the probability of each label by itself, sigmoid(logit / temperature)."""
    stage = Stage(OUT, each(input), {OUT: at("n"), "input": at("n")}, sigmoid(INPUT / temperature))
    return Op("sigmoid", {"input": input, OUT: input}, ("input",), (stage,))


def two_of_probability() -> Op:
    """The second class's probability p (1, 1) -> the probabilities (1, 2): 1 - p and p."""
    return _two("probabilities of both", ("offset", "sign"), OFFSET + SIGN * INPUT)


def _two(kind: str, constants: tuple[str, ...], term: object) -> Op:
    known = {"sign": _SIGN, "offset": _OFFSET}
    shapes = {"input": (1, 1), **dict.fromkeys(constants, (2,)), OUT: (1, 2)}
    maps = {OUT: at(0, "k"), "input": at(0, 0), **{name: at("k") for name in constants}}
    stage = Stage(OUT, {"k": 2}, maps, number(term))  # type: ignore[arg-type]
    return Op(kind, shapes, ("input",), (stage,), {name: known[name] for name in constants})


def binary_cross_entropy(
    input: Shape,
    labels: list[int] | NDArray[np.float64],
    probabilities: bool = False,
    importance: NDArray[np.float64] | None = None,
) -> Op:
    """The mean over all scores (N, K) of -(t * log(p) + (1 - t) * log(1 - p)), p = sigmoid(score).

    The target t is 1 for the label's class and 0 for the others; for one score, t is the label, 0 or 1. If pictures
    have several labels, `labels` is t itself, (N, K). From the scores it is written max(x, 0) - x * t + log(1 +
    exp(-|x|)), which never overflows. `probabilities`: the scores are p. PyTorch takes every logarithm as at least
    -100. Importance (K,): each picture's terms times that of its label.
    """
    count, classes = input
    if isinstance(labels, np.ndarray):
        target = labels
    else:
        target = np.array(labels, np.float64)[:, None] if classes == 1 else one_hot(labels, classes)
    if probabilities:
        term = -(TARGET * maximum(log(INPUT), -100) + (1 - TARGET) * maximum(log(1 - INPUT), -100))
    else:
        term = maximum(INPUT, 0) - INPUT * TARGET + log(exp(minimum(-INPUT, INPUT)) + 1)
    term, constants = term * (1 / (count * classes)), {"target": target}
    if importance is not None and not isinstance(labels, np.ndarray):
        term, constants["weight"] = WEIGHT * term, weighing(labels, importance, classes)
    maps = {OUT: at(), "input": at("n"), **dict.fromkeys(constants, at("n"))}
    shapes = {"input": input, **dict.fromkeys(constants, input), OUT: ()}
    return Op("binary cross-entropy", shapes, ("input",), (Stage(OUT, each(input), maps, term),), constants)
