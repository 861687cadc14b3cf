"""The commands: each parses its flags, calls the verb of the same name, and prints. `predict` is in predict.py."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from dataclasses import asdict, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from tyro.conf import Positional, UseAppendAction, arg

from pellucid import api
from pellucid.app import answers, explaining, lessons, screen, streams, tables
from pellucid.app.flags import Column, Folder, Model, Place, Switch, parse
from pellucid.app.words import printable
from pellucid.errors import PictureError, RecipeError
from pellucid.glassbox.attribution import Method
from pellucid.glassbox.lessons.lesson import as_json as lessons_as_json
from pellucid.network.own.file import reference
from pellucid.pictures.tabular import Columns
from pellucid.runs.evaluate import evaluating
from pellucid.training import recipe as recipes
from pellucid.training.recipe import Recipe

USAGE, UNUSABLE = 2, explaining.UNUSABLE  # exit status

# settings of a recipe that are None until they are given: what then decides
UNSET = {
    "pretrained": "by the pictures",
    "size": "by the network or the pictures",
    "channels": "by the network",
    "folds": "one split",
    "epochs": "by the number of pictures",
    "batch": "by the number of pictures",
    "minutes": "as long as the epochs take",
    "patience": "never",
    "path_column": "path or file_name",
    "label_column": "label",
    "split_column": "split, if there is one",
    "group_column": "group, if there is one",
    "replay_every": "by the number of steps",
}


def train(args: list[str]) -> int:
    """Flags of Recipe, over the TOML file that --recipe names, over the defaults of --model."""
    given = _given(args)
    base = _with_hints(recipes.make(**given))

    def train(
        directory: Annotated[Positional[Path], arg(metavar="DIR")],
        settings: Annotated[Recipe, arg(name="")] = base,
        *,
        out: Place = None,
        resume: Switch = False,
        recipe: Place = None,
        cache: Place = None,
        open: Switch = False,
        no_browser: Switch = False,
    ) -> int:
        """Train a classifier on a folder or a table of pictures and save it as a model folder.

        Ctrl-C ends it cleanly with the best model so far; --resume goes on, also after a crash.

        Args:
            directory: Folder with a folder of pictures for each class, or with train, val and test folders of such. Or
                a table (CSV, JSONL, Parquet) with a path and a label in each row.
            settings: How to train.
            out: The model folder to write; by default the directory's name with -model, in the current folder.
            resume: Go on with the training in --out, as if it had never been stopped.
            recipe: TOML file with settings, named as the flags are (learning_rate = 0.001).
            cache: Where decoded pictures and their features are kept; by default the user's cache folder.
            open: Watch it in the browser: curves, filters, predictions as it trains; then the network. Keeps a replay.
            no_browser: With --open: only print the address.
        """
        named = {arg.split("=")[0].removeprefix("--").replace("-", "_") for arg in args if arg.startswith("--")}
        named |= {name.removeprefix("no_") for name in named}  # --no-replay, where --recipe has it on
        flags = {name: value for name, value in asdict(settings).items() if name in named}
        if open and not resume:
            if "no_replay" in named:
                raise RecipeError("--open shows the replay while it is written. Leave out --no-replay.")
            flags["replay"] = True
        if no_browser and not open:
            raise RecipeError("--no-browser is for --open, and that is not there.")
        run = api.start(directory, out, resume=resume, cache=cache, **{**given, **flags})
        if resume and not run.resumes:
            print(f"There is no training to resume in {printable(run.out)}; this one begins anew.", file=sys.stderr)
        with closing(run):
            if (named := reference(run.recipe.model)) is not None:
                print(f"runs {printable(named.path)}: {printable(named.function)} makes the network", flush=True)
            if not open:
                return screen.watch(run)
            if not run.recipe.replay:
                said = f"The training in {run.out} keeps no replay, which --open shows. Go on without --open."
                raise RecipeError(said)
            from pellucid.app.page import live

            return live.train(run, not no_browser)

    # where --recipe has it on already, there is no flag for that, only --no-replay
    return parse(train, [word for word in args if not (base.replay and word == "--replay")], "train")


def _given(args: list[str]) -> dict[str, Any]:
    """What decides the other defaults and has to be known before the flags are parsed: --model, and all of --recipe."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--model")
    early.add_argument("--recipe", type=Path)
    try:
        known, _ = early.parse_known_args(args)
    except argparse.ArgumentError:  # a flag without its value, of which the parser proper says so
        return {}
    given = recipes.read(known.recipe) if known.recipe else {}
    return given if known.model is None else {**given, "model": known.model}


