"""Where it looked: Captum's maps against manual ones, the choice of Grad-CAM's layer, and nothing left behind."""

import json
from base64 import b64decode

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pellucid.errors import TraceError
from pellucid.glassbox.why.attribution import METHODS, Method, attribute, grad_cam_layer, overlay
from pellucid.glassbox.why.colormap import ABOVE, BELOW, STRONGEST
from pellucid.network.zoo import find


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))


class Corner(nn.Module):
    """Sees only the upper left 4x4 pixels; writes into its own activations."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.conv.weight.copy_(torch.stack([torch.full((3, 3, 3), 0.1), torch.full((3, 3, 3), -0.1)]))
            self.head.weight.copy_(torch.tensor([[40.0, 0.0], [-40.0, 0.0]]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.zeros_like(x)
        mask[..., :4, :4] = 1
        return self.head(self.relu(self.norm(self.conv(x * mask))).mean((2, 3)))


class Functional(nn.Module):
    """Convolution and pooling as functions; in-place operations on the input and on a layer's output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2.0)
        x = functional.relu(self.stem(x), inplace=True)
        x = x + 1.0
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Stubborn(Functional):
    """Overwrites the numbers that the gradient of tanh needs: it cannot be differentiated."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        x += 1.0
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def linear() -> nn.Sequential:
    module = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 2))
    with torch.no_grad():
        layer = module[1]
        assert isinstance(layer, nn.Linear)
        layer.weight.copy_(torch.arange(64.0).view(2, 32) - 30)
        layer.bias.copy_(torch.tensor([5.0, -7.0]))
    return module


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_linear_network_by_hand(method: Method) -> None:
    """weight * input of each channel added up; 4 pixels a side make occlusion's window a single pixel."""
    x = picture(2, 4, 4)
    attribution = attribute(linear(), x, 1, method)
    weight = (torch.arange(32.0) + 2).view(2, 4, 4)
    assert attribution.map.dtype == np.float32
    assert attribution.map == pytest.approx((weight * x[0]).sum(0).numpy(), abs=1e-4)
    assert attribution.baseline_logit == pytest.approx(-7)
    assert attribution.logit == pytest.approx(float((weight * x[0]).sum()) - 7, abs=1e-4)
    assert (attribution.method, attribution.layer, attribution.target) == (method, None, 1)
    if method == "integrated_gradients":
        assert attribution.completeness_error == pytest.approx(0, abs=1e-3)
    else:
        assert attribution.completeness_error is None


def test_grad_cam_by_hand() -> None:
    """Maps A1 = x, A2 = -x; logit 1 = 8 * mean(A1) + 16 * mean(A2); so weights 8/16, 16/16 and the map relu(-x/2)."""
    module = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    convolution, head = module[0], module[3]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        head.weight.copy_(torch.tensor([[0.0, 0.0], [8.0, 16.0]]))
    x = picture(1, 4, 4)
    attribution = attribute(module, x, 1, "grad_cam")
    assert attribution.layer == "0"
    assert attribution.completeness_error is None
    assert attribution.map == pytest.approx(np.maximum(-x[0, 0].numpy() / 2, 0), abs=1e-6)


def test_grad_cam_is_enlarged_between_the_places() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 2, stride=2), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    x = torch.zeros(1, 1, 4, 4)
    x[..., :2, :2] = 1.0
    attribution = attribute(module, x, 0, "grad_cam")
    # maps 5, 1, 1, 1, each weighted with 1; a quarter of the way from one place to the next and so on
    along = np.array([1.0, 0.75, 0.25, 0.0])
    assert attribution.map == pytest.approx(1 + 4 * np.outer(along, along), abs=1e-6)


@pytest.mark.parametrize(
    "text", ["lenet5", "conv(6, 3, padding=1) batchnorm relu maxpool(2) conv(8, 3) gelu flatten dense"]
)
def test_integrated_gradients_add_up(text: str) -> None:
    torch.manual_seed(3)
    named = find(text)
    shape = named.input or (3, 20, 20)
    module = named.network.module(shape, 4)
    attribution = attribute(module, picture(*shape), 2, "integrated_gradients")
    assert attribution.completeness_error is not None
    assert abs(attribution.completeness_error) <= 0.02 * max(abs(attribution.logit - attribution.baseline_logit), 1)
    change = attribution.map.sum(dtype=np.float64)
    assert attribution.completeness_error == pytest.approx(change - (attribution.logit - attribution.baseline_logit))


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_looks_at_one_corner(method: Method) -> None:
    x = picture(3, 16, 16).abs() + 0.5
    attribution = attribute(Corner().eval(), x, 0, method)
    evidence = np.maximum(attribution.map, 0)
    # the 3x3 convolution, and occlusion's windows, reach one pixel further
    assert evidence[:5, :5].sum() > 0.95 * evidence.sum() > 0
    assert attribution.deletion.trust > 0
    assert "can be trusted" in attribution.deletion.verdict


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("lenet5", (1, 32, 32), "tanh2"),  # conv3 has one place only
        ("compact", (3, 64, 64), "relu6"),  # after the last addition: not one branch of it
        ("resnet18", (3, 64, 64), "relu9"),
        ("article", (3, 40, 40), "relu1"),
    ],
)
def test_grad_cam_chooses_its_layer(name: str, shape: tuple[int, int, int], layer: str) -> None:
    module = find(name).network.module(shape, 3)
    assert grad_cam_layer(module, picture(*shape)) == layer


