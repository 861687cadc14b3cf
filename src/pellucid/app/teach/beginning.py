"""How a training on collected pictures begins: known weights where they help and are here, else a small network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pretrained import lite0
from pellucid.pretrained.cache import FOLDER
from pellucid.training import road
from pellucid.training.data import read_catalog, sample
from pellucid.training.recipe import make

ALWAYS: Mapping[str, Any] = {"augment": "light"}
"""No mirror images: classes may mean left and right, as gestures and writing do."""
SMALL: Mapping[str, Any] = {**ALWAYS, "from_scratch": True, "size": 64}
"""A small network on small pictures, which learns in seconds."""


@dataclass(frozen=True)
class Beginning:
    """The settings of the training, and a sentence that says what it begins with, and why."""

    settings: Mapping[str, Any]
    sentence: str
    known: bool
    """Whether it begins with known weights."""


def beginning(table: Path, cache: Path, settings: Mapping[str, Any] | None = None) -> Beginning:
    """The beginning for the pictures that a table lists. `settings`: instead of those that are chosen here.

    Raises CatalogError, RecipeError.
    """
    missing = lite0.missing(cache / FOLDER)
    chosen = settings if settings is not None else ALWAYS if missing is None else SMALL
    recipe = make(**chosen)
    recipe, reasons = road.choose(recipe, sample(read_catalog(table, recipe)))
    if recipe.pretrained is not None:
        known = "It begins with a network that has learned from photographs (EfficientNet-Lite0, ImageNet)"
        return Beginning(chosen, f"{known}; only its last layer is fitted to your pictures, which takes seconds.", True)
    if missing is not None and settings is None:
        why = f"the known weights are not on this machine ({missing.rstrip('.')})"
        return Beginning(chosen, f"It begins with a small network that has learned nothing yet: {why}.", False)
    reason = reasons[0] if reasons else f"{recipe.model}: as requested"
    return Beginning(chosen, f"It begins with a network that has learned nothing yet. {reason}.", False)
