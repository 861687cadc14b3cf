"""A finished fold: its figures, and its model's answers, in one file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import ArtefactError
from pellucid.runs.judge import Judged
from pellucid.runs.trained import Trained, best_epoch
from pellucid.training.folds import Fold

ANSWERS = "answers.safetensors"


@dataclass(frozen=True)
class Answers:
    """A finished fold, in one file: its figures, its total seconds, and its model's answers.

    `rows` int64 (n,) are the pictures of the fold, `logits` float32 (n, classes).
    """

    fold: Fold
    spent: float
    rows: NDArray[np.int64]
    logits: NDArray[np.float32]

    def write(self, place: Path) -> None:
        from safetensors.numpy import save as encode

        about = {"fold": json.dumps(asdict(self.fold)), "spent": json.dumps(self.spent)}
        files.write(place / ANSWERS, encode({"rows": self.rows, "logits": self.logits}, about))


def read_answers(place: Path) -> Answers:
    """Read the file. Raises ArtefactError."""
    from safetensors import SafetensorError, safe_open

    path = place / ANSWERS
    try:
        with safe_open(path, "np") as file:
            about = file.metadata() or {}
            stated, spent = json.loads(about["fold"]), float(about["spent"])
            if stated.get("thresholds") is not None:
                stated["thresholds"] = tuple(stated["thresholds"])
            fold = Fold(**stated)
            return Answers(fold, spent, file.get_tensor("rows"), file.get_tensor("logits"))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{path} is damaged: {error}. Remove {place}, and --resume trains that fold again."
        ) from error


def figures(number: int, trained: Trained, judged: Judged) -> Fold:
    """The figures of fold `number`, counted from 1."""
    tested, data, state = judged.metrics["test"], trained.data, trained.state
    return Fold(
        number,
        train=len(data.rows("train")),
        validation=len(data.rows("val")),
        pictures=tested.pictures,
        correct=tested.correct,
        accuracy=tested.accuracy,
        loss=tested.loss,
        temperature=judged.classifier.temperature,
        epoch=best_epoch(state),
        seconds=round(state.seconds, 3),
        macro_f1=tested.macro_f1,
        thresholds=judged.classifier.thresholds,
    )
