"""One whole training cycle on paper: forward, error, backward, update, and forward again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.ops import elementwise, losses, optimizers, pooling, products, shaping
from pellucid.lessons import material
from pellucid.lessons.convolution import convolve
from pellucid.lessons.lesson import Factor, Floats, Grid, Lesson, Value, Worked
from pellucid.lessons.losses import CROSS_ENTROPY, SOFTMAX, SQUARED_ERROR, gradients
from pellucid.lessons.work import Work
from pellucid.network.learning import Conv
from pellucid.network.pooling import MaxPool
from pellucid.network.text import parse

T = TypeVar("T")
Weights = Mapping[str, Floats]
LOSSES: Mapping[str, tuple[Callable[..., Op], Mapping[str, str]]] = {
    "cross-entropy": (losses.cross_entropy, CROSS_ENTROPY),
    "squared error": (losses.brier, SQUARED_ERROR),
}


@dataclass(frozen=True, eq=False)
class Cycle:
    """The tiny network with these weights and this loss. Each property is one step, on the result of the last."""

    weights: Weights
    loss_name: str = "cross-entropy"

    @cached_property
    def conv(self) -> Work:
        names = {"input": "picture", "weight": "conv1.weight", "bias": "conv1.bias", OUT: "conv1"}
        picture = material.TINY_PICTURE[None]
        return convolve(_layer(Conv), picture, self.weights["conv1.weight"], self.weights["conv1.bias"], names)

    @cached_property
    def relu(self) -> Work:
        return _step(elementwise.relu, self.conv, "conv1", "relu1")

    @cached_property
    def pool(self) -> Work:
        layer = _layer(MaxPool)
        return _step(lambda shape: pooling.max_pool(shape, layer.size, layer.step), self.relu, "relu1", "maxpool1")

    @cached_property
    def flat(self) -> Work:
        return _step(shaping.flatten, self.pool, "maxpool1", "flatten1")

    @cached_property
    def dense(self) -> Work:
        arrays = {
            "input": self.flat.output,
            "weight": self.weights["dense1.weight"],
            "bias": self.weights["dense1.bias"],
        }
        op = products.linear(**{name: array.shape for name, array in arrays.items()})
        return Work(op, arrays, {name: f"dense1.{name}" for name in arrays} | {"input": "flatten1", OUT: "dense1"})

    @cached_property
    def softmax(self) -> Work:
        scores = self.dense.output[None]
        return Work(losses.softmax(scores.shape), {"input": scores}, {**SOFTMAX, "input": "dense1"}, keep=0)

    @cached_property
    def loss(self) -> Work:
        declare, names = LOSSES[self.loss_name]
        scores = self.dense.output[None]
        op = declare(scores.shape, [material.TINY_TRUTH])
        return Work(op, {"input": scores}, {**names, "input": "dense1"}, keep=0, gradient=np.ones(()))

    @cached_property
    def backward(self) -> tuple[tuple[Work, str], ...]:
        """From the scores to the first weights: each step with its gradient, and the name that the gradient is for."""
        dense = replace(self.dense, gradient=self.loss.gradient_of("input")[0])
        flat = replace(self.flat, gradient=dense.gradient_of("input"))
        pool = replace(self.pool, gradient=flat.gradient_of("input"))
        relu = replace(self.relu, gradient=pool.gradient_of("input"))
        conv = replace(self.conv, gradient=relu.gradient_of("input"))
        inner = [(flat, "input"), (pool, "input"), (relu, "input")]
        learned = [(dense, "weight"), (dense, "bias"), (dense, "input")]
        return (*learned, *inner, (conv, "weight"), (conv, "bias"))

    @cached_property
    def gradients(self) -> Weights:
        """The gradient of every weight, by its name."""
        return {work.names[name]: work.gradient_of(name) for work, name in self.backward if name != "input"}

    @cached_property
    def updates(self) -> tuple[Worked, ...]:
        """Stochastic gradient descent's step of every weight."""
        updates = []
        for name, weight in self.weights.items():
            for index in np.ndindex(*weight.shape):
                gradient = self.gradients[name][index]
                arrays = {"weight": np.array(weight[index]), "gradient": np.array(gradient)}
                step = Work(optimizers.sgd(material.RATE), arrays, {OUT: "new weight"}).number()
                short = tuple(place for place, size in zip(index, weight.shape, strict=True) if size > 1)
                updates.append(replace(step, of=Factor(f"new {name}", short, step.total)))
        return tuple(updates)

    @cached_property
    def after(self) -> Cycle:
        """The same with the new weights."""
        moved = iter(self.updates)
        new = {name: np.array([next(moved).total for _ in old.flat]) for name, old in self.weights.items()}
        return replace(self, weights={name: new[name].reshape(old.shape) for name, old in self.weights.items()})

    @property
    def truth(self) -> float:
        """The true class's probability."""
        return float(self.softmax.output[0, material.TINY_TRUTH])


def _step(declare: Callable[[tuple[int, ...]], Op], before: Work, name: str, out: str) -> Work:
    return Work(declare(before.output.shape), {"input": before.output}, {"input": name, OUT: out})


def _layer(kind: type[T]) -> T:
    return next(layer for layer in parse(material.TINY).layers if isinstance(layer, kind))


