"""The glass box shows what training does on the fast path: forward, backward and update.

The glass box runs the plain modules. Here one picture makes one step with fused blocks, and every number of it is
compared with the trace. All other tests can run on either path: `pytest --blocks fused`, `--blocks plain`.
"""

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.engine import kernels
from pellucid.engine.blocks import cpu
from pellucid.engine.blocks.block import Block, steps
from pellucid.engine.blocks.way_direct import Direct
from pellucid.engine.device import Engine
from pellucid.network import text
from pellucid.network.standardise import Standardise, to_unit
from pellucid.training import loop
from pellucid.training import recipe as recipes
from pellucid.training.loop import State, Task
from pellucid.training.optimizer import optimizer

NETWORKS = {
    "direct, then by oneDNN": ("conv(6, 5) relu maxpool(2) conv(8, 3) relu maxpool(2) flatten dense", 44),
    "direct, then flat": ("conv(10, 3) relu maxpool(2) flatten dense(8) relu dense", 36),
    "by oneDNN": ("conv(4, 3) relu maxpool(3) flatten dense", 20),
}
SCALE = Standardise((0.5, 0.4, 0.3), (0.25, 0.2, 0.3))


class One:
    """The same picture for any rows."""

    def __init__(self, side: int) -> None:
        self.pixels = np.random.default_rng(3).integers(0, 256, (1, side, side, 3), np.uint8)

    def batch(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels.repeat(len(rows), axis=0)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_step_is_the_one_that_the_glass_box_shows(name: str, kind: str) -> None:
    written, side = NETWORKS[name]
    torch.manual_seed(5)
    recipe = recipes.make(optimizer=kind, learning_rate=0.01, batch=1, epochs=1, augment="none", label_smoothing=0.0)
    engine = Engine("cpu", "float32", 1, (), fused=True)
    module = engine.place(text.parse(written).module((3, side, side), 2))
    images = One(side)
    first = steps(module)[0]
    assert isinstance(first, Block)
    sample = SCALE(to_unit(images.pixels))
    assert isinstance(cpu.way(first, sample, torch.float32), Direct) == ("direct" in name)

    hold(module, engine, images, recipe)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_step_by_kernels_of_ours_is_the_one_that_the_glass_box_shows(
    kind: str,
) -> None:
    torch.manual_seed(5)
    recipe = recipes.make(optimizer=kind, learning_rate=0.01, batch=1, epochs=1, augment="none", label_smoothing=0.0)
    engine = Engine("cpu", "float32", 1, (), kernels=True)
    written = (
        "conv(16, 3, padding=1) batchnorm relu residual(conv(16, 5, padding=2, groups=16) batchnorm relu6) "
        "conv(16, 5, stride=2, groups=16) globalavgpool dense"
    )
    module = engine.place(text.parse(written).module((3, 12, 12), 2))
    assert kernels.described(module)
    hold(module, engine, One(12), recipe)


def hold(module: nn.Module, engine: Engine, images: One, recipe: recipes.Recipe) -> None:
    """Make a step, and hold every number of it against the trace. Batch norm gives what it predicts."""
    rows, sample = np.array([0]), SCALE(to_unit(images.pixels))
    module.eval()
    plain = pellucid.explain(module, sample[0], label=1, optimizer=optimizer(recipe, module))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    task = Task(recipe, engine, SCALE, "none", images, np.array([1]), rows, rows[:0], frozen_norms=True)
    state = State(module, optimizer(recipe, module), steps=1)
    loss, _ = loop.train_step(task, state, rows, 0.01)

    assert loss == pytest.approx(plain.loss, rel=1e-5)
    logits = engine.forward(module.eval())(sample)  # of the new weights
    again = pellucid.explain(module, sample[0], label=1)
    np.testing.assert_allclose(logits[0].detach().numpy(), again.logits, rtol=1e-4, atol=1e-5)
    for key, parameter in module.named_parameters():
        largest = float(parameter.grad.abs().max()) if parameter.grad is not None else 0.0
        assert largest > 0
        np.testing.assert_allclose(parameter.grad, plain.gradients[key], rtol=1e-3, atol=1e-5 * largest)
        place = tuple(int(i) for i in np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape))
        working = plain.update(f"{key}{list(place)}")
        assert before[key][place].item() != parameter[place].item()
        assert working.total == pytest.approx(parameter[place].item(), rel=1e-5, abs=1e-7)
