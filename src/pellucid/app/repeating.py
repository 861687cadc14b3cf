"""A model's training, opened by a command to be made again, with bars."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

from pellucid.app import progress
from pellucid.life.again import Again, gathered, start
from pellucid.life.material import Material
from pellucid.pictures.store import Decoding, default_cache
from pellucid.steps import Steps
from pellucid.training.features import Extracting

Result = TypeVar("Result")


def opened(folder: Path) -> Material:
    """What the model's training is made again from. Raises ArtefactError if that cannot be."""
    return progress.prepared(gathered(folder, default_cache()))


def begun(material: Material) -> Again:
    """The training, ready for its first step."""
    return progress.prepared(start(material))


def timed(steps: Generator[Any, None, Result], what: str) -> Result:
    """Run work of the room `life` to its end, under a bar with the time left, and return its result."""
    return progress.timed(_counts(steps), what)


def _counts(steps: Generator[Any, None, Result]) -> Generator[tuple[int, int], None, Result]:
    """The progress of any part of a repeated training as (done, total); the fit of a head does not know its end."""
    work = Steps(steps)
    for event in work:
        if isinstance(event, Decoding | Extracting):
            yield event.done, event.total
        elif isinstance(event, tuple):
            yield event
    return work.result
