"""The start of a training: known weights, or from scratch. Chosen from the pictures if it is open."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from pellucid.errors import RecipeError
from pellucid.pictures.decode import Form
from pellucid.training.data import Sample
from pellucid.training.recipe import Recipe

PRETRAINED, NETWORK, OWN = "imagenet", "efficientnet_lite0", "compact"
FAR_BELOW = 0.5  # of the size that the known weights were trained at (docs/why/transfer.md)
SMALLEST = 64  # pixels of the longer side, from which on photographs show what the weights recognise
# of the validation pictures right: below GOOD another road may be better, below POOR it is worth a try
GOOD, POOR = 0.97, 0.9
MANY = 2000  # grey training pictures, from which on training from scratch was better (docs/why/transfer.md)

# Defaults for training the whole network from known weights (docs/why/transfer.md).
SETTINGS: Mapping[str, Any] = {
    "learning_rate": 3e-4,
    "lowest_rate": 0.1,
    "weight_decay": 0.01,
    "label_smoothing": 0.0,
    "patience": 3,
}


def choose(recipe: Recipe, sample: Sample) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with model and pretrained chosen from the pictures if they are open; and the reasons.

    `model` stays "auto" if the named weights decide it.
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
    """A sentence on what may do better than a head with this accuracy on validation; empty if the head does well.

    grey: whether the pictures are; train: number of training pictures; steps: of the whole network that follow.
    """
    problem = f"the head gets {1 - accuracy:.1%} of the validation pictures wrong"
    if accuracy < GOOD and grey and train >= MANY:
        return [f"{problem}: with so many grey pictures --from-scratch may do better, and takes minutes"]
    if accuracy < POOR and not steps:
        more = "you can try --from-scratch, or --epochs 10 for the whole network"
        return [f"{problem}: {more}; measured on about 500 pictures, neither was better"]
    return []


def too_small(size: int, form: Form) -> list[str]:
    """A sentence if pictures of `size` show the known weights much less than they were trained on."""
    if size > FAR_BELOW * form.height:
        return []
    usual = (
        f"the weights were trained at {form.height}, and on smaller pictures their features tell classes apart worse"
    )
    return [f"size {size} is far below what the weights have seen: {usual}; remove --size, or try --from-scratch"]


def resolve(
    recipe: Recipe, name: str, form: Form, sample: Sample, named: Collection[str]
) -> tuple[Recipe, Form, tuple[str, ...]]:
    """Settings that known weights decide: all but those that the user `named`. The recipe, the form, and the reasons.

    `form`: of the pictures that the weights were trained on; `name`: of their network. Raises RecipeError if the
    weights cannot take the user's settings.
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
    same_by_setting = {f"size {size}": shape == (form.height, form.width), f"{fit}{cut}": fit == form.fit}
    usual = [what for what, same in same_by_setting.items() if same]
    reasons = [f"{', '.join([*usual, form.filter, 'mean'])} and deviation: as the weights were trained"]
    if others := [what for what, same in same_by_setting.items() if not same]:
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
