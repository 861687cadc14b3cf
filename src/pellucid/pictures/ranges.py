"""Which values become black and white in files with more than 8 bits a sample.

Eight bits are light: 0 is black and 255 is white. More bits are often measurements: a 12-bit detector writes 0 to 4095
into 16 bits, a CT scan -1024 to 3071, a simulation any float. The range is then a property of the data set, so training
measures it once over its folder (measure.py) and the model stores it. A file that is decoded without such a range is
judged alone (levels.py), in coarse steps: one value more or less must not change the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["integer", "real"]
Range = tuple[float, float]

WHITES = {bits: 2**bits - 1 for bits in (8, 10, 12, 14, 16)}  # the depths of cameras and detectors
FULL = (0.0, 65535.0)


@dataclass(frozen=True, slots=True)
class Ranges:
    """(black, white) for the values of files with more than 8 bits a sample, by the kind of number.

    None: no such file was measured, and each one is judged alone. Raises ValueError if black is not below white, or one
    of them is not finite.
    """

    integer: Range | None = None
    real: Range | None = None

    def __post_init__(self) -> None:
        for name in ("integer", "real"):
            if (pair := getattr(self, name)) is not None:
                black, white = pair
                if not (math.isfinite(black) and math.isfinite(white) and black < white):
                    raise ValueError(f"the {name} range {black:g} to {white:g} needs two finite numbers, black first.")

    def of(self, kind: Kind) -> Range | None:
        return self.integer if kind == "integer" else self.real

    def as_json(self) -> dict[str, list[float] | None]:
        return {name: None if (pair := self.of(name)) is None else list(pair) for name in ("integer", "real")}

    @classmethod
    def from_json(cls, stated: Any) -> Ranges:
        """Read the output of `as_json`. Raises TypeError, ValueError, KeyError for anything else."""
        pairs: dict[str, Range | None] = {}
        for name in ("integer", "real"):
            if (pair := stated[name]) is None:
                pairs[name] = None
            else:
                black, white = pair
                pairs[name] = float(black), float(white)
        return cls(**pairs)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The measured ranges, as sentences."""
        lines = []
        if self.integer is not None:
            depth = next((bits for bits, white in WHITES.items() if self.integer == (0, white)), None)
            why = f" ({depth} bits)" if depth else ", as measured over the training folder"
            lines.append(f"pictures of more than 8 bits: {_ends(self.integer)}{why}")
        if self.real is not None:
            lines.append(f"pictures of floating-point numbers: {_ends(self.real)}")
        return tuple(lines)


def _ends(pair: Range) -> str:
    black, white = (f"{value:,.0f}" if float(value).is_integer() else f"{value:,.5g}" for value in pair)
    return f"{black} becomes black and {white} becomes white"
