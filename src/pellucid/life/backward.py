"""What each training picture did to an answer: the derivative of the answer's loss, back through the whole training.

Give every picture a weight in its steps' losses, 1 in the training as it was. The saved network, and the loss of one of
its answers, is then a function of these weights: through each gradient, through the optimizer's own numbers, through
batch norm's sums. Its derivative is worked out backward, from the last step to the first (Hara, Nitanda & Maehara 2019,
"Data Cleansing for Models Trained with SGD", algorithm 2, for plain gradient descent; here for every optimizer of a
recipe). For one answer it gives the effect of every picture at once. To first order, minus a picture's derivative is
what the loss would gain without the picture.

A step needs the weights before it: the training is made again from a few copies of its state, a span of steps at a
time.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.life.again import threads
from pellucid.life.answer import Answer, losses
from pellucid.life.backward_update import VALUES, updated
from pellucid.network.loss import each_loss
from pellucid.network.standardise import to_unit
from pellucid.runtime.draws import drawing
from pellucid.training import forward, loop
from pellucid.training.norms import train_mode

if TYPE_CHECKING:
    from pellucid.life.again import Again
    from pellucid.training.loop import State, Task

MEMORY = 4_000_000_000  # most bytes of copies of the weights
BACKWARD = 4  # a step backward takes about as long as so many forward: for the time left

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class _Before:
    """A network before a step, and the step's gradient: tensors by parameter, buffer, or "conv1.weight/exp_avg"."""

    module: Tensors
    optimizer: Tensors
    gradient: Tensors
    rate: float


def through_training(again: Again, answers: Sequence[Answer]) -> Generator[tuple[int, int], None, NDArray[np.float64]]:
    """How much higher the loss of each answer would be without each picture, in nats, to first order.

    (answers, N), for the N rows of again.task.train in their order. `again` must be at its first step, and is at its
    last one afterwards. Yields (done, total).

    Raises TraceError if the copies of the weights would take more than MEMORY, or the derivative is not finite.
    """
    span = max(1, math.isqrt(again.last - 1) + 1)
    _check_memory(again, span)
    with threads(again.task.engine.threads):
        return (yield from _followed(again, answers, span))


def _followed(
    again: Again, answers: Sequence[Answer], span: int
) -> Generator[tuple[int, int], None, NDArray[np.float64]]:
    last = again.last
    total, done = last * (2 + BACKWARD), 0
    starts: list[State] = []
    for step in range(last):
        if step % span == 0:
            starts.append(copy.deepcopy(again.state))
        again.make()
        done += 1
        yield done, total
    steps = _Backward(again)
    end = again.state
    adjoints = [steps.end(answer) for answer in answers]
    place = {row: at for at, row in enumerate(again.task.train.tolist())}
    effect = np.zeros((len(answers), len(place)))
    for first, after in reversed(list(pairwise([*range(0, last, span), last]))):
        again.state = starts.pop()
        befores = []
        for _ in range(first, after):
            befores.append(_made(again))
            done += 1
            yield done, total
        for step in reversed(range(first, after)):
            rows = again.rows(step + 1)
            at = [place[row] for row in rows.tolist()]
            for number, weights in enumerate(steps.back(step, rows, befores.pop(), adjoints)):
                effect[number, at] -= weights
            done += BACKWARD
            yield done, total
    again.state = end
    if not np.isfinite(effect).all():
        raise TraceError(
            f"The derivative through the {last:,} steps of {again.material.model} is not finite: its training is so "
            'sensitive that no effect of a single picture can be followed. Use method "tracin".'
        )
    return effect


