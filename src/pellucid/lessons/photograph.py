"""Edges, blur and sharpening: the effect of a filter on a recognisable picture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.lessons import material
from pellucid.lessons.convolution import FILTER, convolve
from pellucid.lessons.lesson import Floats, Grid, Lesson
from pellucid.network.learning import Conv

SIDE = 36  # pixels: as many columns of numbers
LEAST, MOST = 32, 64  # pixels a side: the colour lesson needs the least, and number by number the most is still quick


class Kind(NamedTuple):
    name: str
    says: str
    kernel: Floats
    shown: Literal["shades", "strength"]


KINDS = (
    Kind("upright edges", "brightness changes from left to right", material.UPRIGHT_EDGES, "strength"),
    Kind("level edges", "brightness changes from top to bottom", material.LEVEL_EDGES, "strength"),
    Kind("box blur", "the mean of 5x5 pixels", material.BOX, "shades"),
    Kind("Gaussian blur", "a mean in which near pixels count more", material.BELL, "shades"),
    Kind("sharpening", "what differs from the neighbours is enlarged", material.SHARPEN, "shades"),
)


def at_hand() -> Path | None:
    """Rear Admiral Grace Hopper, a photograph in the public domain, if matplotlib has installed it."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return path if path.exists() else None


def channels_first(photo: NDArray[np.uint8] | None) -> Floats:
    """(3, H, W) from a picture (H, W, 3), or a drawn one. Raises TraceError if its shape does not fit."""
    if photo is None:
        return _drawn()
    if photo.ndim != 3 or photo.shape[2] != 3 or not all(LEAST <= side <= MOST for side in photo.shape[:2]):
        raise TraceError(
            f"The lessons' photograph has the shape {photo.shape}; it must be (height, width, 3), each side from "
            f"{LEAST} to {MOST} pixels."
        )
    return photo.transpose(2, 0, 1).astype(np.float64)


def edges_and_blur(photo: Floats, caption: str) -> Lesson:
    """`photo` is (3, H, W), 0 to 255."""
    names = {**FILTER, "input": "colours", "weight": "shares", OUT: "grey"}
    brightness = convolve(Conv(1, (1, 1), bias=False), photo, material.GREY[None, :, None, None], names=names)
    picture = brightness.output[0]
    works = {
        kind.name: convolve(
            Conv(1, _pair(kind.kernel), padding="same", bias=False),
            brightness.output,
            kind.kernel[None, None],
            names={**FILTER, "input": "grey", OUT: kind.name},
        )
        for kind in KINDS
    }
    strongest = np.abs(works[KINDS[0].name].output[0]).argmax()
    row, column = (int(place) for place in np.unravel_index(strongest, picture.shape))
    grids = [Grid("grey", caption, picture, "computed", "shades")]
    for name, says, kernel, shown in KINDS:
        grids += [
            Grid(f"{name} filter", "filter", kernel),
            Grid(name, f"{name}: {says}", works[name].output[0], "computed", shown),
        ]
    return Lesson(
        "edges-and-blur",
        "Edges, blur and sharpening",
        "Long before networks learned filters, people wrote them by hand. Weights that cancel out on an even surface "
        "leave only edges; weights that are all alike blur; a large one among small negative ones sharpens. A "
        "filter of 1x1x3 also turned the colours to grey: shares of red, green and blue. Worked out "
        "below: the place where the upright edges are strongest.",
        tuple(grids),
        tuple(work.number(0, row, column) for work in (brightness, *works.values())),
    )


def _pair(kernel: Floats) -> tuple[int, int]:
    return kernel.shape[0], kernel.shape[1]


def _drawn() -> Floats:
    """(3, 36, 36): a bright disc with a dark bar, in front of a sky that darkens."""
    side = 36
    rows, columns = np.mgrid[:side, :side].astype(np.float64)
    disc = (rows - 18) ** 2 + (columns - 18) ** 2 < 12**2
    bar = (np.abs(rows - columns) < 3) & disc
    sky = np.stack([80 + 2 * rows, 120 + 2 * rows, 250 - 3 * rows])
    face = np.where(disc, np.array([240.0, 200.0, 60.0])[:, None, None], sky)
    return np.where(bar, 30.0, face)
