"""Choose the open settings of a recipe from the pictures, each with its reason."""

from __future__ import annotations

import dataclasses

from pellucid.network.own.own import Own
from pellucid.network.zoo import Named
from pellucid.training.data import Sample
from pellucid.training.recipe import Recipe

# A training sees about this many pictures in all (epochs x pictures), within these bounds (docs/why/compact.md).
PICTURES_SEEN = 80_000
FEWEST_EPOCHS, MOST_EPOCHS = 12, 120
HEAD_ALONE = 0  # epochs, from known weights
SMALLEST, LARGEST = 48, 128
# Few pictures give few steps; smaller batches make more of them, larger ones are faster.
SMALL_BATCH, LARGE_BATCH, MANY = 16, 32, 2000


def resolve(recipe: Recipe, named: Named | Own, sample: Sample) -> tuple[Recipe, tuple[str, ...]]:
    """Choose size, channels and augmentation if they are open. Returns the recipe and a sentence per choice."""
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
        why = "grey pictures may show writing, which must not be mirrored" if sample.grey else "colour photographs"
        reasons.append(f"augment {augment}: {why}")
    return dataclasses.replace(recipe, size=size, channels=channels, augment=augment), tuple(reasons)


def resolve_length(recipe: Recipe, train: int, chooses: bool = True) -> tuple[Recipe, tuple[str, ...]]:
    """Choose batch and epochs for `train` pictures if they are open; with minutes, epochs are None.

    From known weights only the head is trained, whatever the settings, unless validation `chooses` between it and the
    whole network: which of the two is better depends on the pictures (docs/why/transfer.md).
    """
    reasons: list[str] = []
    if recipe.pretrained is not None and not chooses and (recipe.minutes is not None or recipe.epochs):
        setting = f"epochs {recipe.epochs:,}" if recipe.minutes is None else f"minutes {recipe.minutes:g}"
        why = "no validation can tell whether the whole network is better than the head"
        reasons.append(f"the head alone, despite {setting}: {why}; --validation keeps pictures for that")
        batch = recipe.batch or (SMALL_BATCH if train < MANY else LARGE_BATCH)
        return dataclasses.replace(recipe, batch=batch, epochs=HEAD_ALONE, minutes=None), tuple(reasons)
    batch, epochs = recipe.batch, recipe.epochs
    if batch is None:
        batch = SMALL_BATCH if train < MANY else LARGE_BATCH
        reasons.append(f"batch {batch}: {'fewer than' if train < MANY else 'at least'} {MANY:,} training pictures")
    if recipe.pretrained is not None and recipe.minutes is None and not epochs:
        reasons.clear()  # the head sees all pictures at once
    if recipe.minutes is not None:
        epochs = None
    elif epochs is None and recipe.pretrained is not None:
        epochs = HEAD_ALONE
        reasons.append("epochs 0: the head alone; --epochs or --minutes also trains the whole network")
    elif epochs is None:
        epochs = min(max(round(PICTURES_SEEN / train), FEWEST_EPOCHS), MOST_EPOCHS)
        bounds = f"within {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs"
        reasons.append(f"epochs {epochs}: about {PICTURES_SEEN:,} pictures seen in all, {bounds}")
    return dataclasses.replace(recipe, batch=batch, epochs=epochs), tuple(reasons)
