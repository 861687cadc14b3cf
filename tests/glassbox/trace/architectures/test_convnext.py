"""Woo et al. 2023, "ConvNeXt V2: co-designing and scaling ConvNets with masked autoencoders"."""

import torch
from torch import Tensor, nn


class ResponseNorm(nn.Module):
    """Global response normalisation, section 3.2, eq. 1 to 3 and algorithm 1, channels last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        size = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        relative = size / (size.mean(-1, keepdim=True) + 1e-6)
        return self.gamma * (x * relative) + self.beta + x


class ChannelsFirstNorm(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Figure 5: a depthwise 7x7 convolution, then dense layers in channels last with the norm between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.wide, self.act, self.response = nn.Linear(width, 4 * width), nn.GELU(), ResponseNorm(4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(self.response(self.act(self.wide(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvNextV2(nn.Module):
    """Two stages of ConvNeXt (Liu et al. 2022, section 2.6: a norm and a 2x2 convolution between them)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 4, 4), ChannelsFirstNorm(6, eps=1e-6))
        self.stage1 = nn.Sequential(Block(6), Block(6))
        self.down = nn.Sequential(ChannelsFirstNorm(6, eps=1e-6), nn.Conv2d(6, 10, 2, 2))
        self.stage2 = Block(10)
        self.norm, self.head = nn.LayerNorm(10, eps=1e-6), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage2(self.down(self.stage1(self.stem(x))))
        return self.head(self.norm(x.mean((-2, -1))))


def test_convnext_v2(follow) -> None:
    follow(ConvNextV2(), (3, 32, 32)).check()
