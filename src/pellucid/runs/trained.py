"""A training and its progress so far."""

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
    """The data of a training and its progress: all that the end needs."""

    data: Data
    task: Task
    state: State
    classifier: Classifier  # not yet calibrated; shares its module with `state`
    keeper: Keeper
    reasons: tuple[str, ...]
    resumed_at: int | None  # step
    recorder: Recorder | None = None  # for a training with a replay
    pretrained: dict[str, Any] = field(default_factory=dict)  # the entry on known weights in config.json
    by_hand: bool = False  # step by step on a page, from another model, with settings that may have changed


def epochs(steps: int, task: Task) -> int:
    """The number of epochs in these steps; the last may be incomplete."""
    return -(-steps // task.steps_per_epoch)


def epochs_done(state: State) -> int:
    """Trained epochs, without the entry of a head on known weights."""
    return max((epoch.epoch for epoch in state.history), default=0)


def best_epoch(state: State) -> int:
    """The epoch of the saved weights, from 1; 0 for a head on known weights, or if there is none."""
    return next((epoch.epoch for epoch in reversed(state.history) if epoch.best), 0)
