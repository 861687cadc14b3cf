"""The command `evaluate`: how good a model is, on its own pictures or on others."""

from __future__ import annotations

from pellucid.app import models, progress, streams, tables
from pellucid.app.exits import Exit
from pellucid.app.flags import Column, Folder, Model, Switch, parse
from pellucid.pictures.tabular import Columns
from pellucid.runs.evaluate import evaluating


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
    """Measure how good a model is.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        directory: A labelled folder, table or shards, also at an address. Default: the model's own test pictures.
        path_column: The table's column of paths. Default: as in training, else path or file_name.
        label_column: The table's column of labels. Default: as in training, else label.
        split_column: The table's column of train, val or test. Default: as in training, else split.
        json: Print everything as JSON.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
    """
    folder = models.local(model, trust)
    columns = Columns(path_column, label_column, split_column)
    evaluation = progress.evaluated(evaluating(folder, directory, columns, trust), "evaluating")
    streams.write_json(evaluation.as_json(), indent=2) if json else tables.evaluation(evaluation)
    return Exit.UNUSABLE if evaluation.unusable else Exit.OK


def run(args: list[str]) -> int:
    return parse(evaluate, args, "evaluate")