def _with_hints(base: Recipe) -> Recipe:
    """The same recipe, of a type whose settings that are None have a help text that says what decides them."""
    hints = get_type_hints(Recipe)
    unset = [
        (field.name, Annotated[hints[field.name], arg(help_behavior_hint=f"(default: {UNSET[field.name]})")], None)
        for field in fields(Recipe)
        if getattr(base, field.name) is None
    ]
    return make_dataclass("Recipe", unset, bases=(Recipe,), frozen=True)(**base.as_json())


def evaluate(args: list[str]) -> int:
    def evaluate(
        model: Model,
        directory: Folder = None,
        /,
        path_column: Column = None,
        label_column: Column = None,
        split_column: Column = None,
        json: Switch = False,
        trust: Switch = False,
    ) -> int:
        """Say how good a model is.

        Args:
            model: Model folder.
            directory: Labelled folder or table; without it, the test pictures that the model remembers.
            path_column: The table's column with the paths; by default as in the training's table, or path or file_name.
            label_column: The column with the labels; by default as in the training's table, or label.
            split_column: The column with train, val or test; by default as in the training's table, or split.
            json: Everything as JSON.
            trust: Open a program that somebody's Python module was saved as. It may run code: trust who made MODEL.
        """
        columns = Columns(path_column, label_column, split_column)
        evaluation = screen.progress(evaluating(model, directory, columns, trust), "evaluating")
        streams.write_json(evaluation.as_json(), indent=2) if json else tables.evaluation(evaluation)
        return UNUSABLE if evaluation.unusable else 0

    return parse(evaluate, args, "evaluate")


def explain(args: list[str]) -> int:
    def explain(
        model: Model,
        pictures: Annotated[Positional[tuple[Path, ...]], arg(metavar="PICTURE ...", help_behavior_hint="")],
        /,
        label: Annotated[tuple[str, ...], arg(metavar="CLASS", help_behavior_hint=""), UseAppendAction] = (),
        unit: Annotated[tuple[str, ...], arg(metavar="UNIT", help_behavior_hint=""), UseAppendAction] = (),
        backward: Switch = False,
        update: Annotated[tuple[str, ...], arg(metavar="WEIGHT", help_behavior_hint=""), UseAppendAction] = (),
        why_not: Annotated[str | None, arg(metavar="CLASS", help_behavior_hint="")] = None,
        map: Annotated[Method | None, arg(help_behavior_hint="")] = None,
        layer: Annotated[str | None, arg(metavar="LAYER", help_behavior_hint="")] = None,
        out: Place = None,
        html: Place = None,
        json: Switch = False,
        trust: Switch = False,
    ) -> int:
        """Follow a picture through a network, to any number: forward, backward and into the optimizer's step.

        Without options: the classes, and every layer with its shape, range and strongest unit.

        Args:
            model: Model folder.
            pictures: A picture's file, or several, one after the other. Of several, one that cannot be used is told,
                the others go on, and the exit status is 3.
            label: The class that the loss is measured against; by default the predicted one. May be given several times
                where a picture may have several labels.
            unit: A number to work out, LAYER[channel, row, column] counted from 0, such as "conv1[3, 10, 12]".
            backward: The gradient of the loss, of --unit or of every layer.
            update: The optimizer's step for one weight, such as "conv1.weight[3, 0, 2, 2]".
            why_not: Which units and pixels made the network prefer its prediction to this class.
            map: Where the network looked, as a picture written to --out, with a score of how far to trust it.
            layer: With --map grad_cam: the layer whose maps to use; chosen for you otherwise.
            out: Where --map or --why-not writes its picture; by default named after PICTURE, in the current folder.
            html: Also write the page that `pellucid open` shows, as one file that needs nothing else; several pictures
                share it.
            json: Everything as JSON; of several pictures, a list.
            trust: Open a program that somebody's Python module was saved as. It may run code: trust who made MODEL.
        """
        if not pictures:
            print("pellucid explain: no picture is named. See `pellucid explain --help`.", file=sys.stderr)
            return USAGE
        asked = explaining.Asked(label, unit, backward, update, why_not, map, layer, out, html, json)
        return explaining.run(model, pictures, asked, trust)

    return parse(explain, args, "explain")


def open(args: list[str]) -> int:
    from pellucid.app.page import server

    def open(
        model: Model,
        picture: Annotated[Positional[Path | None], arg(metavar="[PICTURE]", help_behavior_hint="")] = None,
        /,
        port: int = 0,
        no_browser: Switch = False,
        trust: Switch = False,
    ) -> int:
        """Open a network in the browser: every layer, every number, forward, backward and into the optimizer's step.

        Only this machine can see it. Ctrl-C ends it.

        Args:
            model: Model folder.
            picture: The picture's file; by default the first of those that the model keeps for evaluation.
            port: Where it answers; 0 is any port that is free.
            no_browser: Only print the address.
            trust: Open a program that somebody's Python module was saved as. It may run code: trust who made MODEL.
        """
        return server.run(model, picture, port, not no_browser, trust)

    return parse(open, args, "open")


