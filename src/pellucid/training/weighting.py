"""Unequal classes: the factor of each class's pictures in the loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from pellucid.training.recipe import Recipe

UNEQUAL = 2.0  # largest over smallest class, in training pictures: above this, classes are weighted


def resolve(
    recipe: Recipe, counts: Sequence[int], classes: Sequence[str], first: Literal["auto", "balanced", "none"] = "auto"
) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with `class_weights` decided, and a sentence with the reason if classes are weighted.

    counts: training pictures of each class, all above 0. `first`: the choice of a cross-validation's first training.
    """
    least, most = min(counts), max(counts)
    chosen = first if recipe.class_weights == "auto" else recipe.class_weights
    if chosen == "auto":
        chosen = "balanced" if most > UNEQUAL * least and recipe.labels == "one" else "none"
    if chosen == "none":
        return dataclasses.replace(recipe, class_weights=chosen), ()
    weights = balanced(counts)
    rare, common = (classes[list(counts).index(count)] for count in (least, most))
    why = f"{common} has {most / least:.1f} times as many training pictures as {rare}, so each class counts the same"
    if recipe.class_weights == "balanced":
        why = "as requested"
    span = f"class weights {min(weights):.2f} ({common}) to {max(weights):.2f} ({rare})"
    return dataclasses.replace(recipe, class_weights=chosen), (f"{span}: {why}",)


def of(recipe: Recipe, counts: Sequence[int]) -> tuple[float, ...] | None:
    """The weight of each class under a resolved recipe; None if every picture counts once."""
    return balanced(counts) if recipe.class_weights == "balanced" else None


def balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """n / (k * n_c) for each of k classes with n_c of the n pictures (King & Zeng 2001, as scikit-learn writes it).

    The weights of all pictures average 1, so the learning rate keeps its meaning.
    """
    total = sum(counts)
    return tuple(total / (len(counts) * count) for count in counts)
