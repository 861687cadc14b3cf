"""The zoo's blocks in our own notation, narrow: the parts of MobileNetV3 and ConvNeXt."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.glassbox.trace.recording import explain
from pellucid.network.text import parse

MOBILE = """
conv(6, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) hardswish
residual(conv(12, 1, bias=false) batchnorm relu6 conv(12, 5, padding=2, groups=12, bias=false) batchnorm hardswish
         gate(globalavgpool dense(4) relu dense(12) hardsigmoid) conv(6, 1, bias=false) batchnorm)
globalavgpool dense(9) hardswish dense
"""
CONVNEXT = """
conv(6, 4, stride=4) layernorm
residual(conv(6, 7, padding=3, groups=6) layernorm conv(12, 1) gelu conv(6, 1) scale(0.3))
layernorm conv(8, 2, stride=2) globalavgpool layernorm dense
"""


def test_mobilenets_blocks(follow) -> None:
    torch.manual_seed(0)
    follow(parse(MOBILE).module((3, 32, 32), 5), (3, 32, 32)).check()


def test_convnexts_blocks(follow) -> None:
    torch.manual_seed(0)
    follow(parse(CONVNEXT).module((3, 32, 32), 5), (3, 32, 32)).check()


@pytest.mark.parametrize(("text", "count"), [(MOBILE, 5), (CONVNEXT, 10)])
def test_a_layer_has_the_name_that_the_plan_gives_it(text: str, count: int) -> None:
    """`--unit 'gate1[3, 0, 0]'` is the layer's output, although several steps compute it."""
    torch.manual_seed(0)
    module, picture = parse(text).module((3, 32, 32), 5).eval(), torch.rand(3, 32, 32)
    trace = explain(module, picture, label=1)
    inputs: dict[str, np.ndarray] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: object, output: torch.Tensor) -> None:
            inputs[name] = output[0].detach().numpy()

        return hook

    for name, part in module.named_modules():
        if name.rpartition(".")[2].rstrip("0123456789") in ("conv", "gate", "layernorm", "scale"):
            part.register_forward_hook(keep(name))
    module(picture[None])
    assert len(inputs) == count
    for name, output in inputs.items():
        assert np.allclose(np.squeeze(trace.values[name]), np.squeeze(output), atol=1e-6), name
