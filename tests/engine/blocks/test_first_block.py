"""Networks like the article's without torch: equal numbers, and networks for which it does not apply."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.engine import blocks
from pellucid.engine.blocks import alone, alone_cpu
from pellucid.network.standardise import Standardise, to_unit
from pellucid.network.text import parse
from pellucid.runtime import machine_code, vectors

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


def test_the_kernel_comes_from_stored_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of a first call, loaded by a second, gives the same numbers, also on two threads at once."""
    monkeypatch.setattr(machine_code, "folders", lambda source: iter([tmp_path]))
    if not blocks.runs_without_torch(parse("conv(5, 3) relu maxpool(2) flatten dense").shapes((3, 40, 45), 2)):
        pytest.skip("this processor has no kernel")
    numbers = np.random.default_rng(0)
    weight, bias = numbers.normal(size=(5, 3, 3, 3)).astype(np.float32), numbers.normal(size=5).astype(np.float32)
    images = numbers.integers(0, 256, (8, 40, 45, 3), np.uint8)
    results = []
    for _ in range(2):
        alone._kernel.cache_clear()
        run = alone.forward(weight, bias, SCALE.table(), (0, 0), (5, 19, 21))
        with ThreadPoolExecutor(2) as pool:
            results.append(np.concatenate(list(pool.map(run, images))))
        monkeypatch.setattr(alone_cpu, "compiled", lambda *sizes: pytest.fail("it was stored"))
    alone._kernel.cache_clear()
    assert np.array_equal(results[0], results[1])
    assert results[0].std() > 0.1


def test_vectors_have_as_many_lanes_as_it_says() -> None:
    assert alone.LANES == vectors.LANES
