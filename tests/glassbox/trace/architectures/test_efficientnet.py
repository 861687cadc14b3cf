"""Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks"."""

import torch
from torch import Tensor, nn


def normalised(width: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(width, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out, eps=1e-3))


class Excitation(nn.Module):
    """Squeeze and excitation (Hu et al. 2018), reduced from the block's input instead of its wide middle."""

    def __init__(self, wide: int, reduced: int) -> None:
        super().__init__()
        self.average, self.act = nn.AdaptiveAvgPool2d(1), nn.SiLU()
        self.reduce, self.expand = nn.Conv2d(wide, reduced, 1), nn.Conv2d(reduced, wide, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.act(self.reduce(self.average(x)))))


class MbConv(nn.Module):
    """Section 4: Sandler et al. 2018's inverted bottleneck with the gate, dropped at random in training (Huang et al.
    2016, "Deep networks with stochastic depth").
    """

    def __init__(self, width: int, out: int, ratio: int, kernel: int, stride: int, drop: float) -> None:
        super().__init__()
        wide = width * ratio
        self.drop, self.straight = drop, stride == 1 and width == out
        self.expand = nn.Sequential(normalised(width, wide, 1), nn.SiLU()) if ratio > 1 else nn.Identity()
        self.depthwise = nn.Sequential(normalised(wide, wide, kernel, stride, wide), nn.SiLU())
        self.se = Excitation(wide, max(1, width // 4))
        self.project = normalised(wide, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.se(self.depthwise(self.expand(x))))
        if not self.straight:
            return y
        if self.training and self.drop > 0:
            y = y * (torch.rand(len(y), 1, 1, 1) >= self.drop) / (1 - self.drop)
        return x + y


class EfficientNet(nn.Module):
    """Table 1's stages, four of them narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(normalised(3, 6, 3, 2), nn.SiLU())
        self.blocks = nn.Sequential(
            MbConv(6, 4, 1, 3, 1, 0.0),
            MbConv(4, 6, 3, 3, 2, 0.1),
            MbConv(6, 6, 3, 3, 1, 0.1),
            MbConv(6, 8, 3, 5, 2, 0.2),
        )
        self.top = nn.Sequential(normalised(8, 20, 1), nn.SiLU())
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(20, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.average(self.top(self.blocks(self.stem(x)))).flatten(1))


def test_efficientnet(follow) -> None:
    follow(EfficientNet(), (3, 32, 32)).check()
