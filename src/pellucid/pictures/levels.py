"""Choose which values of a file become black and white, from the values themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.ranges import FULL, WHITES, Kind, Range

FEW = 100  # values; from fewer, none is left out as an outlier
EXCEPTIONS = 1000  # one value in this many may be outside the range, at each end
MARGIN = 0.5  # of the range's width: outliers nearer than this to the others count as inside
TOLERANCE = 0.05  # of white: how far floats may exceed 0 and 1, because filters overshoot
LEVELS = 16  # different values that a picture exceeds; a mask or a drawing has fewer
ABSURD = 1e30  # larger floats mean "no data" (GDAL's -3.4e38, 1e38)


@dataclass(frozen=True, eq=False)
class Pool:
    """Values of one file or many, to choose a range from.

    * values: (n,) sorted, finite, without markers for "no data"
    * declared: the range that the file states; None if it states none, or if files state different ones
    """

    values: NDArray[Any]
    declared: Range | None = None

    @property
    def kind(self) -> Kind:
        return kind_of(self.values)


def kind_of(values: NDArray[Any]) -> Kind:
    return "real" if values.dtype.kind == "f" else "integer"


def usable(values: NDArray[Any], nodata: float | None) -> NDArray[Any]:
    """The measurements among `values` of any shape, (n,) sorted: no NaN, no infinity, no marker for "no data".

    A marker is what the file declares (`nodata`), a float beyond 1e30, or a repeated value that is further from all
    others than they are from each other: a negative minimum (-9999, -32768), or a maximum of at most half of the
    values.
    """
    flat = values.ravel()
    if flat.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond the range of a 16-bit float
            flat = flat[np.abs(flat) < ABSURD]  # false for NaN too
    if nodata is not None:
        flat = flat[flat != nodata]
    flat = np.sort(flat)
    if len(flat) and flat[0] < 0:
        rest = flat[np.searchsorted(flat, flat[0], side="right") :]
        if len(flat) - len(rest) > 1 and _far_off(float(flat[0]), rest):
            flat = rest
    if len(flat):
        rest = flat[: np.searchsorted(flat, flat[-1], side="left")]
        if 1 < len(flat) - len(rest) <= len(rest) and _far_off(float(flat[-1]), rest):
            flat = rest
    return flat


def _far_off(marker: float, rest: NDArray[Any]) -> bool:
    """Whether a value is further from all of `rest`, sorted, than they span; False if there are only a few levels."""
    if len(rest) < LEVELS:
        return False
    low, high = float(rest[0]), float(rest[-1])
    return max(low - marker, marker - high) > high - low and len(np.unique(rest)) >= LEVELS


def choose(pool: Pool, alone: bool) -> Range:
    """(black, white) for these values.

    * A natural range first: the declared one; 0 to 1 or 0 to 255 for floats; for integers 0 to the white of 8, 10, 12,
      14 or 16 bits, the smallest that holds the values.
    * If the values use less than half of it, or there is none, the values' own range without outliers (at most one in a
      thousand at each end, if far off).

    `alone`: the values come from a single file, which may be dark: a natural range that holds them then applies even if
    they use little of it.
    """
    if not len(pool.values):
        return (0.0, 1.0) if pool.kind == "real" else FULL
    if pool.kind == "integer" and pool.values[0] >= 0 and pool.values.itemsize > 1 and not (pool.values % 257).any():
        return FULL  # 8 bits, written as 16
    low, high = _extent(pool.values)
    natural = _natural(pool, low, high)
    if natural is not None and (alone or high - low >= (natural[1] - natural[0]) / 2):
        return natural
    if low == high:
        return natural or (min(low, 0.0), max(high, 0.0)) if low else (0.0, 1.0)
    return low, high


def _trimmed(values: NDArray[Any]) -> Range:
    """The values' range without the outliers at each end."""
    out = -(-len(values) // EXCEPTIONS) if len(values) >= FEW else 0
    return float(values[out]), float(values[-1 - out])


def _extent(values: NDArray[Any]) -> Range:
    """The values' range without outliers; values close to the others are not outliers."""
    low, high = _trimmed(values)
    least, most, margin = float(values[0]), float(values[-1]), MARGIN * (high - low)
    return least if least >= low - margin else low, most if most <= high + margin else high


def _natural(pool: Pool, low: float, high: float) -> Range | None:
    """The usual range for values from `low` to `high`; None if there is none."""
    if pool.declared is not None and pool.declared[0] <= low and high <= pool.declared[1]:
        return pool.declared
    if pool.kind == "real":
        low, high = _trimmed(pool.values)
        white = next((white for white in (1, *WHITES.values()) if high <= (1 + TOLERANCE) * white), None)
        if white is None or low < -TOLERANCE * high:
            return None
        # more than 1 and less than half of 255 is neither a fraction of white nor 8 bits
        return (0.0, float(white)) if white == 1 or high >= white / 2 or low == high else None
    if low < 0:
        return None
    white = next((white for white in WHITES.values() if high <= white), None)
    if white is not None:
        return 0.0, float(white)
    return (0.0, float(2**32 - 1)) if high >= 2**31 else None


def scaled(values: NDArray[Any], black_white: Range) -> NDArray[np.float32]:
    """Values of any shape -> float32 from 0 (black, anything below, no measurement) to 255 (white and above)."""
    black, white = black_white
    wide = np.float64 if values.dtype.itemsize > (2 if values.dtype.kind in "iu" else 4) else np.float32
    with np.errstate(invalid="ignore", over="ignore"):
        share = (values.astype(wide) - wide(black)) * wide(255 / (white - black))
        if values.dtype.kind == "f":
            share[~(np.abs(values) < ABSURD)] = 0
    return np.clip(share, 0, 255, out=share).astype(np.float32, copy=False)
