"""The training loop: a generator that yields what happened and never asks what to do next.

Every random choice of step `s` is drawn from (seed, s) alone. So a run is a function of its recipe and can continue
from any step: a checkpoint holds only numbers (checkpoint.py), and no generator's inner state.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.device import Engine
from pellucid.errors import TrainingError
from pellucid.network.standardise import Standardise
from pellucid.pictures.augment import Augment, augment_stored
from pellucid.pictures.order import Blocks, shuffled
from pellucid.runtime.draws import drawing
from pellucid.training import backward, forward, minutes, pace, targets
from pellucid.training.evaluate import surely_less
from pellucid.training.history import Epoch, is_best
from pellucid.training.images import Images, announce
from pellucid.training.norms import train_mode
from pellucid.training.recipe import Recipe
from pellucid.training.schedule import learning_rate
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    import torch

    from pellucid.training.team.exchange import Exchange


PROBE = 5.0  # seconds: the plan follows the speed of later steps anyway


@dataclass(frozen=True)
class Task:
    """The constants of a run. `train` and `validation` are rows of `images`."""

    recipe: Recipe
    engine: Engine
    standardise: Standardise
    augment: Augment
    images: Images
    labels: targets.Targets
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    reported: int = 0  # pictures to classify after the last step, in a run in minutes
    weights: tuple[float, ...] | None = None  # factor of each class's pictures in the loss
    frozen_norms: bool = False  # batch norm uses the sums of known weights in training as in prediction
    left_out: frozenset[int] = frozenset()  # rows that take their place in the order, and are not trained on
    team: Team = ALONE  # the processes that share each step
    blocks: Blocks | None = None  # for pictures that are streamed: those that are read together; None for any order

    @property
    def steps_per_epoch(self) -> int:
        """As many as the batch size needs; a step takes one picture more rather than leave a step of one."""
        needed = math.ceil(len(self.train) / self.batch)
        return needed if self.batch == 1 else max(1, min(needed, len(self.train) // 2))

    @property
    def by_loss(self) -> bool:
        """Whether only the loss on validation chooses the epoch: for several labels, and for weighted classes."""
        return self.labels.ndim == 2 or self.weights is not None

    @property
    def batch(self) -> int:
        """Pictures in a step; the recipe of a task is complete."""
        assert self.recipe.batch is not None
        return self.recipe.batch


class NotFinite(TrainingError):
    """The loss or gradient of a step, which is then not made, or the loss on validation is not finite.

    All processes of a team raise it. `what` says which number it is, and its value.
    """

    def __init__(self, what: str, rest: str) -> None:
        super().__init__(f"{what} {rest}")
        self.what = what


@dataclass(frozen=True)
class Step:
    """One step done. Loss and accuracy are means over the pictures of this epoch so far."""

    epoch: int  # counted from 1
    step: int  # of the whole run, counted from 1
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    seconds_left: float


@dataclass
class State:
    """Everything that a run changes: a checkpoint is these fields, except `exchange`, and nothing else."""

    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    steps: int  # of the whole run, as planned
    step: int = 0  # done
    seconds: float = 0.0
    epoch_loss: float = 0.0  # summed over the pictures of this epoch so far
    epoch_correct: int = 0
    epoch_pictures: int = 0
    epoch_seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # the weights of the best epoch so far
    best_optimizer: dict[str, torch.Tensor] = field(default_factory=dict)  # see optimizer_tensors
    best_step: int = 0  # steps done then
    stopped_early: bool = False
    seconds_allowed: float | None = None  # for a run in minutes; `steps` then follows the speed
    step_seconds: float = 0.0  # recent mean
    fastest_seconds: float = 0.0  # of the steps so far, as if no other program ran; 0 before the first
    head_losses: list[float] = field(default_factory=list)  # of each validation picture, if there are few
    validation_steps: float = 0.0  # duration of the last validation in steps, by that mean; 0 before the first
    plan: list[list[int]] = field(default_factory=list)  # [step, `steps` from this step on], one where `steps` changes
    exchange: Exchange | None = None  # of gradients in a team, which the first step makes

    @property
    def finished(self) -> bool:
        """Whether no step is left and the last epoch is validated."""
        return self.stopped_early or (self.step >= self.steps and not self.epoch_pictures)


def run(task: Task, state: State) -> Iterator[Step | Epoch]:
    """Train `state` in place until it is finished, yielding a Step after each step and an Epoch after each epoch.

    Its seconds are wall-clock time from one step to the next, including the caller's own work. The caller may stop at
    any yield: `state` is then complete. Raises TrainingError if the loss is not finite, before that loss changes any
    weight.
    """
    per_epoch = task.steps_per_epoch
    speed = pace.Speed()
    order: list[NDArray[np.int64]] = []
    last = time.perf_counter()
    while True:
        # checked before the step: a run resumed between an epoch's last step and its end passes here
        if state.epoch_pictures and (state.step >= state.steps or minutes.is_due(task, state)):
            result, last = end_epoch(task, state, last)
            minutes.replan(task, state)
            yield result
        if state.finished:
            return
        epoch, position = divmod(state.step, per_epoch)
        if position == 0 or not order:
            order = epoch_order(task, epoch)
            announce(task.images, np.concatenate([forward.own(task, state.module, rows) for rows in order[position:]]))
        rows = order[position]

        rate = learning_rate(task.recipe, state.step, state.steps)
        loss, correct = train_step(task, state, rows, rate)
        if not state.plan or state.plan[-1][1] != state.steps:
            state.plan.append([state.step, state.steps])
        seconds, last = (now := time.perf_counter()) - last, now
        state.step += 1
        state.seconds += seconds
        state.epoch_seconds += seconds
        if state.seconds_allowed is not None:  # the first process's clock decides
            seconds, state.seconds = task.team.same((seconds, state.seconds))
        state.epoch_loss += loss * len(rows)
        state.epoch_correct += correct
        state.epoch_pictures += len(rows)
        speed.note(len(rows), seconds)
        if state.step == 1:
            task.engine.settle()  # the optimizer's numbers exist now, and stay between a step's large blocks
        minutes.note(task, state, seconds)
        yield Step(
            epoch + 1,
            state.step,
            state.steps,
            state.epoch_loss / state.epoch_pictures,
            state.epoch_correct / state.epoch_pictures,
            rate,
            speed.images_per_second,
            minutes.seconds_left(state, speed),
        )


def epoch_order(task: Task, epoch: int) -> list[NDArray[np.int64]]:
    """The rows of each step of an epoch: all training pictures once, shuffled, in steps of nearly equal size.

    Pictures that are streamed are shuffled in blocks and then within a buffer: see pictures/order.py.
    Nearly equal, because a last step of one picture would make a noisy update and break batch norm.
    """
    generator = np.random.default_rng((task.recipe.seed, 0, epoch))
    train, blocks = task.train, task.blocks
    rows = generator.permutation(train) if blocks is None else shuffled(train, blocks, generator)
    return np.array_split(rows, task.steps_per_epoch)


def train_step(task: Task, state: State, rows: NDArray[np.int64], rate: float) -> tuple[float, int]:
    """Forward, backward, update. Returns the mean loss of the batch and how many were right.

    Rows that the task leaves out count for the random choices alone: augmentation and dropout draw as with them. A step
    without any other row changes nothing. In a team each process computes its share of the rows, and all make the same
    update. Raises NotFinite if the loss or a gradient is not finite; weights and batch norm's sums are then unchanged.
    """
    import torch

    train_mode(state.module, task.frozen_norms)
    if not task.team.alone and state.exchange is None:
        state.exchange = backward.exchange(task, state, rows, seed_of(task, state.step))
    buffers = [buffer.clone() for buffer in state.module.buffers()]  # batch norm's, which the forward pass changes
    state.optimizer.zero_grad(set_to_none=True)
    there = None if task.left_out.isdisjoint(rows.tolist()) else ~np.isin(rows, list(task.left_out))
    if there is not None and not there.any():
        return 0.0, 0
    with drawing(seed_of(task, state.step), task.engine.device):  # for dropout
        losses, right = backward.losses(task, state, rows, there, seed_of(task, state.step))
    gradients = [parameter.grad for parameter in state.module.parameters() if parameter.grad is not None]
    sums = torch.stack(losses).sum(), torch.nn.utils.get_total_norm(gradients), torch.stack(right).sum()
    value, length, correct = torch.stack(sums).tolist()  # together: each read waits for a GPU
    value, correct = task.team.totals(value, correct)
    if not (math.isfinite(value) and math.isfinite(length)):
        state.optimizer.zero_grad(set_to_none=True)
        for buffer, before in zip(state.module.buffers(), buffers, strict=True):
            buffer.copy_(before)
        what = f"The loss is {value}" if not math.isfinite(value) else f"The gradient's length is {length}"
        raise NotFinite(what, f"at step {state.step + 1} of {state.steps}, {_advice(task.recipe, rate)}")
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
    state.optimizer.step()
    return value, int(correct)


def seed_of(task: Task, step: int) -> int:
    """Of the random choices of step `step`, counted from 0: dropout's, and how each picture is varied."""
    return int(np.random.SeedSequence((task.recipe.seed, 1, step)).generate_state(1, np.uint64)[0] >> 1)


