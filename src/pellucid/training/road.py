"""Where a training starts: from known weights, or from scratch. Chosen from the pictures where it was left open."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from pellucid.errors import RecipeError
from pellucid.pictures.decode import Form
from pellucid.training.data import Sample
from pellucid.training.recipe import Recipe

PRETRAINED, NETWORK, OWN = "imagenet", "efficientnet_lite0", "compact"
FAR_BELOW = 0.5  # of the size that known weights were trained at (docs/why/transfer.md)
SMALLEST = 64  # pixels of the longer side, from which on photographs show what the weights know
# of the validation pictures right: below GOOD another road may be better, below POOR it is worth a try
GOOD, POOR = 0.97, 0.9
MANY = 2000  # grey pictures to train on, with which training from scratch was better (docs/why/transfer.md)

# For the whole network from known weights, where nothing else is said (docs/why/transfer.md).
SETTINGS: Mapping[str, Any] = {
    "learning_rate": 3e-4,
    "lowest_rate": 0.1,
    "weight_decay": 0.01,
    "label_smoothing": 0.0,
    "patience": 3,
}


def choose(recipe: Recipe, sample: Sample) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with model and pretrained as the pictures want them, where they were left open; and why.

    `model` stays "auto" where the weights that were named decide.
    """
    if recipe.model != "auto" or recipe.pretrained is not None:
        return recipe, ()
    side = f"the pictures' longer side is {sample.side} (median)"
    if recipe.from_scratch:
        return dataclasses.replace(recipe, model=OWN), (f"{OWN}, from scratch: as requested",)
    if sample.side < SMALLEST:
        why = f"{side}, and known weights need {SMALLEST} or more"
        return dataclasses.replace(recipe, model=OWN), (f"{OWN}, from scratch: {why}",)
    kind = "grey pictures" if sample.grey else "colour photographs"
    why = f"{kind}, and {side}; --from-scratch trains compact on these pictures alone"
    return dataclasses.replace(recipe, pretrained=PRETRAINED), (f"{NETWORK} with ImageNet weights: {why}",)


def untried(grey: bool, train: int, accuracy: float, steps: int) -> list[str]:
    """A sentence on what may do better than a head with this accuracy on validation; none where it does well.

    grey: whether the pictures are; train: how many there are to train on; steps: of the whole network that follow.
    """
    said = f"the head gets {1 - accuracy:.1%} of the validation pictures wrong"
    if accuracy < GOOD and grey and train >= MANY:
        return [f"{said}: with so many grey pictures --from-scratch may do better, and takes minutes"]
    if accuracy < POOR and not steps:
        more = "you can try --from-scratch, or --epochs 10 for the whole network"
        return [f"{said}: {more}; measured on about 500 pictures, neither was better"]
    return []


def too_small(size: int, form: Form) -> list[str]:
    """A sentence where pictures of `size` show known weights much less than they were trained to see."""
    if size > FAR_BELOW * form.height:
        return []
    usual = (
        f"the weights were trained at {form.height}, and on smaller pictures their features tell classes apart worse"
    )
    return [f"size {size} is far below what the weights have seen: {usual}; remove --size, or try --from-scratch"]


def resolve(
    recipe: Recipe, name: str, form: Form, sample: Sample, named: Collection[str]
) -> tuple[Recipe, Form, tuple[str, ...]]:
    """What known weights decide: all settings but those that the user `named`. The recipe, the form, and why.

    `form`: of the pictures that the weights were trained with; `name`: of their network. Raises RecipeError where the
    weights cannot take what the user asks for.
    """
    if recipe.channels not in (None, form.channels):
        raise RecipeError(
            f"channels is {recipe.channels}, and the weights of {name} were trained with {form.channels}. "
            "Remove --channels, or train with --from-scratch."
        )
    if recipe.loss == "mse":
        raise RecipeError(
            f"loss is {recipe.loss!r}, and the head on known weights is fitted by cross-entropy. "
            "Remove --loss, or train with --from-scratch."
        )
    fit = recipe.fit if "fit" in named else form.fit
    size = recipe.size or form.height
    crop = form.crop if fit == form.fit else 1.0
    shape = (size, size) if recipe.size is not None else (form.height, form.width)
    chosen = Form(*shape, form.channels, fit, crop, form.filter)
    cut = f", {crop:g} of the middle" if crop < 1 else ""
    said = {f"size {size}": shape == (form.height, form.width), f"{fit}{cut}": fit == form.fit}
    usual = [what for what, same in said.items() if same]
    reasons = [f"{', '.join([*usual, form.filter, 'mean'])} and deviation: as the weights were trained"]
    if others := [what for what, same in said.items() if not same]:
        reasons.append(f"{', '.join(others)}: as requested")
    reasons += too_small(size, form)
    augment = recipe.augment
    if augment == "auto":
        augment = "light" if sample.grey else "strong"
    settings = {key: value for key, value in SETTINGS.items() if key not in named}
    recipe = dataclasses.replace(
        recipe, model=name, size=size, channels=form.channels, fit=fit, augment=augment, **settings
    )
    return recipe, chosen, tuple(reasons)
