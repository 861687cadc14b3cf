"""The measured networks in the usual style of PyTorch users, for both PyTorch peers."""

import torch
from torch import Tensor, nn


def build(network: str, classes: int = 2) -> nn.Module:
    """Build a network. `article`, `small` and `tiny` take the width of their first dense layer from the first batch."""
    return nn.Sequential(*LAYERS[network](classes))


def article(classes: int) -> list[nn.Module]:
    return [nn.Conv2d(3, 10, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(classes)]


def small(classes: int) -> list[nn.Module]:
    layers = []
    for before, filters in ((3, 32), (32, 32), (32, 64)):
        layers += [nn.Conv2d(before, filters, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return [*layers, nn.Flatten(), nn.LazyLinear(64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, classes)]


def tiny(classes: int) -> list[nn.Module]:
    return [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(classes)]


class Block(nn.Module):
    """Two convolutions and a shortcut, which is a strided 1x1 convolution if the shape changes."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(before, filters, 3, stride), nn.ReLU(), *convolution(filters, filters, 3, 1)
        )
        changes = stride != 1 or before != filters
        self.shortcut = nn.Sequential(*convolution(before, filters, 1, stride)) if changes else nn.Identity()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


def convolution(before: int, filters: int, size: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, filters, size, stride, size // 2, bias=False), nn.BatchNorm2d(filters)]


def head(filters: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters, classes)]


def compact(classes: int) -> list[nn.Module]:
    stem = [*convolution(3, 16, 3, 2), nn.ReLU(), *convolution(16, 32, 3, 2), nn.ReLU()]
    return [*stem, Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2), Block(128, 256, 2), *head(256, classes)]


def resnet18(classes: int) -> list[nn.Module]:
    layers = [*convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for before, filters, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        layers += [Block(before, filters, stride), Block(filters, filters, 1)]
    return [*layers, *head(512, classes)]


class Same(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, as in EfficientNet-Lite: the odd zero comes last."""

    def forward(self, input: Tensor) -> Tensor:
        size, step = self.kernel_size[0], self.stride[0]
        zeros = max((-(-input.shape[2] // step) - 1) * step + size - input.shape[2], 0)
        if zeros % 2:
            return super().forward(nn.functional.pad(input, (zeros // 2, zeros - zeros // 2) * 2))
        padding = (zeros // 2, zeros // 2)
        return nn.functional.conv2d(input, self.weight, None, self.stride, padding, self.dilation, self.groups)


def same(before: int, filters: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [Same(before, filters, size, stride, groups=groups, bias=False), nn.BatchNorm2d(filters, eps=1e-3)]


class Inverted(nn.Module):
    """Widens, filters each channel and narrows, with a shortcut if the shape does not change."""

    def __init__(self, before: int, filters: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        widen = [*same(before, wide, 1), nn.ReLU6()] if expansion > 1 else []
        self.body = nn.Sequential(*widen, *same(wide, wide, size, stride, wide), nn.ReLU6(), *same(wide, filters, 1))
        self.skips = stride == 1 and before == filters

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.skips else self.body(x)


LITE0 = (  # blocks, size, stride, expansion, filters: Tan & Le 2019, table 1
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)


def efficientnet_lite0(classes: int) -> list[nn.Module]:
    layers, before = [*same(3, 32, 3, 2), nn.ReLU6()], 32
    for count, size, stride, expansion, filters in LITE0:
        for number in range(count):
            layers.append(Inverted(before, filters, size, stride if number == 0 else 1, expansion))
            before = filters
    return [*layers, *same(before, 1280, 1), nn.ReLU6(), *head(1280, classes)]


LAYERS = {
    "article": article,
    "small": small,
    "tiny": tiny,
    "compact": compact,
    "resnet18": resnet18,
    "efficientnet_lite0": efficientnet_lite0,
}


def ready(network: str, side: int) -> nn.Module:
    """The network, after one batch has set all widths."""
    model = build(network).eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, side, side))
    return model.train()
