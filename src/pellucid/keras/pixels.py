"""What a Keras model does to its pictures before its network begins: scaling, resizing, augmentation.

Resizing becomes the classifier's form, scaling its mean and deviation. Augmentation acts only in training.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, NetworkError
from pellucid.keras.graph import Node
from pellucid.keras.settings import LARGEST_SIDE, flag, numbers, per_channel, whole
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Fit

AUGMENTATIONS = {
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur"),
    *("RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization"),
    *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth"),
    "RandomZoom",
}
OPERATORS = {"TrueDivide": "/", "Divide": "/", "Multiply": "*", "Subtract": "-", "Add": "+"}
OF_TENSORFLOW = {"math.truediv": "/", "math.divide": "/", "math.multiply": "*", "math.subtract": "-", "math.add": "+"}
OF_TENSORFLOW |= {"__operators__.add": "+"}


@dataclass
class Pixels:
    """What the network sees of a byte b: `factor` * b + `shift`, float64 (channels,) each."""

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]
    size: tuple[int, int] | None
    """Height and width, where they are known."""
    fit: Fit = "stretch"
    scaled: bool = False
    """Whether the model itself scales."""
    notes: list[str] = field(default_factory=list)

    def take(self, node: Node) -> str | None:
        """What a layer does with the pixels, in words; None where it belongs to the network. Raises NetworkError."""
        if node.kind == "InputLayer":
            return "the picture"
        if node.kind == "Rescaling":
            return self._scale(
                numbers(node, "scale", len(self.factor), 1), numbers(node, "offset", len(self.factor), 0)
            )
        if node.kind == "Normalization":
            return self._normalise(node)
        if node.kind == "Resizing":
            return self._resize(node)
        sign = OPERATORS.get(node.kind) or OF_TENSORFLOW.get(str(node.config.get("function")))
        if sign is not None and node.constant is not None:
            return self._operate(node, sign, node.constant)
        return None

    def standardise(self) -> Standardise:
        """The same of pixels in 0..1: factor * 255 * u + shift = (u - mean) / deviation. Raises NetworkError."""
        if not (np.isfinite(self.factor).all() and (self.factor > 0).all()):
            raise NetworkError(f"The model multiplies pixels by {self.factor.tolist()}; the numbers must be above 0.")
        mean = 0.0 - self.shift / (self.factor * 255)
        return Standardise(tuple(mean.tolist()), tuple((1 / (self.factor * 255)).tolist()))

    def _scale(self, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> str:
        self.factor, self.shift = self.factor * factor, self.shift * factor + shift
        self.scaled = True
        return "preprocessing"

    def _normalise(self, node: Node) -> str:
        """(x - mean) / sqrt(variance), of the configuration or of what `adapt` measured."""
        channels = len(self.factor)
        if flag(node, "invert", False):
            raise NetworkError(f"{node.called} is inverted (invert=True), which is not supported.")
        if node.config.get("mean") is not None:
            mean, variance = numbers(node, "mean", channels, 0), numbers(node, "variance", channels, 1)
        elif len(node.arrays) >= 2 and all(np.prod(each.shape) in (1, channels) for each in node.arrays[:2]):
            read = [stored.read() for stored in node.arrays[:2]]
            mean, variance = (per_channel(node, "mean or variance", each, channels) for each in read)
        else:
            raise ArtefactError(
                f"{node.called} has no mean and variance for {channels} channels: adapt() was not called."
            )
        if (variance < 0).any():
            raise NetworkError(f"{node.called}: its variance is below 0.")
        deviation = np.maximum(np.sqrt(variance), 1e-7)  # Keras' epsilon
        return self._scale(1 / deviation, -mean / deviation)

    def _resize(self, node: Node) -> str:
        before, self.size = self.size, (whole(node, "height"), whole(node, "width"))
        if before not in (None, self.size):
            self.notes.append(f"Keras brought pictures to {before} before {node.called}; here they are resized once.")
        if max(self.size) > LARGEST_SIDE:
            raise NetworkError(f"{node.called} makes pictures of {self.size}; the limit is {LARGEST_SIDE:,} pixels.")
        self.fit = _fit(node)
        if self.fit == "pad":
            self.notes.append(f"{node.called} pads with black where our fit pads with grey.")
        if (way := node.config.get("interpolation", "bilinear")) != "bilinear":
            self.notes.append(f"{node.called} interpolates by {way} where ours is bilinear.")
        return f"pictures of {self.size[0]}x{self.size[1]} ({self.fit})"

    def _operate(self, node: Node, sign: str, constant: float) -> str:
        ones, zeros = np.ones_like(self.factor), np.zeros_like(self.factor)
        if sign == "/" and constant == 0:
            raise NetworkError(f"{node.called} divides by 0.")
        match sign:
            case "/":
                return self._scale(ones / constant, zeros)
            case "*":
                return self._scale(ones * constant, zeros)
            case "-":
                return self._scale(ones, zeros - constant)
            case _:
                return self._scale(ones, zeros + constant)


def _fit(node: Node) -> Literal["stretch", "crop", "pad"]:
    if flag(node, "crop_to_aspect_ratio", False):
        return "crop"
    return "pad" if flag(node, "pad_to_aspect_ratio", False) else "stretch"
