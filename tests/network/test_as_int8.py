"""The graph of 8-bit integers: near the float32 network, made of integer operations, and of bytes that fit anywhere."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from tests.network.random_modules import with_statistics

from pellucid.network import as_int8, as_onnx, fold, int8_writer
from pellucid.network.as_int8 import Folded
from pellucid.network.network import Network
from pellucid.network.onnx_graph import GraphWriter, Value
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise
from pellucid.network.text import parse
from pellucid.runtime import sessions

SHAPE, CLASSES = (3, 16, 16), 3
SCALE = Standardise((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
PLAIN = "conv(8, 3, padding=same) batchnorm relu maxpool(2) conv(8, 3) batchnorm relu6 conv(8, 1) globalavgpool dense"
RESIDUAL = "conv(8, 3) relu residual(conv(8, 3, padding=same, bias=false) batchnorm) relu flatten dense(5) relu dense"
NETWORKS = {
    "plain": PLAIN,
    "residual": RESIDUAL,
    "depthwise": "conv(8, 3, stride=2, padding=same) relu6 conv(8, 3, groups=8) relu6 globalavgpool dense",
    "gate": "conv(8, 3) silu gate(globalavgpool dense(8) sigmoid) conv(8, 3) hardswish avgpool(2) flatten dense",
    "float inside": "conv(8, 3) layernorm gelu conv(8, 3) leaky_relu l2pool(2) elu globalavgpool dense",
    "starts otherwise": "maxpool(2) batchnorm conv(8, 3) tanh flatten dense",
    "no convolution": "flatten dense(8) relu dense",
    "few units": "conv(24, 3) relu flatten dense",
    "ends in bytes": "conv(3, 3) maxpool(14) flatten",
}


def weights_of(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    module = with_statistics(network, SHAPE, CLASSES, seed, 0.3)
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def pictures(count: int = 12, seed: int = 0) -> np.ndarray:
    """uint8 (n, 16, 16, 3): patches of colour with noise."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 200, (count, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    return (patches + generator.integers(0, 56, (count, 16, 16, 3))).astype(np.uint8)


def made(steps: list[PlacedLayer], weights: dict[str, np.ndarray]) -> tuple[Folded, bytes]:
    folded = as_int8.folded(steps, weights, SCALE)
    content, maps = as_int8.measuring(folded)
    ends = sessions.opened(content)(pictures(24, 1)).reshape(-1, maps, 2)
    return folded, as_int8.model(
        folded, list(zip(ends[..., 0].min(0).tolist(), ends[..., 1].max(0).tolist(), strict=True))
    )


def float32(steps: list[PlacedLayer], weights: fold.Weights, folded: bool = False) -> sessions.Run:
    graph = GraphWriter()
    x = as_onnx.standardised(graph, SCALE, as_onnx.pixels(graph, "images"))
    graph.add("Identity", [as_onnx.network(graph, steps, weights, x, folded)], "logits")
    values = Value("images", "uint8", ("n", 16, 16, 3)), Value("logits", "float32", ("n", *steps[-1].output))
    return sessions.opened(graph.model(values[:1], values[1:]))


@pytest.mark.parametrize("text", NETWORKS.values(), ids=NETWORKS.keys())
def test_near_the_float32_network(text: str) -> None:
    network = parse(text)
    steps, weights = network.shapes(SHAPE, CLASSES), weights_of(network)
    _, content = made(steps, weights)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    theirs, ours = float32(steps, weights)(pictures()), sessions.opened(content)(pictures())
    assert theirs.std() > 0.05
    assert np.abs(ours - theirs).mean() <= 0.05 * np.abs(theirs).max()
    assert ours.shape == theirs.shape


@pytest.mark.parametrize("text", [PLAIN, RESIDUAL])
def test_folding_changes_nothing(text: str) -> None:
    network = parse(text)
    steps, weights = network.shapes(SHAPE, CLASSES), weights_of(network)
    before = {name: numbers.copy() for name, numbers in weights.items()}
    theirs, ours = (float32(steps, weights, folded)(pictures()) for folded in (False, True))
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    assert all(np.array_equal(weights[name], numbers) for name, numbers in before.items())


def test_standardising_inside_a_convolution() -> None:
    """Exact without padding, and with padding by the number that counts as 0."""
    generator = np.random.default_rng(0)
    weight, bias = generator.standard_normal((4, 3, 3, 3)), generator.standard_normal(4)
    image = generator.integers(0, 256, (3, 6, 6)).astype(np.float64)
    mean, deviation = (np.array(each)[:, None, None] for each in (SCALE.mean, SCALE.deviation))

    def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return torch.nn.functional.conv2d(
            *(torch.from_numpy(np.asarray(each, np.float64)) for each in (x, weight, bias))
        ).numpy()

    for zero in (0, 102):
        new = fold.standardise(weight, bias, SCALE, zero)
        expected = convolved((image / 255 - mean) / deviation, weight, bias)
        assert np.abs(convolved(image - zero, *new) - expected).max() <= 1e-4


def test_a_runtime_computes_with_integers(tmp_path: Path) -> None:
    network = parse(
        "conv(8, 3) batchnorm relu residual(conv(8, 3, padding=same) batchnorm relu6) maxpool(2) globalavgpool dense"
    )
    _, content = made(network.shapes(SHAPE, CLASSES), weights_of(network))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "fused.onnx"), 3
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(str(tmp_path / "fused.onnx")).graph.node)
    assert kinds["QLinearConv"] == 2
    assert kinds["QLinearAdd"] == kinds["QLinearGlobalAveragePool"] == kinds["QGemm"] == 1
    assert not {"Conv", "Gemm", "Relu", "Clip", "Add", "DequantizeLinear", "QuantizeLinear"} & set(kinds)


def test_every_product_fits_older_processors() -> None:
    """Two products of a pixel and a weight are added in 16 bits there: 2 * 255 * 64 = 32,640."""
    network = parse(PLAIN)
    _, content = made(network.shapes(SHAPE, CLASSES), weights_of(network))
    constants = [numpy_helper.to_array(each) for each in onnx.load_from_string(content).graph.initializer]
    weights = [each for each in constants if each.dtype == np.int8 and each.ndim > 1]
    assert len(weights) == 4
    assert all(np.abs(each.reshape(len(each), -1).astype(int)).max(1).tolist() == [64] * len(each) for each in weights)
    assert 2 * 255 * int8_writer.LIMIT < 2**15


def test_a_bias_that_is_large_for_its_filter() -> None:
    """The bias is a whole number of the filter's steps: they become coarser, or it would not fit into 32 bits."""
    network = parse("conv(4, 3) relu globalavgpool dense")
    weights = weights_of(network)
    weights["conv1.weight"][1] *= 1e-12
    weights["conv1.weight"][2] = 0
    weights["conv1.bias"][:3] = 3.0
    steps = network.shapes(SHAPE, CLASSES)
    theirs, ours = float32(steps, weights)(pictures()), sessions.opened(made(steps, weights)[1])(pictures())
    assert np.abs(ours - theirs).max() <= 0.05 * np.abs(theirs).max()


def test_ranges_must_match_the_network() -> None:
    network = parse(PLAIN)
    folded, _ = made(network.shapes(SHAPE, CLASSES), weights_of(network))
    with pytest.raises(ValueError, match="2 ranges are too few"):
        as_int8.model(folded, [(0.0, 1.0)] * 2)
    with pytest.raises(ValueError, match=r"there are 50 ranges for \d maps"):
        as_int8.model(folded, [(0.0, 1.0)] * 50)
