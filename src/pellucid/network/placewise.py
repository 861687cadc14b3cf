"""The torch modules of layers that work at every place alike. Imports torch: only where one is built."""

import torch
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place: float32 (n, C, H, W) -> (n, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelScale(nn.Module):
    """Each channel times its `weight`, float32 (C): (n, C, ...) -> the same shape."""

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), init))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight.reshape(-1, *[1] * (input.dim() - 2))
