"""The command `train`: a classifier from a folder or a table of pictures."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from dataclasses import asdict, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from tyro.conf import Positional, arg

from pellucid import api
from pellucid.app import member, progress
from pellucid.app.exits import Exit
from pellucid.app.flags import Place, Switch, parse
from pellucid.app.format import printable
from pellucid.errors import RecipeError
from pellucid.network.own.file import reference
from pellucid.pictures.places import place
from pellucid.runs.folds import CrossValidation
from pellucid.runs.place import free_place, is_complete
from pellucid.runs.run import Run
from pellucid.training import recipe as recipes
from pellucid.training.recipe import Recipe
from pellucid.training.team import joining
from pellucid.training.team.team import Team

# settings of a recipe that are None by default: what decides them
UNSET = {
    "pretrained": "chosen from the pictures",
    "size": "chosen from the network or the pictures",
    "channels": "chosen from the network",
    "folds": "one split",
    "epochs": "chosen from the number of pictures",
    "batch": "chosen from the number of pictures",
    "minutes": "no time limit",
    "patience": "never",
    "path_column": "path or file_name",
    "label_column": "label",
    "split_column": "split, if there is one",
    "group_column": "group, if there is one",
    "replay_every": "chosen from the number of steps",
}


def run(args: list[str]) -> int:
    """Train; in a team of processes, in each of them."""
    with member.quiet():
        return _run(args)


def _run(args: list[str]) -> int:
    """The recipe: its flags, over the TOML file of --recipe, over the defaults of --model."""
    early = _early(args)
    base = _with_hints(recipes.make(**early))

    def train(
        directory: Annotated[Positional[str], arg(metavar="DIR")],
        settings: Annotated[Recipe, arg(name="")] = base,
        *,
        out: Place = None,
        resume: Switch = False,
        recipe: Place = None,
        cache: Place = None,
        processes: int = 1,
        live: Annotated[bool, arg(name="open", help_behavior_hint="")] = False,
        no_browser: Switch = False,
    ) -> int:
        """Train a classifier on a folder or a table of pictures and save it as a model folder.

        Ctrl-C stops and saves the best model so far. --resume continues, also after a crash.

        Args:
            directory: A folder of class folders, or of train, val and test folders of those; a table; or shards. It
                may be an address, such as s3://bucket/photos.
            settings: How to train.
            out: The model folder to write. Default: the name of DIR with -model, in the current folder.
            resume: Continue the training in --out as if it had never stopped.
            recipe: A TOML file of settings, named like the flags (learning_rate = 0.001).
            cache: Where decoded pictures and features are stored. Default: the user's cache folder.
            processes: Processes of this machine that share each step. torchrun starts them on several machines.
            live: Watch the training in the browser, then open the model. Records a replay.
            no_browser: With --open: print the address and start no browser.
        """
        named = {arg.split("=")[0].removeprefix("--").replace("-", "_") for arg in args if arg.startswith("--")}
        named |= {name.removeprefix("no_") for name in named}  # --no-replay, if --recipe turns it on
        flags = {name: value for name, value in asdict(settings).items() if name in named}
        if live and not resume:
            if "no_replay" in named:
                raise RecipeError("--open needs the replay. Remove --no-replay.")
            flags["replay"] = True
        if no_browser and not live:
            raise RecipeError("--no-browser requires --open.")
        wanted, team = {**early, **flags}, joining.described()
        _check_processes(processes, team, live, wanted)
        if processes > 1:
            from pellucid.scale import processes as launcher

            return launcher.train(processes, without(args, LAUNCHED), out or free_place(place(directory)), resume)
        if team.restarted and out is not None and is_complete(out):
            return Exit.OK  # the team was started again after its last step
        with member.joined(team):
            again = resume or team.continues
            with closing(api.start(directory, out, resume=again, cache=cache, team=team, **wanted)) as run:
                return _watched(run, resume, live, not no_browser, team)

    # if --recipe already turns it on, the only flag is --no-replay
    return parse(train, [word for word in args if not (base.replay and word == "--replay")], "train")


LAUNCHED = {"--processes": True, "--out": True, "--resume": False}
"""The flags that the launcher sets itself -> whether they take a value."""


def without(args: list[str], flags: dict[str, bool]) -> list[str]:
    """The arguments without some flags and their values; `flags`: whether each has a value."""
    rest, skip = [], False
    for word in args:
        name = word.split("=")[0].replace("_", "-")
        if not skip and name not in flags:
            rest.append(word)
        skip = not skip and flags.get(name, False) and "=" not in word
    return rest


def _check_processes(processes: int, team: Team, live: bool, wanted: dict[str, Any]) -> None:
    """Raise RecipeError if several processes are wanted where only one can work."""
    if processes < 1:
        raise RecipeError(f"processes is {processes}; it must be 1 or more.")
    if processes > 1 and joining.is_member():
        raise RecipeError(
            f"--processes {processes} starts processes, but torchrun or another launcher has started this one already. "
            "Remove --processes; torchrun's --nproc-per-node says how many."
        )
    if processes == 1 and team.alone:
        return
    if live:
        raise RecipeError("--open shows a training in one process. Remove --open, or train in one process.")
    if wanted.get("folds") is not None:
        raise RecipeError("--folds trains in one process. Remove --folds, or train in one process.")


def _watched(run: Run | CrossValidation, resume: bool, live: bool, browse: bool, team: Team) -> int:
    if resume and not run.resumes:
        print(f"{printable(run.out)} holds no training to resume; starting a new one.", file=sys.stderr)
    if (named := reference(run.recipe.model)) is not None:
        print(f"runs {printable(named.path)}: {printable(named.function)} makes the network", flush=True)
    if not live:
        return progress.watch(run, team)
    if not run.recipe.replay:
        problem = f"The training in {run.out} records no replay, which --open needs. Continue without --open."
        raise RecipeError(problem)
    from pellucid.app.page import live as page

    return page.train(run, browse)


def _early(args: list[str]) -> dict[str, Any]:
    """Settings that decide other defaults and are needed before parsing: --model, and all of --recipe."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--model")
    early.add_argument("--recipe", type=Path)
    try:
        known, _ = early.parse_known_args(args)
    except argparse.ArgumentError:  # a flag without its value, which the real parser reports
        return {}
    settings = recipes.read(known.recipe) if known.recipe else {}
    return settings if known.model is None else {**settings, "model": known.model}


def _with_hints(base: Recipe) -> Recipe:
    """The same recipe, with help texts that say what decides the settings that are None."""
    hints = get_type_hints(Recipe)
    unset = [
        (field.name, Annotated[hints[field.name], arg(help_behavior_hint=f"(default: {UNSET[field.name]})")], None)
        for field in fields(Recipe)
        if getattr(base, field.name) is None
    ]
    return make_dataclass("Recipe", unset, bases=(Recipe,), frozen=True)(**base.as_json())
