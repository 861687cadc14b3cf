"""A recorded training: filters, maps, gradients and predictions of a few pictures at many of its steps.

    replay = read(Path("model/replay"))
    for frame in replay.frames:
        print(frame.step, frame.loss, frame.outputs["conv1"].numbers().shape)

A folder `replay`, which recorder.py writes during training and which is complete at every moment:

    replay.json                       version, classes, pictures, layers, the list of frames; size and hash of the rest
    picture-1.png                     each chosen picture, at training size
    frame-00001234.safetensors        the numbers after step 1234

With several labels a picture, replay.json has `several`, true, and each picture has its `labels`.

A frame's tensors: `logits` float32 (P, classes), and for each layer by its name in the module (`conv1`,
`residual2.body.conv1`) `NAME/output` and `NAME/gradient`, int8 (P, C, h, w) or (P, U), with `NAME/output/scale`
and `NAME/gradient/scale`, float32 (P, C) or (P,); for a convolution also `NAME/weight` int8 (F, I, kh, kw) with
`NAME/weight/scale` float32 (F,). P pictures, the first C channels or U units, F filters, I input channels.
A number is its int8 times its scale.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, PictureError
from pellucid.network import scores
from pellucid.pictures.decode import decode

VERSION = 1
FOLDER, INDEX = "replay", "replay.json"
_AGAIN = "Copy the folder again, or train again with --replay."


@dataclass(frozen=True)
class Quantised:
    """Numbers as int8 with a scale for each leading index, the largest magnitude / 127: the error is at most scale / 2.

    The scale is NaN if some of the numbers were not finite.
    """

    values: NDArray[np.int8]
    scale: NDArray[np.float32]  # the leading dimensions of `values`

    def numbers(self) -> NDArray[np.float32]:
        """float32, the shape of `values`."""
        return self.values * self.scale.reshape(self.scale.shape + (1,) * (self.values.ndim - self.scale.ndim))


@dataclass(frozen=True)
class Picture:
    """A picture that was followed. `path` as in split.csv; `image` uint8 (H, W, 1 or 3), the network's input."""

    path: str
    label: str
    """Its class; with several labels all of them, separated by |, as in split.csv."""
    side: str
    """ "validation", or "train" if its class has no validation pictures."""
    image: NDArray[np.uint8]
    labels: tuple[str, ...]
    """All of its labels, or its one class."""


@dataclass(frozen=True)
class Layer:
    """The recorded part of a layer. Numbers of channels, units and filters count from 0 and are the first ones."""

    name: str
    kind: str
    """The torch class: Conv2d, ReLU, MaxPool2d, Linear, ..."""
    shape: tuple[int, ...]
    """Of its output for one picture: (channels, height, width) or (units,)."""
    stored: tuple[int, ...]
    """The recorded shape: the first channels, each averaged over areas down to these rows and columns."""
    weight: tuple[int, ...] | None
    """The recorded part of a convolution's weight: (filters, input channels, height, width)."""

    def as_json(self) -> dict[str, Any]:
        """As the index has it, in which `stored` is called "kept"."""
        return {
            "name": self.name,
            "kind": self.kind,
            "shape": self.shape,
            "kept": self.stored,
            "weight": self.weight,
        }


@dataclass(frozen=True)
class Frame:
    """The network after `step` steps, run in evaluation mode on the unaugmented pictures."""

    step: int
    epoch: float
    """Steps done / steps in an epoch."""
    train_loss: float | None
    """Mean loss over the training pictures of this epoch so far; None before the first step."""
    loss: tuple[float, ...]
    """The recipe's loss of each picture."""
    logits: NDArray[np.float32]  # (P, classes)
    outputs: dict[str, Quantised]
    gradients: dict[str, Quantised]
    """By layer: the derivative of a picture's loss by the layer's output, averaged over the same areas."""
    filters: dict[str, Quantised]
    bytes: int
    several: bool = False
    """Whether a picture may have several labels."""

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """softmax(logits), with several labels sigmoid(logits), (P, classes).

        Not calibrated, because the temperature is fitted after the training.
        """
        return scores.probabilities(self.logits, 1.0, self.several)


@dataclass(frozen=True)
class Replay:
    """A whole replay. `steps`: of the whole run, as planned when the last frame was written."""

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    layers: tuple[Layer, ...]
    steps: int
    steps_per_epoch: int
    frames: tuple[Frame, ...]
    several: bool = False
    """Whether a picture may have several labels, each with a probability of its own."""


