"""A training small enough for many runs: eight pixels wide, bright pictures and dark ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pellucid.engine.device import Engine
from pellucid.network import text
from pellucid.network.standardise import Standardise
from pellucid.training import recipe as recipes
from pellucid.training.loop import State, Task
from pellucid.training.optimizer import optimizer

# every kind of randomness and of state: dropout, batch norm, channels-last filters
NETWORK = "conv(4, 3, padding=1) batchnorm relu maxpool(2) conv(6, 3) relu flatten dropout(0.5) dense"


@dataclass(frozen=True)
class Pictures:
    images: NDArray[np.uint8]

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[rows]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So little arithmetic is faster on one thread, and much faster if other processes want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def begin() -> Callable[..., tuple[Task, State]]:
    """begin(network=..., train=..., validation=..., **settings) -> a task and its state before the first step."""

    def begin(
        network: str = NETWORK, train: int = 20, validation: int = 6, steps: int | None = None, **settings: Any
    ) -> tuple[Task, State]:
        recipe = recipes.make(**{"epochs": 2, "batch": 8, "augment": "strong", **settings})
        assert recipe.augment != "auto"
        count = train + validation
        labels = np.arange(count) % 2
        noise = np.random.default_rng(7).integers(0, 120, (count, 8, 8, 3))
        images = (noise + 130 * labels[:, None, None, None]).astype(np.uint8)
        torch.manual_seed(recipe.seed)
        engine = Engine("cpu", "float32", torch.get_num_threads(), ())
        module = engine.place(text.parse(network).module((3, 8, 8), 2))
        scale = Standardise((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
        rows = np.arange(count, dtype=np.int64)
        task = Task(recipe, engine, scale, recipe.augment, Pictures(images), labels, rows[:train], rows[train:])
        planned = (recipe.epochs or 0) * task.steps_per_epoch if steps is None else steps
        return task, State(module, optimizer(recipe, module), planned)

    return begin


@pytest.fixture(scope="session")
def numbers() -> Callable[[State], dict[str, bytes]]:
    """numbers(state) -> the bytes of every weight, sum, best weight and optimizer number."""

    def numbers(state: State) -> dict[str, bytes]:
        named = dict(state.module.state_dict()) | {f"best {name}": tensor for name, tensor in state.best.items()}
        named |= {f"best optimizer {name}": tensor for name, tensor in state.best_optimizer.items()}
        for index, values in state.optimizer.state_dict()["state"].items():
            named |= {f"{index} {key}": value for key, value in values.items() if value is not None}
        return {name: tensor.detach().contiguous().numpy().tobytes() for name, tensor in named.items()}

    return numbers
