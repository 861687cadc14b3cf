"""The end of a trace: from the scores to the probabilities and the loss."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.declaration import Op
from pellucid.glassbox.arithmetic.loss import CROSS_ENTROPY, Loss, Own
from pellucid.glassbox.arithmetic.ops import binary, losses
from pellucid.glassbox.trace.graph import Graph
from pellucid.glassbox.trace.naming import LOSS, PROBABILITY
from pellucid.glassbox.trace.trace import Node
from pellucid.network.scores import tensor_probabilities

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Ends:
    """The steps after the scores. A user's own loss is traced with the module (measured.py)."""

    label: int
    labels: tuple[int, ...] | None
    """For several labels a picture; `label` is the first of them, or the most probable class if there is none."""
    classes: tuple[str, ...]
    loss: Callable[[Tensor], Tensor]
    """Of the module's scores; the module's own run uses it too."""
    nodes: tuple[Node, ...]
    measured: torch.nn.Module | None = None
    """The loss as a module, if it is the user's."""


def ends(
    graph: Graph,
    tensors: dict[str, Any],
    label: int | Sequence[int] | None,
    classes: tuple[str, ...] | None,
    loss: Loss | Own,
    temperature: float,
    thresholds: tuple[float, ...] | None = None,
) -> Ends:
    """Add the probabilities and the loss to `tensors`, unless the loss is the user's own.

    `label`: a class by number, by default the most probable. A module with one score (1, 1) has two classes: the score
    is the second one's logit, or its probability if the module ends in a sigmoid. Raises TraceError for wrong names,
    label or loss.

    `thresholds`: one per class, for several labels a picture. Each class then has its own sigmoid, and `label` is a
    sequence of classes, by default those that reach their thresholds.
    """
    import torch

    scores = tensors[graph.output]
    count = scores.shape[1]
    one = count == 1 and thresholds is None
    squashed = one and any(call.name == graph.output and call.operator == "sigmoid" for call in graph.calls)
    names = classes or tuple(map(str, range(2 if one else count)))
    if len(names) != (2 if one else count):
        fitting = "one score, which stands for two classes" if one else f"{count:,} scores"
        raise TraceError(f"There are {len(names):,} class names, but the module gives {fitting}.")
    probability, op = _probabilities(scores, temperature, one, squashed, thresholds is not None)
    tensors[graph.roles[PROBABILITY]] = probability
    labels = None
    if thresholds is not None and loss.kind != "difference":
        labels = _several(label, names, probability, thresholds)
        label = labels[0] if labels else None
    target = int(probability.argmax()) if label is None else _class(label, names)
    first = Node(graph.roles[PROBABILITY], op.kind, op, {"input": graph.output})
    if isinstance(loss, Own):
        measured = loss.of if isinstance(loss.of, torch.nn.Module) else None
        return Ends(target, labels, names, loss.of, (first,), measured)
    loss = _of_one(loss, squashed) if one else loss
    loss.check(len(names), target)
    wanted = np.zeros((1, count))
    wanted[0, list(labels or ())] = 1

    def of(scores: Tensor) -> Tensor:
        wide = scores if scores.dtype == torch.float64 else scores.float()
        truth = torch.tensor([target]) if labels is None else torch.from_numpy(wanted)
        return loss.of(wide, truth.to(scores.device))

    tensors[graph.roles[LOSS]] = of(scores)
    declared = loss.declaration(tuple(scores.shape), [target] if labels is None else wanted)
    last = Node(graph.roles[LOSS], declared.kind, declared, {"input": graph.output})
    return Ends(target, labels, names, of, (first, last))


def _several(
    label: int | Sequence[int] | None, names: tuple[str, ...], probability: Tensor, thresholds: tuple[float, ...]
) -> tuple[int, ...]:
    """The labels that the loss is measured against, each once, in the order of the classes."""
    if label is None:
        return tuple(n for n, (p, t) in enumerate(zip(probability[0].tolist(), thresholds, strict=True)) if p >= t)
    labels = label if isinstance(label, Sequence) else [label]
    return tuple(sorted({_class(each, names) for each in labels}))


def _probabilities(
    scores: Tensor, temperature: float, one: bool, squashed: bool, several: bool = False
) -> tuple[Tensor, Op]:
    import torch

    if several or not one:
        shape = tuple(scores.shape)
        op = binary.each_of_logit(shape, temperature) if several else losses.softmax(shape, 1, temperature)
        return tensor_probabilities(scores, temperature, several), op
    wide = scores.double()
    second = wide if squashed else (wide / temperature).sigmoid()
    op = binary.two_of_probability() if squashed else binary.two_of_logit(temperature)
    return torch.cat([1 - second if squashed else (-wide / temperature).sigmoid(), second], 1), op


def _of_one(loss: Loss, squashed: bool) -> Loss:
    """The loss of one score: the binary cross-entropy, to which the cross-entropy of two classes reduces."""
    if loss.kind == "binary_cross_entropy" or replace(loss, importance=None) == CROSS_ENTROPY:
        return replace(loss, kind="binary_cross_entropy", probabilities=squashed or loss.probabilities)
    raise TraceError(
        f"The loss {loss.kind!r} needs a score for each class, and the module gives one score. Leave the loss out for "
        "the binary cross-entropy, or pass a function of the scores."
    )


def _class(label: Any, names: tuple[str, ...]) -> int:
    try:
        number = operator.index(label)
    except TypeError:
        number = -1
    if isinstance(label, bool) or not 0 <= number < len(names):
        raise TraceError(f"The label is {label!r}; the {len(names):,} classes are 0 to {len(names) - 1}.")
    return number
