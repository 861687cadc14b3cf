"""A network: its layers in a row, without weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pellucid.errors import NetworkError
from pellucid.network.layer import Layer
from pellucid.network.learning import Dense
from pellucid.network.residual import PlacedLayer, chain, modules
from pellucid.network.window import Shape, TooSmall

if TYPE_CHECKING:
    from torch import nn

LARGEST_SIDE = 1 << 14  # pixels: upper limit of the search for a large enough picture


@dataclass(frozen=True)
class Network:
    """The layers, first to last. A last `dense` without units takes the number of classes."""

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise NetworkError("A network needs a layer.")

    def __str__(self) -> str:
        return " ".join(map(str, self.layers))

    def shapes(self, shape: Shape, classes: int) -> list[PlacedLayer]:
        """Each layer with its name (`conv1`, `relu1`, ...), its input's and its output's shape.

        The last step's layer is `dense(classes)` if the text gives no units. Raises NetworkError if sizes do not fit,
        with the layer, the formula with its numbers and what would fit, or if the network does not end in one number
        per class.
        """
        layers = self.filled(classes)
        try:
            steps = chain(layers, shape)
        except TooSmall as error:
            raise TooSmall(f"{error}{_large_enough(layers, shape)}.") from None
        except NetworkError as error:
            raise NetworkError(f"{error}.") from None
        if steps[-1].output != (classes,):
            raise NetworkError(
                f"The network ends with {list(steps[-1].output)}, but {classes} classes need [{classes}]: "
                f"{_ending(steps[-1])}."
            )
        return steps

    def filled(self, classes: int) -> tuple[Layer, ...]:
        """The layers, with the number of classes in a last `dense` without units."""
        last = self.layers[-1]
        if isinstance(last, Dense) and last.units is None:
            return (*self.layers[:-1], replace(last, units=classes))
        return self.layers

    def module(self, shape: Shape, classes: int) -> "nn.Sequential":
        """A new torch module with initialised weights, its layers named as in `shapes`.

        It maps (N, channels, height, width) float to (N, classes) scores, before softmax. The weights come from torch's
        global generator: `torch.manual_seed` makes them reproducible.
        """
        return modules(self.shapes(shape, classes))


def _ending(last: PlacedLayer) -> str:
    if isinstance(last.layer, Dense):
        return "write the last dense without a number"
    return "end it with dense" if len(last.output) == 1 else "end it with flatten dense or globalavgpool dense"


def _large_enough(layers: tuple[Layer, ...], shape: Shape) -> str:
    """`, or a picture of at least 28x28`, the smallest in which every window fits, or ""."""

    def fits(height: int, width: int) -> bool:
        try:
            chain(layers, (shape[0], height, width))
        except TooSmall:
            return False
        except NetworkError:
            return True  # another error, unrelated to size
        return True

    def least(fits_side: Callable[[int], bool]) -> int:
        low, high = 1, LARGEST_SIDE
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fits_side(middle) else (middle + 1, high)
        return low

    if not fits(LARGEST_SIDE, LARGEST_SIDE):
        return ""
    height = least(lambda side: fits(side, LARGEST_SIDE))
    width = least(lambda side: fits(LARGEST_SIDE, side))
    return f", or a picture of at least {height}x{width}"
