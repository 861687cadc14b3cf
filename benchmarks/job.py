"""The parts of a job: its setting, and the cases that contenders perform in turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

NETWORKS = {
    "article": (300, 128),
    "small": (150, 32),
    "compact": (128, 32),
    "resnet18": (224, 32),
    "efficientnet_lite0": (224, 32),
    "tiny": (64, 64),
}
"""name -> side in pixels, pictures in a step"""

KERAS = ("keras-tensorflow", "keras-jax", "keras-torch")
TORCH = ("torch-plain", "torch-tuned", "torch-compiled")
RUNTIMES = ("onnxruntime", "openvino")
TRANSFER = ("transfer-tutorial", "transfer-once")


@dataclass(frozen=True)
class Setting:
    """The setting of all jobs."""

    pictures: Path  # a folder with one folder per class
    work: Path  # for the benchmark's files, removed afterwards
    environments: Path
    contenders: tuple[str, ...]
    networks: tuple[str, ...]
    quick: bool  # tiny sizes, to see that it runs
    minutes: float  # for accuracy for time
    limit: float  # most seconds of a run

    def of(self, *names: str) -> list[str]:
        return [name for name in names if name in self.contenders]


@dataclass(frozen=True)
class Case:
    """A contender's turn. `settings` go to its verb, with a new `out` for each run if `writes`."""

    name: str  # what is compared, equal for all contenders
    contender: str
    verb: str
    settings: dict[str, Any]
    writes: bool = True


@dataclass(frozen=True)
class Headline:
    """A line of the short table: Pellucid against the best peer."""

    job: str
    goal: str
    ours: str
    best: str
    ratio: str
