"""The training in config.json: its recipe, its data, how it went and which step would come next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.pictures.catalog import IN_TWO
from pellucid.pictures.places import absolute
from pellucid.pictures.sides import LONG
from pellucid.runs.trained import Trained, best_epoch, epochs, epochs_done
from pellucid.training.history import Epoch
from pellucid.training.schedule import learning_rate

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


def about(trained: Trained, directory: Place, out: Path) -> dict[str, Any]:
    """The whole entry. `directory`: the root of the pictures' relative paths; `out`: where split.csv already is."""
    pretrained = {"pretrained": _pretrained(trained)} if trained.pretrained else {}
    return {
        "name": out.name,
        "recipe": trained.task.recipe.as_json(),
        "reasons": list(trained.reasons),
        "data": _data(trained, directory, out),
        "training": _training(trained),
        "optimizer": _next_update(trained),
        **pretrained,
    }


def early(trained: Trained) -> str | None:
    """Why a complete training is shorter than planned; None if it is not."""
    state, recipe = trained.state, trained.task.recipe
    if not state.stopped_early:
        return None
    none_better = f"no better validation in {recipe.patience:,} epoch{'s' if recipe.patience != 1 else ''} (patience)"
    if recipe.minutes is None:
        return f"stopped after epoch {epochs_done(state):,} of {epochs(state.steps, trained.task):,}: {none_better}"
    allowed = state.seconds_allowed or 0.0
    return f"stopped after {state.seconds:.0f} of {allowed:.0f} seconds: {none_better}"


def _data(trained: Trained, directory: Place, out: Path) -> dict[str, Any]:
    data = trained.data
    return {
        "root": absolute(directory),
        "table": None if data.catalog.table is None else absolute(data.catalog.table),
        "groups": data.named_groups,
        "fingerprint": data.store.fingerprint,
        "split_fingerprint": files.sha256(out / artefact.SPLIT),
        "train": len(trained.task.train),
        "validation": len(data.rows("val")),
        "test": len(data.rows("test")),
        "quarantined": len(data.quarantine),
        "quarantined_in_two_classes": sum(bad.reason.startswith(IN_TWO) for bad in data.quarantine),
        "left_out": [folder.path for folder in data.catalog.left_out],
        "classes_alike": [list(names) for names in data.catalog.alike],
        "twin_pictures": data.twin_pictures,
        "twins_across_classes": len(data.twins_across_classes),
        "alike_across_classes": data.alike_across_classes,
        "lacking": {LONG[side]: list(names) for side, names in data.lacking.items()},
        "swallowed": [
            {"class": data.catalog.classes[each.label], "alike": each.alike, "pictures": each.pictures}
            for each in data.swallowed
        ],
    }


def _training(trained: Trained) -> dict[str, Any]:
    state, task = trained.state, trained.task
    return {
        "complete": state.finished,
        "stopped_early": state.stopped_early,
        "early": early(trained),
        "epochs": epochs_done(state),
        "epochs_planned": epochs(state.steps, task),
        "best_epoch": best_epoch(state),
        "steps": state.step,
        "seconds": round(state.seconds, 3),
        "device": task.engine.device,
        "precision": task.engine.precision,
        "threads": task.engine.threads,
        "fused": task.engine.fused,
        "streamed": task.blocks is not None,
        "kernels": task.engine.kernels,
        "class_weights": None if task.weights is None else list(task.weights),
        **({"processes": task.team.world} if not task.team.alone else {}),
        **({"by_hand": True} if trained.by_hand else {}),
    }


def _next_update(trained: Trained) -> dict[str, Any]:
    """The place of the saved weights in the schedule. The rate is that of the next step, if there is one."""
    state = trained.state
    if trained.pretrained and best_epoch(state) == 0:  # the head alone, which gradient descent would improve
        return {"step": 0, "steps": state.steps, "learning_rate": trained.pretrained["head"]["learning_rate"]}
    done = state.best_step if state.best else state.step
    rate = learning_rate(trained.task.recipe, min(done, state.steps - 1), state.steps)
    return {"step": done, "steps": state.steps, "learning_rate": rate}


def _pretrained(trained: Trained) -> dict[str, Any]:
    """What the weights had seen, which result was saved, and what each result reached on validation."""
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
