"""Networks like the article's without torch: equal numbers, and networks for which it does not apply."""

import numpy as np
import pytest
import torch

from pellucid.engine import blocks
from pellucid.network.standardise import Standardise, to_unit
from pellucid.network.text import parse

SCALE = Standardise((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


@pytest.mark.parametrize(
    "text",
    [
        "conv(10, 5) relu maxpool(2) flatten dense",
        "conv(3, 3x5, padding=1x2, bias=false) relu maxpool(2) flatten dropout(0.5) dense(6) relu dense",
        "conv(13, 4) relu maxpool(2) conv(4, 3) batchnorm relu globalavgpool dense",
    ],
)
@pytest.mark.parametrize("shape", [(3, 40, 45), (1, 38, 61)])
def test_the_numbers_equal_the_modules(text: str, shape: tuple[int, int, int]) -> None:
    network = parse(text)
    scale = Standardise(SCALE.mean[: shape[0]], SCALE.deviation[: shape[0]])
    steps = network.shapes(shape, 3)
    if not blocks.runs_without_torch(steps):
        pytest.skip("this processor has no kernel")
    torch.manual_seed(0)
    module = network.module(shape, 3).eval()
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    images = np.random.default_rng(0).integers(0, 256, (5, *shape[1:], shape[0]), np.uint8)
    with torch.inference_mode():
        expected = module(scale(to_unit(images))).numpy()
    logits = blocks.run_without_torch(steps, weights, scale)
    outputs = logits(images)
    assert outputs.dtype == np.float32
    assert expected.std() > 0.01
    assert np.abs(outputs - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "text",
    [
        "conv(10, 5, stride=2) relu maxpool(2) flatten dense",
        "conv(10, 5) relu maxpool(3) flatten dense",
        "conv(10, 5) relu avgpool(2) flatten dense",
        "conv(10, 5) batchnorm relu maxpool(2) flatten dense",
        "conv(10, 13) relu maxpool(2) flatten dense",
        "flatten dense",
        "conv(32, 3) relu maxpool(2) conv(64, 3) relu maxpool(2) flatten dense",  # too much work after the block
    ],
)
def test_it_does_not_apply(text: str) -> None:
    steps = parse(text).shapes((3, 64, 64), 2)
    assert not blocks.runs_without_torch(steps)
