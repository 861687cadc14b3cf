"""Initial weights, drawn from torch's global generator: `torch.manual_seed` makes them reproducible."""

from math import sqrt
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Init = Literal["he", "glorot", "xavier", "lecun", "normal"]
"""
he       normal, standard deviation sqrt(2 / fan_in): He et al. 2015, "Delving deep into rectifiers", eq. 10.
         Preserves the signal's scale through convolutions followed by ReLU, which drops half of it.
glorot   uniform within sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, "Understanding the difficulty of
         training deep feedforward neural networks", eq. 16. xavier is an alias of glorot.
lecun    normal, standard deviation sqrt(1 / fan_in): LeCun et al. 1998, "Efficient backprop", eq. 16.
normal   normal, standard deviation 0.01: Krizhevsky et al. 2012, "ImageNet classification with deep
         convolutional neural networks", section 5.
"""


def initialise(weight: "Tensor", init: Init, groups: int = 1) -> None:
    """Fill `weight` (outputs, inputs of one output, ...) in place.

    fan_in is the number of weights into one output, fan_out the number of weights out of one input.
    """
    from torch import no_grad

    if weight.is_meta:  # a meta tensor has no numbers, and drawing none would import torch's compiler
        return
    fan_in = weight[0].numel()
    fan_out = weight.shape[0] // groups * weight[0, 0].numel()
    with no_grad():
        match init:
            case "he":
                weight.normal_(0, sqrt(2 / fan_in))
            case "glorot" | "xavier":
                bound = sqrt(6 / (fan_in + fan_out))
                weight.uniform_(-bound, bound)
            case "lecun":
                weight.normal_(0, sqrt(1 / fan_in))
            case "normal":
                weight.normal_(0, 0.01)
