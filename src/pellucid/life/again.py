"""A finished training, made again step by step, with the same bits.

    again = result_of(opened(model, cache))
    for made in again.steps():
        print(made.step, made.rate, made.loss)
    again.check()

Every random choice of a step follows from the seed and the number of the step (training/loop.py). The engine is that of
the training: device, precision, threads, fused blocks and kernels. So on the same machine, with the same versions, the
weights are equal after every step, to the last bit. `check` compares them with the saved ones at the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import store as artefact
from pellucid.engine import device
from pellucid.engine.device import Engine
from pellucid.errors import ArtefactError, CatalogError
from pellucid.glassbox.trace import units
from pellucid.life import material as materials
from pellucid.life.material import Material
from pellucid.network import zoo
from pellucid.pictures.store import Decoding
from pellucid.pretrained.cache import FOLDER as WEIGHTS
from pellucid.pretrained.find import find
from pellucid.runs import transfer
from pellucid.runs.place import CHECKPOINTS
from pellucid.runs.transfer import Basis
from pellucid.runtime.draws import drawing
from pellucid.training import loop
from pellucid.training.features import Extracting
from pellucid.training.head import Fitting, LinearHead, Side
from pellucid.training.loop import State, Task
from pellucid.training.optimizer import optimizer
from pellucid.training.resident import hold
from pellucid.training.schedule import learning_rate


@dataclass(frozen=True)
class Made:
    """A step that was made again. `step` is counted from 1; `rows`: of the step's pictures; `loss`: their mean."""

    step: int
    rows: NDArray[np.int64]
    rate: float
    loss: float


@dataclass(frozen=True)
class Drift:
    """Weights that differ from the saved ones: the largest difference, its place, how many differ, and of how many."""

    largest: float
    where: str
    different: int
    weights: int


@dataclass(frozen=True)
class Fitted:
    """What a head was fitted to at once: the training pictures, once in each of `views`, and the head it began from."""

    train: Side
    start: LinearHead
    views: int


