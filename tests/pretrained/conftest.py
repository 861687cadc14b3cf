"""Weights in timm's layout, filled from their names, like those whose outputs timm recorded (recorded.json)."""

import json
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from pellucid.network.window import Shape
from pellucid.pretrained import layouts

RECORDED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "recorded.json").read_text())


@lru_cache(700)  # tensors: two networks, of which one is asked for by most tests
def fill(name: str, shape: Shape) -> np.ndarray:
    """An array that tests must not change."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return (1 + 0.1 * np.abs(noise)).astype(np.float32)
    if name.endswith(("running_mean", "bias")):
        return (0.1 * noise).astype(np.float32)
    if len(shape) == 1:
        return (1 + 0.1 * noise).astype(np.float32)
    return (noise * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)


def their_shape(name: str, shape: Shape) -> Shape:
    """timm's shape: a dense layer here is a 1x1 convolution there, and vice versa."""
    if name.endswith(("conv_reduce.weight", "conv_expand.weight")) or (name == "conv_head.weight" and len(shape) == 2):
        return (*shape, 1, 1)
    return shape[:2] if ".mlp." in name and name.endswith("weight") else shape


def timms(called: str, classes: int = 1000) -> dict[str, np.ndarray]:
    """The tensors of a network by timm's names, filled."""
    architecture = layouts.architecture(called)
    assert architecture is not None
    network, shape = architecture.network, (3, 224, 224)
    stated = layouts.state(network, shape, classes)
    paired = layouts.pairs(architecture.name, network, shape, classes)
    return {theirs: fill(theirs, their_shape(theirs, stated[ours][1])) for ours, theirs in paired.items()}


def described(called: str, classes: int = 1000, **prepared: Any) -> dict[str, Any]:
    """timm's config.json. `prepared`: other settings of its pretrained_cfg; None removes one."""
    settings = {**RECORDED[called]["pretrained_cfg"], **prepared}
    return {
        "architecture": called,
        "num_classes": classes,
        "pretrained_cfg": {key: value for key, value in settings.items() if value is not None},
    }


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a folder in the form of a repository, and returns it."""

    def write(
        called: str,
        classes: int = 1000,
        tensors: Mapping[str, np.ndarray] | None = None,
        config: Mapping[str, Any] | None = None,
        folder: str = "weights",
    ) -> Path:
        path = tmp_path / folder
        path.mkdir()
        save_file(dict(timms(called, classes) if tensors is None else tensors), path / "model.safetensors")
        (path / "config.json").write_text(json.dumps(described(called, classes) if config is None else config))
        return path

    return write


@pytest.fixture
def timm() -> Callable[..., dict[str, np.ndarray]]:
    return timms


@pytest.fixture
def config() -> Callable[..., dict[str, Any]]:
    return described


@pytest.fixture
def recorded() -> dict[str, dict[str, Any]]:
    return RECORDED
