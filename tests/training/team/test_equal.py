"""One, two and four processes train the same network: weights, history and running sums agree."""

from typing import Any

import numpy as np
import torch
from tests.training.conftest import Pictures
from tests.training.team.members import in_team
from torch import nn

from pellucid.engine.device import Engine
from pellucid.network import text
from pellucid.network.standardise import Standardise
from pellucid.training import loop
from pellucid.training import recipe as recipes
from pellucid.training.loop import State, Task
from pellucid.training.optimizer import optimizer
from pellucid.training.team.team import Team

# no bias before batch norm: its gradient is rounding alone, which Adam divides by its own size
NETWORK = (
    "conv(4, 3, padding=1, bias=false) batchnorm relu maxpool(2) conv(6, 3, bias=false) batchnorm relu flatten "
    "dropout(0.5) dense"
)
BOUND = 1e-12  # of a weight in float64, against one process


class Doubled(nn.Module):
    """Casts to float64, so that what differs is not the rounding of float32."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.double()


def task_of(team: Team, wide: bool, **settings: Any) -> tuple[Task, State]:
    """47 pictures to train on, in steps of 24 and 23, and 11 to validate."""
    recipe = recipes.make(**{"epochs": 1, "batch": 24, "augment": "light", **settings})
    count, held = 47, 11
    labels = np.arange(count + held) % 3
    noise = np.random.default_rng(7).integers(0, 100, (count + held, 8, 8, 3))
    images = (noise + 70 * labels[:, None, None, None]).astype(np.uint8)
    torch.manual_seed(1)
    plain = text.parse(NETWORK).module((3, 8, 8), 3)
    module = nn.Sequential(Doubled(), plain.double()) if wide else plain
    engine = Engine("cpu", "float32", 1, ())
    module = engine.place(module)
    rows = np.arange(count + held, dtype=np.int64)
    about = recipe, engine, Standardise((0.5,) * 3, (0.25,) * 3), recipe.augment, Pictures(images), labels
    task = Task(*about, rows[:count], rows[count:], team=team)  # type: ignore[arg-type]
    return task, State(module, optimizer(recipe, module), (recipe.epochs or 0) * task.steps_per_epoch)


def train(team: Team, wide: bool) -> tuple[dict[str, np.ndarray], list[tuple[Any, ...]]]:
    task, state = task_of(team, wide)
    for _ in loop.run(task, state):
        pass
    weights = {name: tensor.double().numpy() for name, tensor in state.module.state_dict().items()}
    history = [(e.train_loss, e.train_accuracy, e.validation_loss, e.validation_accuracy) for e in state.history]
    return weights, history


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def test_one_two_and_four_processes_train_the_same_weights() -> None:
    (one, history), *_ = in_team(1, train, True)
    for world in (2, 4):
        members = in_team(world, train, True)
        for weights, each in members:
            print(world, apart(one, weights), each, history)
            assert apart(one, weights) < BOUND
            np.testing.assert_allclose(each, history, rtol=1e-6)
        assert apart(members[0][0], members[-1][0]) == 0