def load(task: Task) -> None:
    """Load what the first step would wait for: the augmentation kernel, which may have to be compiled."""
    import torch

    if task.augment != "none" and task.engine.device == "cpu":
        scale, blank = task.standardise, np.zeros((1, 1, 1, len(task.standardise.mean)), np.uint8)
        generator = torch.Generator().manual_seed(0)
        augment_stored(blank, task.augment, generator, scale.mean, scale.deviation, task.engine.share_out)


def _advice(recipe: Recipe, rate: float) -> str:
    return (
        f"with learning rate {rate:.3g}. Try a smaller one (--learning-rate {recipe.learning_rate / 10:.1g}), "
        "a longer --warmup, or --precision float32."
    )


def end_epoch(task: Task, state: State, last: float) -> tuple[Epoch, float]:
    """Validate, keep the best weights, decide on early stopping, and start the next epoch's sums.

    `last`: the clock time of the last step's end. Also returns the time of its own end. Raises TrainingError if the
    loss on the validation pictures is not finite.
    """
    epoch = (state.step - 1) // task.steps_per_epoch + 1
    rate = learning_rate(task.recipe, state.step - 1, state.steps)
    validation_loss = validation_accuracy = None
    sure, before = True, state.history
    if not len(task.validation):  # then a head has epochs after it only in a run that an earlier Pellucid began
        before = [past for past in before if past.epoch]
    if len(task.validation):
        logits = predict_rows(task, state.module, task.validation)
        labels = task.labels[task.validation]
        weights = None if task.weights is None else np.array(task.weights)[labels]
        losses = targets.weighted(targets.losses(logits, labels), weights)
        validation_loss, validation_accuracy = float(losses.mean()) + 0.0, targets.accuracy(logits, labels)  # avoids -0
        if state.head_losses:  # with few pictures a difference may be chance: only a larger one replaces the head
            sure = surely_less(losses, np.array(state.head_losses))
        validation_loss, validation_accuracy, sure = task.team.same((validation_loss, validation_accuracy, sure))
        if not math.isfinite(validation_loss):
            after = f"after step {state.step} of {state.steps}, {_advice(task.recipe, rate)}"
            raise NotFinite(f"The validation loss is {validation_loss}", after)
    seconds = (now := time.perf_counter()) - last
    state.seconds += seconds
    if state.seconds_allowed is not None:
        seconds, state.seconds = task.team.same((seconds, state.seconds))
    if state.step_seconds and len(task.validation):
        state.validation_steps = seconds / state.step_seconds
    result = Epoch(
        epoch,
        state.step,
        state.epoch_loss / state.epoch_pictures,
        state.epoch_correct / state.epoch_pictures,
        validation_loss,
        validation_accuracy,
        rate,
        state.epoch_seconds + seconds,
        is_best(before, None if task.by_loss else validation_accuracy, validation_loss) and sure,
    )
    state.history.append(result)
    state.epoch_loss, state.epoch_correct, state.epoch_pictures, state.epoch_seconds = 0.0, 0, 0, 0.0
    if result.best:
        keep_best(state)
    if len(state.history) == 1:
        task.engine.settle()  # the same for those of the best epoch
    patience = task.recipe.patience
    if patience is not None and validation_loss is not None:
        since = next(age for age, past in enumerate(reversed(state.history)) if past.best)
        state.stopped_early = since >= patience
    return result, now


