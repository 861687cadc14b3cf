"""The sheet: rows, patches and filters at their places, and omitted filters."""

import numpy as np

from pellucid.glassbox.why.colormap import ABOVE, BELOW, PAPER
from pellucid.glassbox.why.exemplars import Exemplar, LayerExemplars
from pellucid.glassbox.why.sheet import CAPTION, GAP, LABEL, _caption, _strongest, sheet

TILE = 32


def image(source: str) -> np.ndarray:
    """Red left of column 5, green right of it; brighter with the source's number."""
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[:, :5, 0] = picture[:, 5:, 1] = 100 + int(source)
    return picture


def layer(weight: np.ndarray, activations: list[list[float]]) -> LayerExemplars:
    filters = tuple(
        tuple(Exemplar(str(number), value, (0, 0, 0), (2, 3, 6, 7)) for number, value in enumerate(row))
        for row in activations
    )
    return LayerExemplars("conv1", weight.astype(np.float32), (4, 4), filters)


def tile(page: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = CAPTION + row * (TILE + GAP), LABEL + column * (TILE + GAP)
    return page[top : top + TILE, left : left + TILE]


def test_patches_are_cut_and_enlarged() -> None:
    page = sheet(layer(np.ones((2, 1, 2, 2)), [[3.0, 2.0], [1.0]]), image, tile=TILE)
    assert page.dtype == np.uint8
    assert page.shape[0] == CAPTION + 2 * (TILE + GAP)
    patch = tile(page, 0, 2)  # columns 3 to 6: two red, two green
    assert (patch[:, : TILE // 2] == (101, 0, 0)).all()
    assert (patch[:, TILE // 2 :] == (0, 101, 0)).all()
    assert len(np.unique(tile(page, 1, 2).reshape(-1, 3), axis=0)) == 1  # only one picture was found


def test_a_filter_over_colours_is_a_colour_with_grey_at_zero() -> None:
    weight = np.zeros((1, 3, 1, 2))
    weight[0, :, 0, 0] = (2, -2, 0)
    shown = tile(sheet(layer(weight, [[1.0]]), image, tile=TILE), 0, 0)
    assert shown[TILE // 2, 2].tolist() == [255, 0, 128]
    assert shown[TILE // 2, -2].tolist() == [128, 128, 128]


def test_any_other_filter_is_its_strongest_input_channel() -> None:
    weight = np.zeros((1, 5, 2, 2))
    weight[0, 1, 0, 0] = 3
    weight[0, 4] = [[4, 0], [0, -4]]
    shown = tile(sheet(layer(weight, [[1.0]]), image, tile=TILE), 0, 0)
    assert shown[2, 2].tolist() == list(ABOVE[1])
    assert shown[-2, -2].tolist() == list(BELOW[1])
    assert shown[2, -2].tolist() == list(PAPER)


def test_only_the_strongest_rows_are_shown_and_the_caption_says_so() -> None:
    many = layer(np.ones((4, 1, 1, 1)), [[1.0, 1.0], [9.0, 0.0], [], [3.0]])
    assert _strongest(many, 2) == [1, 3]
    assert _caption(many, 2) == "conv1: the 2 strongest of 4 filters, 2 left out; each sees 4x4 pixels"
    assert _caption(many, 4) == "conv1: 4 filters; each sees 4x4 pixels"
    assert sheet(many, image, rows=2, tile=TILE).shape[0] == CAPTION + 2 * (TILE + GAP)


def test_a_unit_that_sees_nothing_of_the_picture_leaves_its_tile_empty() -> None:
    blind = LayerExemplars(
        "conv1", np.ones((1, 1, 1, 1), np.float32), (1, 1), ((Exemplar("0", 1.0, (0, 0, 0), (0, 0, 0, 0)),),)
    )
    assert len(np.unique(tile(sheet(blind, image, tile=TILE), 0, 1).reshape(-1, 3), axis=0)) == 1
