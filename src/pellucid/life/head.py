"""Who made a head that was fitted at once: the pictures' parts in its one solution.

The head W minimises C times the sum of the pictures' cross-entropies plus half |W - W_start|² (training/head.py). At
the minimum the gradient is 0, so the movement is a sum over the pictures (the representer theorem; Yeh et al. 2018,
"Representer Point Selection for Explaining Deep Neural Networks", theorem 3.1):

    W[c] - W_start[c] = C * sum over i of count_i * (y_ic - p_ic) * (φ_i - mean)

y: 1 for the picture's class, p: the head's probability, φ: the features, mean: theirs, and count_i: of each picture's
weight. A picture's push on unit c is its term's length along the sum; the pushes add up to the length of the movement.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray

from pellucid.life.again import Again
from pellucid.life.makers import FilterMakers, LayerMakers, Span
from pellucid.life.pushes import Pushes

BATCH = 64


def makers(again: Again, layer: str, count: int) -> Generator[tuple[int, int], None, LayerMakers]:
    """The makers of each unit of the head. Yields (pictures done, pictures)."""
    task, stated = again.task, again.material.config["pretrained"]["head"]
    views: list[str] = stated["views"]
    features, logits = yield from _seen(again, layer, views)  # (views, n, D), (views, n, classes)
    labels = task.labels[task.train]
    if labels.ndim == 2:
        error = (labels - _sigmoid(logits)) / logits.shape[-1]
        counts = np.ones(len(labels))
    else:
        error = np.eye(logits.shape[-1])[labels] - _softmax(logits)
        counts = np.ones(len(labels)) if task.weights is None else np.asarray(task.weights, np.float64)[labels]
    error *= stated["c"] * counts[:, None] / len(views)
    centred = features - features.mean((0, 1), dtype=np.float64)
    movement = np.einsum("vnc,vnd->cd", error, centred)
    straight = np.linalg.norm(movement, axis=1)
    direction = movement / np.maximum(straight, 1e-30)[:, None]
    each = np.einsum("vnc,vnc->nc", error, centred @ direction.T)
    sums = Pushes(*each.shape)
    sums.add(np.arange(len(each)), each, 0)
    filters = []
    for unit, (toward, away) in enumerate(sums.strongest(task.train, count)):
        length = float(straight[unit])
        whole = Span(0, 0, length, float(each[:, unit].sum()), 0.0, length, toward, away)
        filters.append(FilterMakers(unit, length, whole, ()))
    after = again.material.classifier.module.get_parameter(f"{layer}.weight").detach().float().cpu().numpy()
    return LayerMakers(layer, after - movement.astype(np.float32), after, tuple(filters))


def _seen(
    again: Again, layer: str, views: list[str]
) -> Generator[tuple[int, int], None, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The head's inputs and outputs for the training pictures, in each view: (views, n, D) and (views, n, classes)."""
    module, task = again.state.module.eval(), again.task
    forward = task.engine.of_stored(module, task.standardise)
    inputs: list[NDArray[np.float64]] = []
    outputs: list[NDArray[np.float64]] = []
    hook = module.get_submodule(layer).register_forward_hook(
        lambda _layer, some, _output: inputs.append(some[0].double().cpu().numpy())
    )
    total, done = len(task.train) * len(views), 0
    try:
        for view in views:
            for rows in np.array_split(task.train, -(-len(task.train) // BATCH)):
                images = task.images.batch(rows)
                if view == "mirror":
                    images = images[:, :, ::-1] if isinstance(images, np.ndarray) else images.flip(2)
                with torch.inference_mode(), task.engine.autocast():
                    outputs.append(forward(images).double().cpu().numpy())
                done += len(rows)
                yield done, total
    finally:
        hook.remove()
    shape = len(views), len(task.train), -1
    return np.concatenate(inputs).reshape(shape), np.concatenate(outputs).reshape(shape)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * logits))
