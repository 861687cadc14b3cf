"""Layers with learned numbers per channel that work the same at every place: layer norm, scale."""

from dataclasses import KW_ONLY, dataclass, field
from math import prod
from typing import TYPE_CHECKING, ClassVar

from pellucid.network.layer import AT_LEAST_0, FLOAT, Elementwise, TensorSpecs
from pellucid.network.window import Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LayerNorm(Elementwise):
    """The channels of each place to mean 0 and variance 1, then scaled and shifted (Ba, Kiros, Hinton 2016, eq. 3).

    Each place is normalised separately, as in ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s", section 2.5), whose
    `eps`, 1e-6, is the default. It is added to the variance. In a flat row, all numbers are normalised together.
    """

    word: ClassVar[str] = "layernorm"
    keeps_input: ClassVar[bool] = True

    _: KW_ONLY
    eps: float = field(default=1e-6, metadata=AT_LEAST_0)

    def state(self, shape: Shape) -> TensorSpecs:
        return dict.fromkeys(("weight", "bias"), ("float32", shape[:1]))

    def parameters(self, shape: Shape) -> int:
        return 2 * shape[0]

    def parameters_formula(self, shape: Shape) -> str:
        return f"{shape[0]} + {shape[0]} = {2 * shape[0]}"

    def forward_flops(self, shape: Shape) -> int:
        """Per number: mean 1; difference, square, sum 3; normalise 1; scale and shift 2."""
        return 7 * prod(shape)

    def input_gradient_flops(self, shape: Shape) -> int:
        """Per number: g = dy * scale and x^ again 3; two means 3; (g - mean(g) - x^ * mean(g * x^)) / deviation 4."""
        return 10 * prod(shape)

    def weight_gradient_flops(self, shape: Shape) -> int:
        """Per number: dy * x^ and its sum 2, the sum of dy 1."""
        return 3 * prod(shape)

    def extra_bytes(self, shape: Shape) -> int:
        return 2 * FLOAT * prod(shape[1:])  # mean and deviation of each place

    def module(self, shape: Shape) -> "nn.Module":
        from torch import nn

        from pellucid.network.placewise import ChannelNorm

        return (ChannelNorm if len(shape) == 3 else nn.LayerNorm)(shape[0], self.eps)


@dataclass(frozen=True)
class Scale(Elementwise):
    """`scale(1e-6)`: each channel times a learned number, initially `init`.

    LayerScale (Touvron et al. 2021, "Going deeper with image transformers", section 2, eq. 5).
    """

    word: ClassVar[str] = "scale"
    keeps_input: ClassVar[bool] = True

    init: float = field(default=1e-6, metadata=AT_LEAST_0)

    def state(self, shape: Shape) -> TensorSpecs:
        return {"weight": ("float32", shape[:1])}

    def parameters(self, shape: Shape) -> int:
        return shape[0]

    def parameters_formula(self, shape: Shape) -> str:
        return f"{shape[0]}"

    def weight_gradient_flops(self, shape: Shape) -> int:
        """Per number: dy * x and its sum."""
        return 2 * prod(shape)

    def module(self, shape: Shape) -> "nn.Module":
        from pellucid.network.placewise import ChannelScale

        return ChannelScale(shape[0], self.init)
