"""Small trainings of every kind that can be made again, each trained once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pellucid
from pellucid.engine import blocks
from pellucid.life.again import Again, opened
from pellucid.steps import result_of

NETWORK = (
    "conv(4, 3, padding=1) batchnorm relu maxpool(2) "
    "residual(conv(4, 3, padding=1, groups=2) relu conv(4, 1)) relu flatten dropout(0.3) dense(6) relu dense"
)
SETTINGS: dict[str, Any] = {"size": 16, "validation": 0.2, "test": 0, "epochs": 3, "batch": 8, "device": "cpu"}
Train = Callable[..., Path]


@pytest.fixture(scope="session")
def train(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """train(**settings) -> a model folder, one for equal settings, which tests must not change; the cache is beside it.

    `fused`: whether blocks of layers run as one, which is otherwise decided by a race.
    """
    folder = tmp_path_factory.mktemp("life")
    made: dict[str, Path] = {}

    def train(fused: bool = False, **settings: Any) -> Path:
        key = repr((fused, sorted(settings.items())))
        if key not in made:
            out = folder / f"model{len(made)}"
            chosen = {"model": NETWORK, "augment": "strong", "precision": "float32", **SETTINGS, **settings}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(blocks, "choose", lambda *about: (fused, None))
                pellucid.train(photos, out, cache=folder / "cache", **chosen)
            made[key] = out
        return made[key]

    return train


@pytest.fixture(scope="session")
def again(train: Train) -> Callable[..., Again]:
    """again(**settings) -> the training with these settings, ready to be made again from its first step."""

    def again(**settings: Any) -> Again:
        model = train(**settings)
        return result_of(opened(model, model.parent / "cache"))

    return again
