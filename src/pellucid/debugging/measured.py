"""What has been measured about a model, stored in its folder: for its page, and for the offline file.

Only measurements on the model's own pictures are stored. They belong to one config.json, as classifier/tied.py says.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from pellucid.classifier import tied
from pellucid.debugging.known import Readout
from pellucid.debugging.removed import Without

FILE = "debugging.json"
WITHOUT, READOUT = "without", "readout"
_WRITING = threading.Lock()
"""The page measures several layers at once, and each adds to the same file."""


def read(model: Path) -> dict[str, Any]:
    """What is stored for a model as it is now; {} if that is nothing.

    "without": layer -> as LayerWithout.as_json, with "side". "readout": as Readout.as_json.
    """
    content = tied.read(model, FILE)
    return {key: content[key] for key in (WITHOUT, READOUT) if isinstance(content.get(key), dict)}


def for_page(model: Path) -> dict[str, Any]:
    """What the page shows of it: "without", layer -> as `short`; "readout", None if it was not measured."""
    stored, without = read(model), {}
    for name, layer in stored.get(WITHOUT, {}).items():
        with suppress(KeyError, TypeError, AttributeError):  # another version of Pellucid has stored it
            without[name] = short(layer)
    return {WITHOUT: without, READOUT: stored.get(READOUT)}


def short(layer: dict[str, Any]) -> dict[str, Any]:
    """A layer without each filter, as in `read`, with the one class of each filter that changes most."""
    before = {each["name"]: each["accuracy"] for each in layer["classes"]}
    filters = []
    for each in layer["filters"]:
        worst = max(
            each["classes"],
            key=lambda one: (abs(one["accuracy"] - before[one["name"]]), before[one["name"]] - one["accuracy"]),
            default=None,
        )
        changed = worst is not None and worst["accuracy"] != before[worst["name"]]
        filters.append(
            {
                **{key: each[key] for key in ("filter", "accuracy", "within_chance", "only_with", "only_without")},
                "worst": {**worst, "before": before[worst["name"]]} if worst is not None and changed else None,
            }
        )
    return {
        **{key: layer[key] for key in ("side", "zeroed_after", "pictures", "accuracy", "interval")},
        "filters": filters,
    }


def store_without(model: Path, result: Without) -> None:
    """Store the layers that were measured on all pictures, beside those stored before."""
    layers = {each.layer: each for each in result.layers if each.pictures == result.pictures}
    about = {"side": result.side, "several": result.several}
    if layers:
        with _WRITING:
            known = read(model).get(WITHOUT, {})
            stored = {name: {**about, **each.as_json()} for name, each in layers.items()}
            tied.write(model, FILE, {**read(model), WITHOUT: {**known, **stored}})


def store_readout(model: Path, result: Readout) -> None:
    """Store the readouts of all layers."""
    if result.complete:
        with _WRITING:
            figures = {key: each for key, each in result.as_json().items() if key != "unusable"}
            tied.write(model, FILE, {**read(model), READOUT: figures})
