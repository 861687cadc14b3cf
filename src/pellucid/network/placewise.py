"""The torch modules of layers that work the same at every place, and of zeros. Imports torch: only to build one.

Each reshaping is a module of its own. So the last step of a layer, which computes its output, is alone in its module
and has the layer's name in the glass box.
"""

import torch
from torch import Tensor, nn

from pellucid.network.window import Pair, same_zeros


class Zeros(nn.Module):
    """The zeros around a picture that give ceil(H / S) x ceil(W / S) outputs: (n, C, H, W) -> (n, C, H + ..., W + ...).

    A separate module, so the convolution's output has the convolution's name in the glass box.
    """

    def __init__(self, reach: Pair, stride: Pair) -> None:
        super().__init__()
        self.reach, self.stride = reach, stride

    def forward(self, input: Tensor) -> Tensor:
        down, across = (same_zeros(input.shape[2 + axis], self.reach[axis], self.stride[axis]) for axis in (0, 1))
        return nn.functional.pad(input, (*across, *down))


class Spread(nn.Module):
    """One number per channel, reshaped to meet maps: (..., C) -> (..., C, 1, 1), or unchanged for a row."""

    def forward(self, numbers: Tensor, joined: Tensor) -> Tensor:
        return numbers.reshape(*numbers.shape, *[1] * (joined.dim() - 2))


class OverChannels(nn.Module):
    """Layer norm over the channels of each place: (n, C, H, W) -> (n, H, W, C)."""

    def forward(self, input: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return nn.functional.layer_norm(input.permute(0, 2, 3, 1), weight.shape, weight, bias, eps)


class ChannelNorm(nn.LayerNorm):
    """The same, permuted back: float32 (n, C, H, W) -> (n, C, H, W)."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__(channels, eps)
        self.norm = OverChannels()

    def forward(self, input: Tensor) -> Tensor:
        return self.norm(input, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class ChannelScale(nn.Module):
    """Each channel times its `weight`, float32 (C): (n, C, ...) -> the same shape."""

    def __init__(self, channels: int, init: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), init))
        self.spread = Spread()

    def forward(self, input: Tensor) -> Tensor:
        return input * self.spread(self.weight, input)