def read(folder: Path) -> Replay:
    """Read and verify a replay. Raises ArtefactError if it is missing, damaged or of another version."""
    index = read_index(folder)
    try:
        layers = tuple(_layer(entry) for entry in index["layers"])
        return Replay(
            tuple(index["classes"]),
            tuple(_picture(folder, entry) for entry in index["pictures"]),
            layers,
            int(index["steps"]),
            int(index["steps_per_epoch"]),
            tuple(_frame(folder, entry, layers, index) for entry in index["frames"]),
            several(index),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ArtefactError(f"{folder / INDEX} is damaged: {what}. {_AGAIN}") from error


def read_index(folder: Path) -> dict[str, Any]:
    """The contents of replay.json, without checking the files beside it. Raises ArtefactError."""
    path = folder / INDEX
    if not path.is_file():
        raise ArtefactError(f"{folder} is not a replay: it has no {INDEX}. `pellucid train --replay` writes one.")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is damaged: {error}. {_AGAIN}") from error
    version = index.get("version") if isinstance(index, dict) else type(index).__name__
    if version != VERSION:
        raise ArtefactError(f"{path} is of version {version!r}; this Pellucid reads {VERSION}.")
    return index


def several(index: dict[str, Any]) -> bool:
    """Whether a picture of this replay may have several labels. Raises ValueError if the index is damaged."""
    stated = index.get("several", False)
    if not isinstance(stated, bool):
        raise ValueError(f"several is {stated!r}")
    return stated


def labels(entry: dict[str, Any]) -> list[str]:
    """The labels of a followed picture. An index lists them only if a picture may have several."""
    return [str(name) for name in entry.get("labels", [entry["class"]])]


def described(content: bytes) -> dict[str, Any]:
    """Size and hash of a file's content, as replay.json states them."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def quantise(numbers: NDArray[np.float32], leading: int) -> Quantised:
    """float32 of any shape -> int8, with a scale for each index of the `leading` first dimensions."""
    axes = tuple(range(leading, numbers.ndim))
    largest = np.abs(numbers).max(axis=axes) if numbers.size else np.zeros(numbers.shape[:leading], np.float32)
    scale = np.where(np.isfinite(largest), largest / np.float32(127), np.float32("nan")).astype(np.float32)
    usable = np.isfinite(scale) & (scale > 0)
    divisor = np.where(usable, scale, 1).reshape(scale.shape + (1,) * len(axes))
    shown = np.where(usable.reshape(divisor.shape), numbers, 0)
    return Quantised(np.clip(np.rint(shown / divisor), -127, 127).astype(np.int8), scale)


def content(folder: Path, entry: dict[str, Any]) -> bytes:
    """A file that an entry of the index names, checked by size and hash. Raises ArtefactError, ValueError, KeyError."""
    name = str(entry["file"])
    path = folder / name
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not the name of a file in it")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ArtefactError(f"{path} is missing. {_AGAIN}") from error
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(data) != entry["bytes"]:
        raise ArtefactError(
            f"{path} has {len(data):,} bytes, but {INDEX} states {entry['bytes']:,}: it was cut or changed. {_AGAIN}"
        )
    if described(data)["sha256"] != entry["sha256"]:
        raise ArtefactError(f"{path} is damaged: it does not have the hash that {INDEX} states. {_AGAIN}")
    return data


def _layer(entry: dict[str, Any]) -> Layer:
    weight = None if entry["weight"] is None else tuple(entry["weight"])
    return Layer(str(entry["name"]), str(entry["kind"]), tuple(entry["shape"]), tuple(entry["kept"]), weight)


def _picture(folder: Path, entry: dict[str, Any]) -> Picture:
    try:
        image = decode(content(folder, entry))
    except PictureError as error:
        raise ArtefactError(f"{folder / entry['file']} is damaged: {error.reason}. {_AGAIN}") from error
    image = image[..., : int(entry["channels"])]
    return Picture(entry["path"], entry["class"], entry["side"], image, tuple(labels(entry)))


def _frame(folder: Path, entry: dict[str, Any], layers: tuple[Layer, ...], index: dict[str, Any]) -> Frame:
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode_tensors

    path = folder / entry["file"]
    try:
        tensors = decode_tensors(content(folder, entry))
    except SafetensorError as error:
        raise ArtefactError(f"{path} is damaged: {error}. {_AGAIN}") from error
    count, kinds = len(index["pictures"]), ("output", "gradient", "weight")
    expected: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
        "logits": ((count, len(index["classes"])), np.dtype(np.float32))
    }
    for layer in layers:
        shapes = [(count, *layer.stored), (count, *layer.stored), layer.weight]
        for kind, shape in zip(kinds, shapes, strict=True):
            if shape is not None:
                leading = 2 if kind != "weight" and len(shape) == 4 else 1
                expected[f"{layer.name}/{kind}"] = shape, np.dtype(np.int8)
                expected[f"{layer.name}/{kind}/scale"] = shape[:leading], np.dtype(np.float32)
    if {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} != expected:
        raise ArtefactError(f"{path} does not hold what {INDEX} states of its layers. {_AGAIN}")
    outputs, gradients, filters = (
        {
            layer.name: Quantised(tensors[f"{layer.name}/{kind}"], tensors[f"{layer.name}/{kind}/scale"])
            for layer in layers
            if f"{layer.name}/{kind}" in tensors
        }
        for kind in kinds
    )
    losses = tuple(math.nan if loss is None else float(loss) for loss in entry["loss"])
    step, epoch, train_loss = int(entry["step"]), float(entry["epoch"]), entry["train_loss"]
    logits, size, many = tensors["logits"], int(entry["bytes"]), several(index)
    return Frame(step, epoch, train_loss, losses, logits, outputs, gradients, filters, size, many)