def test_grad_cam_chooses_in_any_module() -> None:
    assert grad_cam_layer(Corner(), picture(3, 8, 8)) == "relu"
    assert grad_cam_layer(Functional(), picture(3, 8, 8)) == "stem"
    without = nn.Sequential(nn.AvgPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2))
    assert grad_cam_layer(without, picture(3, 8, 8)) == "1"
    with pytest.raises(TraceError, match="No layer of this network gives feature maps"):
        attribute(linear(), picture(2, 4, 4), 0, "grad_cam")


def test_a_layer_may_be_asked_for() -> None:
    module, x = Corner(), picture(3, 8, 8)
    assert attribute(module, x, 0, "grad_cam", layer="conv").layer == "conv"
    with pytest.raises(
        TraceError, match=r"no layer with feature maps 'cnv'. Did you mean conv\? There are: conv, norm, relu"
    ):
        attribute(module, x, 0, "grad_cam", layer="cnv")
    with pytest.raises(TraceError, match="'head'"):
        attribute(module, x, 0, "grad_cam", layer="head")
    with pytest.raises(TraceError, match="occlusion does not use a layer"):
        attribute(module, x, 0, "occlusion", layer="conv")


def state(module: nn.Module) -> list[object]:
    return [
        *(part.training for part in module.modules()),
        *(getattr(part, "inplace", None) for part in module.modules()),
        *(len(part._forward_hooks) + len(part._backward_hooks) for part in module.modules()),
        *(parameter.requires_grad for parameter in module.parameters()),
        *(None if parameter.grad is None else parameter.grad.tolist() for parameter in module.parameters()),
        *(tensor.tolist() for tensor in module.state_dict().values()),
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [Corner, Functional])
def test_nothing_is_changed(kind: type[nn.Module], method: Method) -> None:
    module, x = kind().train(), picture(3, 12, 12)
    for number, parameter in enumerate(module.parameters()):
        parameter.requires_grad_(number % 2 == 0)
        parameter.grad = torch.ones_like(parameter) if number == 0 else None
    before, untouched = state(module), x.clone()
    trained = attribute(module, x, 1, method)
    with torch.inference_mode():
        again = attribute(module, x, 1, method)
    assert state(module) == before
    assert torch.equal(x, untouched)
    assert x.grad is None
    assert np.array_equal(trained.map, again.map)
    assert np.array_equal(trained.map, attribute(module.eval(), x, 1, method).map)


def test_what_cannot_be_shown() -> None:
    x = picture(2, 4, 4)
    with pytest.raises(TraceError, match="no method 'lime'; the methods are integrated_gradients, occlusion, grad_cam"):
        attribute(linear(), x, 0, "lime")  # pyright: ignore[reportArgumentType]
    for target in (2, -1):
        with pytest.raises(TraceError, match=rf"no class {target}: the network gives \[2\] scores"):
            attribute(linear(), x, target, "occlusion")
    with pytest.raises(TraceError, match=r"\[2, 2, 4, 4\]; one picture is \[1, channels"):
        attribute(linear(), torch.cat([x, x]), 0, "occlusion")
    with pytest.raises(TraceError, match="not finite"):
        attribute(linear(), x * torch.nan, 0, "integrated_gradients")


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam"])
def test_a_network_without_gradients(method: Method) -> None:
    x = picture(3, 8, 8)
    with pytest.raises(TraceError, match=f"{method} needs gradients; .* occlusion needs none"):
        attribute(Stubborn(), x, 0, method)
    assert np.ptp(attribute(Stubborn(), x, 0, "occlusion").map) > 0


def test_as_json() -> None:
    attribution = attribute(linear(), picture(2, 4, 4), 1, "integrated_gradients")
    document = json.loads(json.dumps(attribution.as_json(), allow_nan=False))
    heat = np.frombuffer(b64decode(document["map"]["base64"]), "<f4").reshape(document["map"]["shape"])
    assert np.array_equal(heat, attribution.map)
    assert document["deletion"]["verdict"] == attribution.deletion.verdict
    error = attribution.completeness_error
    assert {key: document[key] for key in ("method", "layer", "target", "completeness_error")} == {
        "method": "integrated_gradients", "layer": None, "target": 1, "completeness_error": error,
    }  # fmt: skip


def test_overlay() -> None:
    image = np.full((100, 150, 3), (200, 100, 50), np.uint8)
    heat = np.zeros((100, 150), np.float32)
    heat[10:40, 10:40], heat[50:80, 50:80], heat[0, 0] = 2, -1, 100  # one pixel alone does not set the scale
    seen = overlay(image, heat)
    grey = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert (seen.dtype, seen.shape) == (np.uint8, (300, 450, 3))
    assert seen[299, 449].tolist() == [round(grey)] * 3
    full, half = STRONGEST, STRONGEST / 2
    assert seen[60, 60] == pytest.approx((1 - full) * grey + full * np.array(ABOVE[0]), abs=1)
    assert seen[180, 180] == pytest.approx((1 - half) * grey + half * np.array(BELOW[0]), abs=1)
    assert overlay(np.zeros((300, 300, 3), np.uint8), np.zeros((300, 300), np.float32)).max() == 0
    with pytest.raises(TraceError, match="the same size"):
        overlay(image, heat[:50])
