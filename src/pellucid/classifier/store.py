"""The artefact: a folder of JSON, CSV, safetensors and pictures. Nothing in it can run code.

The exception is program.pt2, for a network that our text notation cannot express (network/own/program.py). It is opened
only if the caller trusts the folder, after its hash is checked.

`config.json` is written last: a folder that has it is complete. It states the size and hash of each file with numbers,
and loading checks the files that it reads. You may edit the model card and the pictures.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier.migrate import FORMAT, migrated
from pellucid.errors import ArtefactError, NetworkError, PellucidError
from pellucid.pictures.decode import PIXEL_LIMIT, Form, Ranges

if TYPE_CHECKING:
    import torch

    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.saved import Saved
    from pellucid.network.own.program import Program
    from pellucid.network.scores import Thresholds

CONFIG, WEIGHTS, METRICS, HISTORY = "config.json", "model.safetensors", "metrics.json", "history.csv"
OPTIMIZER, PROGRAM = "optimizer.safetensors", "program.pt2"
SPLIT, QUARANTINE, TWINS = "split.csv", "quarantine.csv", "twins.csv"
PLAN = "plan.csv"  # of a training in minutes; see runs/planned.py
KNOWN = "known.safetensors"  # coarse thumbnails of the pictures that the model has seen; see runs/made_from.py
LINE = 120  # characters of a line of JSON
_AGAIN = "Copy the folder again, or train again."
_SECTIONS = ("recipe", "data", "training", "pretrained")  # of config.json; other rooms read them, if they are there
HASHED = (WEIGHTS, PROGRAM, OPTIMIZER, METRICS, HISTORY, SPLIT, QUARANTINE, TWINS, KNOWN, PLAN)


@dataclass(frozen=True)
class OptimizerState:
    """The optimizer's state at the saved weights: with a gradient, it gives the next update.

    * step: steps done at the saved weights
    * learning_rate: of the next step, or of the last one if the training was over
    * tensors: by parameter and key, such as "conv1.weight/exp_avg" float32 in the weight's shape, and
      "conv1.weight/step" float32 (), each as torch.optim names it; none for SGD without momentum
    """

    step: int
    learning_rate: float
    tensors: dict[str, torch.Tensor]


def save(folder: Path, classifier: Classifier, about: dict[str, Any]) -> None:
    """Write weights and config into `folder`, which already holds the other files. Raises StorageError.

    `about` is saved unchanged under its own keys: recipe, data, training, optimizer.
    """
    with files.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    program = classifier.program
    further = program.shared if program is not None else {}
    state = classifier.module.state_dict()
    write_tensors(folder / WEIGHTS, {name: tensor for name, tensor in state.items() if name not in further})
    if program is not None:
        files.write(folder / PROGRAM, program.content)
    config = {
        "format": FORMAT,
        **description(classifier),
        **about,
        "versions": versions(),
        "files": {name: describe(folder / name) for name in HASHED if (folder / name).exists()},
    }
    write_json(folder / CONFIG, config)


def description(classifier: Classifier) -> dict[str, Any]:
    """What config.json says about a classifier itself: enough, with its weights, to predict."""
    from pellucid.network import text

    form, program = classifier.form, classifier.program
    return {
        "network": text.write(classifier.network) if classifier.network is not None else None,
        "program": program.as_json() if program is not None else None,
        "input": [form.channels, form.height, form.width],
        "classes": list(classifier.classes),
        "preprocessing": {
            "fit": form.fit,
            "crop": form.crop,
            "filter": form.filter,
            "mean": list(classifier.standardise.mean),
            "deviation": list(classifier.standardise.deviation),
            "ranges": classifier.ranges.as_json(),
        },
        "temperature": classifier.temperature,
        **({} if classifier.thresholds is None else {"thresholds": list(classifier.thresholds)}),
    }


def load(folder: Path, device: str = "cpu", trust: bool = False) -> Classifier:
    """Read a classifier from its folder. Raises ArtefactError that says what is wrong with which file.

    `trust`: also open program.pt2, if there is one. PyTorch's loader may then run code from the folder.
    """
    from pellucid.classifier.saved import Saved

    contents = read(folder, trust)
    return contents.classifier(device) if isinstance(contents, Saved) else contents.on(device)


def read(folder: Path, trust: bool = False) -> Saved | Classifier:
    """Like `load`, but without importing torch unless the folder holds a program. Raises ArtefactError."""
    from pellucid.classifier import weights as tensors
    from pellucid.classifier.predict.graph import Weights
    from pellucid.classifier.saved import Saved
    from pellucid.network import residual, text
    from pellucid.network.standardise import Standardise

    config = read_config(folder)
    program = _program(folder, config, trust) if config.get("program") is not None else None
    check_file(folder, WEIGHTS, config)
    try:
        network = text.parse(config["network"]) if program is None else None
        channels, height, width = _sizes(config["input"])
        standardise = Standardise(
            _numbers(config["preprocessing"]["mean"], channels, positive=False),
            _numbers(config["preprocessing"]["deviation"], channels),
        )
        classes, form, temperature, pixel_limit, ranges, thresholds = described(config)
        about = temperature, pixel_limit, ranges, thresholds
        expected = residual.state(network.shapes((channels, height, width), len(classes))) if network else {}
    except KeyError as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: it has no {error}.") from error
    except (AttributeError, TypeError, ValueError, OverflowError, PellucidError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: {error}") from error
    if network is None:
        assert program is not None
        return _opened(folder, program, classes, form, standardise, *about)
    weights, places = tensors.read(folder / WEIGHTS, expected, CONFIG)
    source = Weights(folder, config["files"][WEIGHTS]["sha256"], places, digest(config))
    return Saved(network, weights, classes, form, standardise, *about, source)


def described(
    config: dict[str, Any],
) -> tuple[tuple[str, ...], Form, float, int, Ranges, Thresholds]:
    """What a predictor takes from a config: classes, form, temperature, pixel limit, ranges and thresholds.

    Raises KeyError, AttributeError, TypeError, ValueError, OverflowError or PellucidError if the config is damaged.
    """
    channels, height, width = _sizes(config["input"])
    prepared = config["preprocessing"]
    rest = prepared.get("crop", 1.0), prepared.get("filter", "bilinear")  # missing in older folders
    form = Form(height, width, channels, prepared["fit"], *rest)
    classes = _classes(config["classes"])
    ranges = Ranges.from_json(prepared["ranges"])
    (temperature,) = _numbers([config["temperature"]], 1)
    stated = config.get("thresholds")  # with several labels a picture
    thresholds = _numbers(stated, len(classes)) if stated is not None else None
    if thresholds is not None and max(thresholds) >= 1:
        raise ValueError(f"{max(thresholds)} is in it in place of a threshold below 1.")
    pixel_limit = int(config.get("recipe", {}).get("megapixels", PIXEL_LIMIT / 1e6) * 1e6)
    return classes, form, temperature, pixel_limit, ranges, thresholds


def digest(config: dict[str, Any]) -> str:
    """The hexadecimal SHA-256 of what decides a graph in the result of `read_config`, such as the network's text."""
    decisive = {name: config.get(name) for name in ("network", "input", "preprocessing", "classes")}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _program(folder: Path, config: dict[str, Any], trust: bool) -> Program:
    """The program in program.pt2, with its entry in config.json. Without `trust` the file is not even read."""
    try:
        name, plain = str(config["program"]["name"]), bool(config["program"]["plain"])
        shared = {str(further): str(first) for further, first in config["program"]["shared"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: its program is {config['program']!r}.") from error
    if not trust:
        raise ArtefactError(untrusted(f"{folder}", config))
    check_file(folder, PROGRAM, config)
    from pellucid.network.own.program import Program

    return Program(name, (folder / PROGRAM).read_bytes(), plain, shared)


def untrusted(where: str, config: dict[str, Any]) -> str:
    """Why the program of a model is not opened. `where`: the folder or the repository."""
    program = config["program"]
    name = program.get("name") if isinstance(program, dict) else None
    return (
        f"{where} holds a network that somebody wrote in Python, {name}, as a program ({PROGRAM}). Opening it may run "
        "code from there. If you trust its maker, add --trust, or trust=True in Python."
    )


def _opened(folder: Path, program: Program, *about: Any) -> Classifier:
    """The classifier of a program. `about`: a Classifier's fields after network and module, in order."""
    from pellucid.classifier.classifier import Classifier
    from pellucid.network.own.program import opened

    try:
        module = opened(program, _tensors(folder / WEIGHTS))
    except NetworkError as error:
        raise ArtefactError(f"{folder / PROGRAM}: {error}") from error
    return Classifier(None, module, *about, program=program).on("cpu")


def read_optimizer(folder: Path) -> OptimizerState | None:
    """The optimizer's state that belongs to the saved weights, on the CPU; None if the folder holds none.

    An older Pellucid did not save it, and a user may have deleted the file: nothing else needs it. Raises ArtefactError
    if the file, or its entry in config.json, is damaged.
    """
    config = read_config(folder)
    stated = config.get("optimizer")
    if stated is None or not (folder / OPTIMIZER).exists():
        return None
    check_file(folder, OPTIMIZER, config)
    try:
        step, (rate,) = int(stated["step"]), _numbers([stated["learning_rate"]], 1, positive=False)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: its optimizer is {stated!r}.") from error
    return OptimizerState(step, rate, _tensors(folder / OPTIMIZER))


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a model folder, in the terms of today's format.

    Raises ArtefactError if it is missing, unfinished, damaged or of a later format.
    """
    if not folder.is_dir():
        if folder.is_file() and folder.suffix.lower() in (".keras", ".h5", ".hdf5"):
            raise ArtefactError(
                f"{folder} is not a model folder. `pellucid import {folder} OUT` makes one of a Keras model."
            )
        what = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise ArtefactError(f"{folder} {what}. A model folder is what `pellucid train` writes with --out.")
    if not (folder / CONFIG).exists():
        if (folder / "checkpoint").is_dir() or (folder / "folds" / "plan.json").is_file():
            raise ArtefactError(
                f"The training in {folder} has not finished. Continue with `pellucid train … --out {folder} --resume`."
            )
        raise ArtefactError(f"{folder} is not a model folder: it has no {CONFIG}.")
    config = migrated(read_json(folder / CONFIG), folder / CONFIG)
    for section in _SECTIONS:
        if section in config and not isinstance(config[section], dict):
            raise ArtefactError(
                f"{folder / CONFIG} is damaged: its {section} is {config[section]!r}; it must be an object."
            )
    return config


def is_model(config: object) -> bool:
    """Whether the contents of a config.json are those of a model folder; other programs have such files too."""
    return isinstance(config, dict) and "format" in config and isinstance(config.get("files"), dict)


def check_file(folder: Path, name: str, config: dict[str, Any]) -> None:
    """Check a file against the size and hash in config.json. Raises ArtefactError."""
    path = folder / name
    try:
        size, digest = int(config["files"][name]["bytes"]), str(config["files"][name]["sha256"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: it does not state size and hash of {name}.") from error
    if not path.is_file():
        raise ArtefactError(f"{path} is missing. {_AGAIN}")
    try:
        actual = describe(path)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    if actual["bytes"] != size:
        raise ArtefactError(
            f"{path} has {actual['bytes']:,} bytes, but {CONFIG} states {size:,}: it was cut or changed. {_AGAIN}"
        )
    if actual["sha256"] != digest:
        raise ArtefactError(
            f"{path} is damaged: its hash is {actual['sha256'][:12]}…, but {CONFIG} states {digest[:12]}…. {_AGAIN}"
        )


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ArtefactError with the place of the error."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is damaged: {error}.") from error


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON in UTF-8; bytes of a file name that are not UTF-8 become JSON's \\udc80. Raises StorageError.

    What fits on one line stays on one, and numbers always do: otherwise a matrix would be mostly spaces and line ends.
    """
    files.write(path, as_json(content))


def as_json(content: Any) -> bytes:
    """What `write_json` writes."""
    return (_lines(content, "") + "\n").encode("utf-8", "backslashreplace")


def _lines(content: Any, margin: str) -> str:
    flat = json.dumps(content, ensure_ascii=False, allow_nan=False)
    short = not content or len(margin) + len(flat) <= LINE if isinstance(content, dict | list | tuple) else True
    if short or (isinstance(content, list | tuple) and all(isinstance(each, int | float) for each in content)):
        return flat
    inner = margin + "  "
    if isinstance(content, dict):
        # a key that is not text becomes text, as in json.dumps
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
    """What made this model: the versions of Pellucid, Python and the libraries that decode or compute."""
    from importlib.metadata import version

    names = ("pellucid", "torch", "numpy", "pillow", "simplejpeg")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as decode

    try:
        return decode(path.read_bytes())  # not mapped: the file may be replaced during the classifier's life
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}.") from error


def _sizes(values: object) -> list[Any]:
    """The sizes. Raises ValueError unless they are a list of whole numbers."""
    if not isinstance(values, list):
        raise ValueError(f"{values!r} is in it in place of three whole numbers.")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{value!r} is in it in place of a whole number.")
    return values


def _classes(names: object) -> tuple[str, ...]:
    """The names of the classes. Raises ValueError unless they are a list of different texts."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its classes are not a list of names.")
    if len(set(names)) < len(names):
        raise ValueError("it lists a class twice.")
    return tuple(names)


def _numbers(values: object, count: int, positive: bool = True) -> tuple[float, ...]:
    """A mean, deviation or temperature. Raises ValueError unless it is a list of `count` finite numbers."""
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{values!r} is in it in place of {count} numbers.")
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or (positive and value <= 0):
            raise ValueError(f"{value!r} is in it in place of a {'positive ' if positive else ''}number.")
    return tuple(float(value) for value in values)
