"""The weights' lives inside the teaching model's file: every value and gradient, and the largest steps' pictures.

Also who made its filters (life/makers.py).

The training is plain gradient descent at one rate. So the values follow from the first one and the gradients, up to
rounding, and the file stores the distance of the bits (glassbox/page/rebuild.py). web/life/stored.js reads it.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.ops import optimizers
from pellucid.glassbox.page import offline, rebuild
from pellucid.life.again import Again, opened, start
from pellucid.life.filters import collect
from pellucid.life.makers import Makers
from pellucid.life.whole import Whole, through
from pellucid.steps import counted

ELEMENT = "lives"
"""The id of their element in the file."""
NAMES = ("conv1.weight", "conv1.bias", "dense1.bias")
"""The parameters whose lives are inside: 90 weights. Those of the 720 of dense1.weight would take 1 MB."""
MAKERS = 6, 2
"""Makers each way of a filter, of the whole training and of each tenth."""
LARGEST, PICTURES, PUSHERS = 4, 6, 5
"""Steps of a weight with their pictures, listed pictures of a step, and pictures of the whole life."""


def element(model: Path, cache: Path) -> Generator[tuple[int, int], None, str]:
    """Make the training again, twice, and return the element's JSON; yields (steps made, steps in all)."""
    again = yield from counted(opened(model, cache))
    whole = yield from through(again, NAMES)
    made = yield from collect((yield from counted(start(again.material))))
    content, arrays = described(again, whole, made)
    return offline.element(content, arrays)


def described(again: Again, whole: Whole, made: Makers) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(the document of the lives, its arrays by name). W weights, T steps, N pictures that they name.

    * first: (W,); gradients: (W, T); rounding: (W, T), as rebuild.difference
    * largest: (W, K), steps counted from 1; rows, parts: (W, K, P), the strongest first; others: (W, K), of all others
    * pushers, up, down, times: (W, M); pushed, left: (W,), of all pictures, and what remains of the movement
    * pictures: (N, H, W), grey

    "makers" is as Makers.as_json, with places among these N pictures for rows.
    """
    (rate,) = set(whole.rates.tolist())
    count, steps = whole.gradients.shape
    worked = whole.values[:, :-1].astype(np.float64) - rate * whole.gradients.astype(np.float64)
    largest = whole.largest(LARGEST)
    rows = np.zeros((count, LARGEST, PICTURES), np.int64)
    shares = np.zeros((count, LARGEST, PICTURES))
    others = np.zeros((count, LARGEST))
    for weight, each in np.ndindex(count, LARGEST):
        step = int(largest[weight, each]) - 1
        own = whole.shares[step][:, weight].astype(np.float64)
        order = np.argsort(-np.abs(own), kind="stable")
        rows[weight, each] = whole.rows[step][order[:PICTURES]]
        shares[weight, each] = own[order[:PICTURES]]
        others[weight, each] = own[order[PICTURES:]].sum()
    up, down, times = _pushes(again, whole, rate)
    strongest = np.argsort(-np.abs(up + down), axis=1, kind="stable")[:, :PUSHERS]
    pushed = (up + down).sum(1)
    makers = made.as_json(*MAKERS)
    spans = [span for each in makers["layers"] for one in each["filters"] for span in (one["whole"], *one["tenths"])]
    movers = [maker for span in spans for side in ("toward", "away") for maker in span[side]]
    own = [int(maker[0]) for maker in movers]
    named, place = np.unique(np.concatenate([rows.ravel(), strongest.ravel(), own]), return_inverse=True)
    for maker, at in zip(movers, place[rows.size + strongest.size :].tolist(), strict=True):
        maker[0] = at
    images = again.task.images.batch(named)
    assert isinstance(images, np.ndarray)
    arrays = {
        "first": whole.values[:, 0],
        "gradients": whole.gradients,
        "rounding": rebuild.difference(whole.values[:, 1:], worked.astype(np.float32) + np.float32(0)),
        "largest": largest.astype(np.uint32),
        "rows": place[: rows.size].reshape(rows.shape).astype(np.uint32),
        "parts": shares.astype(np.float32),
        "others": others.astype(np.float32),
        "pushers": place[rows.size : rows.size + strongest.size].reshape(strongest.shape).astype(np.uint32),
        "up": np.take_along_axis(up, strongest, 1).astype(np.float32),
        "down": np.take_along_axis(down, strongest, 1).astype(np.float32),
        "times": np.take_along_axis(times, strongest, 1).astype(np.uint32),
        "pushed": pushed.astype(np.float32),
        "left": (whole.values[:, -1].astype(np.float64) - whole.values[:, 0] - pushed).astype(np.float32),
        "pictures": images[..., 0].astype(np.uint32),
    }
    catalog = again.material.data.catalog
    pictures = [catalog.pictures[int(row)] for row in named]
    content = {
        "weights": [[name, list(shape)] for name, shape in zip(whole.names, whole.shapes, strict=True)],
        "rate": rate,
        "sizes": [len(rows) for rows in whole.rows[: again.task.steps_per_epoch]],
        "op": optimizers.sgd(rate, precision="float32").as_json(),
        "pictures": [{"path": each.path, "label": catalog.classes[each.label]} for each in pictures],
        "makers": {**makers, "root": "", "pictures": {}},
        "about": {
            "begins": f"random weights, drawn by seed {again.task.recipe.seed}",
            "optimizer": again.task.recipe.optimizer,
            "steps": steps,
            "epoch_steps": again.task.steps_per_epoch,
            "weight_decay": 0,
            "earlier": 0,
        },
    }
    return content, arrays


def _pushes(
    again: Again, whole: Whole, rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Each picture's pushes of each weight: upwards, downwards, and in how many steps, all (W, pictures)."""
    shape = len(whole.gradients), len(again.material.data.labels)
    up, down, times = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    for rows, shares in zip(whole.rows, whole.shares, strict=True):
        pushes = -rate * shares.T.astype(np.float64)
        up[:, rows] += np.maximum(pushes, 0)  # a picture is in a step once
        down[:, rows] += np.minimum(pushes, 0)
        times[:, rows] += 1
    return up, down, times
