"""The torch module of a convolution with TensorFlow's "same" padding. Imports torch: only where one is built."""

from typing import Any

from torch import Tensor, nn

from pellucid.network.placewise import Zeros


class SameConv2d(nn.Conv2d):
    """A convolution whose zeros follow from the input's size: float32 (n, C, H, W) -> (n, filters, ceil(H / S), ...).

    Its own `padding` is 0. Weights have the names that nn.Conv2d gives them.
    """

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        down, across = (self.dilation[axis] * (self.kernel_size[axis] - 1) + 1 for axis in (0, 1))
        self.zeros = Zeros((down, across), (self.stride[0], self.stride[1]))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(self.zeros(input))
