"""What a trained model says about itself, for the page: read from its folder, so that a restart shows the same."""

from __future__ import annotations

import csv
import re
from pathlib import Path, PurePosixPath
from typing import Any

from pellucid import files
from pellucid.app.format import few, many
from pellucid.classifier import store as artefact
from pellucid.collecting.collection import Class
from pellucid.errors import StorageError

_MODEL = re.compile(r"model-(\d+)")


def place(folder: Path) -> Path:
    """A free name for the next model: FOLDER/model-3 after model-2. Raises StorageError."""
    numbers = [_number(path) for path in _models(folder)]
    return folder / f"model-{max(numbers, default=0) + 1}"


def newest(folder: Path, but: Path | None = None) -> Path | None:
    """The last complete model of a collection, other than `but`, which is being written; None if there is none.

    Raises StorageError.
    """
    models = [path for path in _models(folder) if path != but]
    done = [path for path in models if (path / artefact.METRICS).is_file() and (path / artefact.CONFIG).is_file()]
    return max(done, key=_number, default=None)


def _models(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if _MODEL.fullmatch(path.name)]
    except OSError as error:  # a disk that was taken away, a folder that was renamed
        raise StorageError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _number(model: Path) -> int:
    return int(model.name.removeprefix("model-"))


def figures(model: Path) -> dict[str, Any]:
    """The figures of a model for the page, JSON types. Raises ArtefactError if its folder is damaged."""
    config, metrics = artefact.read_config(model), artefact.read_json(model / artefact.METRICS)
    measured, data = metrics[metrics["reported"]], config["data"]
    return {
        "name": model.name,
        "path": str(model.resolve()),
        "classes": config["classes"],
        "network": config["name"],
        "known": bool(config.get("pretrained")),
        "complete": config["training"]["complete"],
        "sides": {side: data[side] for side in ("train", "validation", "test")},
        "reported": metrics["reported"],
        "quotable": metrics["quotable"],
        "pictures": measured["pictures"],
        "correct": measured["correct"],
        "accuracy": measured["accuracy"],
        "interval": [files.finite(end) for end in measured["interval"]],
        "says": _says(metrics["reported"], measured),
        "notes": _notes(data),
        "each": [{key: each[key] for key in ("name", "pictures", "recall")} for each in measured["classes"]],
        "mistakes": [
            {
                **{key: each[key] for key in ("label", "predicted", "predicted_probability")},
                "picture": PurePosixPath(each["picture"]).name,
            }
            for each in metrics["mistakes"]
            if "label" in each
        ],
    }


def is_stale(model: Path, classes: list[Class]) -> bool:
    """Whether the pictures have changed since a model was trained: one came, went, or has another class."""
    now = {(f"{each.name}/{picture.name}", each.name) for each in classes for picture in each.pictures}
    used = {("/".join(PurePosixPath(row["path"]).parts[-2:]), row["class"]) for row in _rows(model / "split.csv")}
    unusable = {"/".join(PurePosixPath(row["path"]).parts[-2:]) for row in _rows(model / "quarantine.csv")}
    return used != {each for each in now if each[0] not in unusable}


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


def _says(reported: str, measured: dict[str, Any]) -> str:
    """The accuracy in two or three sentences, with what it is worth."""
    count, correct = measured["pictures"], measured["correct"]
    if reported == "train":
        return (
            "No picture was held back, so nothing says how good it is with new ones. It needs pictures of each class "
            "from two recordings or more."
        )
    low, high = (f"{100 * end:.0f}%" for end in measured["interval"])
    held = many(count, "picture was", "pictures were")
    what = "and the network has not learned from them" if reported == "test" else "and they also chose its settings"
    right = f"It gets {correct:,} of {count:,} right"
    sure = f"{measured['accuracy']:.0%}, with a 95% interval from {low} to {high}"
    says = f"{held} held back, {what}. {right}: {sure}."
    if measured["lacking"]:
        return f"{says} None of them is of {few(measured['lacking'])}, so do not quote this figure."
    return says


def _notes(data: dict[str, Any]) -> list[str]:
    """What the training noticed about the pictures, a sentence each."""
    notes = []
    if data["groups"]:
        notes.append(f"{many(data['groups'], 'recording')} of the camera: none is both learned from and held back.")
    if data["twin_pictures"]:
        notes.append(
            f"{data['twin_pictures']:,} pictures look nearly the same as another. Such pictures stay on one side "
            "together, or the figure would flatter."
        )
    if across := data["twins_across_classes"]:
        notes.append(f"{many(across, 'pair')} of nearly the same pictures in two classes: is one in the wrong class?")
    if data["quarantined"]:
        notes.append(f"{many(data['quarantined'], 'file')} could not be used; quarantine.csv in the model says why.")
    return notes
