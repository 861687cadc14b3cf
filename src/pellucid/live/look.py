"""What a page shows of a training by hand: weights, maps and probabilities, as they are, in JSON types."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.files import finite
from pellucid.live.session import Session
from pellucid.network import scores
from pellucid.network.standardise import to_unit
from pellucid.training.recorder import followed, reduced, watched
from pellucid.training.replay import Layer

if TYPE_CHECKING:
    import torch

FILTERS, KERNELS = 16, 3
"""Of a convolution's weights, at most: the first filters, and the first kernels of each."""
ROWS, COLUMNS = 16, 256
"""Of a dense layer's weights, at most."""


def about(session: Session) -> dict[str, Any]:
    """The state in numbers: settings, counters, curves, the last step."""
    now, last, recipe = session.progress, session.last, session.recipe
    material = session.material
    return {
        "settings": {
            "model": str(session.network),
            "learning_rate": recipe.learning_rate,
            "batch": recipe.batch,
            "optimizer": recipe.optimizer,
            "momentum": recipe.momentum,
            "weight_decay": recipe.weight_decay,
        },
        "weights": session.weights,
        "step": now.step,
        "epoch": session.epochs,
        "points": [[finite(number) for number in asdict(point).values()] for point in now.points],
        "last": None
        if last is None
        else {
            "loss": finite(last.loss),
            "correct": last.correct,
            "pictures": len(last.rows),
            "rate": last.rate,
            "seconds": last.seconds,
        },
        "undo": session.undoable,
        "redo": session.redoable,
        "trouble": session.trouble,
        "trained_on": len(session.task.train),
        "watched": len(session.task.validation),
        "watched_side": material.watched,
        "gone": material.gone,
        "temperature": material.classifier.temperature,
    }


def look(session: Session, image: NDArray[np.uint8]) -> dict[str, Any]:
    """The maps of a prepared picture, uint8 (H, W, C), its probabilities, and the weights around the last step.

    "probabilities": without a temperature; null where the scores are not finite. "layers": see `_layer`.
    """
    import torch

    module = session.state.module
    images = session.task.standardise(to_unit(image[None], session.task.engine.device))
    layers = followed(module, images)
    with torch.no_grad(), watched(module, {layer.name for layer in layers}) as seen:
        logits = module(images).float().cpu().numpy()
    several = session.task.labels.ndim == 2
    return {
        "probabilities": None
        if not np.isfinite(logits).all()
        else [float(each) for each in scores.probabilities(logits, 1.0, several=several)[0]],
        "layers": [_layer(session, layer, seen[layer.name]) for layer in layers],
    }


def _layer(session: Session, layer: Layer, output: torch.Tensor) -> dict[str, Any]:
    """A layer: its map as {"shape", "of", "numbers"}, and its "weights": none, or the weight and the bias.

    Of each weight there are three arrays: "now", and "before" and "gradient" of the last step or null. "shape" is what
    is sent, the first of "of".
    """
    part = session.state.module.get_submodule(layer.name)
    names = {name: f"{layer.name}.{name}" for name, _ in part.named_parameters(recurse=False)}
    return {
        "name": layer.name,
        "kind": layer.kind,
        "output": _array(reduced(output, layer.stored)[0], list(layer.shape)),
        "weights": [_weight(session, full, part.get_parameter(name)) for name, full in names.items()],
    }


def _weight(session: Session, name: str, parameter: torch.Tensor) -> dict[str, Any]:
    last = session.last
    before = last.before.get(name) if last is not None else None
    gradient = last.gradient.get(name) if last is not None else None
    some = _first(parameter)
    return {
        "name": name,
        **_array(some, list(parameter.shape), "now"),
        "before": None if before is None else _encoded(_first(before)),
        "gradient": None if gradient is None else _encoded(_first(gradient)),
    }


def _first(numbers: torch.Tensor) -> torch.Tensor:
    match numbers.ndim:
        case 1:
            return numbers[:COLUMNS]
        case 2:
            return numbers[:ROWS, :COLUMNS]
    return numbers[:FILTERS, :KERNELS]


def _array(numbers: torch.Tensor, of: list[int], key: str = "numbers") -> dict[str, Any]:
    return {"shape": list(numbers.shape), "of": of, key: _encoded(numbers)}


def _encoded(numbers: torch.Tensor) -> str:
    """float32 in C order, little-endian, as base64."""
    array = numbers.detach().to(device="cpu").contiguous().numpy().astype("<f4", copy=False)
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
