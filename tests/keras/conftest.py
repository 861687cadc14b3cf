"""Files that Keras wrote once, unpacked, its predictions for them, and copies that a test may change."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

HERE = Path(__file__).parent / "files"


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of both packs, by Keras 3 and by Keras 2. Tests must not change it."""
    folder = tmp_path_factory.mktemp("keras")
    for pack in ("models.zip", "models_keras_2.zip"):
        with zipfile.ZipFile(HERE / pack) as archive:
            archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def predictions() -> dict[str, np.ndarray]:
    """What Keras predicted: see files/make.py and files/make_keras_2.py."""
    return dict(np.load(HERE / "predictions.npz")) | dict(np.load(HERE / "predictions_keras_2.npz"))


Change = Callable[[list[dict[str, Any]]], None]


@pytest.fixture
def edited(stored: Path, tmp_path: Path) -> Callable[..., Path]:
    """edited("blog", change) -> blog.keras with its list of layers changed; `weights`: its HDF5 file changed too."""

    def edit(name: str, change: Change | None = None, weights: Callable[[h5py.File], None] | None = None) -> Path:
        path = tmp_path / f"edited-{name}.keras"
        with zipfile.ZipFile(stored / f"{name}.keras") as source, zipfile.ZipFile(path, "w") as target:
            config = json.loads(source.read("config.json"))
            if change is not None:
                change(config["config"]["layers"])
            target.writestr("config.json", json.dumps(config))
            content = io.BytesIO(source.read("model.weights.h5"))
            if weights is not None:
                with h5py.File(content, "r+") as file:
                    weights(file)
            target.writestr("model.weights.h5", content.getvalue())
        return path

    return edit
