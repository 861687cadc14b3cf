"""Where a network looked, by three methods of Captum, each map with a score of its trustworthiness.

* integrated gradients   Sundararajan, Taly, Yan 2017, "Axiomatic attribution for deep networks", eq. 1: the gradient
                         along the way from the mean colour to the picture, times the way. The map adds up to what
                         the picture changes in the class's logit.
* occlusion              Zeiler, Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2: a
                         window is covered with the mean colour; the map is how much the logit falls.
* Grad-CAM               Selvaraju et al. 2017, "Grad-CAM: Visual explanations from deep networks via gradient-based
                         localization", eq. 1 and 2: a layer's feature maps, weighted by their mean gradient. Coarse,
                         and positive only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.trace.frozen_copy import gradients, shapes, still, unknown
from pellucid.glassbox.trace.packed import packed
from pellucid.glassbox.why.colormap import blend
from pellucid.glassbox.why.deletion import Deletion, deleting
from pellucid.steps import result_of

if TYPE_CHECKING:
    from torch import Tensor, nn

Method = Literal["integrated_gradients", "occlusion", "grad_cam"]
METHODS: tuple[Method, ...] = get_args(Method)

Mode = Literal["training", "evaluation"]
STEPS = (64, 256)  # of integrated gradients: the second if the map does not add up
COMPLETE = 0.01  # allowed error of the sum, relative to the logit's change; in logits, if the change is small
BATCH = 32
SHORT_SIDE = 224  # pixels: least size of an overlay


@dataclass(frozen=True)
class Attribution:
    """How much each pixel of a picture spoke for a class, by one method.

    `logit` and `baseline_logit` are the class's for the picture and for a picture of the mean colour.
    """

    method: Method
    layer: str | None
    """The layer whose feature maps were weighted, for Grad-CAM only."""
    target: int
    map: NDArray[np.float32]
    """(H, W), in logits: positive speaks for the class, negative against it. Grad-CAM has no negative values."""
    logit: float
    baseline_logit: float
    completeness_error: float | None
    """Sum of the map minus (`logit` - `baseline_logit`), for integrated gradients only; it should be 0."""
    deletion: Deletion
    mode: Mode = "evaluation"
    """The network's mode for the map: always as in prediction, without dropout, batch norm with running statistics."""
    recorded: Mode = "evaluation"
    """The network's mode in the trace. If that was training, the map's logit is not the trace's."""

    def as_json(self) -> dict[str, Any]:
        """JSON's types; the map as in packed.py: its shape, and base64 of little-endian float32 values, row by row."""
        return {
            "method": self.method,
            "layer": self.layer,
            "target": self.target,
            "map": packed(self.map),
            "logit": self.logit,
            "baseline_logit": self.baseline_logit,
            "completeness_error": self.completeness_error,
            "deletion": self.deletion.as_json(),
            "mode": self.mode,
            "recorded": self.recorded,
        }


def attribute(
    module: nn.Module,
    sample: Tensor,
    target: int,
    method: Method,
    layer: str | None = None,
    temperature: float = 1.0,
    several: bool = False,
    scores: Callable[[Tensor], Tensor] | None = None,
) -> Attribution:
    """Where `module` looked in `sample`, standardised float32 (1, C, H, W), to score class `target`.

    `layer` is for Grad-CAM; None chooses one: see `grad_cam_layer`. `temperature` calibrates the probabilities in the
    deletion score; with `several` labels a picture they are sigmoids. `scores`: an optional faster function with the
    module's own scores, equal up to rounding, for the many pictures with windows covered or pixels removed. The module
    is copied and does not change. Raises TraceError if the method, the class or the layer does not exist, if the
    network cannot be differentiated, or if the map is not finite.
    """
    return result_of(attributing(module, sample, target, method, layer, temperature, several, scores))


def attributing(
    module: nn.Module,
    sample: Tensor,
    target: int,
    method: Method,
    layer: str | None = None,
    temperature: float = 1.0,
    several: bool = False,
    scores: Callable[[Tensor], Tensor] | None = None,
) -> Generator[tuple[int, int], None, Attribution]:
    """As `attribute`. While the map is scored, yields how many pictures the network has computed, and of how many."""
    if method not in METHODS:
        raise TraceError(f"There is no method {method!r}; the methods are {', '.join(METHODS)}.")
    if layer is not None and method != "grad_cam":
        raise TraceError(f"{method} does not use a layer, but layer is {layer!r}; remove it, or use grad_cam.")
    if sample.ndim != 4 or len(sample) != 1:
        raise TraceError(f"The input is {list(sample.shape)}; one picture is [1, channels, height, width].")
    with gradients():
        copy, picture = still(module), sample.detach().clone()
        logit, baseline_logit = _logits(copy, picture, target)
        if method == "grad_cam":
            layer = _spatial_layer(copy, picture, layer)
            with _differentiable(method):
                heat = _grad_cam(copy, picture, target, layer)
        elif method == "occlusion":
            heat = _occlusion(scores or (lambda batch: copy(batch.clone())), picture, target)
        else:
            with _differentiable(method):
                heat = _integrated_gradients(copy, picture, target, logit - baseline_logit)
        if not np.isfinite(heat).all():
            raise TraceError(
                f"The map of {method} has values that are not finite, because the network or the picture has some."
            )
    score = yield from deleting(scores or copy, picture, target, heat, temperature, several)
    adds_up = method == "integrated_gradients"
    error = float(heat.sum(dtype=np.float64)) - (logit - baseline_logit) if adds_up else None
    return Attribution(method, layer, target, heat, logit, baseline_logit, error, score)


