"""Who made a filter, as one picture: its start and its end, its makers as the network saw them, and its patches.

A sheet has a row for each filter of a layer; a filter's own sheet has a row for the whole training and for each tenth.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.why.sheet import BACKGROUND, GAP, INK, Picture, filter_picture, fitted
from pellucid.life import seen
from pellucid.life.again import Again
from pellucid.life.makers import FilterMakers, LayerMakers, Span

TILE = 48  # pixels
LABEL = 130  # pixels: of a row's words
LINE = 14  # pixels: of a line of words
APART = 16  # pixels between the groups of a row
TOWARD, AWAY = 8, 4  # pictures of a row
ROWS = 64  # filters of a layer's sheet, those that moved farthest

Shown = Mapping[tuple[int, int], Picture]
Patches = Sequence[Sequence[Picture]]


@dataclass(frozen=True)
class Row:
    """A row of a sheet: its words, and groups of pictures, uint8 (H, W, 3), each group as wide as its heading says."""

    words: str
    groups: tuple[tuple[Picture, ...], ...]


def seen_by(
    again: Again, layer: LayerMakers, number: int | None = None
) -> Generator[tuple[int, int], None, dict[tuple[int, int], Picture]]:
    """The makers on the layer's sheet, or on that of its filter `number`, each in the step of its strongest push.

    (step, row) -> the picture as the network saw it, uint8 (H, W, 3). Yields (done, total) in pictures.
    """
    if number is None:
        spans = [each.whole for each in _on_sheet(layer)]
    else:
        each = layer.filters[number]
        spans = [each.whole, *each.tenths]
    needed = sorted({(maker.step, maker.row) for span in spans for maker in (*span.toward[:TOWARD], *span.away[:AWAY])})
    pictures: dict[tuple[int, int], Picture] = {}
    for step, some in groupby(needed, lambda each: each[0]):
        rows = [row for _, row in some]
        if step:
            batch = again.rows(step).tolist()
            images = seen.in_step(again, step)
            shown = [images[batch.index(row)] for row in rows]
        else:  # a head that was fitted at once
            shown = [seen.plain(again, row) for row in rows]
        for row, image in zip(rows, shown, strict=True):
            pictures[step, row] = np.broadcast_to(image, (*image.shape[:2], 3)).copy()
        yield len(pictures), len(needed)
    return pictures


def of_layer(layer: LayerMakers, shown: Shown, patches: Patches = ()) -> Picture:
    """uint8 (height, width, 3): a row for each filter, at most ROWS.

    `shown`: of `seen_by`. `patches`: what excites each filter, or nothing at all.
    """
    some = _on_sheet(layer)
    rows = [
        Row(
            f"filter {each.filter}\nmoved {each.straight:.3g}\ntravelled {each.whole.distance:.3g}",
            (*_ends(layer, each.filter), *_makers(each.whole, shown), *_patches(patches, each.filter)),
        )
        for each in some
    ]
    which = f"{len(layer.filters)} filters"
    if len(some) < len(layer.filters):
        which = f"the {len(some)} of {len(layer.filters)} filters that moved farthest"
    return _sheet(f"{layer.layer}: {which}", rows, _headings(layer, bool(patches)))


def of_filter(layer: LayerMakers, number: int, shown: Shown, patches: Patches = ()) -> Picture:
    """uint8 (height, width, 3): a row for the whole training, and one for each tenth. As `of_layer`."""
    each = layer.filters[number]
    whole = Row(
        f"the whole training\nmoved {each.straight:.3g}\ntravelled {each.whole.distance:.3g}",
        (*_ends(layer, each.filter), *_makers(each.whole, shown), *_patches(patches, each.filter)),
    )
    empty: tuple[Picture, ...] = ()
    tenths = [
        Row(
            f"steps {span.first:,} to {span.last:,}\nmoved {span.moved:.3g}\ntravelled {span.distance:.3g}",
            (*[empty] * len(_ends(layer, each.filter)), *_makers(span, shown)),
        )
        for span in each.tenths
    ]
    return _sheet(f"{layer.layer}, filter {each.filter}", [whole, *tenths], _headings(layer, bool(patches)))


def _on_sheet(layer: LayerMakers) -> list[FilterMakers]:
    return sorted(layer.ranked[:ROWS], key=lambda each: each.filter)


def _headings(layer: LayerMakers, patches: bool) -> list[tuple[str, int]]:
    """Of each group: its words, and how many pictures it has."""
    ends = [("start", 1), ("end", 1)] if layer.after.ndim == 4 else []
    named = [*ends, ("pushed it there", TOWARD), ("pushed it back", AWAY)]
    return [*named, ("excite it now", TOWARD)] if patches else named


def _ends(layer: LayerMakers, number: int) -> list[tuple[Picture, ...]]:
    """The filter before the first step, and after the last, on one scale; nothing for a unit of a dense layer."""
    if layer.after.ndim != 4:
        return []
    both = np.stack([layer.before[number], layer.after[number]])
    scale = float(np.abs(both).max()) or 1.0
    return [(filter_picture(weight, scale, both[1])[0],) for weight in both]


def _makers(span: Span, shown: Shown) -> tuple[tuple[Picture, ...], ...]:
    sides = span.toward[:TOWARD], span.away[:AWAY]
    toward, away = (tuple(shown[maker.step, maker.row] for maker in side) for side in sides)
    return toward, away


def _patches(patches: Patches, number: int) -> tuple[tuple[Picture, ...], ...]:
    return (tuple(patches[number][:TOWARD]),) if patches else ()


def _sheet(title: str, rows: Sequence[Row], headings: Sequence[tuple[str, int]]) -> Picture:
    from PIL import Image, ImageDraw

    lefts, left = [], LABEL
    for _, count in headings:
        lefts.append(left)
        left += count * (TILE + GAP) + APART
    top, step = 3 * LINE, TILE + GAP
    page = Image.new("RGB", (left, top + len(rows) * step + GAP), BACKGROUND)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, GAP), title, INK)
    for (words, _), at in zip(headings, lefts, strict=True):
        draw.text((at, top - LINE - 2), words, INK)
    for number, row in enumerate(rows):
        draw.multiline_text((GAP, top + number * step), row.words, INK)
        for at, group in zip(lefts, row.groups, strict=False):
            for column, picture in enumerate(group):
                page.paste(fitted(picture, TILE), (at + column * step, top + number * step))
    made: NDArray[np.uint8] = np.array(page)
    return made
