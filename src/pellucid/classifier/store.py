"""The artefact: a folder of JSON, CSV, safetensors and pictures. Nothing in it can run code.

`config.json` is written last: a folder that has it is whole. It states the size and hash of the files beside it that
carry numbers, and loading checks those it reads. The model card and the pictures may be edited freely.
"""

from __future__ import annotations

import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, PellucidError
from pellucid.network import residual, text
from pellucid.network.layer import State
from pellucid.network.standardise import Standardise
from pellucid.network.window import Shape
from pellucid.pictures.decode import PIXEL_LIMIT, Form, Ranges

if TYPE_CHECKING:
    import torch

    from pellucid.classifier.classifier import Classifier

FORMAT = 1
CONFIG, WEIGHTS, METRICS, HISTORY = "config.json", "model.safetensors", "metrics.json", "history.csv"
OPTIMIZER = "optimizer.safetensors"
SPLIT, QUARANTINE, TWINS = "split.csv", "quarantine.csv", "twins.csv"
KNOWN = "known.safetensors"  # coarse thumbnails of the pictures that it has seen; see kept.py
LINE = 120  # characters of a line of JSON
_AGAIN = "Copy the folder again, or train again."
# numbers as safetensors and as NumPy name them; what is of another type is no weight of ours
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "U8": "uint8", "BOOL": "bool"}
_TYPES |= {f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}
_EARLIER = Ranges(integer=(0, 65535))  # what a model learned from whose config.json does not say
HASHED = (WEIGHTS, OPTIMIZER, METRICS, HISTORY, SPLIT, QUARANTINE, TWINS, KNOWN)


@dataclass(frozen=True)
class OptimizerState:
    """What the optimizer knew when the saved weights were reached: with a gradient, it gives the update that was next.

    * step: steps done when the weights were kept
    * learning_rate: of the step that came next; of the last one where the training was over
    * tensors: by parameter and key, such as "conv1.weight/exp_avg" float32 in the weight's shape, and
      "conv1.weight/step" float32 (), each as torch.optim names it; none for SGD without momentum
    """

    step: int
    learning_rate: float
    tensors: dict[str, torch.Tensor]


def save(folder: Path, classifier: Classifier, about: dict[str, Any]) -> None:
    """Write weights and config into `folder`, whose other files are there already. Raises StorageError.

    `about` is kept as it is under its own keys: recipe, data, training, optimizer.
    """
    with files.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, dict(classifier.module.state_dict()))
    config = {
        "format": FORMAT,
        "network": text.write(classifier.network),
        "input": [classifier.form.channels, classifier.form.height, classifier.form.width],
        "classes": list(classifier.classes),
        "preprocessing": {
            "fit": classifier.form.fit,
            "crop": classifier.form.crop,
            "filter": classifier.form.filter,
            "mean": list(classifier.standardise.mean),
            "deviation": list(classifier.standardise.deviation),
            "ranges": classifier.ranges.as_json(),
        },
        "temperature": classifier.temperature,
        **about,
        "versions": versions(),
        "files": {name: describe(folder / name) for name in HASHED if (folder / name).exists()},
    }
    write_json(folder / CONFIG, config)


def load(folder: Path, device: str = "cpu") -> Classifier:
    """Read a classifier from its folder. Raises ArtefactError that says what is wrong with which file."""
    return read(folder).classifier(device)


def read(folder: Path) -> Saved:
    """The same without torch, which is imported only when it pays. Raises ArtefactError as `load` does."""
    config = read_config(folder)
    check_file(folder, WEIGHTS, config)
    try:
        network = text.parse(config["network"])
        channels, height, width = _sizes(config["input"])
        prepared = config["preprocessing"]
        rest = prepared.get("crop", 1.0), prepared.get("filter", "bilinear")  # not there in older folders
        form = Form(height, width, channels, prepared["fit"], *rest)
        classes = _classes(config["classes"])
        standardise = Standardise(
            _numbers(config["preprocessing"]["mean"], channels, positive=False),
            _numbers(config["preprocessing"]["deviation"], channels),
        )
        stated = config["preprocessing"].get("ranges")
        ranges = Ranges.from_json(stated) if stated is not None else _EARLIER
        (temperature,) = _numbers([config["temperature"]], 1)
        pixel_limit = int(config.get("recipe", {}).get("megapixels", PIXEL_LIMIT / 1e6) * 1e6)
        expected = residual.state(network.shapes((channels, height, width), len(classes)))
    except KeyError as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: it has no {error}.") from error
    except (AttributeError, TypeError, ValueError, PellucidError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: {error}") from error
    weights = _weights(folder / WEIGHTS, expected)
    return Saved(network, weights, classes, form, standardise, temperature, pixel_limit, ranges)


def read_optimizer(folder: Path) -> OptimizerState | None:
    """The optimizer's state that belongs to the saved weights, on the CPU; None where the folder holds none.

    That is so of a model saved by an older Pellucid, and where the file was deleted: nothing else needs it.
    Raises ArtefactError where the file or what config.json says of it is damaged.
    """
    config = read_config(folder)
    stated = config.get("optimizer")
    if stated is None or not (folder / OPTIMIZER).exists():
        return None
    check_file(folder, OPTIMIZER, config)
    try:
        step, (rate,) = int(stated["step"]), _numbers([stated["learning_rate"]], 1, positive=False)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: its optimizer is {stated!r}.") from error
    return OptimizerState(step, rate, _tensors(folder / OPTIMIZER))


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a model folder. Raises ArtefactError where it is missing, unfinished or of another format."""
    if not folder.is_dir():
        if folder.is_file() and folder.suffix.lower() in (".keras", ".h5", ".hdf5"):
            raise ArtefactError(
                f"{folder} is no model folder. `pellucid import {folder} OUT` makes one of a Keras model."
            )
        what = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise ArtefactError(f"{folder} {what}. A model folder is what `pellucid train` writes with --out.")
    if not (folder / CONFIG).exists():
        if (folder / "checkpoint").is_dir():
            raise ArtefactError(
                f"The training in {folder} has not ended. Go on with `pellucid train … --out {folder} --resume`."
            )
        raise ArtefactError(f"{folder} is not a model folder: it has no {CONFIG}.")
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise ArtefactError(f"{folder / CONFIG} is of format {found!r}; this Pellucid reads format {FORMAT}.")
    return config


def check_file(folder: Path, name: str, config: dict[str, Any]) -> None:
    """Check a file against the size and hash that config.json states. Raises ArtefactError."""
    path = folder / name
    try:
        size, digest = int(config["files"][name]["bytes"]), str(config["files"][name]["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: it does not state size and hash of {name}.") from error
    if not path.is_file():
        raise ArtefactError(f"{path} is missing. {_AGAIN}")
    try:
        found = describe(path)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    if found["bytes"] != size:
        raise ArtefactError(
            f"{path} has {found['bytes']:,} bytes where {CONFIG} states {size:,}: it was cut or changed. {_AGAIN}"
        )
    if found["sha256"] != digest:
        raise ArtefactError(
            f"{path} is damaged: its hash is {found['sha256'][:12]}… where {CONFIG} states {digest[:12]}…. {_AGAIN}"
        )


def read_json(path: Path) -> Any:
    """A JSON file. Raises ArtefactError with the place of the fault."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is damaged: {error}.") from error


