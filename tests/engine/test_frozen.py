"""A frozen network gives the module's own numbers, folded and in one pass."""

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.engine import frozen
from pellucid.engine.device import Engine
from pellucid.network import text
from pellucid.network.standardise import Standardise, to_unit

SCALE = Standardise((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
# everything that a convolution may have before and after it
NETWORKS = (
    "conv(8, 3, padding=1) relu globalavgpool dense",
    "conv(8, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) relu6 "
    "residual(conv(12, 1, bias=false) batchnorm relu6 conv(12, 5, padding=same, groups=12, bias=false) batchnorm relu6 "
    "conv(8, 1, bias=false) batchnorm) globalavgpool dense",
    "conv(8, 3, bias=false) batchnorm relu maxpool(2) residual(conv(16, 3, padding=1, stride=2) batchnorm relu "
    "conv(16, 3, padding=1) batchnorm | conv(16, 1, stride=2) batchnorm) relu globalavgpool dense",
    "batchnorm conv(8, 3, dilation=2) tanh batchnorm residual(relu) residual(batchnorm conv(8, 1) sigmoid) "
    "flatten dropout(0.5) dense(9) relu dense",
)


def network(written: str) -> nn.Sequential:
    torch.manual_seed(1)
    module = text.parse(written).module((3, 17, 20), 3)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for numbers in (part.running_mean, part.running_var, part.weight, part.bias):
                assert numbers is not None
                nn.init.uniform_(numbers, 0.3, 1.5)
    return module


@pytest.mark.parametrize("written", NETWORKS)
@pytest.mark.parametrize("one_pass", [True, False])
def test_it_gives_the_modules_own_numbers(written: str, one_pass: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not one_pass:
        monkeypatch.setattr(frozen, "_has_post_operations", lambda: False)
    module = network(written)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 17, 20, 3), np.uint8)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    made = frozen.of_stored(Engine("cpu", "float32", 1, ()), module[:-1], SCALE)(pixels)
    with torch.inference_mode():
        expected = module.eval()[:-1](SCALE(to_unit(pixels)))

    assert made.dtype == torch.float32
    assert torch.allclose(made, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pictures_numbers_depend_neither_on_the_others_nor_on_the_threads(precision: str) -> None:
    run, shared = (
        frozen.of_stored(Engine("cpu", precision, threads, ()), network(NETWORKS[1])[:-1], SCALE)  # type: ignore[arg-type]
        for threads in (1, 2)
    )
    pixels = np.random.default_rng(0).integers(0, 256, (21, 17, 20, 3), np.uint8)
    threads, together = torch.get_num_threads(), run(pixels)

    assert together.shape == (21, 8)
    assert torch.equal(run(np.ascontiguousarray(pixels[::-1])).flip(0), together)
    assert torch.equal(run(pixels[2:3])[0], together[2])
    assert torch.equal(shared(pixels), together)
    assert torch.get_num_threads() == threads


def test_16_bits_are_as_near_as_those_of_autocast() -> None:
    module = network(NETWORKS[1]).eval()
    engine = Engine("cpu", "bfloat16", 1, ())
    pixels = np.random.default_rng(0).integers(0, 256, (8, 17, 20, 3), np.uint8)
    made = frozen.of_stored(engine, module[:-1], SCALE)(pixels)
    with torch.inference_mode():
        exact = module[:-1](SCALE(to_unit(pixels)))
        with engine.autocast():
            cast = module[:-1](SCALE(to_unit(pixels))).float()

    assert not torch.equal(made, exact)
    assert (made - exact).norm() < 2 * (cast - exact).norm()


@pytest.mark.parametrize("written", NETWORKS)
def test_standardised_pictures_give_the_same(written: str) -> None:
    module = network(written)
    images = torch.randn(19, 3, 17, 20)
    made = frozen.of_input(Engine("cpu", "float32", 2, ()), module)(images)
    with torch.inference_mode():
        expected = module.eval()(images)
    assert torch.allclose(made, expected, rtol=1e-4, atol=1e-5)