def forward() -> Lesson:
    cycle = Cycle(material.TINY_WEIGHTS)
    steps = (cycle.conv, cycle.relu, cycle.pool, cycle.flat, cycle.dense)
    return Lesson(
        "training-forward",
        "A training cycle, 1: forward",
        "A network small enough for paper, built like the article's: two filters of 2x2, ReLU, max pooling, flatten, "
        "and a dense layer with two units, cat and dog. The picture goes through it from the first layer to the last. "
        "ReLU turns what is below 0 into 0; flatten only writes the numbers in a row.",
        (
            Grid("picture", "picture", material.TINY_PICTURE),
            *(Grid(name, name, _flat(weight)) for name, weight in material.TINY_WEIGHTS.items()),
            *(Grid(work.names[OUT], work.names[OUT], _flat(work.output), "computed") for work in steps),
        ),
        tuple(number for work in steps for number in work.numbers()),
        (Value("network", "network", material.TINY, role="given"),),
    )


def error() -> Lesson:
    cycle, squared = Cycle(material.TINY_WEIGHTS), Cycle(material.TINY_WEIGHTS, "squared error")
    truth = np.eye(len(cycle.dense.output))[material.TINY_TRUTH]
    return Lesson(
        "training-error",
        "A training cycle, 2: the error",
        "The picture was a dog, class 1, and the network leans to cat. Softmax turns the scores into probabilities, "
        "and the loss says in one number how wrong they are. Training makes this number smaller.",
        (
            Grid("dense1", "scores", cycle.dense.output, "computed"),
            Grid("probabilities", "probabilities", cycle.softmax.output[0], "computed"),
            Grid("truth", "truth", truth),
        ),
        (
            *cycle.softmax.numbers("largest"),
            *cycle.softmax.numbers("power"),
            *cycle.softmax.numbers("total"),
            *cycle.softmax.numbers(),
            *cycle.loss.numbers(),
            *squared.loss.numbers(),
        ),
        (
            Value("cross-entropy", "cross-entropy", float(cycle.loss.output)),
            Value("squared error", "mean squared error", float(squared.loss.output)),
        ),
    )


def backward() -> Lesson:
    cycle = Cycle(material.TINY_WEIGHTS)
    return Lesson(
        "training-backward",
        "A training cycle, 3: backward",
        "How would the loss change if one number were a little larger? That is the number's gradient. It is worked out "
        "from the loss backwards, each layer's from the one behind it. Through max pooling only the winner passes it "
        "on, through ReLU only what was above 0; a filter's weight collects it from every place where it was used.",
        _gradient_grids(cycle),
        _gradients(cycle),
    )


def update() -> Lesson:
    cycle = Cycle(material.TINY_WEIGHTS)
    return Lesson(
        "training-update",
        "A training cycle, 4: the update",
        "Every weight takes a small step against its gradient: 0.1 of it, the learning rate. All weights move at "
        "once, including the biases. The same picture then goes through the new weights, and the loss is smaller. "
        "Training is this cycle over and over, on many pictures.",
        tuple(Grid(f"new {name}", f"new {name}", _flat(new), "computed") for name, new in cycle.after.weights.items()),
        cycle.updates,
        _before_and_after(cycle),
    )


def squared_error() -> Lesson:
    cycle = Cycle(material.TINY_WEIGHTS, "squared error")
    return Lesson(
        "training-squared-error",
        "The same cycle with mean squared error",
        "Forward is the same; the error is the other loss, and so every gradient differs. They are smaller here, "
        "because softmax flattens out and takes part of the gradient: one reason why classifiers are trained with "
        "cross-entropy. From the scores backwards, the rules are the same as before.",
        (
            *_gradient_grids(cycle),
            *(Grid(f"new {name}", f"new {name}", _flat(new), "computed") for name, new in cycle.after.weights.items()),
        ),
        (
            *cycle.loss.numbers(),
            *gradients(cycle.loss, cycle.loss_name),
        ),
        _before_and_after(cycle),
    )


def _gradients(cycle: Cycle) -> tuple[Worked, ...]:
    rest = tuple(number for work, name in cycle.backward for number in work.gradients(name))
    return (*gradients(cycle.loss, cycle.loss_name), *rest)


def _gradient_grids(cycle: Cycle) -> tuple[Grid, ...]:
    grids = []
    for work, name in ((cycle.loss, "input"), *cycle.backward):
        label = f"gradient of {work.names[name]}"
        grids.append(Grid(label, label, _flat(work.gradient_of(name)), "computed"))
    return tuple(grids)


def _before_and_after(cycle: Cycle) -> tuple[Value, ...]:
    after = cycle.after
    return (
        Value("learning rate", "learning rate", material.RATE, role="given"),
        Value("loss before", f"{cycle.loss_name} before", float(cycle.loss.output)),
        Value("loss after", f"{cycle.loss_name} after", float(after.loss.output)),
        Value("truth before", "probability of dog before", cycle.truth),
        Value("truth after", "probability of dog after", after.truth),
    )


def _flat(array: Floats) -> Floats:
    """Without axes of length 1 before the last two, and without a batch of one."""
    sizes = [size for axis, size in enumerate(array.shape) if size > 1 or axis >= array.ndim - 2]
    return array.reshape(sizes)
