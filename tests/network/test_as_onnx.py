"""The ONNX graph against torch's modules: every kind of layer, the zoo, and random networks."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.network.random_modules import with_statistics

from pellucid.errors import NetworkError
from pellucid.network import as_onnx, residual, zoo
from pellucid.network.layers import KINDS, Branched, Shape
from pellucid.network.network import Network
from pellucid.network.onnx_graph import GraphWriter, Value
from pellucid.network.standardise import Standardise, to_unit
from pellucid.network.text import parse
from pellucid.runtime import sessions

EPS = float(np.finfo(np.float32).eps)


def graph(steps: list[residual.PlacedLayer], weights: as_onnx.Weights) -> bytes:
    """A model from standardised pictures, "x", to "y"."""
    writer = GraphWriter()
    output = as_onnx.network(writer, steps, weights, "x")
    values = [Value("x", "float32", ("n", *steps[0].input)), Value("y", "float32", ("n", *steps[-1].output))]
    writer.add("Identity", [output], "y")
    return writer.model(values[:1], values[1:])


def forward(steps: list[residual.PlacedLayer], weights: as_onnx.Weights, image: np.ndarray) -> np.ndarray:
    """ONNX Runtime's result for one picture, float32 (C, H, W) or a row."""
    return sessions.opened(graph(steps, weights))(image[None])[0]


