"""Whole networks: names, shapes, modules, residuals, and the messages for sizes that do not fit."""

import pytest
import torch
from torch import nn

from pellucid.errors import NetworkError
from pellucid.glassbox.trace.recording import explain
from pellucid.network.layers import Dense, Shape
from pellucid.network.network import Network
from pellucid.network.text import parse

SMALL = (
    "conv(8, 3, stride=2, padding=1, bias=false) batchnorm relu "
    "residual(conv(8, 3, padding=same) relu | conv(8, 1)) residual(relu conv(8, 3, padding=1)) "
    "maxpool(2) globalavgpool dropout(0.5) dense(6) tanh dense"
)


def test_steps_of_the_articles_network() -> None:
    steps = parse("conv(10, 5) relu maxpool(2) flatten dense").shapes((3, 300, 300), 2)
    assert [(step.name, step.output) for step in steps] == [
        ("conv1", (10, 296, 296)),
        ("relu1", (10, 296, 296)),
        ("maxpool1", (10, 148, 148)),
        ("flatten1", (219040,)),
        ("dense1", (2,)),
    ]
    assert [step.input for step in steps[1:]] == [step.output for step in steps[:-1]]
    assert steps[-1].layer == Dense(2)


def test_names_count_each_kind_from_one() -> None:
    steps = parse("conv(4, 3) relu conv(4, 3) relu leaky_relu flatten dense").shapes((1, 8, 8), 3)
    assert [step.name for step in steps] == [
        "conv1", "relu1", "conv2", "relu2", "leaky_relu1", "flatten1", "dense1",
    ]  # fmt: skip


def test_a_word_that_ends_with_a_digit_keeps_its_number_apart() -> None:
    network = parse(f"conv(4, 3) {'relu6 ' * 10}residual(conv(4, 3, padding=same) relu6) flatten dense")
    steps = network.shapes((1, 8, 8), 3)
    assert [step.name for step in steps][1:3] == ["relu6_1", "relu6_2"]
    assert steps[10].name == "relu6_10", "not relu610, the 610th relu"
    module = network.module((1, 8, 8), 3)
    assert isinstance(module.get_submodule("relu6_10"), nn.ReLU6)
    assert isinstance(module.get_submodule("residual1.body.relu6_1"), nn.ReLU6)
    assert not [name for name in module.state_dict() if "relu6" in name], "no file holds such a name"
    trace = explain(module, torch.rand(1, 8, 8))
    assert {"relu6_10", "residual1.body.relu6_1"} <= set(trace.values)
    working = trace.unit("relu6_10[3, 2, 1]")
    assert working.total == pytest.approx(float(working.recorded), abs=1e-6)


def test_module_is_ordinary_torch_with_readable_names() -> None:
    network = parse(SMALL)
    module = network.module((3, 16, 12), 5)
    assert [name for name, _ in module.named_children()] == [step.name for step in network.shapes((3, 16, 12), 5)]
    assert isinstance(module.get_submodule("residual1.body.conv1"), nn.Conv2d)
    assert isinstance(module.get_submodule("residual1.shortcut.conv1"), nn.Conv2d)
    assert isinstance(module.get_submodule("residual2.shortcut"), nn.Identity)
    assert module(torch.rand(2, 3, 16, 12)).shape == (2, 5)


def test_every_step_has_its_modules_shape() -> None:
    network = parse(SMALL)
    x = torch.rand(2, 3, 16, 12)
    module = network.module((3, 16, 12), 5)
    for step in network.shapes((3, 16, 12), 5):
        x = module.get_submodule(step.name)(x)
        assert x.shape[1:] == step.output


def test_residual_adds() -> None:
    x = torch.randn(1, 2, 3, 3)
    assert torch.equal(parse("residual(relu | tanh)").layers[0].module((2, 3, 3))(x), x.relu() + x.tanh())
    assert torch.equal(parse("residual(relu)").layers[0].module((2, 3, 3))(x), x.relu() + x)