class Again:
    """The training of a model from its first step to its saved weights. `state` is as it is after the last step made.

    `last`: how many steps lead to the saved weights; 0 for a head that was fitted to frozen features.
    """

    def __init__(self, material: Material, task: Task, state: State) -> None:
        self.material, self.task, self.state, self.last = material, task, state, material.last
        self._order: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    def rows(self, step: int) -> NDArray[np.int64]:
        """The rows of the pictures in step `step`, counted from 1, in their order in the batch."""
        epoch, position = divmod(step - 1, self.task.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = epoch, loop.epoch_order(self.task, epoch)
        return self._order[1][position]

    def rate(self, step: int) -> float:
        """The learning rate of step `step`, counted from 1."""
        return learning_rate(self.task.recipe, step - 1, self.material.plan.at(step - 1))

    def steps(self, until: int | None = None) -> Iterator[Made]:
        """Make the steps that are left, up to `until` or the last. The caller may stop, and go on later.

        After each, `state` has the new weights, and each parameter's `grad` is the gradient of that step.
        """
        end = self.last if until is None else min(until, self.last)
        with threads(self.task.engine.threads):
            while self.state.step < end:
                yield self.make()

    def make(self) -> Made:
        """Make the next step. On another number of threads than the training's it may round differently."""
        step = self.state.step + 1
        rows, rate = self.rows(step), self.rate(step)
        self.state.steps = self.material.plan.at(step - 1)
        loss, _ = loop.train_step(self.task, self.state, rows, rate)
        self.state.step = step
        return Made(step, rows, rate, loss)

    def drift(self) -> Drift | None:
        """How far the weights are from the saved ones, after the last step; None if they are equal to the last bit."""
        import torch

        saved = self.material.classifier.module.state_dict()
        own = self.state.module.state_dict()
        largest, where, different, weights = 0.0, "", 0, 0
        for name, tensor in saved.items():
            now, then = own[name].cpu(), tensor.cpu()
            weights += then.numel()
            if torch.equal(now, then):
                continue
            away = (now.double() - then.double()).abs()
            different += int((now != then).sum())
            if float(away.max()) >= largest:
                largest = float(away.max())
                at = np.unravel_index(int(away.argmax()), away.shape)
                where = f"{name}[{', '.join(map(str, at))}]" if away.ndim else name
        return Drift(largest, where, different, weights) if different else None

    def check(self) -> None:
        """Raise ArtefactError unless the weights equal the saved ones to the last bit."""
        drift = self.drift()
        if drift is not None:
            raise ArtefactError(
                f"{differs(self.material.model, drift)} So its numbers cannot be explained exactly here."
            )


def differs(model: Path, drift: Drift) -> str:
    """A sentence about weights that are not those of the model, and the usual reason."""
    processes = artefact.read_config(model).get("training", {}).get("processes", 1)
    why = "It was probably trained on another machine, or with other versions, which round differently."
    if processes > 1:
        why = f"It was trained by {processes} processes, whose sums round differently from one's."
    return (
        f"Made again, the training of {model} does not end in the saved weights: {drift.different:,} of "
        f"{drift.weights:,} differ, {drift.where} by {drift.largest:.3g}, the most. {why}"
    )


def opened(
    model: Path, cache: Path, weights: Iterable[str] = ()
) -> Generator[Decoding | Extracting | Fitting, None, Again]:
    """The training of a model folder, ready for its first step; yields progress. As `gathered`, then `start`."""
    material = yield from gathered(model, cache, weights)
    return (yield from start(material))


def gathered(model: Path, cache: Path, weights: Iterable[str] = ()) -> Generator[Decoding, None, Material]:
    """As material.gather, with the classifier in the model folder. Raises ArtefactError also if there is none.

    `weights`: such as "conv1.weight[3, 0, 2, 2]", checked before any picture is read. Raises TraceError.
    """
    _check_finished(model)
    materials.recipe_of(model, artefact.read_config(model))  # before a saved module would need trust
    classifier = artefact.load(model)
    shapes = {name: tuple(each.shape) for name, each in classifier.module.named_parameters()}
    for weight in weights:
        units.weight(weight, shapes)
    return (yield from materials.gather(model, classifier, cache))


def _check_finished(model: Path) -> None:
    """Raise ArtefactError for a training that has only checkpoints, which do not name their pictures."""
    run = model.parent if model.name == CHECKPOINTS else model
    if (model / artefact.CONFIG).exists() or not (run / CHECKPOINTS).is_dir():
        return
    if (run / artefact.CONFIG).exists():
        raise ArtefactError(f"{model} holds checkpoints. Name the model folder, {run}.")
    raise ArtefactError(
        f"The training in {run} has not finished. Its checkpoints do not say where its pictures are, so it cannot be "
        f"made again yet. Continue with `pellucid train … --out {run} --resume`."
    )


def start(material: Material, left_out: frozenset[int] = frozenset()) -> Generator[Extracting | Fitting, None, Again]:
    """The training of what was gathered, ready for its first step: each call starts anew, without these rows.

    Raises ArtefactError if the known weights that it started from are not the same any more, RecipeError if this
    machine lacks the training's device, and CatalogError if no picture is left.
    """
    import torch

    check_left(material, left_out)
    config, recipe, classifier = material.config, material.recipe, material.classifier
    training, known = config["training"], config.get("pretrained")
    assert recipe.augment != "auto"
    before = torch.get_num_threads()
    try:
        once = device.choose(training["device"], training["precision"], training["threads"])
        assert classifier.network is not None
        with drawing(recipe.seed):
            module = once.place(classifier.network.module(classifier.input_shape, len(classifier.classes)))
        kernels, fused = training.get("kernels"), training.get("fused")
        engine = device.for_steps(once, module, training["precision"], training["precision"], kernels)
        batch = min(recipe.batch or 1, len(material.train))
        engine = device.with_blocks(engine, module, classifier.input_shape, batch, fused)
        images, _ = hold(material.data.store, len(material.data.labels), engine)
        weights = training.get("class_weights")
        task = Task(
            recipe,
            engine,
            classifier.standardise,
            recipe.augment,
            images,
            material.data.labels,
            material.train,
            material.validation,
            weights=None if weights is None else tuple(weights),
            frozen_norms=bool(known),
            left_out=left_out,
            blocks=material.data.store.blocks if training.get("streamed") else None,
        )
        loop.load(task)
        state = State(module, optimizer(recipe, module), steps=material.plan.at(0))
        if known:
            yield from _take_over(material, task, state, once)
        return Again(material, task, state)
    finally:
        torch.set_num_threads(before)


def check_left(material: Material, left_out: frozenset[int]) -> None:
    """Raise CatalogError if no training picture is left without these rows."""
    if left_out.issuperset(material.train.tolist()):
        raise CatalogError(
            f"Without these {len(left_out):,} pictures nothing is left that {material.model} was trained on. "
            "Leave out fewer."
        )


def basis_of(material: Material) -> Basis:
    """The known weights that a training started from. Raises ArtefactError if they are not the same any more."""
    model, recipe, stated = material.model, material.recipe, material.config["pretrained"]
    assert recipe.pretrained is not None
    assert material.classifier.network is not None
    known = find(recipe.pretrained, material.cache / WEIGHTS, recipe.model)
    if known.backbone_digest != stated.get("backbone_digest"):
        raise ArtefactError(
            f"{model} started from {stated.get('source')}; {recipe.pretrained} now has other weights. Its training "
            "cannot be made again from them."
        )
    classifier = material.classifier
    named = zoo.Named(known.name, known.network, classifier.input_shape)
    return Basis(named, classifier.form, classifier.standardise, known, dict(stated))


def _take_over(
    material: Material, task: Task, state: State, once: Engine
) -> Generator[Extracting | Fitting, None, None]:
    """Load the known weights, with the head that fits the pictures: the weights before the first step."""
    there = replace(task, train=task.train[~np.isin(task.train, list(task.left_out))])
    yield from transfer.begin(basis_of(material), material.data, there, state, material.cache, once)


def features(again: Again) -> Generator[Extracting, None, Fitted]:
    """What the head of a training that kept its backbone frozen was fitted to; it comes from the cache."""
    material, module = again.material, again.state.module
    training, basis = material.config["training"], basis_of(material)
    assert basis.known is not None
    with threads(training["threads"]):
        once = device.choose(training["device"], training["precision"], training["threads"])
        train, _, views = yield from transfer.sides(basis, material.data, again.task, module, material.cache, once)
    return Fitted(train, transfer.initial_head(module, basis.known, material.classifier.classes), len(views))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for PyTorch's sums, which are split by threads: another number rounds differently."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
