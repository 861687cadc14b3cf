"""What a job is made of: its setting, and the cases that contenders perform in turns."""

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
TRANSFER = ("transfer-tutorial", "transfer-once")


@dataclass(frozen=True)
class Setting:
    """What all jobs are told."""

    pictures: Path  # a folder with a folder a class
    work: Path  # for what the benchmark writes, gone afterwards
    environments: Path
    contenders: tuple[str, ...]
    networks: tuple[str, ...]
    quick: bool  # tiny sizes: does it run at all
    minutes: float  # for accuracy for time
    limit: float  # seconds that a run may take

    def of(self, *names: str) -> list[str]:
        return [name for name in names if name in self.contenders]


@dataclass(frozen=True)
class Case:
    """A contender's turn. `given` goes to its verb, with a new `out` of each run's own where `writes`."""

    name: str  # what is compared, the same for all contenders
    contender: str
    verb: str
    given: dict[str, Any]
    writes: bool = True


@dataclass(frozen=True)
class Headline:
    """A line of the short table: Pellucid against the best peer."""

    job: str
    goal: str
    ours: str
    best: str
    ratio: str
