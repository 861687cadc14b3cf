"""A safetensors file in timm's layout, as weights of one of our networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError
from pellucid.network.window import Shape
from pellucid.pretrained import described, layouts
from pellucid.pretrained.described import Description
from pellucid.pretrained.known import Known
from pellucid.pretrained.lite0 import SEEN

CONVERTED = ("F16", "BF16", "F32", "F64")
"""safetensors' names of the dtypes that can become float32."""
DATA_SETS = {
    "in1k": SEEN,
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-22k",
    "ig1b": "a billion Instagram pictures",
    "yfcc100m": "YFCC-100M",
    "laion2b": "LAION-2B",
}
"""Data sets, by the names in timm's tags."""


def load(weights: Path, config: Path, source: str) -> Known:
    """`config`: the config.json that describes the weights. `source`: where both come from.

    Raises ArtefactError for a damaged file, an architecture that cannot be read, or tensors of another network.
    """
    return _known(weights, described.read(config), source)


def load_as(weights: Path, architecture: layouts.Architecture, source: str) -> Known:
    """Load a file alone; its classes are the rows of its head. Raises ArtefactError as `load`."""
    shapes, _ = _declared(weights)
    rows = shapes.get(f"{layouts.head(architecture.name)}.weight", (1,))[:1]
    return _known(weights, described.usual(architecture, max(1, *rows)), source)


def _known(weights: Path, description: Description, source: str) -> Known:
    architecture, form = description.architecture, description.form
    network = architecture.network
    size = (form.channels, form.height, form.width)
    expected = layouts.state(network, size, description.classes)
    paired = layouts.pairs(architecture.name, network, size, description.classes)
    shapes, kinds = _declared(weights)
    _check_head(weights, shapes, architecture.name, description)
    layouts.check(shapes, paired, expected, architecture.called, str(weights))
    unfit = [f"{name} ({kind})" for name, kind in kinds.items() if not _converts(name, kind)]
    if unfit:
        raise ArtefactError(
            f"{weights} holds numbers that cannot be weights: {', '.join(unfit[:3])}. Weights must be floating-point."
        )
    return Known(
        architecture.name,
        source,
        network,
        _tensors(weights, paired, {name: shape for name, (_, shape) in expected.items()}),
        form,
        description.standardise,
        _seen(description.tag, source),
        description.names,
    )


def _declared(path: Path) -> tuple[dict[str, Shape], dict[str, str]]:
    """Shapes and dtypes, by safetensors' names, of the file's tensors. Raises ArtefactError for a damaged file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(each.get_shape()) for name, each in slices.items()}
            return shapes, {name: each.get_dtype() for name, each in slices.items()}
    except FileNotFoundError as error:
        raise ArtefactError(f"{path} is missing.") from error
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except SafetensorError as error:
        raise ArtefactError(f"{path} is not a safetensors file, or is damaged: {error}. Download it again.") from error


def _tensors(path: Path, paired: Mapping[str, str], shapes: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
    """By our names, in our order and shapes, float32."""
    import torch
    from safetensors import safe_open

    tensors: dict[str, NDArray[Any]] = {}
    with safe_open(path, "pt") as file:  # NumPy does not know bfloat16
        there = set(file.keys())
        for ours, theirs in paired.items():
            if ours.endswith(layouts.COUNTER):
                steps = int(file.get_tensor(theirs)) if theirs in there else 0
                tensors[ours] = np.array(steps, np.int64)
                continue
            tensor = file.get_tensor(theirs).to(torch.float32)
            if not torch.isfinite(tensor).all():
                raise ArtefactError(f"{path}: {theirs} holds numbers that are not finite. Download the file again.")
            tensors[ours] = tensor.reshape(shapes[ours]).numpy()
    return tensors


def _converts(name: str, kind: str) -> bool:
    return kind in CONVERTED or name.endswith(layouts.COUNTER)


def _check_head(path: Path, shapes: Mapping[str, Shape], name: str, description: Description) -> None:
    """The head is the likeliest part to differ, so it has its own message."""
    head = f"{layouts.head(name)}.weight"
    if head in shapes and shapes[head][:1] != (description.classes,):
        raise ArtefactError(
            f"{path}: its head, {head}, is {list(shapes[head])}, and config.json says num_classes "
            f"{description.classes:,}. One of the two files is another model's."
        )


def _seen(tag: str, source: str) -> str:
    """What the weights had seen, in words for the card. `tag`: `a1_in1k`, `in12k_ft_in1k`."""
    words = tag.split("_")
    sets = [DATA_SETS[word] for word in words if word in DATA_SETS]
    if sets and "ft" in words and len(sets) == 1:  # fine-tuned from something that is not in the table
        sets.insert(0, f"other pictures ({tag})")
    return ", then ".join(sets) or f"unknown pictures: {source} does not say which"
