"""The pictures that taught an answer, side by side: a row of helpers and a row of hurters; or the suspects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pellucid.app import outputs
from pellucid.app.format import printable
from pellucid.classifier.predict.pictures import Source
from pellucid.life.influence import Suspects, Taught, Teaching
from pellucid.life.material import Material

Picture = NDArray[np.uint8]

TILE, GAP, LINE = 128, 12, 18  # pixels
WIDE = 8  # tiles in a row
INK, BACKGROUND = (28, 30, 34), (250, 249, 246)


def teaching(result: Teaching, material: Material, picture: Source, top: int) -> Picture:
    """The answer's picture, then those that helped most, then those that hurt most: uint8 (H, W, 3)."""
    shown = material.classifier.prepared(picture)
    first = [(shown, [printable(result.label), f"{result.probability:.1%}"])]
    rows = [(f"the answer: {printable(result.picture)}", first)]
    rows.append(("helped: the loss would be higher without it by", _tiles(result.helped(top), material)))
    rows.append(("hurt: it would be lower by", _tiles(result.hurt(top), material)))
    return _page(rows)


def suspects(result: Suspects, material: Material, top: int) -> Picture:
    """The training pictures whose labels are most suspicious, with these labels: uint8 (H, W, 3)."""
    return _page([("labels to look at first", _tiles(result.every[:top], material))])


def _tiles(some: Sequence[Taught], material: Material) -> list[tuple[Picture, list[str]]]:
    images = material.data.store.batch(np.array([each.row for each in some], np.int64))
    names = [[printable(each.label), f"{abs(each.effect):.3g}", printable(Path(each.path).name)] for each in some]
    return list(zip(images, names, strict=True))


def _page(rows: list[tuple[str, list[tuple[Picture, list[str]]]]]) -> Picture:
    font = ImageFont.load_default(13)
    lines = [(title, tiles[at : at + WIDE]) for title, tiles in rows for at in range(0, max(1, len(tiles)), WIDE)]
    widest = max(len(tiles) for _, tiles in lines)
    width = max(2 * GAP + max(int(font.getlength(title)) for title, _ in lines), GAP + widest * (TILE + GAP))
    step = LINE + TILE + 3 * LINE + GAP
    page = Image.new("RGB", (width, GAP + len(lines) * step), BACKGROUND)
    draw = ImageDraw.Draw(page)
    before = ""
    for line, (title, tiles) in enumerate(lines):
        top = GAP + line * step
        draw.text((GAP, top), "" if title == before else title, INK, font)
        before = title
        for column, (image, words) in enumerate(tiles):
            left = GAP + column * (TILE + GAP)
            page.paste(_fitted(image), (left, top + LINE))
            for number, word in enumerate(words):
                draw.text((left, top + LINE + TILE + 3 + number * 15), _cut(word, font), INK, font)
    return np.array(page)


def _cut(word: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of a word as a tile is wide, its end first: names of files differ there."""
    short = word
    while font.getlength(short) > TILE and len(short) > 2:
        short = "…" + short[2:]
    return short


def _fitted(image: Picture) -> Image.Image:
    small = Image.fromarray(outputs.colour(image))
    way = Image.Resampling.NEAREST if image.shape[0] < TILE else Image.Resampling.BOX
    return small.resize((TILE, TILE), way)
