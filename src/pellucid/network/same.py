"""The torch modules of layers with TensorFlow's "same" padding. Imports torch: only to build one."""

from typing import Any

from torch import Tensor, nn

from pellucid.network.placewise import Zeros
from pellucid.network.window import Pair, same_zeros


class SameConv2d(nn.Conv2d):
    """A convolution whose zeros follow from the input's size: float32 (n, C, H, W) -> (n, filters, ceil(H / S), ...).

    Its own `padding` is 0. Its weights have nn.Conv2d's names.
    """

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        down, across = (self.dilation[axis] * (self.kernel_size[axis] - 1) + 1 for axis in (0, 1))
        self.zeros = Zeros((down, across), (self.stride[0], self.stride[1]))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(self.zeros(input))


class SameMaxPool2d(nn.MaxPool2d):
    """The largest numbers of windows that may overlap the edges: (n, C, H, W) -> (n, C, ceil(H / S), ceil(W / S)).

    If one side overlaps by one number more, it is the last: torch's `ceil_mode`.
    """

    def forward(self, input: Tensor) -> Tensor:
        size, step = _both(self.kernel_size), _both(self.stride)
        return nn.functional.max_pool2d(input, size, step, _before(input, size, step), ceil_mode=True)


class SameAvgPool2d(nn.AvgPool2d):
    """The means of the same windows, without the padding."""

    def forward(self, input: Tensor) -> Tensor:
        size, step = _both(self.kernel_size), _both(self.stride)
        before = _before(input, size, step)
        return nn.functional.avg_pool2d(input, size, step, before, ceil_mode=True, count_include_pad=False)


def _before(sample: Tensor, size: Pair, step: Pair) -> Pair:
    """How far the first windows overlap the edge, along height and width."""
    down, across = (same_zeros(sample.shape[2 + axis], size[axis], step[axis])[0] for axis in (0, 1))
    return down, across


def _both(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
