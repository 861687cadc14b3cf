"""Sizes, parameters and costs: by hand for the article, and against PyTorch for random settings."""

from collections.abc import Callable
from math import prod, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pellucid.errors import NetworkError
from pellucid.network.initialise import Init
from pellucid.network.layers import (
    KINDS,
    AvgPool,
    BatchNorm,
    Conv,
    Cost,
    Dense,
    Dropout,
    Elu,
    Flatten,
    Gelu,
    GlobalAvgPool,
    Hardsigmoid,
    Hardswish,
    L2Pool,
    Layer,
    LayerNorm,
    LeakyRelu,
    MaxPool,
    Relu,
    Scale,
    Sigmoid,
    Silu,
    Tanh,
)

ACTIVATIONS = [Relu(), LeakyRelu(), Elu(), Gelu(), Silu(), Hardswish(), Hardsigmoid(), Sigmoid(), Tanh()]


def flops(module: nn.Module, x: torch.Tensor) -> tuple[int, int]:
    """PyTorch's own count, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        y = module(x)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        y.sum().backward()
    return forward, counter.get_total_flops()


def kept_bytes(module: nn.Module, x: torch.Tensor) -> int:
    """Bytes of the activations that autograd keeps for backward, each memory block counted once."""
    weights = {each.untyped_storage().data_ptr() for each in [*module.parameters(), *module.buffers()]}
    stored: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            stored[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module(x)
    assert output.requires_grad
    return sum(storage.nbytes() for storage in stored.values())


# --- the article -----------------------------------------------------------------------------------------------------


def test_articles_convolution() -> None:
    conv = Conv(10, (5, 5))
    assert conv.output((3, 300, 300)) == (10, 296, 296)
    assert conv.output_formula((3, 300, 300)) == "([300 - 5 + 2*0] / 1) + 1 = 296"
    assert conv.parameters((3, 300, 300)) == 760
    assert conv.parameters_formula((3, 300, 300)) == "5*5*3*10 + 10 = 760"


def test_articles_pool_and_dense() -> None:
    assert MaxPool((2, 2)).output((10, 296, 296)) == (10, 148, 148)
    assert MaxPool((2, 2)).output_formula((10, 296, 296)) == "([296 - 2 + 2*0] / 2) + 1 = 148"
    assert Flatten().output((10, 148, 148)) == (219040,)
    assert Flatten().output_formula((10, 148, 148)) == "10*148*148 = 219040"
    assert Dense(2).parameters((219040,)) == 438082
    assert Dense(2).parameters_formula((219040,)) == "219040*2 + 2 = 438082"
    assert Dense(2).output_formula((219040,)) == "2 units"


@pytest.mark.parametrize(
    ("width", "size", "padding", "filters", "channels", "expected"),
    [(32, 3, 0, 10, 3, 30), (32, 5, 0, 10, 3, 28), (6, 3, 0, 1, 1, 4), (6, 3, 1, 1, 1, 6), (300, 5, 0, 10, 3, 296)],
)
def test_articles_output_sizes(width: int, size: int, padding: int, filters: int, channels: int, expected: int) -> None:
    conv = Conv(filters, (size, size), padding=(padding, padding))
    assert conv.output((channels, width, width)) == (filters, expected, expected)


# --- TensorFlow's "same" padding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "length", "zeros"),
    [  # (before, after), as tf.nn.conv2d(padding="SAME") puts them: docs of tf.nn, "Notes on padding"
        (Conv(1, (3, 3), stride=(2, 2), padding="same"), 224, (0, 1)),
        (Conv(1, (3, 3), stride=(2, 2), padding="same"), 7, (1, 1)),
        (Conv(1, (5, 5), stride=(2, 2), padding="same"), 56, (1, 2)),
        (Conv(1, (2, 2), padding="same"), 6, (0, 1)),
        (Conv(1, (1, 1), stride=(2, 2), padding="same"), 5, (0, 0)),
        (Conv(1, (3, 3), stride=(5, 5), padding="same"), 13, (0, 0)),
        (Conv(1, (3, 3), stride=(2, 2), padding="same", dilation=(3, 3)), 10, (2, 3)),
    ],
)
def test_same_padding_puts_the_odd_zero_after(layer: Conv, length: int, zeros: tuple[int, int]) -> None:
    assert layer.window().zeros(length, length) == (zeros, zeros)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # of PyTorch's own, with even sizes
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.tuples(st.integers(1, 17), st.integers(1, 17)),
)
@settings(max_examples=60)
def test_same_padding_gives_an_output_for_each_stride(size, stride, dilation, incoming) -> None:
    layer = Conv(4, size, stride=stride, padding="same", dilation=(dilation, dilation), groups=2)
    shape = (2, *incoming)
    expected = (4, -(-incoming[0] // stride[0]), -(-incoming[1] // stride[1]))
    x = torch.randn(2, *shape)
    module = layer.module(shape)

    assert layer.output(shape) == expected
    assert module(x).shape[1:] == expected
    if stride == (1, 1):  # where PyTorch has a "same" of its own
        own = torch.nn.functional.conv2d(x, module.weight, module.bias, padding="same", dilation=dilation, groups=2)
        assert torch.allclose(module(x), own, atol=1e-5)
    assert {name: tuple(t.shape) for name, t in module.state_dict().items()} == {
        name: shape for name, (_, shape) in layer.state(shape).items()
    }


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(2, 4), st.integers(2, 4)),
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
)
@settings(max_examples=60)
def test_same_padding_of_a_pool_takes_no_part(size, stride, shape) -> None:
    """Against the definition: windows from tf.nn's first place on, without the padding."""
    x = torch.randn(2, 3, *shape)
    largest, mean = (kind(size, stride=stride, padding="same") for kind in (MaxPool, AvgPool))
    (top, _), (left, _) = largest.window().zeros(*shape)
    expected = (3, -(-shape[0] // stride[0]), -(-shape[1] // stride[1]))
    assert largest.output((3, *shape)) == mean.output((3, *shape)) == expected

    for row in range(expected[1]):
        for column in range(expected[2]):
            first = row * stride[0] - top, column * stride[1] - left
            rows, columns = (slice(max(first[axis], 0), first[axis] + size[axis]) for axis in (0, 1))
            seen = x[:, :, rows, columns].flatten(2)
            assert torch.equal(largest.module((3, *shape))(x)[:, :, row, column], seen.amax(2))
            assert torch.allclose(mean.module((3, *shape))(x)[:, :, row, column], seen.mean(2), atol=1e-6)


# --- formulas --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "formula"),
    [
        (MaxPool((3, 3), stride=(2, 2)), (1, 7, 7), "([7 - 3 + 2*0] / 2) + 1 = 3"),
        (MaxPool((2, 2)), (1, 7, 7), "floor([7 - 2 + 2*0] / 2) + 1 = 3"),
        (Conv(1, (3, 3), dilation=(2, 2)), (1, 32, 32), "([32 - (2*(3 - 1) + 1) + 2*0] / 1) + 1 = 28"),
        (Conv(1, (3, 3), padding="same"), (1, 6, 6), "([6 - 3 + 2*1] / 1) + 1 = 6"),
        (Conv(1, (3, 3), stride=(2, 2), padding="same"), (1, 7, 7), "ceil(7 / 2) = 4"),
        (Conv(1, (1, 3)), (1, 4, 4), "height ([4 - 1 + 2*0] / 1) + 1 = 4, width ([4 - 3 + 2*0] / 1) + 1 = 2"),
        (Relu(), (1, 4, 4), "as its input"),
        (GlobalAvgPool(), (512, 7, 7), "512 means of 7*7"),
    ],
)
def test_output_formula(layer: Layer, shape: tuple[int, ...], formula: str) -> None:
    assert layer.output_formula(shape) == formula


@pytest.mark.parametrize(
    ("layer", "shape", "formula"),
    [
        (Conv(32, (3, 3), groups=32), (32, 8, 8), "3*3*(32/32)*32 + 32 = 320"),
        (Conv(64, (3, 5), bias=False), (3, 8, 8), "3*5*3*64 = 2880"),
        (Dense(10, bias=False), (84,), "84*10 = 840"),
        (BatchNorm(), (64, 8, 8), "64 + 64 = 128"),
        (LayerNorm(), (64, 8, 8), "64 + 64 = 128"),
        (Scale(), (64, 8, 8), "64"),
        (Relu(), (64, 8, 8), "0"),
    ],
)
def test_parameters_formula(layer: Layer, shape: tuple[int, ...], formula: str) -> None:
    assert layer.parameters_formula(shape) == formula


# --- against PyTorch -------------------------------------------------------------------------------------------------


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@st.composite
def convolutions(draw: st.DrawFn) -> Conv:
    groups = draw(st.integers(1, 3))
    return Conv(
        groups * draw(st.integers(1, 3)),
        draw(pairs(1, 4)),
        stride=draw(pairs(1, 3)),
        padding=draw(pairs(0, 2)),
        dilation=draw(pairs(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
    )


@given(convolutions(), pairs(1, 12), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_convolution_is_torchs(conv: Conv, sides: tuple[int, int], share: int) -> None:
    shape = (conv.groups * share, *sides)
    try:
        expected = conv.output(shape)
    except NetworkError:
        assert any(conv.window().reach[axis] > sides[axis] + 2 * conv.zeros[axis] for axis in (0, 1))
        return
    module = conv.module(shape)
    x = torch.zeros(1, *shape, requires_grad=True)
    forward, backward = flops(module, x)
    assert module(x).shape[1:] == expected
    assert conv.parameters(shape) == sum(weight.numel() for weight in module.parameters())
    assert conv.cost(shape).forward_flops == forward
    if conv.groups == 1:  # with groups, PyTorch's count of the weight gradient forgets to divide by them
        assert conv.cost(shape).backward_flops == backward


@given(convolutions(), pairs(10, 12))
@settings(max_examples=10, deadline=None)
def test_first_convolution_needs_no_gradient_of_its_input(conv: Conv, sides: tuple[int, int]) -> None:
    shape = (conv.groups, *sides)
    cost = conv.cost(shape, first=True)
    assert cost.backward_flops == cost.forward_flops
    if conv.groups == 1:
        assert flops(conv.module(shape), torch.zeros(1, *shape)) == (cost.forward_flops, cost.backward_flops)


@given(st.integers(1, 20), st.integers(1, 20), st.booleans())
@settings(max_examples=20, deadline=None)
def test_dense_is_torchs(inputs: int, units: int, bias: bool) -> None:
    dense = Dense(units, bias=bias)
    module = dense.module((inputs,))
    x = torch.zeros(1, inputs, requires_grad=True)
    assert module(x).shape == (1, units)
    assert dense.parameters((inputs,)) == sum(weight.numel() for weight in module.parameters())
    cost = dense.cost((inputs,))
    assert flops(module, x) == (cost.forward_flops, cost.backward_flops)


@st.composite
def pools(draw: st.DrawFn) -> Layer:
    size, stride = draw(pairs(1, 4)), draw(st.none() | pairs(1, 3))
    padding = (draw(st.integers(0, size[0] // 2)), draw(st.integers(0, size[1] // 2)))
    return draw(
        st.sampled_from(
            [
                MaxPool(size, stride=stride, padding=padding),
                AvgPool(size, stride=stride, padding=padding),
                L2Pool(size, stride=stride),
            ]
        )
    )


@given(pools(), pairs(1, 10))
@settings(max_examples=50, deadline=None)
def test_pooling_is_torchs(pool: Layer, sides: tuple[int, int]) -> None:
    shape = (2, *sides)
    x = torch.rand(1, *shape, requires_grad=True)
    try:
        expected = pool.output(shape)
    except NetworkError:
        with pytest.raises(RuntimeError):
            pool.module(shape)(x)
        return
    assert pool.module(shape)(x).shape[1:] == expected
    assert pool.cost(shape).backward_bytes == kept_bytes(pool.module(shape), x)


@pytest.mark.parametrize("layer", [*ACTIVATIONS, GlobalAvgPool(), Dropout(0.5), Flatten(), Conv(4, (3, 3))], ids=str)
def test_kept_bytes_are_what_autograd_keeps(layer: Layer) -> None:
    shape = (4, 6, 6)
    x = torch.rand(1, *shape, requires_grad=True)
    assert layer.cost(shape).backward_bytes == kept_bytes(layer.module(shape), x)
    assert layer.module(shape)(x).shape[1:] == layer.output(shape)


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_kept_bytes_are_the_input_or_the_output(layer: Layer) -> None:
    """An input that is kept anyway (a square keeps it) is not counted twice; an output is kept besides."""
    x = torch.rand(1, 4, 6, 6, requires_grad=True)
    module = nn.Sequential(Sigmoid().module((4, 6, 6)), layer.module((4, 6, 6)))
    cost = layer.cost((4, 6, 6), input_is_kept=True)
    assert kept_bytes(module, x) == 4 * x.numel() + cost.backward_bytes


@pytest.mark.parametrize("shape", [(4, 6, 6), (7,)])
def test_batch_norm_on_maps_and_rows(shape: tuple[int, ...]) -> None:
    module = BatchNorm().module(shape)
    assert module(torch.rand(3, *shape)).shape[1:] == BatchNorm().output(shape) == shape
    assert sum(weight.numel() for weight in module.parameters()) == BatchNorm().parameters(shape)
    assert BatchNorm().cost(shape) == Cost(7 * prod(shape), 9 * prod(shape), 4 * prod(shape), 4 * prod(shape))


@given(
    st.tuples(st.integers(2, 9), st.integers(1, 7), st.integers(1, 7)) | st.tuples(st.integers(2, 9)),
    st.sampled_from([1e-6, 1e-3, 0.5]),
)
@settings(max_examples=40, deadline=None)
def test_layer_norm_is_the_papers(incoming: tuple[int, ...], eps: float) -> None:
    """Over the channels of each place; and the memory that autograd keeps, in training's memory order."""
    layer, x = LayerNorm(eps=eps), torch.randn(2, *incoming)
    if len(incoming) == 3:
        x = x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    module = layer.module(incoming)
    torch.nn.init.normal_(module.get_parameter("weight"))
    torch.nn.init.normal_(module.get_parameter("bias"))
    across = (-1, *[1] * (len(incoming) - 1))
    centred = x - x.mean(1, keepdim=True)
    expected = centred / (centred.square().mean(1, keepdim=True) + eps).sqrt()
    expected = expected * module.get_parameter("weight").view(across) + module.get_parameter("bias").view(across)

    assert torch.allclose(module(x), expected, atol=1e-3, rtol=1e-3)
    assert module(x).shape[1:] == layer.output(incoming) == incoming
    assert layer.parameters(incoming) == sum(weight.numel() for weight in module.parameters())
    assert 2 * layer.cost(incoming).backward_bytes == kept_bytes(module, x)
    assert {name: tuple(each.shape) for name, each in module.state_dict().items()} == {
        name: shape for name, (_, shape) in layer.state(incoming).items()
    }


@pytest.mark.parametrize("shape", [(4, 6, 5), (7,)])
def test_a_scale_starts_as_written_and_multiplies_each_channel(shape: tuple[int, ...]) -> None:
    layer, x = Scale(0.25), torch.rand(2, *shape, requires_grad=True)
    module = layer.module(shape)
    assert torch.equal(module(x), x * 0.25)
    with torch.no_grad():
        module.get_parameter("weight")[1] = 3
    assert torch.equal(module(x)[:, 1], x[:, 1] * 3)
    assert torch.equal(module(x)[:, 0], x[:, 0] * 0.25)
    assert layer.parameters(shape) == module.get_parameter("weight").numel() == shape[0]
    assert 2 * layer.cost(shape).backward_bytes == kept_bytes(module, x)


def test_l2_pooling_is_the_root_of_the_sum_of_squares_with_a_gradient_at_zero() -> None:
    x = torch.tensor([[[[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]], requires_grad=True)
    y = L2Pool((2, 2)).module((1, 2, 4))(x)
    y.sum().backward()
    assert y.tolist() == [[[[5.0, 0.0]]]]
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([0.6, 0.8, 0, 0, 0, 0, 0, 0])


def test_a_layer_that_nothing_before_it_learns_for_costs_nothing_backward() -> None:
    cost = MaxPool((2, 2)).cost((1, 4, 4), first=True)
    assert cost == Cost(forward_flops=16, backward_flops=0, forward_bytes=16, backward_bytes=0)


# --- initialisation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("he", sqrt(2 / (16 * 25))),
        ("lecun", sqrt(1 / (16 * 25))),
        ("glorot", sqrt(2 / (16 * 25 + 32 * 25))),
        ("normal", 0.01),
    ],
)
def test_initialisation(init: Init, deviation: float) -> None:
    torch.manual_seed(0)
    conv = Conv(64, (5, 5), groups=2, init=init).module((32, 8, 8))
    assert conv.bias is not None
    assert conv.bias.tolist() == [0.0] * 64
    assert conv.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert conv.weight.mean().item() == pytest.approx(0, abs=deviation / 20)
    if init == "glorot":
        assert conv.weight.abs().max().item() <= deviation * sqrt(3)


@pytest.mark.parametrize("layer", [Conv(4, (3, 3)), Dense(5, init="normal")], ids=str)
def test_initialisation_follows_the_seed(layer: Layer) -> None:
    shape = (3, 8, 8) if isinstance(layer, Conv) else (6,)
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(layer.module(shape).get_parameter("weight"))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0, (3, 3)), "conv: filters must be 1 or more, not 0."),
        (lambda: Conv(10**400, (3, 3)), "conv: filters must be at most 100,000,000, not 1"),
        (lambda: Conv(1, (3, 3), padding=(-1, 0)), "conv: padding must be 0 or more, not -1."),
        (lambda: Conv(4, (3, 3), groups=3), "conv: 4 filters cannot be shared among 3 groups."),
        (
            lambda: AvgPool((3, 2), stride=(1, 1), padding="same"),
            "avgpool: padding=same with stride 1 needs an odd size, but size is 3x2.",
        ),
        (
            lambda: MaxPool((3, 3), padding=(2, 2)),
            "maxpool: padding=2 is more than half of size 3; some windows would lie outside the picture.",
        ),
        (lambda: Dropout(1.0), "dropout: rate must be less than 1, not 1.0."),
        (lambda: Dropout(float("nan")), "dropout: rate must be at most 100,000,000, not nan."),
        (lambda: Dense(0), "dense: units must be 1 or more, not 0."),
        (lambda: Conv(4, (3, 3)).output((10,)), "it needs [channels, height, width], but its input is [10]; "),
        (
            lambda: Dense(4).output((10, 3, 3)),
            "it needs a row of numbers, but its input is [10, 3, 3]; put flatten or globalavgpool before it",
        ),
        (
            lambda: Conv(4, (3, 3), groups=2).output((3, 8, 8)),
            "its input has 3 channels, which cannot be shared among 2 groups; use a number of groups that divides 3",
        ),
        (
            lambda: Conv(4, (5, 5)).output((3, 4, 4)),
            "its input is 4x4, and ([4 - 5 + 2*0] / 1) + 1 = 0; use size 4 or less, padding=1 or more",
        ),
        (
            lambda: L2Pool((5, 5)).output((3, 4, 4)),
            "its input is 4x4, and floor([4 - 5 + 2*0] / 5) + 1 = 0; use size 4 or less",
        ),
    ],
)
def test_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(NetworkError) as raised:
        make()
    assert str(raised.value).startswith(message)


@given(convolutions(), pairs(1, 6))
@settings(max_examples=100, deadline=None)
def test_what_an_error_says_would_fit_fits(conv: Conv, sides: tuple[int, int]) -> None:
    try:
        conv.output((conv.groups, *sides))
    except NetworkError as error:
        message = str(error)
        size = message.split("use size ")[1].split(" or less")[0]
        padding = message.split("padding=")[1].split(" or more")[0]
        for change in ({"size": size}, {"padding": padding}):
            values = {name: tuple(map(int, (text.split("x") * 2)[:2])) for name, text in change.items()}
            fitting = Conv(**{**conv.__dict__, **values})
            assert min(fitting.output((conv.groups, *sides))) >= 1


def test_one_way_to_say_it() -> None:
    assert MaxPool((2, 2), stride=(2, 2)) == MaxPool((2, 2))
    assert Conv(1, (3, 3), padding="valid") == Conv(1, (3, 3))
    assert Conv(1, (3, 3), init="xavier") == Conv(1, (3, 3), init="glorot")
    assert Dense(1, init="xavier") == Dense(1)


def test_every_kind_has_its_own_word() -> None:
    assert len({kind.word for kind in KINDS}) == len(KINDS)