def grad_cam_layer(module: nn.Module, sample: Tensor, layer: str | None = None) -> str:
    """The layer whose maps Grad-CAM takes for an input (1, C, H, W): `layer`, or the last one with spatial maps.

    The last convolution with more than one place in its output sets the size of the maps. The result is the last layer
    that ends at or after it with maps of that size. So it includes batch norm, activation and the addition of a
    residual layer's branches. Without a convolution, it is the last layer with such an output. Raises TraceError if
    there is none, or if `layer` has no maps.
    """
    with gradients():
        return _spatial_layer(still(module), sample.detach(), layer)


def overlay(image: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture to look at, uint8 (f*H, f*W, 3): `image`, uint8 (H, W, 3), in grey, under `heat`, float (H, W).

    Amber speaks for the class and blue against it; at 0 the picture shows through, and the colour is full at the 99.5th
    percentile of the absolute values. The whole factor f brings the shorter side to at least 224 pixels; pixels stay
    square. Raises TraceError if the sizes differ.
    """
    if image.shape != (*heat.shape, 3):
        raise TraceError(
            f"The image is {list(image.shape)} and the map {list(heat.shape)}; both must have the same size."
        )
    strength = np.abs(heat)
    scale = float(np.percentile(strength, 99.5)) or float(strength.max())
    mixed = blend(image, heat, scale)
    factor = max(1, ceil(SHORT_SIDE / min(heat.shape)))
    return mixed.repeat(factor, axis=0).repeat(factor, axis=1)


@contextmanager
def _differentiable(method: Method) -> Iterator[None]:
    """Turn PyTorch's refusal to differentiate a network into a TraceError."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise TraceError(
            f"{method} needs gradients; PyTorch gives none here: {reason} occlusion needs none."
        ) from error


def _logits(copy: nn.Module, picture: Tensor, target: int) -> tuple[float, float]:
    """The class's logits for the picture and for the mean colour."""
    import torch

    with torch.no_grad():
        logits = torch.cat([copy(picture.clone()), copy(torch.zeros_like(picture))])
    if logits.ndim != 2 or not 0 <= target < logits.shape[1]:
        raise TraceError(
            f"There is no class {target}: the network gives {list(logits.shape[1:])} scores, counted from 0."
        )
    return float(logits[0, target]), float(logits[1, target])


def _integrated_gradients(copy: nn.Module, picture: Tensor, target: int, change: float) -> NDArray[np.float32]:
    """More steps are taken until the sum is the logit's change, or the limit is reached."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(lambda batch: copy(batch.clone()))
    heat = np.zeros(picture.shape[2:], np.float32)
    for steps in STEPS:
        parts = method.attribute(picture, 0, target, n_steps=steps, internal_batch_size=BATCH)
        heat = _plane(parts.sum(1))
        if abs(heat.sum(dtype=np.float64) - change) <= COMPLETE * max(abs(change), 1.0):
            break
    return heat


def _occlusion(scores: Callable[[Tensor], Tensor], picture: Tensor, target: int) -> NDArray[np.float32]:
    """Windows of an eighth of each side, half a window apart. The mean, because each channel gets the whole fall."""
    from captum.attr import Occlusion

    channels, height, width = picture.shape[1:]
    window = max(1, round(height / 8)), max(1, round(width / 8))
    fall = Occlusion(scores).attribute(
        picture,
        sliding_window_shapes=(channels, *window),
        strides=(channels, max(1, window[0] // 2), max(1, window[1] // 2)),
        baselines=0,
        target=target,
        perturbations_per_eval=BATCH,
    )
    return _plane(fall.mean(1))


def _grad_cam(copy: nn.Module, picture: Tensor, target: int, layer: str) -> NDArray[np.float32]:
    from captum.attr import LayerGradCam
    from torch import Tensor
    from torch.nn.functional import interpolate

    method = LayerGradCam(lambda batch: copy(batch.clone()), copy.get_submodule(layer))
    coarse = method.attribute(picture, target, relu_attributions=True)
    assert isinstance(coarse, Tensor)
    return _plane(interpolate(coarse, tuple(picture.shape[2:]), mode="bilinear", align_corners=False)[:, 0])


def _plane(values: Tensor) -> NDArray[np.float32]:
    """(1, H, W) on any device -> float32 (H, W)."""
    return values[0].detach().float().cpu().numpy()


def _spatial(copy: nn.Module, picture: Tensor) -> dict[str, tuple[int, ...]]:
    """The layers whose output (1, C, H, W) has more than one place, in the order of completion."""
    spatial = {name: shape for name, shape in shapes(copy, picture).items() if len(shape) == 4 and shape[2:] != (1, 1)}
    if not spatial:
        raise TraceError("No layer of this network gives feature maps, so there is nothing for Grad-CAM to weight.")
    return spatial


def _chosen(copy: nn.Module, spatial: dict[str, tuple[int, ...]]) -> str:
    from torch import nn

    names = list(spatial)
    convolutions = [name for name in names if isinstance(copy.get_submodule(name), nn.Conv2d | nn.ConvTranspose2d)]
    if not convolutions:
        return names[-1]
    last = convolutions[-1]
    after = names[names.index(last) :]
    return [name for name in after if spatial[name][2:] == spatial[last][2:]][-1]


def _spatial_layer(copy: nn.Module, picture: Tensor, requested: str | None) -> str:
    spatial = _spatial(copy, picture)
    if requested is None:
        return _chosen(copy, spatial)
    if requested not in spatial:
        raise unknown(requested, list(spatial), "layer with feature maps")
    return requested
