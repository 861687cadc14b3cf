"""A convolution's filters and the patches that excite them most, as one picture: a row for each filter."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.why.colormap import shade
from pellucid.glassbox.why.exemplars import Exemplar, LayerExemplars

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = NDArray[np.uint8]

ROWS = 64
TILE = 64  # pixels
GAP = 4
LABEL = 72  # pixels: the filter's number, and its visible input channel
CAPTION = 28
INK, BACKGROUND, NOTHING = (28, 30, 34), (227, 224, 216), (200, 197, 189)  # darker than a white patch
PICTURES_KEPT = 64


def sheet(layer: LayerExemplars, image_of: Callable[[str], Picture], rows: int = ROWS, tile: int = TILE) -> Picture:
    """uint8 (height, width, 3): for each filter its number, the filter itself, and its patches, strongest first.

    `image_of(source)` returns the prepared image, uint8 (H, W, 3), whose pixels the boxes refer to. A filter over three
    channels is shown in colour, mid grey at zero; any other by the input channel with the largest weights (the sum of
    the absolute values), amber above zero and blue below; full colour is each filter's own largest weight. Patches and
    filters are enlarged to `tile` pixels; one cut off by the picture's edge keeps its proportions. If there are more
    than `rows` filters, those with the largest mean activation are shown, and the caption says so.
    """
    from PIL import Image, ImageDraw

    shown = _strongest(layer, rows)
    columns = 1 + max((len(exemplars) for exemplars in layer.filters), default=0)
    caption = _caption(layer, len(shown))
    step = tile + GAP
    width = max(
        LABEL + columns * step + GAP, 2 * GAP + round(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(caption))
    )
    page = Image.new("RGB", (width, CAPTION + len(shown) * step), BACKGROUND)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, GAP), caption, INK)
    prepared = lru_cache(PICTURES_KEPT)(image_of)
    for number, channel in enumerate(shown):
        top = CAPTION + number * step
        own = layer.weight[channel]
        weight, label = filter_picture(own, float(np.abs(own).max()) or 1.0, own)
        draw.text((GAP, top + tile // 2 - 12), f"{channel}{label}", INK)
        page.paste(fitted(weight, tile), (LABEL, top))
        for column, exemplar in enumerate(layer.filters[channel], 1):
            page.paste(fitted(_patch(prepared(exemplar.source), exemplar), tile), (LABEL + column * step, top))
    return np.array(page)


def _strongest(layer: LayerExemplars, rows: int) -> list[int]:
    """The filters shown, in the order of their numbers."""
    if len(layer.filters) <= rows:
        return list(range(len(layer.filters)))
    means = [np.mean([e.activation for e in row]) if row else -np.inf for row in layer.filters]
    return sorted(np.argsort(-np.array(means), kind="stable")[:rows].tolist())


def _caption(layer: LayerExemplars, shown: int) -> str:
    height, width = layer.sees
    total = len(layer.filters)
    which = (
        f"{total} filters" if shown == total else f"the {shown} strongest of {total} filters, {total - shown} left out"
    )
    return f"{layer.layer}: {which}; each sees {height}x{width} pixels"


def filter_picture(weight: NDArray[np.float32], scale: float, visible: NDArray[np.float32]) -> tuple[Picture, str]:
    """A filter, float32 (channels, H, W), as a picture whose colour is full at `scale`, and its visible input channel.

    The visible channel is the one of `visible`, a filter of the same shape, with the largest weights; "" if the picture
    shows all channels.
    """
    if len(weight) == 3:
        return np.rint(127.5 + 127.5 * weight.transpose(1, 2, 0) / scale).astype(np.uint8), ""
    strongest = int(np.abs(visible).sum((1, 2)).argmax())
    return shade(weight[strongest], scale), f"\ninput {strongest}" if len(weight) > 1 else ""


def _patch(image: Picture, exemplar: Exemplar) -> Picture:
    top, left, bottom, right = exemplar.box
    return image[top:bottom, left:right]


def fitted(image: Picture, tile: int) -> Image:
    """The image scaled to fit a tile; darker where it does not fill it, or where nothing is seen."""
    from PIL import Image

    square = Image.new("RGB", (tile, tile), NOTHING)
    if not image.size:
        return square
    height, width = image.shape[:2]
    factor = tile / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    way = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    fitted = Image.fromarray(np.ascontiguousarray(image)).resize(size, way)
    square.paste(fitted, ((tile - size[0]) // 2, (tile - size[1]) // 2))
    return square
