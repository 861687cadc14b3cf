"""A training as far as it has come, and how far that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pellucid.classifier.classifier import Classifier
from pellucid.training.checkpoint import Keeper
from pellucid.training.data import Data
from pellucid.training.loop import State, Task
from pellucid.training.recorder import Recorder


@dataclass(frozen=True)
class Trained:
    """What training works on, and what it has reached so far: all that the end needs."""

    data: Data
    task: Task
    state: State
    classifier: Classifier  # not yet calibrated; shares its module with `state`
    keeper: Keeper
    reasons: tuple[str, ...]
    resumed_at: int | None  # step
    recorder: Recorder | None = None  # of a training with a replay
    pretrained: dict[str, Any] = field(default_factory=dict)  # what config.json says of known weights


def epochs(steps: int, task: Task) -> int:
    """How many epochs these steps are, the last of them perhaps broken off."""
    return -(-steps // task.steps_per_epoch)


def epochs_done(state: State) -> int:
    """Epochs that were trained, without the entry of a head on known weights."""
    return sum(epoch.epoch > 0 for epoch in state.history)


def best_epoch(state: State) -> int:
    """The epoch of the weights that are saved, from 1; 0 for a head on known weights, or where there is none."""
    return next((epoch.epoch for epoch in reversed(state.history) if epoch.best), 0)