def keep_best(state: State) -> None:
    """Copy the current weights and optimizer to those of the best epoch."""
    _keep(state.best, state.module.state_dict())
    _keep(state.best_optimizer, optimizer_tensors(state))
    state.best_step = state.step


def _keep(copies: dict[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy `tensors` over the previous ones: no new lasting block may lie among the blocks that each step needs."""
    for name, tensor in tensors.items():
        if name in copies and copies[name].shape == tensor.shape:
            copies[name].copy_(tensor.detach())
        else:
            copies[name] = tensor.detach().clone()


def optimizer_tensors(state: State) -> dict[str, torch.Tensor]:
    """The optimizer's state for each weight, as "conv1.weight/exp_avg", "conv1.weight/step": its own tensors."""
    named: dict[str, torch.Tensor] = {}
    for name, parameter in state.module.named_parameters():
        for key, value in state.optimizer.state.get(parameter, {}).items():
            if value is not None:  # None is the momentum of an SGD without any
                named[f"{name}/{key}"] = value
    return named


def predict_rows(task: Task, module: torch.nn.Module, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits float32 (n, classes) of rows, without augmentation. In a team each process computes some; all get all."""
    import torch

    module.eval()
    forward = task.engine.of_stored(module, task.standardise)
    parts, mine = [], rows[task.team.part(len(rows))]
    announce(task.images, mine)
    with torch.inference_mode(), task.engine.autocast():
        for start in range(0, len(mine), task.batch):
            pixels = task.images.batch(mine[start : start + task.batch])
            parts.append(forward(pixels).float().cpu().numpy())
    logits = task.team.gathered(np.concatenate(parts) if parts else None)
    assert logits is not None, "there are no rows"
    return logits


def measure_steps(task: Task, state: State, seconds: float) -> float:
    """Seconds of one step, measured on the first real batches; `state` does not change.

    The first step allocates memory and does not count. Runs for about `seconds`, PROBE at most, and at least two steps.
    """
    trial = copy.deepcopy(replace(state, exchange=None))
    times: list[float] = []
    order = epoch_order(task, 0)
    while len(times) < 2 or sum(times) < min(seconds, PROBE):
        start = time.perf_counter()
        train_step(task, trial, order[trial.step % len(order)], rate=0.0)
        times.append(task.team.same(time.perf_counter() - start))
        trial.step += 1
    return float(np.mean(times[1:]))
