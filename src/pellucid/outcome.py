"""The end of a training: the best weights evaluated, and a model folder written that says how good they are."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier import card, matrix
from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predictor import Prepared
from pellucid.errors import TrainingError
from pellucid.pictures import familiar
from pellucid.pictures.catalog import IN_TWO
from pellucid.pictures.store import Store
from pellucid.training import checkpoint, evaluate, history, loop, targets
from pellucid.training.data import Data
from pellucid.training.evaluate import Metrics
from pellucid.training.folds import Folds
from pellucid.training.history import Epoch
from pellucid.training.loop import State, Task
from pellucid.training.recorder import Recorder, Size
from pellucid.training.schedule import learning_rate

MISTAKES = 12
THUMBNAILS = "thumbnails"
PIXELS = 400_000  # of the pictures that go through the network at once on a core: 8 of 224x224
DESCRIBED = 1024  # pictures of which what is kept is made at a time


@dataclass(frozen=True)
class Evaluating:
    """The pictures of a side are being classified."""

    side: str
    done: int
    total: int


@dataclass(frozen=True)
class Report:
    """How a run ended: `reported` names the metrics that count, test where there are test pictures.

    After a cross-validation that is "folds", the figures of all pictures, each by a model that had not seen it.

    `chosen`: whether the epoch and the temperature were chosen on the validation pictures. They are not where there
    are none, or where these lack a class.
    """

    folder: Path
    classifier: Classifier
    reported: str
    metrics: dict[str, Metrics]
    complete: bool
    best_epoch: int
    seconds: float
    replay: Size | None = None
    """What the replay takes, of a training with one."""
    chosen: bool = True
    early: str | None = None
    """Why it ended before its epochs or its minutes were over, in a sentence without a full stop."""
    folds: Folds | None = None
    """What a cross-validation of the same recipe said; the classifier is that of the last training, on all pictures."""
    knew: int = 0
    """How many of the pictures that are reported on the model has seen that the training started from."""

    @property
    def quotable(self) -> bool:
        """Whether the reported accuracy is one to quote: of pictures that no choice was made on, of every class."""
        return self.reported in ("test", "folds") and not self.metrics[self.reported].lacking and not self.knew


@dataclass(frozen=True)
class Judged:
    """The best weights, calibrated, and what they make of the pictures that they did not learn from.

    `logits`: float32 (n, classes) for "validation" and "test", in the order of the rows of these sides; for "train"
    where there are neither. `chosen` as in Report.
    """

    classifier: Classifier
    logits: dict[str, NDArray[np.float32]]
    metrics: dict[str, Metrics]
    fitted: targets.Fitted
    chosen: bool


@dataclass(frozen=True)
class Trained:
    """What training works on, and what it has reached so far: all that the end needs."""

    data: Data
    task: Task
    state: State
    classifier: Classifier  # not yet calibrated; shares its module with `state`
    keeper: checkpoint.Keeper
    reasons: tuple[str, ...]
    resumed_at: int | None  # step
    recorder: Recorder | None = None  # of a training with a replay
    pretrained: dict[str, Any] = field(default_factory=dict)  # what config.json says of known weights


def judge(trained: Trained) -> Generator[Evaluating, None, Judged]:
    """Evaluate the best weights so far, and calibrate them; yields progress. `trained` itself is left as it is.

    Raises TrainingError where the network's outputs are not finite.
    """
    state, data, classes = trained.state, trained.data, trained.classifier.classes
    trained.task.engine.settle()  # whole batches are predicted from here on, and do not fit the gaps of the training
    best = copy.deepcopy(state.module)
    best.load_state_dict(state.best or state.module.state_dict())
    classifier = dataclasses.replace(trained.classifier, module=best)

    logits: dict[str, NDArray[np.float32]] = {}
    for side in ("validation", "test") if len(data.rows("val")) or len(data.rows("test")) else ("train",):
        if len(rows := data.rows(_SHORT[side])):
            logits[side] = yield from _logits(classifier, trained, side, rows)
    labels = {side: data.labels[data.rows(_SHORT[side])] for side in logits}
    chosen = bool(len(trained.task.validation))
    side = "validation" if chosen else next(iter(logits))
    some = slice(None) if chosen else slice(0)  # of no pictures: nothing is fitted
    fitted = targets.fitted(logits[side][some], labels[side][some])
    classifier = dataclasses.replace(classifier, temperature=fitted.temperature, thresholds=fitted.thresholds)
    metrics = {side: targets.measure(side, logits[side], labels[side], classes, fitted) for side in logits}
    return Judged(classifier, logits, metrics, fitted, chosen)


def save(
    trained: Trained, directory: Path, out: Path, folds: Folds | None = None
) -> Generator[Evaluating, None, Report]:
    """Evaluate the best weights so far and write the model folder; yields progress, returns the report.

    `trained` itself is left as it is. `directory`: to which the pictures' paths are relative. `folds`: of a
    cross-validation, the figure that is then reported. Raises StorageError, and TrainingError where the network's
    outputs are not finite.
    """
    judged = yield from judge(trained)
    state, data, classes = trained.state, trained.data, trained.classifier.classes
    classifier, metrics, chosen = judged.classifier, judged.metrics, judged.chosen
    if folds is not None:
        reported, p, rows = "folds", evaluate.probabilities(folds.logits, 1.0), np.arange(len(data.labels))
        metrics = {**metrics, "folds": folds.metrics}
    else:
        reported = "test" if "test" in metrics else next(iter(metrics))
        p, rows = classifier.probabilities(judged.logits[reported]), data.rows(_SHORT[reported])
    paths = [data.catalog.pictures[int(row)].path for row in rows]
    worst = targets.mistakes(p, data.labels[rows], judged.fitted, MISTAKES)
    _remove_model(out)
    thumbnails = [f"{THUMBNAILS}/{number:02}.jpg" for number in range(1, len(worst) + 1)]
    for mistake, thumbnail in zip(worst, thumbnails, strict=True):
        card.write_thumbnail(directory / paths[mistake.row], out / thumbnail, data.store.ranges)
    mistakes = [
        {
            **targets.described(mistake, p, data.labels[rows], classes, judged.fitted),
            "picture": paths[mistake.row],
            "thumbnail": thumb,
        }
        for mistake, thumb in zip(worst, thumbnails, strict=True)
    ]
    files.write(out / artefact.HISTORY, history.as_csv(state.history))
    sides = {
        side: {**measured.as_json(), "confusion": matrix.stored(measured.confusion)}
        for side, measured in metrics.items()
    }
    if folds is not None:
        sides["folds"] |= folds.as_json() | {"confusion": sides["folds"]["confusion"]}
    report = Report(out, classifier, reported, metrics, state.finished, best_epoch(state), state.seconds, chosen=chosen)
    report = dataclasses.replace(report, knew=trained.pretrained.get("knew", {}).get(reported, 0))
    about = {"reported": reported, "quotable": report.quotable, "chosen": chosen}
    about |= {"knew": report.knew} if report.knew else {}
    artefact.write_json(out / artefact.METRICS, {**about, **sides, "mistakes": mistakes})
    tensors = state.best_optimizer if state.best else loop.optimizer_tensors(state)
    artefact.write_tensors(out / artefact.OPTIMIZER, tensors)
    files.write(out / artefact.KNOWN, _known(data))
    artefact.save(out, classifier, _about(trained, directory, out))
    card.write(out)
    size = trained.recorder.size if trained.recorder is not None else None
    return dataclasses.replace(report, replay=size, early=_early(trained), folds=folds)


@dataclass(frozen=True)
class _Stored:
    """Rows of a store as pictures, each read when it is asked for."""

    store: Store
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Prepared]:
        return (Prepared(self.store.batch(self.rows[at : at + 1])[0]) for at in range(len(self.rows)))


def _logits(
    classifier: Classifier, trained: Trained, side: str, rows: NDArray[np.int64]
) -> Generator[Evaluating, None, NDArray[np.float32]]:
    """float32 (n, classes), by the very function that predicts."""
    outputs = []
    trained.task.engine.settle()  # the memory of what came before
    size = max(1, min(trained.task.batch, PIXELS // (classifier.form.height * classifier.form.width)))
    for done, answer in enumerate(classifier.stream(_Stored(trained.data.store, rows), size)):
        if done % trained.task.batch == 0:
            yield Evaluating(side, done, len(rows))
        outputs.append(answer.logits)
    logits = np.array(outputs, np.float32)
    if not np.isfinite(logits).all():
        raise TrainingError(
            f"The network's outputs for the {side} pictures are not finite: the training has diverged. "
            f"Try a smaller --learning-rate than {trained.task.recipe.learning_rate:g}."
        )
    return logits


def _known(data: Data) -> bytes:
    """As safetensors, {side: uint8 (n, familiar.COARSE)} of the pictures that training and validation saw.

    In the order of split.csv, in which all pictures stand as in the catalog.
    """
    from safetensors.numpy import save as encode

    coarse = {}
    for side in ("train", "val"):
        rows = data.rows(side)
        parts = [rows[at : at + DESCRIBED] for at in range(0, len(rows), DESCRIBED)]
        some = [familiar.coarse(data.store.descriptions[part]) for part in parts]
        coarse[side] = np.concatenate([np.zeros((0, familiar.COARSE), np.uint8), *some])
    return encode(coarse)


def _remove_model(out: Path) -> None:
    """What an earlier `save` left, config.json first: never do two models stand mixed and look whole."""
    with files.storage_errors(out):
        (out / artefact.CONFIG).unlink(missing_ok=True)
        (out / artefact.OPTIMIZER).unlink(missing_ok=True)
        if (out / THUMBNAILS).is_dir():
            shutil.rmtree(out / THUMBNAILS)


def _about(trained: Trained, directory: Path, out: Path) -> dict[str, Any]:
    """What config.json says of the recipe, the data and the training."""
    state, data, task = trained.state, trained.data, trained.task
    return {
        "name": out.name,
        "recipe": task.recipe.as_json(),
        "reasons": list(trained.reasons),
        "data": {
            "root": str(directory.absolute()),
            "table": None if data.catalog.table is None else str(Path(data.catalog.table).absolute()),
            "groups": data.named_groups,
            "fingerprint": data.store.fingerprint,
            "split_fingerprint": files.sha256(out / artefact.SPLIT),
            "train": len(task.train),
            "validation": len(data.rows("val")),
            "test": len(data.rows("test")),
            "quarantined": len(data.quarantine),
            "quarantined_in_two_classes": sum(bad.reason.startswith(IN_TWO) for bad in data.quarantine),
            "left_out": [folder.path for folder in data.catalog.left_out],
            "classes_alike": [list(names) for names in data.catalog.alike],
            "twin_pictures": data.twin_pictures,
            "twins_across_classes": len(data.twins_across_classes),
            "alike_across_classes": data.alike_across_classes,
            "lacking": {_LONG[side]: list(names) for side, names in data.lacking.items()},
            "swallowed": [
                {"class": data.catalog.classes[each.label], "alike": each.alike, "pictures": each.pictures}
                for each in data.swallowed
            ],
        },
        "training": {
            "complete": state.finished,
            "stopped_early": state.stopped_early,
            "early": _early(trained),
            "epochs": _done(state),
            "epochs_planned": epochs(state.steps, task),
            "best_epoch": best_epoch(state),
            "steps": state.step,
            "seconds": round(state.seconds, 3),
            "device": task.engine.device,
            "precision": task.engine.precision,
            "threads": task.engine.threads,
            "class_weights": None if task.weights is None else list(task.weights),
        },
        "optimizer": _next_update(trained),
        **({"pretrained": _pretrained(trained)} if trained.pretrained else {}),
    }


def _early(trained: Trained) -> str | None:
    """Why a complete training is shorter than it was planned to be; None where it is not."""
    state, recipe = trained.state, trained.task.recipe
    if not state.stopped_early:
        return None
    none_better = f"no better validation in {recipe.patience:,} epoch{'s' if recipe.patience != 1 else ''} (patience)"
    if recipe.minutes is None:
        return f"stopped after epoch {_done(state):,} of {epochs(state.steps, trained.task):,}: {none_better}"
    allowed = state.seconds_allowed or 0.0
    return f"stopped after {state.seconds:.0f} of {allowed:.0f} seconds: {none_better}"


def _next_update(trained: Trained) -> dict[str, Any]:
    """Where the saved weights stand in the schedule. The rate is that of the step that follows, if there is one."""
    state = trained.state
    if trained.pretrained and best_epoch(state) == 0:  # the head alone, which gradient descent would improve
        return {"step": 0, "steps": state.steps, "learning_rate": trained.pretrained["head"]["learning_rate"]}
    done = state.best_step if state.best else state.step
    rate = learning_rate(trained.task.recipe, min(done, state.steps - 1), state.steps)
    return {"step": done, "steps": state.steps, "learning_rate": rate}


def _pretrained(trained: Trained) -> dict[str, Any]:
    """What the weights had seen, and which result was kept, with what each reached on validation."""
    head, *later = trained.state.history
    best = best_epoch(trained.state)
    by_loss = trained.task.by_loss  # as in history.is_best

    def rank(epoch: Epoch) -> tuple[float, float]:
        return 0.0 if by_loss else epoch.validation_accuracy or 0.0, -(epoch.validation_loss or 0.0)

    tuned = next((epoch for epoch in later if best and epoch.epoch == best), max(later, key=rank, default=None))
    return {
        **trained.pretrained,
        "road": "whole network" if best else "head",
        "frozen": best == 0,
        "validation": {"head": _held(head), "whole network": None if tuned is None else _held(tuned)},
    }


def _held(epoch: Epoch) -> dict[str, float | None]:
    return {"accuracy": epoch.validation_accuracy, "loss": epoch.validation_loss}


def epochs(steps: int, task: Task) -> int:
    return -(-steps // task.steps_per_epoch)


def _done(state: State) -> int:
    """Epochs that were trained, without the entry of a head on known weights."""
    return sum(epoch.epoch > 0 for epoch in state.history)


def best_epoch(state: State) -> int:
    return next((epoch.epoch for epoch in reversed(state.history) if epoch.best), 0)


_SHORT = {"test": "test", "validation": "val", "train": "train"}
_LONG = {short: long for long, short in _SHORT.items()}
