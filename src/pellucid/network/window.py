"""The positions of a window along a picture: the article's output size, `([W - F + 2P] / S) + 1`."""

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import NetworkError

Shape = tuple[int, ...]
"""(channels, height, width) of a picture or feature map, or (features,) of a flat row."""

Pair = tuple[int, int]
"""One value along the height and one along the width; the text writes `3` if both agree, else `3x5`."""


class TooSmall(NetworkError):
    """The window is larger than its input; a larger picture would fit."""


def pair(value: Pair) -> str:
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"


def same_zeros(length: int, reach: int, stride: int) -> Pair:
    """The zeros before and after `length` numbers that give ceil(length / stride) outputs; an odd one goes after.

    TensorFlow's "same" padding. `reach`: how many numbers the window spans, D*(F-1) + 1.
    """
    total = max((-(-length // stride) - 1) * stride + reach - length, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Window:
    """Size F, stride S, padding P (zeros on each side) and dilation D, each along height and width."""

    size: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    can_pad: bool = True
    """Whether the layer has a padding to set."""
    same: bool = False
    """Whether to use TensorFlow's "same" padding: zeros for one output per S inputs, ceil(W / S); an odd zero goes
    last. It depends on the input's size; `padding` is ignored.
    """

    @property
    def reach(self) -> Pair:
        """How many numbers the window spans, from its first to its last: D*(F-1) + 1."""
        return self._along(lambda axis: self.dilation[axis] * (self.size[axis] - 1) + 1)

    def zeros(self, height: int, width: int) -> tuple[Pair, Pair]:
        """The zeros before and after the input: ((top, bottom), (left, right))."""
        down, across = (self._zeros(length, axis) for axis, length in enumerate((height, width)))
        return down, across

    def _zeros(self, length: int, axis: int) -> Pair:
        if not self.same:
            return self.padding[axis], self.padding[axis]
        return same_zeros(length, self.reach[axis], self.stride[axis])

    def output(self, height: int, width: int) -> Pair:
        """Output height and width. Raises TooSmall with the formula, its numbers, and what would fit."""
        lengths = (height, width)
        output = self._along(lambda axis: self._positions(lengths[axis], axis))
        if min(output) < 1:
            raise TooSmall(
                f"its input is {height}x{width}, and {self.formula(height, width)}; use {self._what_fits(lengths)}"
            )
        return output

    def formula(self, height: int, width: int) -> str:
        """`([300 - 5 + 2*0] / 1) + 1 = 296`; `floor([7 - 4 + 2*0] / 2) + 1 = 2` with a remainder."""
        along_height, along_width = self._axis_formula(height, 0), self._axis_formula(width, 1)
        if along_height == along_width:
            return along_height
        return f"height {along_height}, width {along_width}"

    def _positions(self, length: int, axis: int) -> int:
        if self.same:
            return -(-length // self.stride[axis])
        return (length - self.reach[axis] + 2 * self.padding[axis]) // self.stride[axis] + 1

    def _axis_formula(self, length: int, axis: int) -> str:
        if self.same:
            return f"ceil({length} / {self.stride[axis]}) = {self._positions(length, axis)}"
        size, dilation = self.size[axis], self.dilation[axis]
        reach = str(size) if dilation == 1 else f"({dilation}*({size} - 1) + 1)"
        inner = f"[{length} - {reach} + 2*{self.padding[axis]}] / {self.stride[axis]}"
        rest = (length - self.reach[axis] + 2 * self.padding[axis]) % self.stride[axis]
        return f"{f'floor({inner})' if rest else f'({inner})'} + 1 = {self._positions(length, axis)}"

    def _what_fits(self, lengths: Pair) -> str:
        """The largest window with this padding and dilation, and the least padding with this window, that fit."""
        room = self._along(lambda axis: lengths[axis] + 2 * self.padding[axis])
        size = self._along(lambda axis: min(self.size[axis], (room[axis] - 1) // self.dilation[axis] + 1))
        if not self.can_pad:
            return f"size {pair(size)} or less"
        padding = self._along(lambda axis: max(self.padding[axis], -((lengths[axis] - self.reach[axis]) // 2)))
        return f"size {pair(size)} or less, padding={pair(padding)} or more"

    @staticmethod
    def _along(number: Callable[[int], int]) -> Pair:
        return number(0), number(1)
