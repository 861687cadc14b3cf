"""TracIn (Pruthi, Liu, Kale & Sundararajan 2020, "Estimating Training Data Influence by Tracing Gradient Descent").

An estimate: what a step on a picture did to another loss at once, and nothing of what later steps made of it. It looks
at the network at a few moments of the training alone: at most 20, evenly spaced, the last one the saved weights.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.life.answer import Answer, losses
from pellucid.life.scaling import at_a_constant_rate
from pellucid.network.loss import each_loss
from pellucid.network.standardise import to_unit

if TYPE_CHECKING:
    from pellucid.life.again import Again

MOMENTS = 20  # at most
PIXELS = 2_000_000  # in the pictures that go through the network at once
GRADIENTS = 256_000_000  # most bytes of single pictures' gradients at once
Tensors = dict[str, Tensor]


def estimate(again: Again, answers: Sequence[Answer]) -> Generator[tuple[int, int], None, NDArray[np.float64]]:
    """How much the steps on each picture lowered each answer's loss, in nats: (answers, N), rows of again.task.train.

    TracInCP, eq. 1, with the optimizer: the sum over moments k of r_k <grad loss_k(answer), S_k grad loss_k(picture)>.
    r_k: the rates of the steps since the moment before, summed, over N. S_k: the optimizer's scaling of each weight
    (scaling.py). Losses are of the network as it predicts, on pictures that are not varied. Two backward
    passes along S_k grad loss_k(answer) give the products of a group of pictures. Yields (done, total).
    """
    groups = _groups(again)
    effect = np.zeros((len(answers), len(again.task.train)))
    done, total = 0, again.last + len(moments(again)) * len(answers) * len(groups)
    for share in _weighted(again):
        done += 1
        yield done, total
        if share is None:
            continue
        network = _Network(again)
        for number, answer in enumerate(answers):
            along = network.scaled(network.slope(answer))
            for at in groups:
                effect[number, at] += share * network.along(again.task.train[at], along)
                done += 1
                yield done, total
    return effect


def self_influence(again: Again) -> Generator[tuple[int, int], None, NDArray[np.float64]]:
    """How much the steps on each training picture lowered its own loss, in nats: (N,), never below 0.

    TracIn of a picture with itself (Pruthi et al. 2020, section 4.1): large where a picture's label has no other
    support, so mislabelled pictures rank high. Each picture's own gradient, by torch.func.vmap, in groups. Yields
    (done, total).
    """
    weights = sum(parameter.nbytes for parameter in again.state.module.parameters())
    groups = _groups(again, most=max(1, GRADIENTS // weights))
    effect = np.zeros(len(again.task.train))
    done, total = 0, again.last + len(moments(again)) * len(groups)
    for share in _weighted(again):
        done += 1
        yield done, total
        if share is None:
            continue
        network = _Network(again)
        for at in groups:
            effect[at] += share * network.lengths(again.task.train[at])
            done += 1
            yield done, total
    return effect


def moments(again: Again) -> list[int]:
    """The steps after which the network is looked at, counted from 1: the last ones of equal parts of the training."""
    parts = min(MOMENTS, max(1, round(again.last / again.task.steps_per_epoch)))
    return sorted({round(again.last * part / parts) for part in range(1, parts + 1)} - {0})


def _weighted(again: Again) -> Iterator[float | None]:
    """For each step None, or at a moment the rates since the one before, summed, over the number of pictures."""
    looked, rates = set(moments(again)), 0.0
    for made in again.steps():
        rates += made.rate
        if made.step in looked:
            yield rates / len(again.task.train)
            rates = 0.0
        else:
            yield None


def _groups(again: Again, most: int | None = None) -> list[slice]:
    """Of the training pictures, those that go through the network together."""
    height, width = again.task.images.batch(again.task.train[:0]).shape[1:3]
    size = max(1, min(256, PIXELS // (height * width), most or 256))
    count = len(again.task.train)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


class _Network:
    """The network at one moment, as a function of its weights."""

    def __init__(self, again: Again) -> None:
        self._task, self._module = again.task, again.state.module
        self._optimizer = again.state.optimizer
        self.weights = {name: each.detach() for name, each in self._module.named_parameters()}
        self._fixed = {name: each.detach() for name, each in self._module.named_buffers()}
        self._scales: dict[str, float | Tensor] = {}
        names = {parameter: name for name, parameter in self._module.named_parameters()}
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                values = self._optimizer.state.get(parameter, {})
                scale = at_a_constant_rate(group, values)
                self._scales[names[parameter]] = scale * group.get("factor", 1.0)

    def slope(self, answer: Answer) -> Tensors:
        """The gradient of an answer's loss."""
        images = self._standardised(answer.image[None])
        label = self._task.engine.send(np.array([answer.label]))

        leaves = self._leaves()
        loss = losses(self._logits(leaves, images), label, answer.several).sum()
        return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    def scaled(self, slope: Tensors) -> Tensors:
        """As the optimizer would go along it."""
        return {name: each * self._scales.get(name, 0.0) for name, each in slope.items()}

    def along(self, rows: NDArray[np.int64], direction: Tensors) -> NDArray[np.float64]:
        """How fast the loss of each picture rises along a direction of the weights, (n,)."""
        leaves, counts = self._leaves(), torch.ones(len(rows), device=self._task.engine.device, requires_grad=True)
        loss = (counts * self._losses(leaves, *self._pictures(rows))).sum()
        slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
        product = sum(
            ((slope * direction[name]).sum() for name, slope in zip(leaves, slopes, strict=True)), torch.zeros(())
        )
        return torch.autograd.grad(product, counts)[0].double().cpu().numpy()

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """<gradient, scaled gradient> of each picture's loss, (n,)."""
        images, labels = self._pictures(rows)

        def loss(weights: Tensors, image: Tensor, label: Tensor) -> Tensor:
            return self._losses(weights, image[None], label[None]).sum()

        slopes = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(self.weights, images, labels)
        terms = ((each * each * self._scales.get(name, 0.0)).flatten(1).sum(1) for name, each in slopes.items())
        return sum(terms, torch.zeros(())).double().cpu().numpy()

    def _leaves(self) -> Tensors:
        return {name: each.clone().requires_grad_() for name, each in self.weights.items()}

    def _pictures(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return self._standardised(self._task.images.batch(rows)), self._task.engine.send(self._task.labels[rows])

    def _standardised(self, pixels: NDArray[np.uint8] | Tensor) -> Tensor:
        return self._task.standardise(to_unit(pixels, self._task.engine.device))

    def _losses(self, weights: Tensors, images: Tensor, labels: Tensor) -> Tensor:
        recipe = self._task.recipe
        logits = self._logits(weights, images)
        return each_loss(recipe.loss, logits, labels, recipe.label_smoothing, self._task.weights)

    def _logits(self, weights: Tensors, images: Tensor) -> Tensor:
        module = self._module.eval()  # the next step sets it back
        return torch.func.functional_call(module, {**weights, **self._fixed}, (images,)).float()  # type: ignore[no-any-return]
