"""A training by hand: single steps of the real training loop, changes of its settings, undo and redo of both.

A step is `training/loop.py:train_step`, the same that `pellucid train` makes, on the processor and in float32. Which
pictures it takes, and every other random choice, follows from the seed and the number of the step. All methods belong
to one thread: see app/page/live_training.py.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.device import Engine
from pellucid.errors import RecipeError
from pellucid.live import limits, step
from pellucid.live.history import Moment, Past, Point, Progress, Tally, memory_of, merged, restore, thinned
from pellucid.live.material import Material
from pellucid.live.step import Last
from pellucid.network.network import Network
from pellucid.runtime.draws import drawing
from pellucid.training import loop
from pellucid.training import optimizer as optimizers
from pellucid.training.history import Epoch
from pellucid.training.loop import NotFinite, State, Task
from pellucid.training.recipe import Recipe

WATCHED = 500
"""Held-out pictures that are measured for each point of the curves, drawn by the seed if there are more."""
SETTINGS = ("model", "learning_rate", "batch", "optimizer", "momentum")
"""What can be changed, by the names of the recipe. `model` is the network's text."""
WORDS = {"model": "network", "learning_rate": "learning rate", "batch": "batch", "momentum": "momentum"}


class Session:
    """One model, trained further. The model folder and its classifier never change.

    `trouble`: why the last step was not made, as a sentence; None if all is well.
    """

    def __init__(self, material: Material) -> None:
        """Raises NetworkError if the network is too large to be trained by hand: see `limits`."""
        import torch

        self.material, self.recipe, self.network = material, material.recipe, material.network
        rows = material.data.rows("val")
        if len(rows) > WATCHED:
            rows = np.sort(np.random.default_rng((self.recipe.seed, 3)).choice(rows, WATCHED, replace=False))
        # PyTorch's own modules alone: whoever repeats a step with them gets the same weights
        engine = Engine("cpu", "float32", torch.get_num_threads(), ())
        data, augment = material.data, self.recipe.augment
        assert augment != "auto"
        about = engine, material.classifier.standardise, augment, data.store, data.labels, data.rows("train"), rows
        self.task = Task(self.recipe, *about, weights=material.importance)
        self.weights = self._allowed(self.recipe, self.network)
        """How many weights the network has."""
        loop.load(self.task)
        self.state, self.last = self._as_it_was(), None
        self.trouble: str | None = None
        self._orders: tuple[object, list[NDArray[np.int64]]] = (None, [])
        self._past, self._open = Past(), False
        self.progress = Progress()
        self.note()
        self._first = self._moment()

    # ---- steps

    def step(self) -> Last:
        """Train on one batch, as a part of the run that is open, or of a new one.

        Raises NotFinite, with the weights unchanged; `trouble` then says what happened and what to do.
        """
        opening = None if self._open else self._moment()
        self.trouble = None
        now = self.progress
        self.state.step = now.step
        order = self._order(now.epoch)
        try:
            last = step.make(self.task, self.state, order[now.position])
        except NotFinite as error:
            opening = None  # nothing has changed, so what was undone before can still be made again
            self.close()
            done = f"after {now.step:,} step{'s' if now.step != 1 else ''}"
            self.trouble = (
                f"{error.what}, {done} with learning rate {self.recipe.learning_rate:g}: no step can be made from "
                "there, and the weights are as before it. Undo, then choose a smaller learning rate."
            )
            raise
        finally:
            if opening is not None:
                self._past.remember(opening, "")
                self._open = True
        made = last.loss, last.correct, len(last.rows), last.seconds
        now = replace(now, step=now.step + 1, position=now.position + 1)
        self.last, self.progress = last, replace(now, now=now.now.plus(*made), recent=now.recent.plus(*made))
        if now.position == len(order):
            ended = self.progress
            epochs = merged((*ended.epochs, self.epoch_so_far()))
            self.progress = replace(ended, epoch=now.epoch + 1, position=0, now=Tally(), epochs=epochs)
        return last

    def note(self) -> None:
        """Add a point to the curves: the batches since the last one, and the watched pictures as they are now."""
        now = self.progress
        if now.points and now.points[-1].step == now.step:
            return
        loss, accuracy = now.recent.mean or (None, None)
        point = Point(now.step, self.epochs, loss, accuracy, *step.measured(self.task, self.state))
        self.progress = replace(now, points=thinned((*now.points, point)), recent=Tally())

    def close(self) -> None:
        """End the open run: the next step begins another one, which is undone by itself."""
        if self._open:
            self.note()
            self._past.forget_empty(self.progress.step)
        self._open = False

    def epoch_so_far(self) -> Epoch:
        """The epoch that the last step has ended, or that it has led into."""
        now, (loss, accuracy) = self.progress, self.progress.now.mean or (0.0, 0.0)
        about = *step.measured(self.task, self.state), self.recipe.learning_rate, now.now.seconds
        return Epoch(now.epochs_done + 1, now.step, loss, accuracy, *about, best=False)

    @property
    def epochs(self) -> float:
        """How often the training pictures were seen, on average."""
        now = self.progress
        return now.epoch + now.position / len(self._order(now.epoch))

    # ---- changes

    def check(self, **settings: Any) -> tuple[Recipe, Network]:
        """The recipe and the network with these settings (see SETTINGS). Raises RecipeError, NetworkError."""
        network = self.network
        for name in settings:
            if name not in SETTINGS:
                raise RecipeError(f"{name} cannot be changed here; only {', '.join(SETTINGS)} can.")
        if "model" in settings:
            if not isinstance(settings["model"], str):
                raise RecipeError(f"model is {settings['model']!r}; it must be a text.")
            network = limits.parsed(settings["model"])
            settings["model"] = str(network)
        recipe = replace(self.recipe, **settings)
        if recipe.batch is None:
            raise RecipeError("batch is none; it must be from 1 to 65536.")
        self._allowed(recipe, network)
        return recipe, network

    def edit(self, **settings: Any) -> bool:
        """Change settings; a run that is open ends. False if they are as they were.

        A new network begins with random weights, drawn by the seed. Another optimizer or momentum keeps the weights,
        and the optimizer begins without memory. Raises RecipeError, NetworkError; then nothing changes.
        """
        recipe, network = self.check(**settings)
        if recipe == self.recipe:
            return False
        self.close()
        what = _described(self.recipe, recipe)
        self._past.remember(self._moment(), what)
        before = self.progress.logged(what)
        if recipe.batch != self.recipe.batch:  # the pictures of this order that are left come in the next one
            before = replace(before, epoch=before.epoch + (before.position > 0), position=0, now=Tally())
        if network != self.network:
            self.state, self.last = self._fresh(recipe, network), None
            self.progress = Progress(log=before.log, unlisted=before.unlisted)
        else:
            if (recipe.optimizer, recipe.momentum) != (self.recipe.optimizer, self.recipe.momentum):
                self.state = State(self.state.module, optimizers.optimizer(recipe, self.state.module), steps=0)
            self.progress = before
        self._take(recipe, network)
        self.note()
        return True

    def undo(self) -> bool:
        """Take back the last change or run, bit for bit. False if there is none."""
        self.close()
        return self._restored(self._past.back(self._moment))

    def redo(self) -> bool:
        """Make again what was undone last. False if there is nothing."""
        self.close()
        return self._restored(self._past.forth(self._moment))

    def reset(self) -> None:
        """The model as it was, with its settings. This too can be undone."""
        self.close()
        self._past.remember(self._moment(), "the reset")
        self._restored(self._first)

    def scratch(self) -> None:
        """Random weights for the network, drawn by the seed; the settings stay. This too can be undone."""
        self.close()
        what = "random weights"
        self._past.remember(self._moment(), what)
        before = self.progress.logged(what)
        self.state, self.last, self.trouble = self._fresh(self.recipe, self.network), None, None
        self.progress = Progress(log=before.log, unlisted=before.unlisted)
        self.note()

    @property
    def undoable(self) -> str | None:
        """What `undo` takes back, in a few words: "3 steps", "learning rate 0.2 to 0.5"; None if there is nothing."""
        return self._past.undoable(self.progress.step)

    @property
    def redoable(self) -> str | None:
        """The same for `redo`."""
        return self._past.redoable(self.progress.step)

    # ---- inside

    def _allowed(self, recipe: Recipe, network: Network) -> int:
        about = self.material.classifier
        batch = min(recipe.batch or 1, len(self.task.train))
        return limits.check(network, about.input_shape, len(about.classes), batch)

    def _as_it_was(self) -> State:
        """The saved weights, with the saved memory of the optimizer."""
        module = self.task.engine.place(copy.deepcopy(self.material.classifier.module))
        for each in module.parameters():
            each.requires_grad_(True)
        memory = self.material.memory
        tensors = memory.tensors if memory is not None else {}
        rate = self.recipe.learning_rate
        return State(module, optimizers.remembering(self.recipe, module, rate, tensors), steps=0)

    def _fresh(self, recipe: Recipe, network: Network) -> State:
        """A network's random weights, those that a training with this seed begins with."""
        about = self.material.classifier
        with drawing(recipe.seed):
            module = self.task.engine.place(network.module(about.input_shape, len(about.classes)))
        return State(module, optimizers.optimizer(recipe, module), steps=0)

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each step of an epoch."""
        key = (epoch, self.recipe.batch)
        if self._orders[0] != key:
            self._orders = key, loop.epoch_order(self.task, epoch)
        return self._orders[1]

    def _moment(self) -> Moment:
        weights = {name: each.detach().clone() for name, each in self.state.module.state_dict().items()}
        return Moment(self.recipe, self.network, self.state, weights, memory_of(self.state), self.progress, self.last)

    def _restored(self, moment: Moment | None) -> bool:
        if moment is None:
            return False
        self.state, self.progress, self.last = restore(moment), moment.progress, moment.last
        self._take(moment.recipe, moment.network)
        return True

    def _take(self, recipe: Recipe, network: Network) -> None:
        self.recipe, self.network, self.trouble = recipe, network, None
        self.task = replace(self.task, recipe=recipe)
        self.weights = self._allowed(recipe, network)


def _described(before: Recipe, after: Recipe) -> str:
    """ "learning rate 0.2 to 0.5, batch 64 to 8"."""
    changes = []
    for name in SETTINGS:
        was, now = getattr(before, name), getattr(after, name)
        if was == now:
            continue
        if name == "model":
            changes.append(f"the network {now}")
        elif name == "optimizer":
            changes.append(f"{was} to {now}")
        else:
            changes.append(f"{WORDS[name]} {was:g} to {now:g}")
    return ", ".join(changes)
