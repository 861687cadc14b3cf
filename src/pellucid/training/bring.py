"""Fit a recipe to a module that the user brings: its size, its channels, its precision."""

from __future__ import annotations

from dataclasses import replace

from pellucid.engine.device import Engine
from pellucid.errors import ArtefactError, RecipeError
from pellucid.network.own.own import Own, Ready
from pellucid.training.checkpoint import Checkpoint
from pellucid.training.recipe import Recipe


def fitted(own: Own, requested: Recipe, recipe: Recipe, reasons: tuple[str, ...]) -> tuple[Recipe, tuple[str, ...]]:
    """Replace a chosen size and channels by those that the module takes, unless the user set them.

    Returns the recipe and the reasons for its choices. If no choice works, both stay as they are, and the module's own
    error on such pictures is reported.
    """
    assert recipe.size is not None
    assert recipe.channels is not None
    taken = own.taken((recipe.channels, recipe.size, recipe.size))
    if taken is None or requested.size not in (None, taken[1]) or requested.channels not in (None, taken[0]):
        return recipe, reasons
    if taken[1] != recipe.size:
        others = tuple(reason for reason in reasons if not reason.startswith("size "))
        reasons = (*others, f"size {taken[1]}: {own.kind} does not take {recipe.size}x{recipe.size}")
    if taken[0] != recipe.channels:
        reasons = (*reasons, f"channels {taken[0]}: {own.kind} does not take {recipe.channels}")
    return replace(recipe, channels=1 if taken[0] == 1 else 3, size=taken[1]), reasons


def computing(engine: Engine, recipe: Recipe, ready: Ready, shape: tuple[int, ...]) -> Engine:
    """The engine; in float32 if the module mixes dtypes in a way that fails in bfloat16.

    Raises RecipeError if the user asked for bfloat16.
    """
    if engine.precision == "float32" or (fault := ready.fault(shape, engine.autocast)) is None:
        return engine
    if recipe.precision != "auto":
        raise RecipeError(f"The module does not work in {engine.precision}: {fault}. Use --precision float32.")
    others = tuple(reason for reason in engine.reasons if not reason.startswith(engine.precision))
    return replace(engine, precision="float32", reasons=(*others, f"float32: in bfloat16 the module raises {fault}"))


def check_start(own: Own | None, recipe: Recipe) -> None:
    """Raises RecipeError if a module that the user brings should start from other weights than its own."""
    if own is not None and recipe.pretrained is not None:
        raise RecipeError(
            f"pretrained is {recipe.pretrained!r}, but {own.kind} starts from its own weights. Remove one of the two."
        )


def check_same(saved: Checkpoint | None, ready: Ready) -> None:
    """Raises ArtefactError if a resumed run began with a module that computes something else."""
    if saved is not None and saved.context.get("module") != ready.digest:
        raise ArtefactError(
            f"The module differs from the one that {saved.path} was written with, and a resumed run needs the same "
            "one. Pass that module, or train again with another --out."
        )
