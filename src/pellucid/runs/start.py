"""Begin a training from the caller's arguments: a folder, settings, a module, a place for the model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import RecipeError
from pellucid.network.own import own as owns
from pellucid.runs.folds import CrossValidation
from pellucid.runs.place import CHECKPOINTS, free_place
from pellucid.runs.run import Run
from pellucid.training import recipe as recipes
from pellucid.training.folds import begun
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


def start(
    directory: Place,
    out: Path | None,
    cache: Path,
    recipe: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    team: Team = ALONE,
) -> Run | CrossValidation:
    """Begin or continue a training, which the caller iterates. See pellucid.start for the arguments.

    `team`: the processes that share it, each of which calls this. Raises RecipeError, and the errors of Run.
    """
    if resume and out is None:
        raise RecipeError("Resuming needs the folder of the training: add --out, or out=... in Python.")
    named = {**(recipes.read(recipe) if recipe is not None else {}), **(settings or {})}
    module = None if isinstance(named.get("model", ""), str) else named["model"]
    if module is not None:
        named["model"] = _label(module)
    place = out if out is not None else partial(free_place, directory)
    requested = recipes.make(**named)
    crossed = _is_crossed(out, resume, requested.folds)
    if crossed and not team.alone:
        raise RecipeError(
            f"A cross-validation trains in one process, and this team has {team.world}. Train without --processes and "
            "without torchrun, or without --folds."
        )
    kind = CrossValidation if crossed else partial(Run, team=team)
    run = kind(directory, requested, place, cache, resume, module=module, named=named)
    for name, value in named.items():
        if getattr(run.recipe, name) != getattr(requested, name):
            run.close()
            raise RecipeError(
                f"{name} is {value!r} here and {getattr(run.recipe, name)!r} in {run.out}; "
                "a resumed run keeps its settings."
            )
    return run


def _is_crossed(out: Path | None, resume: bool, folds: int | None) -> bool:
    """Whether it is a cross-validation: one that was begun in `out` continues, whatever the recipe says now."""
    if resume and out is not None and (begun(out) or (out / CHECKPOINTS).is_dir()):
        return begun(out)
    return folds is not None


def _label(module: object) -> str:
    """The recipe's name for a module. Raises RecipeError if it is not a module."""
    from torch import nn

    if isinstance(module, nn.Module):
        return owns.label(module)
    what = f"the class {module.__name__} itself" if isinstance(module, type) else repr(module)
    hint = f"; pass one of it, {module.__name__}(...)" if isinstance(module, type) else ""
    raise RecipeError(f"model is {what}{hint}; it must be a network's name or text, or a torch.nn.Module.")
