"""The artefact: a folder of JSON, CSV, safetensors and pictures. Nothing in it can run code.

`config.json` is written last: a folder that has it is whole. It states the size and hash of the files beside it that
carry numbers, and loading checks those it reads. The model card and the pictures may be edited freely.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError
from pellucid.network import text
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form

if TYPE_CHECKING:
    import torch

FORMAT = 1
CONFIG, WEIGHTS, METRICS, HISTORY = "config.json", "model.safetensors", "metrics.json", "history.csv"
SPLIT, QUARANTINE, TWINS = "split.csv", "quarantine.csv", "twins.csv"
HASHED = (WEIGHTS, METRICS, HISTORY, SPLIT, QUARANTINE, TWINS)


def save(folder: Path, classifier: Classifier, about: dict[str, Any]) -> None:
    """Write weights and config into `folder`, whose other files are there already. Raises StorageError.

    `about` is kept as it is under its own keys: recipe, data, training.
    """
    from safetensors.torch import save as encode

    with files.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.module.state_dict().items()}
    files.write(folder / WEIGHTS, encode(weights, {"format": "pt"}))
    config = {
        "format": FORMAT,
        "network": text.write(classifier.network),
        "input": [classifier.form.channels, classifier.form.height, classifier.form.width],
        "classes": list(classifier.classes),
        "preprocessing": {
            "fit": classifier.form.fit,
            "mean": list(classifier.standardise.mean),
            "deviation": list(classifier.standardise.deviation),
        },
        "temperature": classifier.temperature,
        **about,
        "versions": versions(),
        "files": {name: describe(folder / name) for name in HASHED if (folder / name).exists()},
    }
    write_json(folder / CONFIG, config)


def load(folder: Path, device: str = "cpu") -> Classifier:
    """Read a classifier from its folder. Raises ArtefactError that says what is wrong with which file."""
    config = read_config(folder)
    check_file(folder, WEIGHTS, config)
    try:
        network = text.parse(config["network"])
        channels, height, width = config["input"]
        classes = tuple(config["classes"])
        preprocessing = config["preprocessing"]
        form = Form(height, width, channels, preprocessing["fit"])
        standardise = Standardise(tuple(preprocessing["mean"]), tuple(preprocessing["deviation"]))
        temperature = float(config["temperature"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{folder / CONFIG} is damaged: {type(error).__name__} {error}.") from error
    module = network.module((channels, height, width), len(classes))
    _load_weights(folder / WEIGHTS, module)
    return Classifier(network, _placed(module, device), classes, form, standardise, temperature)


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a model folder. Raises ArtefactError where it is missing, unfinished or of another format."""
    if not folder.is_dir():
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
    stated = config.get("files", {}).get(name)
    if stated is None:
        raise ArtefactError(f"{folder / CONFIG} does not mention {name}; the folder is damaged.")
    if not path.is_file():
        raise ArtefactError(f"{path} is missing.")
    found = describe(path)
    if found["bytes"] != stated["bytes"]:
        raise ArtefactError(
            f"{path} has {found['bytes']:,} bytes where {CONFIG} states {stated['bytes']:,}: "
            "it was cut or changed. Copy the folder again, or train again."
        )
    if found["sha256"] != stated["sha256"]:
        raise ArtefactError(
            f"{path} is damaged: its hash is {found['sha256'][:12]}… where {CONFIG} states "
            f"{stated['sha256'][:12]}…. Copy the folder again, or train again."
        )


def read_json(path: Path) -> Any:
    """A JSON file. Raises ArtefactError with the place of the fault."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ArtefactError(f"{path} is damaged: {error}.") from error


def write_json(path: Path, content: Any) -> None:
    """Indented JSON. Raises StorageError."""
    files.write(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def describe(path: Path) -> dict[str, Any]:
    """Size and hash of a file, as config.json states them."""
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}


def versions() -> dict[str, str]:
    """What made this model: Pellucid, Python and the libraries whose arithmetic or decoding is in it."""
    names = ("pellucid", "torch", "numpy", "pillow", "simplejpeg")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _load_weights(path: Path, module: torch.nn.Module) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}.") from error
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in weights:
            raise ArtefactError(f"{path} has no {name}, which the network in {CONFIG} needs.")
        if weights[name].shape != tensor.shape:
            raise ArtefactError(
                f"{path}: {name} has shape {tuple(weights[name].shape)} where the network in {CONFIG} "
                f"needs {tuple(tensor.shape)}."
            )
    extra = sorted(weights.keys() - expected.keys())
    if extra:
        raise ArtefactError(f"{path} has {', '.join(extra)}, which the network in {CONFIG} does not know.")
    module.load_state_dict(weights)


def _placed(module: torch.nn.Module, device: str) -> torch.nn.Module:
    import torch

    return module.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
