"""A model's training, opened by a command to be made again, with bars."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

from pellucid.app import progress
from pellucid.life.again import Again, gathered, start
from pellucid.life.material import Material
from pellucid.pictures.store import default_cache
from pellucid.steps import counted

Result = TypeVar("Result")


def opened(folder: Path, cache: Path | None) -> Material:
    """What the model's training is made again from. Raises ArtefactError if that cannot be.

    `cache`: where decoded pictures are; None for the user's cache folder.
    """
    return progress.prepared(gathered(folder, cache or default_cache()))


def begun(material: Material) -> Again:
    """The training, ready for its first step."""
    return progress.prepared(start(material))


def timed(steps: Generator[Any, None, Result], what: str) -> Result:
    """Run work of the room `life` to its end, under a bar with the time left, and return its result."""
    return progress.timed(counted(steps), what)
