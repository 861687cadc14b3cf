"""Export a model folder for other programs, and compare the result's predictions with the model's on real pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict import exported
from pellucid.classifier.predict.exported import ExportedFile
from pellucid.classifier.predict.int8 import Int8
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Prediction
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, ExportError, RecipeError, StorageError, did_you_mean
from pellucid.exports.formats import FORMATS, Format

CHECKED = 32  # the most pictures to compare on
_TEMPORARY = "model"  # the name of a file before it is in its place, without its ending


@dataclass(frozen=True)
class Exported:
    """An exported file, and how far its probabilities are from the model's.

    * beside: further files that belong to it
    * bytes: the size of all of them together
    * pictures: how many were compared, 1 to 32
    * difference: the largest difference between two probabilities of the same picture and class
    * bound: the largest difference allowed
    * caveat: a sentence about the comparison, or ""
    * int8: what int8 costs; None in float32
    """

    path: Path
    beside: tuple[Path, ...]
    format: str
    bytes: int
    pictures: int
    difference: float
    bound: float
    caveat: str
    int8: Int8 | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values for JSON; paths as text."""
        int8 = self.int8.as_json() if self.int8 is not None else None
        beside = [str(path) for path in self.beside]
        return asdict(self) | {"path": str(self.path), "beside": beside, "int8": int8}


def export(
    model: Path,
    out: Path,
    format: str | None,
    pictures: Iterator[Source],
    named: bool,
    trust: bool,
    int8: Callable[[Saved | Classifier], Saved] | None = None,
) -> Exported:
    """See pellucid.export. `named`: the user chose the pictures, so thumbnails of the card do not stand in for them.

    `int8`: makes the model one of 8-bit integers; see runs/quantise.py.
    """
    name = _format(out, format)
    kind = FORMATS[name]
    beside = tuple(out.with_suffix(ending) for ending in kind.beside)
    _check_place(out, beside, kind)
    if int8 is not None and not kind.int8:
        able = " or ".join(each for each, other in FORMATS.items() if other.int8)
        raise ExportError(
            f"{model} was not exported: {name} computes in float32. Leave out --precision int8, or choose {able}."
        )
    saved = store.read(model, trust)
    if int8 is not None:
        saved = int8(saved)
    try:
        contents = kind.write(saved, exported.metadata(saved, _weights(model), _card(model)))
    except ExportError as error:
        raise ExportError(f"{model} was not exported: {error}") from error
    places = [out.resolve(), *beside]
    names = [_TEMPORARY + ending for ending in (kind.ending, *kind.beside)]
    # what lies beside goes first: a new graph never takes old numbers
    with files.storage_errors(out), files.replacing_together(dict(reversed([*zip(names, places, strict=True)]))) as at:
        for ending, content in contents.items():
            (at / f"{_TEMPORARY}{ending}").write_bytes(content)
        compared, difference = _compare(model, saved, kind, at / names[0], pictures, named)
    size = sum(map(len, contents.values()))
    cost = saved.int8 if isinstance(saved, Saved) else None
    return Exported(out, beside, name, size, compared, difference, kind.bound, kind.caveat, cost)


def _format(out: Path, format: str | None) -> str:
    """The format's name, by default that of the file's ending. Raises RecipeError if the two disagree."""
    if format is None:
        by_ending = {kind.ending: name for name, kind in FORMATS.items()}
        if out.suffix.lower() in by_ending:
            return by_ending[out.suffix.lower()]
        endings = ", ".join(f"{ending} ({name})" for ending, name in by_ending.items())
        raise RecipeError(f"{out} does not say its format. It must end in one of these: {endings}.")
    if format not in FORMATS:
        hint = did_you_mean(format, FORMATS)
        raise RecipeError(f"Format {format!r} is unknown.{hint} Formats: {', '.join(FORMATS)}.")
    ending = FORMATS[format].ending
    if out.suffix.lower() != ending:
        raise RecipeError(f"{out} must end in {ending}, such as {out.with_suffix(ending).name}.")
    return format


def _check_place(out: Path, beside: tuple[Path, ...], kind: Format) -> None:
    """Raise StorageError if a file is there that Pellucid did not export, or a link where files belong together."""
    with files.storage_errors(out):
        if beside and out.is_symlink():  # its target has a partner of its own, under another name
            raise StorageError(
                f"{out} is a link to {out.readlink()}, and {beside[0].name} belongs beside the file. Name the file "
                "itself."
            )
        there = [path for path in (out, *beside) if path.exists()]
        if there and not kind.made_here(out):
            raise StorageError(
                f"{there[0]} already exists and was not exported by Pellucid: nothing of yours is overwritten. Choose "
                "another name."
            )


def _compare(
    model: Path, saved: Saved | Classifier, kind: Format, file: Path, pictures: Iterator[Source], named: bool
) -> tuple[int, float]:
    """(number of pictures compared, largest difference). Raises ExportError if the difference exceeds the bound."""
    if isinstance(saved, Saved):
        classifier = saved.classifier() if saved.int8 is None else saved.predictor()
    else:
        classifier = saved
    theirs = _answered(classifier, islice(pictures, CHECKED))
    if not theirs and not named:
        theirs = _answered(classifier, _thumbnails(model))
    if not theirs:
        raise ExportError(
            f"There are no usable pictures to check the export of {model}. Name some with --pictures, or pictures=... "
            "in Python."
        )
    try:
        ours = kind.open(file)
    except ArtefactError as error:
        raise ExportError(f"{model} was not exported: {error}") from error
    worst, name = max(_difference(*each, ours) for each in theirs)
    if not worst <= kind.bound:
        raise ExportError(
            f"{model} was not exported: a probability of {name} differs by {worst:.2g} from the model's; at most "
            f"{kind.bound:g} is allowed. Please report this network."
        )
    return len(theirs), worst


def _answered(classifier: Classifier | Predictor, pictures: Iterable[Source]) -> list[tuple[Source, Prediction]]:
    """The usable pictures with the model's answers."""
    every = list(pictures)
    return [pair for pair in zip(every, classifier.predict(every), strict=True) if pair[1].error is None]


def _difference(picture: Source, theirs: Prediction, ours: ExportedFile) -> tuple[float, str]:
    """(largest difference between two probabilities of a class, infinite if one is not finite; the picture's name).

    It counts the probabilities that other programs read from the file, and those that `predict` makes of its logits.
    """
    name, image = ours.predictor.named(picture)
    probabilities, logits = ours.run(image)
    right = np.array(list((theirs.probabilities or {}).values()))
    calibrated = ours.predictor.probabilities(logits[None])[0]
    return max(_farthest(probabilities, right), _farthest(calibrated, right)), name


def _farthest(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    if one.shape != other.shape:
        return float("inf")
    distance = np.abs(one - other).max()
    return float(distance) if np.isfinite(distance) else float("inf")


def _thumbnails(model: Path) -> list[Source]:
    folder = model / "thumbnails"
    paths: list[Source] = [*sorted(folder.iterdir())[:CHECKED]] if folder.is_dir() else []
    return paths


def _card(model: Path) -> str:
    try:
        return (model / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _weights(model: Path) -> str | None:
    """The SHA-256 of the weights that config.json states, which store.read has checked."""
    return str(store.read_config(model)["files"][store.WEIGHTS]["sha256"])