def filters(args: list[str]) -> int:
    def filters(
        model: Model,
        pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="[PICTURE ...]", help_behavior_hint="")] = (),
        /,
        out: Place = None,
        count: int = 9,
        layer: Annotated[tuple[str, ...], arg(metavar="LAYER", help_behavior_hint=""), UseAppendAction] = (),
        json: Switch = False,
        trust: Switch = False,
    ) -> int:
        """Show what each filter looks for: the filter, and the patches of your pictures that excite it most.

        Writes a picture for each convolution, and filters.json.

        Args:
            model: Model folder.
            pictures: Files, folders, globs; by default the pictures that the model was trained on.
            out: A new folder to write to; by default the model folder's name with -filters, in the current folder.
            count: Patches for each filter.
            layer: Only this convolution; may be given several times.
            json: What filters.json holds, on standard output as well.
            trust: Open a program that somebody's Python module was saved as. It may run code: trust who made MODEL.
        """
        answers.check(count=count)
        return explaining.filters(model, pictures, out, count, layer, json, trust)

    return parse(filters, args, "filters")


def article(args: list[str]) -> int:
    def article(
        picture: Annotated[Positional[Path | None], arg(metavar="[PICTURE]", help_behavior_hint="")] = None,
        /,
        only: Annotated[str | None, arg(metavar="LESSON", help_behavior_hint="")] = None,
        json: Switch = False,
    ) -> int:
        """Walk through how a convolutional network works, in numbers small enough to follow by hand.

        They are those of the article "Architecture of Convolutional Neural Networks (CNNs) demystified", each computed
        by the arithmetic that `pellucid explain` shows of your own network.

        Args:
            picture: What the filters for edges, blur and sharpening are shown on; by default a photograph.
            only: One lesson, such as six-by-six.
            json: Every number as JSON.
        """
        try:
            found = api.article(picture, only)
        except PictureError as error:
            raise PictureError(f"{picture}: {error.reason}") from error
        if json:
            streams.write_json(lessons_as_json(found))
        else:
            lessons.show(found)
        return 0

    return parse(article, args, "article")


def plan(args: list[str]) -> int:
    def plan(
        network: Annotated[Positional[str], arg(metavar="NETWORK")],
        /,
        input: Annotated[str | None, arg(metavar="HxWxC", help_behavior_hint="")] = None,
        classes: int = 2,
        batch: int = 32,
        probe: Switch = False,
        pictures: int = 1000,
        epochs: int = 30,
        json: Switch = False,
    ) -> int:
        """Show what a network is made of and what it would cost, before anything trains.

        Args:
            network: A name (compact, article, resnet50, efficientnet_lite0, ...; the reference has all) or text:
                "conv(10, 5) relu maxpool(2) flatten dense".
            input: Picture size as HEIGHTxWIDTHxCHANNELS, such as 300x300x3; by default what it was published for.
            classes: How many classes to tell apart.
            batch: Pictures in a training step.
            probe: Also measure on this machine: images a second, memory, and how long a training would take.
            pictures: With --probe: training pictures.
            epochs: With --probe: how often each is seen.
            json: Everything as JSON.
        """
        answers.check(classes=classes, batch=batch, pictures=pictures, epochs=epochs)
        planned = api.plan(network, input, classes, batch)
        probed = api.probe(network, input, classes, batch) if probe else None
        if json:
            measured = {"probe": probed.as_json(pictures, epochs)} if probed else {}
            streams.write_json({**planned.as_json(), **measured}, indent=2)
        else:
            tables.plan(planned, probed, pictures, epochs)
        return 0

    return parse(plan, args, "plan")


def cache(args: list[str]) -> int:
    def cache(*, cache: Place = None, clear: Switch = False, json: Switch = False) -> int:
        """Show what is kept for the next training, or clear it: decoded pictures, their features, and known weights.

        Your pictures are not touched.

        Args:
            cache: The folder, if not the user's cache folder.
            clear: Remove everything Pellucid keeps there.
            json: As JSON.
        """
        if clear:
            freed = api.clear_cache(cache)
            streams.write_json({"freed_bytes": freed}, indent=2) if json else print(f"{freed / 1e6:,.1f} MB freed.")
        elif json:
            streams.write_json([asdict(each) for each in api.cached(cache)], indent=2)
        else:
            tables.cache(api.cached(cache))
        return 0

    return parse(cache, args, "cache")


def demo(args: list[str]) -> int:
    from pellucid.app import demo as demos

    def demo(out: Path = Path("pellucid-demo")) -> int:
        """Write 1,797 handwritten digits as picture files, train on them, report, classify a few.

        Args:
            out: A new folder for the pictures and the model.
        """
        return demos.run(out)

    return parse(demo, args, "demo")
