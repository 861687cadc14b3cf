"""Export a model folder as one file, and compare the file's predictions with the model's on real pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import files
from pellucid.classifier import store
from pellucid.classifier.predict.int8 import Int8
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Prediction
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, ExportError, RecipeError, StorageError, did_you_mean
from pellucid.exports.formats import FORMATS, Format

CHECKED = 32  # the most pictures to compare on


@dataclass(frozen=True)
class Exported:
    """An exported file, and how far its probabilities are from the model's.

    * bytes: the size of the file
    * pictures: how many were compared, 1 to 32
    * difference: the largest difference between two probabilities of the same picture and class
    * bound: the largest difference allowed
    * int8: what int8 costs; None in float32
    """

    path: Path
    format: str
    bytes: int
    pictures: int
    difference: float
    bound: float
    int8: Int8 | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values for JSON; `path` as text."""
        int8 = self.int8.as_json() if self.int8 is not None else None
        return asdict(self) | {"path": str(self.path), "int8": int8}


def export(
    model: Path,
    out: Path,
    format: str,
    pictures: Iterator[Source],
    named: bool,
    trust: bool,
    int8: Callable[[Saved], Saved] | None = None,
) -> Exported:
    """See pellucid.export. `named`: the user chose the pictures, so thumbnails of the card do not stand in for them.

    `int8`: makes the model one of 8-bit integers; see runs/quantise.py.
    """
    if format not in FORMATS:
        hint = did_you_mean(format, FORMATS)
        raise RecipeError(f"Format {format!r} is unknown.{hint} Formats: {', '.join(FORMATS)}.")
    kind = FORMATS[format]
    _check_place(out, kind)
    saved = store.read(model, trust)
    if not isinstance(saved, Saved):
        raise ExportError(
            f"{model} holds a Python module as a program, which cannot be exported. Only networks that Pellucid's text "
            "notation can express become an ONNX file."
        )
    if int8 is not None:
        saved = int8(saved)
    content = kind.write(saved, _card(model))
    with files.storage_errors(out), files.replacing(out.resolve()) as temporary:
        temporary.write_bytes(content)
        compared, difference = _compare(model, saved, kind, temporary, pictures, named)
    return Exported(out, format, len(content), compared, difference, kind.bound, saved.int8)


def _check_place(out: Path, kind: Format) -> None:
    """Raise RecipeError if the ending is wrong, and StorageError if something else than an export is there."""
    if out.suffix.lower() != kind.ending:
        raise RecipeError(f"{out} must end in {kind.ending}, such as {out.with_suffix(kind.ending).name}.")
    if not out.exists():
        return
    with files.storage_errors(out):
        if not out.is_file() or not out.read_bytes().startswith(kind.mark):
            raise StorageError(
                f"{out} already exists and was not exported by Pellucid: nothing of yours is overwritten. Choose "
                "another name."
            )


def _compare(
    model: Path, saved: Saved, kind: Format, file: Path, pictures: Iterator[Source], named: bool
) -> tuple[int, float]:
    """(number of pictures compared, largest difference). Raises ExportError if the difference exceeds the bound."""
    classifier = saved.classifier() if saved.int8 is None else saved.predictor()
    theirs = _usable(classifier.predict(list(islice(pictures, CHECKED))))
    if not theirs and not named:
        theirs = _usable(classifier.predict(_thumbnails(model)))
    if not theirs:
        raise ExportError(
            f"There are no usable pictures to check the export of {model}. Name some with --pictures, or pictures=... "
            "in Python."
        )
    try:
        ours = kind.open(file).predict([answer.source for answer in theirs])
    except ArtefactError as error:
        raise ExportError(f"{model} was not exported: {error}") from error
    worst, name = max(_difference(*pair) for pair in zip(theirs, ours, strict=True))
    if not worst <= kind.bound:
        raise ExportError(
            f"{model} was not exported: a probability of {name} differs by {worst:.2g} from the model's; at most "
            f"{kind.bound:g} is allowed. Please report this network."
        )
    return len(theirs), worst


def _usable(answers: list[Prediction]) -> list[Prediction]:
    return [answer for answer in answers if answer.error is None]


def _difference(theirs: Prediction, ours: Prediction) -> tuple[float, str]:
    """(largest difference between two probabilities of a class, infinite if one is not finite; the picture's name)."""
    if ours.probabilities is None or theirs.probabilities is None:
        return float("inf"), theirs.source
    pairs = ((theirs.probabilities[name], ours.probabilities[name]) for name in theirs.probabilities)
    worst = max(abs(one - other) if np.isfinite(one - other) else float("inf") for one, other in pairs)
    return worst, theirs.source


def _thumbnails(model: Path) -> list[Source]:
    folder = model / "thumbnails"
    paths: list[Source] = [*sorted(folder.iterdir())[:CHECKED]] if folder.is_dir() else []
    return paths


def _card(model: Path) -> str:
    try:
        return (model / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