def write_json(path: Path, content: Any) -> None:
    """Indented JSON in UTF-8; a file name's byte that is none is written as JSON's \\udc80. Raises StorageError.

    What fits on a line stands on one, and numbers in any case: a matrix would else be mostly spaces and line ends.
    """
    text = _lines(content, "") + "\n"
    files.write(path, text.encode("utf-8", "backslashreplace"))


def _lines(content: Any, margin: str) -> str:
    flat = json.dumps(content, ensure_ascii=False, allow_nan=False)
    short = not content or len(margin) + len(flat) <= LINE if isinstance(content, dict | list | tuple) else True
    if short or (isinstance(content, list | tuple) and all(isinstance(each, int | float) for each in content)):
        return flat
    inner = margin + "  "
    if isinstance(content, dict):
        # a key that is no text becomes one, as json.dumps does it
        parts = [
            f"{json.dumps(str(key), ensure_ascii=False)}: {_lines(value, inner)}" for key, value in content.items()
        ]
        ends = "{}"
    else:
        parts, ends = [_lines(value, inner) for value in content], "[]"
    body = f",\n{inner}".join(parts)
    return f"{ends[0]}\n{inner}{body}\n{margin}{ends[1]}"


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors as safetensors, in plain memory order. Raises StorageError."""
    from safetensors.torch import save as encode

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    files.write(path, encode(plain, {"format": "pt"}))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file as arrays. Raises ArtefactError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    try:
        return decode(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}.") from error


def describe(path: Path) -> dict[str, Any]:
    """Size and hash of a file, as config.json states them."""
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}


def versions() -> dict[str, str]:
    """What made this model: Pellucid, Python and the libraries whose arithmetic or decoding is in it."""
    from importlib.metadata import version

    names = ("pellucid", "torch", "numpy", "pillow", "simplejpeg")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as decode

    try:
        return decode(path.read_bytes())  # not mapped: the file may be replaced while the classifier lives
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}.") from error


def _weights(path: Path, expected: State) -> dict[str, NDArray[Any]]:
    """The file's tensors, in the order of `expected`. Raises ArtefactError where they are others than these."""
    from safetensors import SafetensorError, deserialize

    try:
        found = dict(deserialize(path.read_bytes()))  # not mapped: the file may be replaced while the classifier lives
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}.") from error
    for name, (numbers, shape) in expected.items():
        if name not in found:
            raise ArtefactError(f"{path} has no {name}, which the network in {CONFIG} needs.")
        kept = _TYPES.get(found[name]["dtype"], found[name]["dtype"]), tuple(found[name]["shape"])
        if kept != (numbers, shape):
            raise ArtefactError(
                f"{path}: {name} is {kept[0]} {kept[1]} where the network in {CONFIG} needs {numbers} {shape}."
            )
    extra = sorted(found.keys() - expected.keys())
    if extra:
        raise ArtefactError(f"{path} has {', '.join(extra)}, which the network in {CONFIG} does not know.")
    return {name: _array(found[name]["data"], *kept) for name, kept in expected.items()}


def _array(data: bytearray, numbers: str, shape: Shape) -> NDArray[Any]:
    """Little-endian, as the format has it."""
    return np.frombuffer(data, np.dtype(numbers).newbyteorder("<")).astype(numbers, copy=False).reshape(shape)


def _sizes(values: object) -> list[Any]:
    """Raises ValueError unless these are whole numbers."""
    if not isinstance(values, list):
        raise ValueError(f"{values!r} stands where it needs three whole numbers.")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{value!r} stands where it needs a whole number.")
    return values


def _classes(names: object) -> tuple[str, ...]:
    """Raises ValueError unless these are different names."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its classes are not a list of names.")
    if len(set(names)) < len(names):
        raise ValueError("a class stands in it twice.")
    return tuple(names)


def _numbers(values: object, count: int, positive: bool = True) -> tuple[float, ...]:
    """Mean, deviation, temperature. Raises ValueError unless these are `count` finite numbers."""
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{values!r} stands where it needs {count} numbers.")
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or (positive and value <= 0):
            raise ValueError(f"{value!r} stands where it needs a {'positive ' if positive else ''}number.")
    return tuple(float(value) for value in values)
