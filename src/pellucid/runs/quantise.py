"""Make predictions with 8-bit integers: measure the ranges on training pictures, and the figure on validation pictures.

The figure is the accuracy, or the macro F1 with several labels. A fall by more than half a point is refused. Test
pictures are never used, so they still say how good the result is.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict import graph
from pellucid.classifier.predict import int8 as eight
from pellucid.classifier.predict.int8 import ALLOWED, Int8
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, ExportError, RecipeError, did_you_mean
from pellucid.pictures.places import name_of
from pellucid.runtime import sessions

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.pictures.places import Place

PRECISIONS = ("float32", "int8")
CALIBRATED = 100  # training pictures for the ranges; the answers on cats and dogs are the same with 32
GROUP = 4  # pictures in memory at once, with all their maps

Labelled = list[tuple[str, str]]
"""(path, class) of each picture; with several labels they are separated as in split.csv."""
Say = Callable[[str], None]
Quantise = Callable[["Saved | Classifier"], Saved]


@dataclass(frozen=True)
class _Pictures:
    """Pictures for the ranges, others for the figure, and the name of the latter."""

    ranges: list[str]
    figure: Labelled
    name: str


def for_predictions(precision: str, say: Say | None = None) -> Quantise | None:
    """The function `int8` of load.predictor for a precision; None for float32. Raises RecipeError.

    A network that Pellucid computes faster in float32 stays as it is, and `say` gets the reason.
    """
    return partial(_if_faster, say=say) if _is_int8(precision) else None


def for_export(precision: str, labelled: Place | None) -> Quantise | None:
    """The function `int8` of exporting.export for a precision; None for float32. Raises RecipeError.

    `labelled`: see `ready`.
    """
    return partial(ready, labelled=labelled) if _is_int8(precision) else None


def _is_int8(precision: str) -> bool:
    if precision not in PRECISIONS:
        hint = did_you_mean(precision, PRECISIONS)
        raise RecipeError(f"Precision {precision!r} is unknown.{hint} Precisions: {', '.join(PRECISIONS)}.")
    return precision == "int8"


def _if_faster(saved: Saved | Classifier, say: Say | None) -> Saved:
    from pellucid.engine import blocks

    if isinstance(saved, Saved):
        steps = saved.network.shapes(saved.input_shape, len(saved.classes))
        if blocks.mostly_one_block(steps):
            if say is not None:
                say("float32 is faster than int8 for this network, so its predictions stay in float32")
            return saved
    return ready(saved, say=say)


def ready(saved: Saved | Classifier, labelled: Place | None = None, say: Say | None = None) -> Saved:
    """The model with 8-bit integers: as stored beside its weights, or else made and stored now.

    `labelled`: a labelled folder or table, in place of the model's own training and validation pictures if these are
    gone. `say`: receives what was measured, as lines for people. Raises ExportError if the figure falls too far, and
    ArtefactError if there are no pictures.
    """
    if not isinstance(saved, Saved) or saved.source is None:
        raise ExportError(
            "int8 needs a network that Pellucid's text notation can express, saved in a model folder. A Python module "
            "as a program predicts in float32."
        )
    if not sessions.installed():
        raise ExportError("int8 needs ONNX Runtime, which is not installed: pip install onnxruntime")
    int8 = eight.stored(saved)
    if int8 is None:
        int8 = _made(saved, saved.source.folder, labelled)
        eight.remember(saved, int8)
        if say is not None:
            for line in int8.sentences():
                say(line)
    return replace(saved, int8=int8)


def _made(saved: Saved, folder: Path, labelled: Place | None) -> Int8:
    assert saved.source is not None
    pictures = _pictures(saved, folder, labelled)
    ranges, calibrated = _ranges(saved, pictures.ranges)
    key = eight.key(saved, saved.source)
    unmeasured = Int8(key, ranges, (), calibrated, 0, pictures.name, "", 0, 0, 0, graph.runtime())
    _, before, after = _logits(saved, unmeasured, pictures.ranges)
    shift = (before.astype(np.float64) - after).mean(axis=0).tolist()
    int8 = _measured(saved, replace(unmeasured, shift=tuple(shift)), pictures)
    if not int8.allowed:
        raise ExportError(
            f"int8 is refused for {folder}: its {int8.figure} on {int8.measured:,} {int8.side} pictures falls from "
            f"{int8.before:.1%} to {int8.after:.1%}; it may fall by {100 * ALLOWED:g} points at most. Leave out "
            "--precision int8."
        )
    return int8


def _pictures(saved: Saved, folder: Path, labelled: Place | None) -> _Pictures:
    """The model's own pictures, or `labelled` in their place. Raises ArtefactError."""
    from pellucid.runs import made_from

    instead = (
        "name a labelled folder or table: "
        f"pellucid export {shlex.quote(str(folder))} OUT.onnx --precision int8 --pictures FOLDER"
    )
    try:
        ranges = made_from.trained_on(folder, instead)
        figure = [(str(path), label) for path, label in made_from.chosen_on(folder)]
        reason = f"Some of them must still be there, unchanged; {instead}."
        if ranges and figure:
            return _Pictures(_spread(ranges, CALIBRATED), figure, "validation")
    except ArtefactError as error:
        reason = str(error)
    if labelled is None:
        raise ArtefactError(f"int8 needs the training and validation pictures of {folder}. {reason}")
    from pellucid.runs.evaluate import labelled_pictures

    several = labelled_pictures(labelled, saved.classes, saved.thresholds is not None)
    order = np.random.default_rng(0).permutation(len(several)).tolist()
    first = min(CALIBRATED, len(several) // 2)
    mixed = [several[row] for row in order]
    if not first:
        raise ArtefactError(f"{labelled} has {len(several)} labelled pictures; int8 needs at least 2.")
    # its name alone: the exported file states it, and need not say where the pictures lie
    return _Pictures([path for path, _ in mixed[:first]], mixed[first:], name_of(labelled))


def _spread(paths: list[str], most: int) -> list[str]:
    """At most so many of the paths, evenly spread over them."""
    return [paths[row] for row in np.unique(np.linspace(0, len(paths) - 1, most).round().astype(int))]


def _images(saved: Saved, paths: list[str]) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """(rows, prepared images uint8 (n, H, W, C)) of the usable pictures, in groups."""
    rows: list[int] = []
    images: list[NDArray[np.uint8]] = []
    for row, (_, image, _) in enumerate(saved.predictor().items(paths)):
        if image is not None:
            rows.append(row)
            images.append(image)
        if len(images) == GROUP:
            yield rows, np.stack(images)
            rows, images = [], []
    if images:
        yield rows, np.stack(images)


def _ranges(saved: Saved, paths: list[str]) -> tuple[tuple[tuple[float, float], ...], int]:
    """(the lowest and the highest number of each map in these pictures, how many were usable)."""
    from pellucid.network import as_int8

    content, maps = as_int8.measuring(eight.folded(saved))
    run = sessions.opened(content)
    parts = [run(images).reshape(len(images), maps, 2) for _, images in _images(saved, paths)]
    if not parts:
        raise ArtefactError(f"None of {len(paths):,} pictures can be used to prepare int8, such as {paths[0]}.")
    ends = np.concatenate(parts).astype(np.float64)
    if not np.isfinite(ends).all():
        raise ExportError("int8 is refused: the network's numbers are not finite. Leave out --precision int8.")
    lows, highs = ends[:, :, 0].min(axis=0).tolist(), ends[:, :, 1].max(axis=0).tolist()
    return tuple(zip(lows, highs, strict=True)), len(ends)


def _logits(saved: Saved, int8: Int8, paths: list[str]) -> tuple[list[int], NDArray[np.float32], NDArray[np.float32]]:
    """(rows of the usable pictures, their logits in float32 and in int8, both float32 (n, classes))."""
    before, after = saved.predictor().backend, replace(saved, int8=int8).predictor().backend
    used: list[int] = []
    empty = np.empty((0, len(saved.classes)), np.float32)
    outputs: tuple[list[Any], list[Any]] = ([empty], [empty])
    for rows, images in _images(saved, paths):
        used += rows
        outputs[0].append(before.logits(images))
        outputs[1].append(after.logits(images))
    return used, np.concatenate(outputs[0]), np.concatenate(outputs[1])


def _measured(saved: Saved, int8: Int8, pictures: _Pictures) -> Int8:
    """The record with the figure before and after."""
    from pellucid.network import scores
    from pellucid.training import targets

    used, *outputs = _logits(saved, int8, [path for path, _ in pictures.figure])
    if not used:
        raise ArtefactError(f"None of {len(pictures.figure):,} {pictures.name} pictures can be used to measure int8.")
    several = saved.thresholds is not None
    labels = np.array([targets.read(pictures.figure[row][1], saved.classes, several) for row in used])
    fitted = targets.Fitted(saved.temperature, saved.thresholds)
    figures, called = [], []
    for logits in outputs:
        metrics = targets.measure(pictures.name, logits, labels, saved.classes, fitted)
        figures.append(metrics.macro_f1 if several else metrics.accuracy)
        called.append(scores.called(scores.probabilities(logits, saved.temperature, several), saved.thresholds))
    return replace(
        int8,
        measured=len(used),
        figure="macro F1" if several else "accuracy",
        before=float(figures[0] or 0),
        after=float(figures[1] or 0),
        changed=int((called[0] != called[1]).any(axis=1).sum()),
    )
