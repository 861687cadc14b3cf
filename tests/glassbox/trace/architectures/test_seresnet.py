"""Hu et al. 2018, "Squeeze-and-excitation networks"."""

import pytest
import torch
from torch import Tensor, nn


class Excitation(nn.Module):
    """Section 3.1 and 3.2, eq. 2 to 4: each channel's average, two dense layers, a gate for each channel."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Sequential(
            nn.Linear(width, width // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(width // reduction, width, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, width = x.shape[:2]
        gate = self.excite(self.squeeze(x).view(batch, width)).view(batch, width, 1, 1)
        return x * gate.expand_as(x)


class Bottleneck(nn.Module):
    """Figure 3: a ResNet bottleneck (He et al. 2016, figure 5) whose residual branch is gated."""

    def __init__(self, width: int, inner: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out)
        self.se, self.relu = Excitation(out, 4), nn.ReLU(inplace=True)
        straight = stride == 1 and width == out
        self.down = (
            None if straight else nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.se(self.bn3(self.conv3(y)))
        y += x if self.down is None else self.down(x)
        return self.relu(y)


class SeResNet(nn.Module):
    """Table 1's stem and head, with two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Bottleneck(8, 4, 16, 1), Bottleneck(16, 4, 16, 1))
        self.layer2 = Bottleneck(16, 6, 24, 2)
        self.average, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn(self.conv(x))))
        x = self.layer2(self.layer1(x))
        return self.head(torch.flatten(self.average(x), 1))


@pytest.mark.parametrize("training", [False, True])
def test_se_resnet(follow, training) -> None:
    follow(SeResNet(), (3, 32, 32), training).check()
