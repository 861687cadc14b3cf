"""What a recipe leaves open, chosen from the pictures, each choice with its reason."""

from __future__ import annotations

import dataclasses

from pellucid.network.zoo import Named
from pellucid.training.data import Sample
from pellucid.training.recipe import Recipe

# A training sees about so many pictures in all (epochs x pictures), within these bounds (docs/why/compact.md).
PICTURES_SEEN = 60_000
FEWEST_EPOCHS, MOST_EPOCHS = 12, 120
SMALLEST, LARGEST = 48, 128


def resolve(recipe: Recipe, named: Named, sample: Sample) -> tuple[Recipe, tuple[str, ...]]:
    """Size, channels and augmentation that were left open. Returns the recipe and a sentence a choice."""
    reasons: list[str] = []
    size, channels, augment = recipe.size, recipe.channels, recipe.augment
    if size is None and named.input is not None:
        size = named.input[1]
        reasons.append(f"size {size}: {named.name} was published for it")
    elif size is None:
        size = min(max(-(-sample.side // 4) * 4, SMALLEST), LARGEST)
        reasons.append(
            f"size {size}: the pictures' longer side is {sample.side} (median), kept within {SMALLEST} to {LARGEST}"
        )
    if channels is None:
        channels = 1 if named.input is not None and named.input[0] == 1 else 3
    if augment == "auto":
        augment = "light" if sample.grey else "strong"
        why = "grey pictures may be writing, which must not be mirrored" if sample.grey else "colour photographs"
        reasons.append(f"augment {augment}: {why}")
    return dataclasses.replace(recipe, size=size, channels=channels, augment=augment), tuple(reasons)


def resolve_epochs(recipe: Recipe, train: int) -> tuple[int, str]:
    """How many epochs `train` pictures get where the recipe does not say."""
    if recipe.epochs is not None:
        return recipe.epochs, ""
    epochs = min(max(round(PICTURES_SEEN / train), FEWEST_EPOCHS), MOST_EPOCHS)
    return (
        epochs,
        f"epochs {epochs}: about {PICTURES_SEEN:,} pictures seen in all, {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs",
    )
