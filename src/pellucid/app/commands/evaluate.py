"""The command `evaluate`: how good a model is, on pictures of its own or on others."""

from __future__ import annotations

from pellucid import api
from pellucid.app import progress, streams, tables
from pellucid.app.exits import Exit
from pellucid.app.flags import Column, Folder, Model, Switch, parse


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
    columns = api.Columns(path_column, label_column, split_column)
    evaluation = progress.evaluated(api.evaluating(model, directory, columns, trust), "evaluating")
    streams.write_json(evaluation.as_json(), indent=2) if json else tables.evaluation(evaluation)
    return Exit.UNUSABLE if evaluation.unusable else Exit.OK


def run(args: list[str]) -> int:
    return parse(evaluate, args, "evaluate")
