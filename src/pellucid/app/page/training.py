"""A training for the page: its curves, and one frame or picture of its replay per request.

The index of a replay is small and read again for each request, because a running training changes it. A frame is read
on demand, checked by size and hash, and sent as it is in its file (training/replay.py).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pellucid.errors import ArtefactError
from pellucid.files import finite
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.hub.reference import name_of
from pellucid.training import replay as replays

HISTORY = "history.csv"
EPOCH = ("epoch", "steps", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
"""The fields of an epoch, by the names in history.csv."""

Row = Mapping[str, float | None]


def has(model: Path) -> bool:
    """Whether a model folder has a training to look back on."""
    return (model / replays.FOLDER / replays.INDEX).is_file() or (model / HISTORY).is_file()


def overview(model: Path, epochs: Sequence[Row] | None = None, live: Mapping[str, Any] | None = None) -> Reply:
    """Everything except the frames' numbers. `epochs`: of a running training, instead of the model's history.csv.

    JSON: "name", "epochs" (see EPOCH), "live", and "replay": null if there is none, else classes, several, pictures,
    layers, steps, steps_per_epoch, and for each frame its step, epoch, train_loss, the loss of each picture, its bytes.
    """
    folder = model / replays.FOLDER
    content = {
        "name": name_of(model),
        "epochs": _epochs(model) if epochs is None else [_finite(row) for row in epochs],
        "live": live,
        "replay": _replay(folder) if (folder / replays.INDEX).is_file() else None,
    }
    return replies.as_json(content)


def picture(model: Path, query: Query) -> Reply:
    """/api/training/picture?n=0: a followed picture as PNG, at training size."""
    folder = model / replays.FOLDER
    pictures_entry = replays.read_index(folder).get("pictures")
    pictures = pictures_entry if isinstance(pictures_entry, list) else []
    number = _whole(query.get("n", ""))
    if number is None or number >= len(pictures):
        message = f"The replay has {len(pictures)} pictures, counted from 0. Reload the page."
        raise Refused(HTTPStatus.NOT_FOUND, message)
    return Reply("image/png", _checked(folder, pictures[number]))


def frame(model: Path, query: Query) -> Reply:
    """/api/training/frame?step=12: the safetensors of the frame after that step."""
    folder = model / replays.FOLDER
    frames = replays.read_index(folder).get("frames")
    step = _whole(query.get("step", ""))
    matches = [entry for entry in frames or () if isinstance(entry, dict) and entry.get("step") == step]
    if step is None or not matches:
        message = f"The replay has no frame of step {query.get('step', '')}. Reload the page."
        raise Refused(HTTPStatus.NOT_FOUND, message)
    return Reply("application/octet-stream", _checked(folder, matches[0]))


def _replay(folder: Path) -> dict[str, Any]:
    index = replays.read_index(folder)
    try:
        return {
            **{key: index[key] for key in ("classes", "layers", "steps", "steps_per_epoch")},
            "several": replays.several(index),
            "pictures": [
                {**{key: entry[key] for key in ("path", "class", "side")}, "labels": replays.labels(entry)}
                for entry in index["pictures"]
            ],
            "frames": [
                {key: entry[key] for key in ("step", "epoch", "train_loss", "loss", "bytes")}
                for entry in index["frames"]
            ],
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error


def _checked(folder: Path, entry: Any) -> bytes:
    try:
        return replays.content(folder, entry)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> ArtefactError:
    what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    place = folder / replays.INDEX
    return ArtefactError(f"{place} is damaged: {what}. Copy the folder again, or train again with --replay.")


def _epochs(model: Path) -> list[dict[str, float | None]]:
    path = model / HISTORY
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(row[name]) if row[name] else None for name in EPOCH} for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ArtefactError(f"{path} is damaged: {error}. Copy the folder again.") from error
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    return [_finite(row) for row in rows]


def _finite(row: Row) -> dict[str, float | None]:
    return {name: finite(value) for name, value in row.items()}


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