def _check_memory(again: Again, span: int) -> None:
    weights = sum(tensor.nbytes for tensor in again.state.module.state_dict().values())
    copies = 2 + len(VALUES[again.task.recipe.optimizer])
    needed = weights * copies * (span + again.last // span)
    if needed > MEMORY:
        raise TraceError(
            f"To follow an answer back through {again.last:,} steps takes copies of {needed / 1e9:.1f} GB; at most "
            f'{MEMORY / 1e9:.0f} GB are used. Use method "tracin", which is less exact and holds one copy.'
        )


def _made(again: Again) -> _Before:
    """Make the next step, and return the network as it was before it, with its gradient."""
    state = again.state
    module = {name: tensor.detach().clone() for name, tensor in state.module.state_dict().items()}
    optimizer = {name: tensor.detach().clone() for name, tensor in loop.optimizer_tensors(state).items()}
    rate = again.make().rate
    gradient = {
        name: parameter.grad.detach().float().clone()
        for name, parameter in state.module.named_parameters()
        if parameter.grad is not None
    }
    return _Before(module, optimizer, gradient, rate)


class _Norms:
    """Batch norm by weighted pictures, with its new sums: with a derivative by the weights of the pictures and by them.

    PyTorch's own has none by its sums.
    """

    def __init__(self, module: nn.Module) -> None:
        self.weights = torch.ones(0)
        self.sums: Tensors = {}
        for name, part in module.named_modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.forward = partial(self._run, name, part)  # type: ignore[method-assign]

    def _run(self, name: str, part: Any, images: Tensor) -> Tensor:
        row = [1, -1, *[1] * (images.ndim - 2)]
        mean, variance = (
            self._of_step(name, part, images, row) if part.training else (part.running_mean, part.running_var)
        )
        scaled = (images - mean.view(row)) / (variance + part.eps).sqrt().view(row)
        return scaled * part.weight.view(row) + part.bias.view(row) if part.affine else scaled

    def _of_step(self, name: str, part: Any, images: Tensor, row: list[int]) -> tuple[Tensor, Tensor]:
        """Mean and variance of the step's pictures; notes the new sums."""
        shares = (self.weights / self.weights.sum()).view([-1, *[1] * (images.ndim - 1)])
        places = images[0, 0].numel()
        across = [0, *range(2, images.ndim)]
        mean = (shares * images).sum(across) / places
        variance = (shares * (images - mean.view(row)) ** 2).sum(across) / places
        count = self.weights.sum() * places
        for key, value in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
            before = getattr(part, key)
            self.sums[f"{name}.{key}"] = before + part.momentum * (value - before)
        return mean, variance


class _Backward:
    """The derivative of one step, on a copy of the module: nothing of the training changes."""

    def __init__(self, again: Again) -> None:
        self._task: Task = again.task
        self._module = copy.deepcopy(again.state.module)
        self._norms = _Norms(self._module)
        self._groups = {}
        names = {parameter: name for name, parameter in again.state.module.named_parameters()}
        for group in again.state.optimizer.param_groups:
            for parameter in group["params"]:
                self._groups[names[parameter]] = group

    def end(self, answer: Answer) -> Tensors:
        """The derivative of an answer's loss by each number of the trained network, by name."""
        module = self._module.eval()
        task = self._task
        names = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        leaves = {name: _leaf(tensor) for name, tensor in names.items() if tensor.is_floating_point()}
        images = task.standardise(to_unit(answer.image[None], task.engine.device))
        label = task.engine.send(np.array([answer.label]))
        loss = losses(torch.func.functional_call(module, leaves, (images,)).float(), label, answer.several).sum()
        return _gradients(loss, leaves)

    def back(
        self, step: int, rows: NDArray[np.int64], before: _Before, adjoints: list[Tensors]
    ) -> list[NDArray[np.float64]]:
        """The derivative by each picture's weight in step `step`, counted from 0, for each answer: (n,).

        `adjoints`, each answer's derivative by the numbers after the step, become those by the numbers before it.
        """
        later = [self._through_update(before, adjoint) for adjoint in adjoints]
        effects = [np.zeros(len(rows)) for _ in adjoints]
        for at, leaves, weights, gradient, sums in self._parts(step, rows, before):
            for number, (adjoint, along) in enumerate(zip(adjoints, later, strict=True)):
                value = _product(gradient, along) + _product(sums, adjoint)
                slopes = _gradients(value, {**leaves, "": weights}, retain=True)
                effects[number][at] = slopes.pop("").double().cpu().numpy()
                for name, slope in slopes.items():
                    adjoint[name] = slope if name in sums else adjoint.get(name, 0) + slope
        for number, along in enumerate(later):
            if len(rows) > 1:  # a picture less makes the others count more
                effects[number] -= float(_product(before.gradient, along)) / len(rows)
        return effects

    def _through_update(self, before: _Before, adjoint: Tensors) -> Tensors:
        """From the derivative by the weights and the optimizer's numbers after the update to that by the gradient.

        In `adjoint` those by the numbers before the update, with the gradient fixed, take their places.
        """
        along: Tensors = {}
        recipe = self._task.recipe
        for name, gradient in before.gradient.items():
            group = self._groups[name]
            weight = before.module[name]
            values = {key: before.optimizer.get(f"{name}/{key}") for key in VALUES[recipe.optimizer]}
            leaves = {"": _leaf(weight), "gradient": _leaf(gradient)}
            for key, value in values.items():
                leaves[f"/{key}"] = _leaf(torch.zeros_like(weight) if value is None else value)
            made = before.optimizer.get(f"{name}/step")
            taken = 1 if made is None else int(made) + 1
            own = {key: leaves[f"/{key}"] for key in values}
            with torch.enable_grad():
                after = updated(recipe, group, before.rate, taken, leaves[""], leaves["gradient"], own)
                value = sum(
                    ((number * adjoint[name + key]).sum() for key, number in after.items() if name + key in adjoint),
                    torch.zeros(()),
                )
            slopes = _gradients(value, leaves)
            along[name] = slopes.pop("gradient")
            adjoint.update({name + key: slope for key, slope in slopes.items()})
        return along

    def _parts(self, step: int, rows: NDArray[np.int64], before: _Before) -> Any:
        """For each part of a step: its places in the step, leaves, weights; the gradient and new sums, with graph."""
        task, module = self._task, self._module
        train_mode(module, task.frozen_norms)
        seed = loop.seed_of(task, step)
        with drawing(seed, task.engine.device):
            generator = torch.Generator().manual_seed(seed)
            recipe = task.recipe
            for part in forward.parts(task, module, rows):
                pixels = task.images.batch(part)
                if task.augment == "none":
                    images = task.standardise(to_unit(pixels, task.engine.device))
                else:
                    images = forward.augmented(task, pixels, generator)
                leaves = {name: _leaf(tensor) for name, tensor in before.module.items() if tensor.is_floating_point()}
                weights = torch.ones(len(part), device=images.device, requires_grad=True)
                self._norms.weights, self._norms.sums = weights, {}
                logits = torch.func.functional_call(module, leaves, (images,)).float()
                labels = task.engine.send(task.labels[part])
                each = each_loss(recipe.loss, logits, labels, recipe.label_smoothing, task.weights)
                parameters = {name: leaves[name] for name in before.gradient}
                loss = (weights * each).sum() / len(rows)
                slopes = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
                at = np.isin(rows, part).nonzero()[0]
                yield at, leaves, weights, dict(zip(parameters, slopes, strict=True)), self._norms.sums


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().float().clone().requires_grad_()


def _product(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Tensor:
    """The sum of the products of all numbers with the same names."""
    return sum(((tensor * other[name]).sum() for name, tensor in one.items() if name in other), torch.zeros(()))


def _gradients(value: Tensor, leaves: Tensors, retain: bool = False) -> Tensors:
    if not value.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    slopes = torch.autograd.grad(value, list(leaves.values()), retain_graph=retain, allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if slope is None else slope.detach()
        for (name, leaf), slope in zip(leaves.items(), slopes, strict=True)
    }
