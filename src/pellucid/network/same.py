"""The torch module of a convolution with TensorFlow's "same" padding. Imports torch: only where one is built."""

from torch import Tensor, nn

from pellucid.network.window import same_zeros


class SameConv2d(nn.Conv2d):
    """A convolution whose zeros follow from the input's size: float32 (n, C, H, W) -> (n, filters, ceil(H / S), ...).

    Its own `padding` is 0. Weights have the names that nn.Conv2d gives them.
    """

    def forward(self, input: Tensor) -> Tensor:
        reach = [self.dilation[axis] * (self.kernel_size[axis] - 1) + 1 for axis in (0, 1)]
        down, across = (same_zeros(input.shape[2 + axis], reach[axis], self.stride[axis]) for axis in (0, 1))
        return super().forward(nn.functional.pad(input, (*across, *down)))
