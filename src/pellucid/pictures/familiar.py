"""Whether a picture is a twin of one that a model has seen, from a coarse description of each seen picture.

A model folder cannot hold 1,153 bytes per picture (twins.DESCRIPTION); 289 are enough to recognise a copy: half as many
cells along each side of the thumbnails, and whether it is a photograph. They are smoothly enlarged to the full number
of cells and then compared as twins are, everything of one kind with everything of the other. `docs/why/twins.md` has
the measurements.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import hashes, twins, verify_twins
from pellucid.pictures.twins import COLOUR, GREY

COARSE = (GREY // 2) ** 2 + 2 * (COLOUR // 2) ** 2 + 1  # bytes per picture
UNEXPLAINED = 0.02  # less than verify_twins.UNEXPLAINED: with few cells, different pictures also leave less unexplained
BLOCK = 256  # rows of `queries` at a time
KNOWN = 16384  # rows of `known` at a time: 16 MB of likenesses


def coarse(descriptions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Coarse descriptions, uint8 (N, twins.DESCRIPTION) -> (N, COARSE): means of 2 x 2 cells, and 1 or 0."""
    grey, colour = _halved(twins.grey_of(descriptions)), _halved(twins.colour_of(descriptions)) + 128
    numbers = np.concatenate([grey.reshape(-1, (GREY // 2) ** 2), colour.reshape(-1, 2 * (COLOUR // 2) ** 2)], axis=1)
    photograph = twins.photographs(descriptions)[:, None]
    return np.concatenate([np.clip(np.rint(numbers), 0, 255).astype(np.uint8), photograph.astype(np.uint8)], axis=1)


def familiar(known: NDArray[np.uint8], queries: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each of M pictures, the row of a known picture that is its twin, or -1 -> (M,) int64.

    known: uint8 (N, COARSE); queries: uint8 (M, COARSE). Time grows with N * M, memory with neither.
    """
    matches = np.full(len(queries), -1, np.int64)
    if not len(known):
        return matches
    for at in range(0, len(queries), BLOCK):
        rows = np.arange(at, min(at + BLOCK, len(queries)))
        for scale, swap, mirrored in _ways():
            rest = rows[matches[rows] < 0]
            if scale != 1 or mirrored:
                rest = rest[queries[rest, -1] == 1]  # only photographs may be moved or mirrored
            if not len(rest):
                continue
            proposed = _proposed(known, queries[rest], scale, swap, mirrored)
            for start in range(0, len(proposed), twins.LOOKS):
                part = proposed[start : start + twins.LOOKS]
                same = _same(known[part[:, 1]], queries[rest[part[:, 0]]], scale, swap, mirrored)
                for row, twin in part[same][::-1]:  # the most alike comes first and is written last
                    matches[rest[row]] = twin
    return matches


def _ways() -> Iterator[tuple[float, bool, bool]]:
    """(scale, swap, mirrored): a picture as it is, cropped, the other one cropped, mirrored."""
    yield 1.0, False, False
    for scale in twins.INNER:
        yield scale, False, False
        yield scale, True, False
    yield 1.0, False, True


def _proposed(
    known: NDArray[np.uint8], queries: NDArray[np.uint8], scale: float, swap: bool, mirrored: bool
) -> NDArray[np.int64]:
    """(row of queries, of known) of hashes that correlate by hashes.ALIKE, at most NEAREST a row, best first."""
    keys = hashes.hash_of(_grey(queries), scale if swap else 1.0)
    keys = keys * hashes.MIRROR if mirrored else keys
    blank = ~keys.any(axis=1)
    rows, columns, likeness = [], [], []
    for at in range(0, len(known), KNOWN):
        block = known[at : at + KNOWN]
        theirs = hashes.hash_of(_grey(block), 1.0 if swap else scale)
        alike = keys @ theirs.T
        if blank.any() and scale == 1 and not mirrored:  # without contrast, only brightness can be compared
            others = np.flatnonzero(~theirs.any(axis=1))
            apart = np.abs(_mean(queries[blank])[:, None] - _mean(block[others]))
            alike[np.ix_(np.flatnonzero(blank), others)] = 1 - apart / 255 * 0.05
        row, column = np.nonzero(alike > hashes.ALIKE)
        rows.append(row)
        columns.append(column + at)
        likeness.append(alike[row, column])
    row, column, alike = (np.concatenate(parts) for parts in (rows, columns, likeness))
    order = np.lexsort((column, -alike, row))
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    return np.stack([row, column], axis=1)[rank < hashes.NEAREST]


def _same(
    known: NDArray[np.uint8], queries: NDArray[np.uint8], scale: float, swap: bool, mirrored: bool
) -> NDArray[np.bool_]:
    """Whether pairs are twins, (P, COARSE) both -> (P,)."""
    first, second = (known, queries) if swap else (queries, known)  # the second is cropped
    photograph = (known[:, -1] == 1) & (queries[:, -1] == 1)
    return verify_twins.same_picture(
        _grey(first), _grey(second), _colour(first), _colour(second), photograph, scale, mirrored, UNEXPLAINED
    )


def _grey(coarse: NDArray[np.uint8]) -> verify_twins.Floats:
    """(N, COARSE) -> (N, 32, 32) float32."""
    n = GREY // 2
    return _doubled(coarse[:, : n * n].reshape(-1, n, n).astype(np.float32))


def _colour(coarse: NDArray[np.uint8]) -> verify_twins.Floats:
    """(N, COARSE) -> (N, 2, 8, 8) float32, -128..127."""
    n = COLOUR // 2
    return _doubled(coarse[:, (GREY // 2) ** 2 : -1].reshape(-1, 2, n, n).astype(np.float32) - 128)


def _mean(coarse: NDArray[np.uint8]) -> NDArray[np.float64]:
    return coarse[:, : (GREY // 2) ** 2].mean(axis=1)


def _halved(planes: verify_twins.Floats) -> verify_twins.Floats:
    """(..., n, n) -> (..., n / 2, n / 2), weighted 1, 3, 3, 1: smooth enough to shift by part of a cell."""
    around = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + [(1, 1)] * 2, mode="edge")
    for _ in range(2):
        around = (around[..., :-3:2] + 3 * around[..., 1:-2:2] + 3 * around[..., 2:-1:2] + around[..., 3::2]) / 8
        around = around.swapaxes(-1, -2)
    return around


def _doubled(planes: verify_twins.Floats) -> verify_twins.Floats:
    """(..., n, n) -> (..., 2 n, 2 n), cubic (Keys 1981, a = -1/2) between cell centres; the edge is repeated."""
    n = planes.shape[-1]
    at = (np.arange(2 * n) - 0.5) / 2
    cells = np.arange(-2, n + 2)
    d = np.abs(at[:, None] - cells)
    kernel = np.where(d < 1, (1.5 * d - 2.5) * d * d + 1, ((2.5 - 0.5 * d) * d - 4) * d + 2)
    kernel = np.where(d < 2, kernel, 0)
    weights = np.zeros((2 * n, n), np.float32)
    np.add.at(weights.T, np.clip(cells, 0, n - 1), kernel.T)
    return weights @ planes @ weights.T
