"""Caveats of the model card: what makes the figures weaker than they look, such as a missing class or look-alikes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pellucid.classifier import crossed
from pellucid.texts import listed

NAMED = 5  # classes in a sentence


def which(metrics: dict[str, Any]) -> str:
    """Which pictures the reported figure is for, and their part in the training."""
    if metrics["reported"] == "folds":
        return crossed.which(metrics["folds"])
    if metrics["reported"] == "test" and metrics.get("knew"):
        return "The test pictures took no part in this training, but some took part in that of its starting weights."
    if metrics["reported"] == "test":
        return "The test pictures took no part in training or in any choice."
    if metrics["reported"] == "validation":
        how = (
            "They chose the best epoch and the temperature, so it is slightly optimistic."
            if chosen(metrics)
            else "They chose nothing."
        )
        return f"There is no test side: this figure comes from the validation pictures. {how}"
    return (
        "There is neither a test nor a validation side: this is the accuracy on the training pictures themselves, "
        "not a measure of how good the model is."
    )


def knew(count: int, by: Sequence[str], started: str = "the model that the training started from") -> str:
    """The caveat for a training that started from a Pellucid model that has seen some of the reported pictures.

    `by`: the names of the models that had seen them, if it was an earlier model in the chain; () if only `started` had.
    """
    if not by:
        return f"{started} had seen {count:,} of these pictures"
    return f"the training builds on {' and '.join(map(plain, by))}, which had seen {count:,} of these pictures"


def warnings(metrics: dict[str, Any], data: dict[str, Any]) -> list[str]:
    """The caveats of the figures, one quoted paragraph each."""
    lines = []
    for side in ("test", "validation"):
        if metrics.get(side) and (names := lacking(metrics[side])):
            if side == "validation" and metrics[side].get("several"):
                lines += [
                    f"> No validation picture has {few(names)}: the threshold is the common one of all labels.",
                    "",
                ]
                continue
            follows = {
                "test": "The model was not measured on such pictures, so do not quote the accuracy.",
                "validation": "These pictures chose neither the epoch nor the temperature: the last weights were kept.",
            }[side]
            lines += [f"> No {side} picture shows {few(names)}. {follows}", ""]
    for each in data.get("swallowed", [])[:NAMED]:
        lines += [
            f"> {each['alike']:,} of the {each['pictures']:,} pictures of class {plain(each['class'])} are nearly the "
            "same picture (from a fixed camera, for example). They stay on one side of the split and count as one.",
            "",
        ]
    if len(data.get("swallowed", [])) > NAMED:
        lines += [f"> The same is true of {len(data['swallowed']) - NAMED:,} more classes.", ""]
    return lines


def lacking(metrics: dict[str, Any]) -> list[str]:
    """The classes without a picture on a side; `metrics` are those of one side."""
    return [item["name"] for item in metrics["classes"] if not item["pictures"]]


def few(names: list[str]) -> str:
    """class a; classes a, b and 3 more."""
    return f"class{'es' if len(names) > 1 else ''} {listed([plain(name) for name in names], NAMED)}"


def chosen(metrics: dict[str, Any]) -> bool:
    """Whether validation chose epoch and temperature; in models of an older Pellucid, any validation did."""
    return bool(metrics.get("validation")) and metrics.get("chosen", True)


def in_two(files: int) -> str:
    """How many of the quarantined files are in two classes, as part of a sentence or ""."""
    return f", {files:,} of them because the same file is in two classes" if files else ""


def alike(counts: dict[str, int]) -> str:
    """Twins in two classes that do not suggest a wrong label, by pictures/across.py's kinds, as a sentence or ""."""
    words = {"mirrored": "mirror images", "partly": "differ in a part of the picture", "unseen": "not compared closely"}
    parts = [f"{count:,} {words[kind]}" for kind, count in counts.items() if count and kind in words]
    return f" Other pairs in two classes: {', '.join(parts)}." if parts else ""


def plain(words: str) -> str:
    """A name on one line that Markdown shows literally, even in a table: its special characters are escaped."""
    return re.sub(r"[\\`*\[\]<>|#~$&]|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(words.split()))