def test_the_seed_decides_the_weights() -> None:
    networks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        networks.append(parse(SMALL).module((3, 16, 16), 2))
    first, same, other = (torch.nn.utils.parameters_to_vector(each.parameters()) for each in networks)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_module_can_be_exported() -> None:
    module = parse(SMALL).module((3, 16, 16), 2).eval()
    x = torch.rand(2, 3, 16, 16)
    exported = torch.export.export(module, (x,)).module()
    assert torch.allclose(exported(x), module(x))


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        (
            "conv(10, 5) relu dense",
            (3, 300, 300),
            "dense1 `dense(2)`: it needs a row of numbers, but its input is [10, 296, 296]; "
            "put flatten or globalavgpool before it.",
        ),
        (
            "conv(8, 3) maxpool(2) conv(8, 3) maxpool(2) conv(8, 5) flatten dense",
            (3, 12, 12),
            "conv3 `conv(8, 5)`: its input is 1x1, and ([1 - 5 + 2*0] / 1) + 1 = -3; use size 1 or less, "
            "padding=2 or more, or a picture of at least 26x26.",
        ),
        (
            "maxpool(5x3) flatten dense",
            (1, 4, 9),
            "maxpool1 `maxpool(5x3)`: its input is 4x9, and height floor([4 - 5 + 2*0] / 5) + 1 = 0, "
            "width ([9 - 3 + 2*0] / 3) + 1 = 3; use size 4x3 or less, padding=1x0 or more, "
            "or a picture of at least 5x3.",
        ),
        (
            "residual(conv(8, 3) residual(conv(8, 11))) flatten dense",
            (3, 9, 9),
            "residual1.body.residual1.body.conv1 `conv(8, 11)`: its input is 7x7, and "
            "([7 - 11 + 2*0] / 1) + 1 = -3; use size 7 or less, padding=2 or more, "
            "or a picture of at least 13x13.",
        ),
        (
            "flatten conv(8, 3) dense",
            (3, 12, 14),
            "conv1 `conv(8, 3)`: it needs [channels, height, width], but its input is [504]; "
            "put it before flatten, globalavgpool and dense.",
        ),
        (
            "conv(8, 3)",
            (3, 9, 9),
            "The network ends with [8, 7, 7], but 2 classes need [2]: "
            "end it with flatten dense or globalavgpool dense.",
        ),
        ("flatten", (3, 1, 1), "The network ends with [3], but 2 classes need [2]: end it with dense."),
        (
            "flatten dense(10)",
            (3, 9, 9),
            "The network ends with [10], but 2 classes need [2]: write the last dense without a number.",
        ),
        (
            "flatten dense relu dense",
            (3, 9, 9),
            "dense1 `dense`: only the last layer takes its units from the number of classes; "
            "write how many, dense(64).",
        ),
        (
            "residual(conv(8, 3)) flatten dense",
            (3, 9, 9),
            "residual1: the body gives [8, 7, 7] but the input, which is added as it is, [3, 9, 9], and only equal "
            "sizes can be added; change the layers of one, or pad them, until both give the same.",
        ),
        (
            "residual(conv(8, 3, padding=1, stride=2) | conv(8, 1)) flatten dense",
            (3, 9, 9),
            "residual1: the body gives [8, 5, 5] but the shortcut [8, 9, 9], and only equal sizes can be added; "
            "the shortcut conv(8, 1, stride=2) would fit.",
        ),
    ],
)
def test_sizes_that_do_not_fit(text: str, shape: Shape, message: str) -> None:
    with pytest.raises(NetworkError) as raised:
        parse(text).shapes(shape, 2)
    assert str(raised.value) == message


def test_the_picture_that_an_error_asks_for_is_the_smallest_that_fits() -> None:
    network = parse("conv(8, 3) maxpool(2) conv(8, 3) maxpool(2) conv(8, 5) flatten dense")
    assert network.shapes((3, 26, 26), 2)[-1].output == (2,)
    for height, width in ((25, 26), (26, 25)):
        with pytest.raises(NetworkError, match="at least 26x26"):
            network.shapes((3, height, width), 2)


def test_the_shortcut_that_an_error_offers_fits() -> None:
    body = "conv(8, 3, padding=1, stride=2)"
    steps = parse(f"residual({body} | conv(8, 1, stride=2)) flatten dense").shapes((3, 9, 9), 2)
    assert steps[0].output == (8, 5, 5)


def test_a_network_needs_a_layer() -> None:
    with pytest.raises(NetworkError, match=r"^A network needs a layer\.$"):
        Network(())
