"""How many steps a training planned at each of its steps, on which its learning rates depend: plan.csv.

Only a training in minutes has the file, because its plan follows the speed of its machine. Its columns are `step`,
counted from 0, and `steps`: from this step on, the training planned so many steps in all.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.errors import ArtefactError
from pellucid.training.loop import State
from pellucid.training.recipe import Recipe

HEADER = ["step", "steps"]


@dataclass(frozen=True)
class Plan:
    """`first`: the steps, counted from 0, at which the plan changed; `steps`: those planned in all from there on."""

    first: tuple[int, ...]
    steps: tuple[int, ...]

    def at(self, step: int) -> int:
        """How many steps were planned in all when step `step`, counted from 0, was made."""
        return self.steps[bisect_right(self.first, step) - 1]


def write(out: Path, recipe: Recipe, state: State) -> None:
    """Write the plan of a training in minutes; remove an earlier one. Raises StorageError."""
    path = out / artefact.PLAN
    if recipe.minutes is None or not state.plan:
        with files.storage_errors(path):
            path.unlink(missing_ok=True)
        return
    files.write(path, "".join(f"{','.join(map(str, row))}\n" for row in [HEADER, *state.plan]))


def read(model: Path, config: Mapping[str, Any]) -> Plan:
    """The plan of a model's training. Raises ArtefactError if the model does not state it."""
    try:
        if config["recipe"].get("minutes") is None:
            return Plan((0,), (int(config["optimizer"]["steps"]),))
        if artefact.PLAN not in config["files"]:
            raise ArtefactError(
                f"{model} was trained for {config['recipe']['minutes']:g} minutes by an older Pellucid, without "
                f"{artefact.PLAN}. The learning rates of its steps are unknown; train again."
            )
        artefact.check_file(model, artefact.PLAN, dict(config))
        with (model / artefact.PLAN).open(encoding="utf-8", newline="") as file:
            rows = [(int(row["step"]), int(row["steps"])) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ArtefactError(f"{model} does not state how many steps its training planned: {error!r}.") from error
    if not rows or rows[0][0] != 0:
        raise ArtefactError(f"{model / artefact.PLAN} does not begin at step 0; train again.")
    first, steps = zip(*rows, strict=True)
    return Plan(first, steps)
