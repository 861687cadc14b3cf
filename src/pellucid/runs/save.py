"""The end of a training: write a model folder that says how good its best weights are."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier import card, matrix
from pellucid.classifier import store as artefact
from pellucid.classifier.predict import int8
from pellucid.classifier.predict.graph import GRAPH
from pellucid.classifier.saved import Saved
from pellucid.errors import ExportError
from pellucid.network import scores
from pellucid.pictures import familiar
from pellucid.pictures.places import within
from pellucid.pictures.sides import SHORT, TRAIN, VAL
from pellucid.runs import config, planned
from pellucid.runs.events import Evaluating
from pellucid.runs.judge import Judged, judge
from pellucid.runs.report import FOLDS, Report
from pellucid.runs.trained import Trained, best_epoch
from pellucid.training import history, loop, targets
from pellucid.training.data import Data
from pellucid.training.folds import Folds

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

MISTAKES = 12
THUMBNAILS = "thumbnails"
COMPARED = 32  # pictures on which ONNX Runtime has to say what PyTorch said
DESCRIBED = 1024  # pictures at a time, to describe what is kept of them


def save(
    trained: Trained, directory: Place, out: Path, folds: Folds | None = None
) -> Generator[Evaluating, None, Report]:
    """Evaluate the best weights so far and write the model folder; yields progress, returns the report.

    `trained` itself does not change. `directory`: the root of the pictures' relative paths. `folds`: the result of a
    cross-validation, which is then reported. Raises StorageError, and TrainingError if the network's outputs are not
    finite.
    """
    judged = yield from judge(trained)
    report = _report(trained, judged, out, folds)
    _remove_model(out)
    mistakes = _mistakes(trained, judged, report, directory)
    files.write(out / artefact.HISTORY, history.as_csv(trained.state.history))
    artefact.write_json(out / artefact.METRICS, {**_figures(report), "mistakes": mistakes})
    artefact.write_tensors(out / artefact.OPTIMIZER, _optimizer(trained))
    files.write(out / artefact.KNOWN, _known(trained.data))
    planned.write(out, trained.task.recipe, trained.state)
    artefact.save(out, judged.classifier, config.about(trained, directory, out))
    card.write(out)
    _compare(trained, judged, out)
    return report


def _compare(trained: Trained, judged: Judged, out: Path) -> None:
    """Compare ONNX Runtime with PyTorch on pictures that were just judged, for graph.onnx."""
    read = artefact.read(out) if judged.classifier.program is None else None
    runtime = read.runtime() if isinstance(read, Saved) else None
    if runtime is None:
        return
    side, logits = next(iter(judged.logits.items()))
    rows = trained.data.rows(SHORT[side])[:COMPARED]
    with suppress(ExportError):  # whoever predicts is told
        runtime.compare(trained.data.store.batch(rows), logits[: len(rows)])


def _report(trained: Trained, judged: Judged, out: Path, folds: Folds | None) -> Report:
    state, metrics = trained.state, judged.metrics
    reported = "test" if "test" in metrics else next(iter(metrics))
    if folds is not None:
        reported, metrics = FOLDS, {**metrics, FOLDS: folds.metrics}
    return Report(
        out,
        judged.classifier,
        reported,
        metrics,
        state.finished,
        best_epoch(state),
        state.seconds,
        replay=trained.recorder.size if trained.recorder is not None else None,
        chosen=judged.chosen,
        early=config.early(trained),
        folds=folds,
        knew=trained.pretrained.get("knew", {}).get(reported, 0),
        knew_by=tuple(trained.pretrained.get("knew_by", {}).get(reported, ())),
    )


def _mistakes(trained: Trained, judged: Judged, report: Report, directory: Place) -> list[dict[str, Any]]:
    """The worst mistakes on the reported pictures, for metrics.json; writes a thumbnail of each."""
    data, classes = trained.data, judged.classifier.classes
    if report.folds is not None:
        chosen = report.folds.chosen
        p = scores.probabilities(report.folds.logits, chosen.temperature, several=chosen.thresholds is not None)
        rows = np.arange(len(data.labels))
    else:
        chosen = judged.fitted
        p, rows = judged.classifier.probabilities(judged.logits[report.reported]), data.rows(SHORT[report.reported])
    mistakes = []
    for number, mistake in enumerate(targets.mistakes(p, data.labels[rows], chosen, MISTAKES), 1):
        path, thumbnail = data.catalog.pictures[int(rows[mistake.row])].path, f"{THUMBNAILS}/{number:02}.jpg"
        card.write_thumbnail(within(directory, path), report.folder / thumbnail, data.store.ranges)
        described = targets.described(mistake, p, data.labels[rows], classes, chosen)
        mistakes.append({**described, "picture": path, "thumbnail": thumbnail})
    return mistakes


def _figures(report: Report) -> dict[str, Any]:
    """The figures in metrics.json beside the mistakes."""
    sides = {
        side: {**measured.as_json(), "confusion": matrix.stored(measured.confusion)}
        for side, measured in report.metrics.items()
    }
    if report.folds is not None:
        sides[FOLDS] |= report.folds.as_json() | {"confusion": sides[FOLDS]["confusion"]}
    about = {"reported": report.reported, "quotable": report.quotable, "chosen": report.chosen}
    knew: dict[str, Any] = {"knew": report.knew} if report.knew else {}
    knew |= {"knew_by": list(report.knew_by)} if report.knew_by else {}
    return {**about, **knew, **sides}


def _optimizer(trained: Trained) -> dict[str, Any]:
    """The optimizer's state at the saved weights."""
    state = trained.state
    return state.best_optimizer if state.best else loop.optimizer_tensors(state)


def _known(data: Data) -> bytes:
    """As safetensors, {side: uint8 (n, familiar.COARSE)} for the pictures that training and validation saw.

    In the order of split.csv, which has all pictures as in the catalog.
    """
    from safetensors.numpy import save as encode

    coarse: dict[str, NDArray[np.uint8]] = {}
    for side in (TRAIN, VAL):
        rows = data.rows(side)
        coarse[side] = np.empty((len(rows), familiar.COARSE), np.uint8)
        for at in range(0, len(rows), DESCRIBED):
            some = slice(at, at + DESCRIBED)
            coarse[side][some] = familiar.coarse(data.store.descriptions[rows[some]])
    return encode(coarse)


def _remove_model(out: Path) -> None:
    """Remove what an earlier `save` left, config.json first: two mixed models must never look complete."""
    with files.storage_errors(out):
        (out / artefact.CONFIG).unlink(missing_ok=True)
        (out / artefact.OPTIMIZER).unlink(missing_ok=True)
        (out / GRAPH).unlink(missing_ok=True)
        (out / int8.FILE).unlink(missing_ok=True)
        if (out / THUMBNAILS).is_dir():
            shutil.rmtree(out / THUMBNAILS)
