"""The named networks against their published figures."""

import pytest
import torch

from pellucid.errors import NetworkError
from pellucid.network import published
from pellucid.network.plan import plan
from pellucid.network.text import parse, write
from pellucid.network.zoo import NAMES, find


@pytest.mark.parametrize("name", NAMES)
def test_every_network_works_at_its_size(name: str) -> None:
    named = find(name)
    assert named.name == name
    assert (named.input is None) == (name == "compact")
    assert parse(write(named.network)) == named.network
    assert named.network.shapes(named.input or (3, 128, 128), 7)[-1].output == (7,)


def test_article() -> None:
    named = find("article")
    assert write(named.network) == "conv(10, 5) relu maxpool(2) flatten dense"
    assert named.input == (3, 300, 300)


def test_lenet5() -> None:
    """LeCun et al. 1998, figure 2."""
    network = find("lenet5").network
    outputs = {step.name: step.output for step in network.shapes((1, 32, 32), 10)}
    assert outputs["conv1"] == (6, 28, 28)
    assert outputs["avgpool1"] == (6, 14, 14)
    assert outputs["conv2"] == (16, 10, 10)
    assert outputs["avgpool2"] == (16, 5, 5)
    assert outputs["conv3"] == (120, 1, 1)
    assert outputs["dense1"] == (84,)
    module = network.module((1, 32, 32), 10)
    assert sum(weight.numel() for weight in module.parameters()) == 61706
    assert module.get_submodule("conv1").get_parameter("weight").numel() == 150


def test_resnet18() -> None:
    """He et al. 2015, table 1, and the parameters of the published weights."""
    named = find("resnet18")
    assert named.input == (3, 224, 224)
    outputs = {step.name: step.output for step in named.network.shapes((3, 224, 224), 1000)}
    assert outputs["conv1"] == (64, 112, 112)
    assert outputs["maxpool1"] == (64, 56, 56)
    stages = [outputs[f"residual{block}"] for block in range(1, 9)]
    assert stages == [(64, 56, 56)] * 2 + [(128, 28, 28)] * 2 + [(256, 14, 14)] * 2 + [(512, 7, 7)] * 2
    with torch.device("meta"):
        module = named.network.module((3, 224, 224), 1000)
    assert sum(weight.numel() for weight in module.parameters()) == 11_689_512


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # of the weights in timm's repositories
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("mobilenetv2_100", 3_504_872),
        ("mobilenetv3_large_100", 5_483_032),
        ("efficientnet_lite0", 4_652_008),
        ("convnext_tiny", 28_589_128),
    ],
)
def test_the_published_parameters(name: str, parameters: int) -> None:
    network = find(name).network
    with torch.device("meta"):
        module = network.module((3, 224, 224), 1000)
    assert sum(weight.numel() for weight in module.parameters()) == parameters
    assert plan(network, (3, 224, 224), 1000).parameters == parameters


@pytest.mark.parametrize(("name", "last"), [("resnet50", (2048, 7, 7)), ("mobilenetv3_large_100", (960, 7, 7))])
def test_maps_before_the_mean(name: str, last: tuple[int, int, int]) -> None:
    steps = find(name).network.shapes((3, 224, 224), 1000)
    assert next(step.input for step in steps if step.name == "globalavgpool1") == last


def test_tensorflows_variant_pads_and_norms_its_own_way() -> None:
    own, plain = (parse(published.text("mobilenetv3_large_100", tensorflow)) for tensorflow in (True, False))
    assert str(own.layers[0]) == "conv(16, 3, stride=2, padding=same, bias=false)"
    assert str(plain.layers[0]) == "conv(16, 3, stride=2, padding=1, bias=false)"
    assert (str(own.layers[1]), str(plain.layers[1])) == ("batchnorm(eps=0.001)", "batchnorm")


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 28, 28), (3, 97, 61)])
def test_compact_takes_any_picture_from_28_up(shape: tuple[int, int, int]) -> None:
    module = find("compact").network.module(shape, 3).eval()
    assert module(torch.rand(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize("text", ["flatten dense", "dense", " conv(8, 3)\nrelu ", "2*(relu)"])
def test_text_is_a_network_without_a_name(text: str) -> None:
    named = find(text)
    assert (named.name, named.input, named.network) == (None, None, parse(text))


def test_a_name_with_space_around_it() -> None:
    assert find(" article\n") == find("article")


def test_unknown_names() -> None:
    with pytest.raises(NetworkError) as raised:
        find("ResNet81")
    assert str(raised.value) == (
        "There is no network ResNet81. Did you mean resnet18? Names: article, lenet5, compact, resnet18, resnet34, "
        "resnet50, mobilenetv2_100, mobilenetv3_large_100, efficientnet_lite0, convnext_tiny; or write the layers, "
        "'conv(10, 5) relu maxpool(2) flatten dense'."
    )
    with pytest.raises(NetworkError, match=r"^There is no network q\. Names: article"):
        find("q")


def test_text_with_a_fault_gets_the_caret() -> None:
    with pytest.raises(NetworkError, match=r"\n            \^\nthere is no layer rellu; did you mean relu\?"):
        find("conv(10, 5) rellu flatten dense")