def both(network: Network, shape: Shape, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits by ONNX Runtime, by torch in float32, and by torch in float64."""
    module = with_statistics(network, shape, classes, seed)
    image = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    weights = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    ours = forward(network.shapes(shape, classes), weights, image)
    with torch.inference_mode():
        x = torch.from_numpy(image)[None]
        return ours, module(x)[0].numpy(), module.double()(x.double())[0].numpy()


def agree(ours: np.ndarray, theirs: np.ndarray, exact: np.ndarray) -> None:
    """Differ from the exact logits by float32 rounding only: 100 units in the last place of the largest."""
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    scale = max(1.0, float(np.abs(exact).max()))
    assert np.abs(ours - exact).max() <= 100 * EPS * scale
    assert np.abs(ours - theirs).max() <= 200 * EPS * scale


LARGE = ("resnet34", "resnet50", "convnext_tiny")  # take seconds at their own size; their layers are covered by others


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name in zoo.NAMES for size in (None, (97, 64)) if size is not None or name not in LARGE],
)
def test_the_zoo(name: str, size: tuple[int, int] | None) -> None:
    named = zoo.find(name)
    shape = named.input or (3, 128, 128)
    if size is not None:
        shape = (3, *size)
    ours, theirs, exact = both(named.network, shape, 3)
    agree(ours, theirs, exact)
    p, q = (np.exp(z - z.max()) / np.exp(z - z.max()).sum() for z in (ours.astype(float), theirs.astype(float)))
    scale = max(1.0, float(np.abs(exact).max()))
    assert np.abs(p - q).max() <= 100 * EPS * scale  # 1.2e-5 or less; about 1e-6 for a trained network
    assert p.argmax() == q.argmax()


@pytest.mark.parametrize(
    "layer",
    [
        "relu",
        "leaky_relu",
        "leaky_relu(0.2)",
        "elu",
        "gelu",
        "silu",
        "hardswish",
        "hardsigmoid",
        "sigmoid",
        "tanh",
        "dropout(0.3)",
    ],
)
def test_activations_of_small_and_large_numbers(layer: str) -> None:
    values = np.concatenate([np.linspace(-12, 12, 4001), [-1e4, -200, -90, -0.0, 0, 1e-30, 90, 200, 1e4]])
    x = values.astype(np.float32)[None, None]
    module = parse(layer).layers[0].module(x.shape).eval()
    theirs = module(torch.from_numpy(x)[None])[0].numpy()
    ours = forward(residual.chain(parse(layer).layers, x.shape), {}, x)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() <= 4e-7 * max(1, np.abs(theirs[np.abs(theirs) < 20]).max())
    far = np.abs(theirs) >= 20
    assert np.allclose(ours[far], theirs[far], rtol=4e-7)


def test_infinity_and_nan_pass_as_in_torch() -> None:
    """Not through a maximum: ONNX Runtime ignores NaN there. If weights make NaN, PyTorch predicts."""
    x = np.array([np.nan, np.inf, -np.inf, 1], np.float32).reshape(1, 2, 2)
    for line in ("relu", "maxpool(1)", "avgpool(2)", "tanh", "sigmoid", "globalavgpool", "flatten"):
        layer = parse(line).layers[0]
        theirs = layer.module(x.shape)(torch.from_numpy(x)[None])[0].numpy()
        ours = forward(residual.chain((layer,), x.shape), {}, x)
        assert np.array_equal(ours, theirs, equal_nan=True), line


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    list(product(("1", "2", "2x3"), ("0", "2x1"), ("1", "2x1"), (1, 2, 4))),
)
def test_convolutions(stride: str, padding: str, dilation: str, groups: int) -> None:
    line = f"conv(8, 3x2, stride={stride}, padding={padding}, dilation={dilation}, groups={groups}) globalavgpool dense"
    agree(*both(parse(line), (4, 11, 8), 2))
    agree(*both(parse(line.replace("globalavgpool", "flatten")), (4, 7, 13), 2))


def test_by_hand() -> None:
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    network = parse("conv(1, 2) maxpool(2) flatten dense")
    weights = {
        "conv1.weight": np.array([1, 0, 0, -1], np.float32).reshape(1, 1, 2, 2),
        "conv1.bias": np.array([0.5], np.float32),
        "dense1.weight": np.array([[2], [3]], np.float32),
        "dense1.bias": np.array([1, 0], np.float32),
    }
    # every difference along the diagonal is -4, and -3.5 with the bias
    assert forward(network.shapes((1, 3, 3), 2), weights, image).tolist() == [-6, -10.5]


def test_every_kind_of_layer_has_a_function() -> None:
    assert set(as_onnx._NODES) | {kind for kind in KINDS if issubclass(kind, Branched)} == set(KINDS)


LAYERS = st.one_of(
    st.sampled_from(
        ["relu", "relu6", "leaky_relu(0.1)", "elu", "gelu", "silu", "hardswish", "sigmoid", "tanh", "dropout"]
    ),
    # a small eps amplifies the rounding of two nearly equal channels; the default is tested below
    st.sampled_from(["layernorm(eps=1)", "layernorm(eps=0.5)", "scale(0.3)", "hardsigmoid"]),
    st.sampled_from(
        [
            "conv(4, 1) gate(globalavgpool dense(3) relu dense(4) hardsigmoid)",
            "gate(globalavgpool sigmoid)",
            "gate(residual(relu) gate(globalavgpool tanh) globalavgpool layernorm(eps=1))",
        ]
    ),
    st.sampled_from(
        ["batchnorm", "batchnorm(eps=0.01)", "maxpool(2)", "maxpool(3, stride=2, padding=1)", "avgpool(2x3, padding=1)"]
    ),
    st.sampled_from(["maxpool(3x2, stride=1)", "l2pool(2)", "l2pool(2, stride=1x2)", "avgpool(3, stride=2)"]),
    st.sampled_from(["conv(4, 1)", "conv(6, 3, padding=same)", "conv(4, 2, stride=2, bias=false)", "conv(2, 1x3)"]),
    st.sampled_from(["conv(4, 3, stride=2, padding=same)", "conv(4, 2x4, padding=same)"]),
    st.sampled_from(["maxpool(3, stride=2, padding=same)", "avgpool(3x2, stride=2x3, padding=same)"]),
    st.sampled_from(["conv(4, 3, dilation=2)", "conv(4, 3, padding=3, groups=2)", "conv(6, 1, stride=2, groups=2)"]),
    st.sampled_from(
        [
            "residual(relu)",
            "residual(conv(4, 3, padding=1) batchnorm | conv(4, 1))",
            "residual(conv(6, 3, stride=2, padding=1) relu | residual(relu | tanh) conv(6, 1, stride=2, bias=false))",
        ]
    ),
)
ENDS = st.sampled_from(
    [
        "flatten dense",
        "globalavgpool dense",
        "flatten dense(5) batchnorm elu dense(bias=false)",
        "flatten dense(5) scale(2) layernorm(eps=1) gate(hardsigmoid) dense",
    ]
)


@given(st.lists(LAYERS, max_size=5), ENDS, st.tuples(st.integers(5, 20), st.integers(5, 20)), st.integers(0, 99))
@settings(max_examples=150)
def test_random_networks_in_our_notation(layers: list[str], end: str, size: tuple[int, int], seed: int) -> None:
    network = parse(" ".join([*layers, end]))
    try:
        network.shapes((2, *size), 3)
    except NetworkError:
        assume(False)
    agree(*both(network, (2, *size), 3, seed))
    module = network.module((2, *size), 3)
    stated = residual.state(network.shapes((2, *size), 3))
    stored = {
        name: (str(each.dtype).removeprefix("torch."), tuple(each.shape)) for name, each in module.state_dict().items()
    }
    assert list(stated.items()) == list(stored.items())


@pytest.mark.parametrize("end", ["flatten dense", "globalavgpool layernorm dense"])
@pytest.mark.parametrize("seed", range(5))
def test_layer_norm_with_its_usual_eps(end: str, seed: int) -> None:
    line = f"conv(24, 4, stride=4) layernorm conv(24, 3, padding=1, groups=24) layernorm conv(48, 1) gelu {end}"
    agree(*both(parse(line), (3, 20, 28), 3, seed))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_standardised_as_in_torch(channels: int) -> None:
    scale = Standardise((0.25, 0.5, 1 / 3)[:channels], (0.1, 0.2, 1 / 7)[:channels])
    image = np.random.default_rng(0).integers(0, 256, (9, 7, channels)).astype(np.uint8)
    assert np.abs(scale.plain(image) - scale(to_unit(image[None]))[0].numpy()).max() <= 2 * EPS * 10
    assert scale.plain(image).shape == (channels, 9, 7)
