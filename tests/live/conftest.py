"""A small model as the demo's teaching model is: plain gradient descent, nothing smoothed, no validation side."""

from pathlib import Path

import pytest

import pellucid
from pellucid.live.material import Material, gather
from pellucid.live.session import Session
from pellucid.steps import result_of

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"
SETTINGS = {
    "size": 12,
    "validation": 0,
    "test": 0.25,
    "epochs": 2,
    "batch": 8,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0,
    "weight_decay": 0,
    "schedule": "constant",
    "warmup": 0,
    "label_smoothing": 0,
    "augment": "none",
    "device": "cpu",
}


@pytest.fixture(scope="module")
def taught(photos: Path, tmp_path_factory: pytest.TempPathFactory, undrawn: None) -> Path:
    """A model folder; the decoded pictures lie in `cache` beside it. Tests must not change it."""
    folder = tmp_path_factory.mktemp("taught")
    pellucid.train(photos, folder / "small", cache=folder / "cache", model=NETWORK, **SETTINGS)
    return folder / "small"


@pytest.fixture(scope="module")
def material(taught: Path) -> Material:
    return result_of(gather(taught, pellucid.load(taught), taught.parent / "cache"))


@pytest.fixture
def session(material: Material) -> Session:
    return Session(material)
