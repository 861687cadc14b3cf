"""Changes as a user types them, the way messages write them: `stride 2 in conv1`, `conv1.weight[3, 0, 2, 2] = 0.5`."""

from __future__ import annotations

import re

from pellucid.errors import RecipeError
from pellucid.glassbox.whatif.change import POOLS, Change, Padding, Pooling, Stride, Weight

_WEIGHT = re.compile(r"(?P<name>[\w.]+)\s*\[(?P<index>[\d,\s]*)\]\s*=\s*(?P<value>\S+)")
_WINDOW = re.compile(r"(?P<what>stride|padding)\s+(?P<rows>\d+)(?:\s*x\s*(?P<columns>\d+))?\s+in\s+(?P<layer>\S+)")
_POOLING = re.compile(r"(?P<kind>\w+)\s+pooling\s+in\s+(?P<layer>\S+)")
FORMS = '"conv1.weight[3, 0, 2, 2] = 0.5", "stride 2 in conv1", "padding 1x2 in conv1", "average pooling in maxpool1"'


def read(text: str) -> Change:
    """One change. Raises RecipeError if it is not understood; whether it fits a network is known only later."""
    words = text.strip()
    try:
        if match := _WEIGHT.fullmatch(words):
            index = tuple(int(part) for part in match["index"].split(",") if part.strip())
            return Weight(match["name"], index, float(match["value"]))
        if match := _WINDOW.fullmatch(words):
            pair = int(match["rows"]), int(match["columns"] or match["rows"])
            return Stride(match["layer"], pair) if match["what"] == "stride" else Padding(match["layer"], pair)
        if (match := _POOLING.fullmatch(words)) and match["kind"] in POOLS:
            return Pooling(match["layer"], match["kind"])  # type: ignore[arg-type]
    except ValueError:  # the value is not a number
        pass
    raise RecipeError(f"The change {text!r} is not understood. Write it like one of these: {FORMS}.")
