"""The card on classes and labels: one label a picture, several, and unequal classes."""

from __future__ import annotations

from typing import Any

from pellucid.classifier.caveats import plain
from pellucid.texts import listed

LOWEST = 60  # rows; if there are more labels, the table has those with the lowest average precision


def heading(metrics: dict[str, Any]) -> list[str]:
    """The heading of the table of sides."""
    figures = "exact match | 95% interval | macro F1 | micro F1" if metrics.get("several") else _ONE
    columns = f"| side | used for | pictures | {figures} | cross-entropy | calibration error |"
    return [columns, "|---" * (columns.count("|") - 1) + "|"]


_ONE = "accuracy | 95% interval | balanced accuracy | 95% interval"


def beside(metrics: dict[str, Any]) -> str:
    """The two cells beside the accuracy."""
    if metrics.get("several"):
        return f"{_share(metrics['macro_f1'])} | {_share(metrics['micro_f1'])}"
    if metrics.get("balanced_interval") is None:  # an older folder, from before this figure existed
        return "- | -"
    low, high = metrics["balanced_interval"]
    return f"{metrics['balanced_accuracy']:.1%} | {low:.1%} to {high:.1%}"


def explained(metrics: dict[str, Any]) -> list[str]:
    """What the figures mean, and the confusion matrix if there is one."""
    if metrics.get("several"):
        return [
            "A picture may have several labels. Exact match is the share of pictures that got exactly the right ones. "
            "Macro F1 is the mean over the labels, micro F1 is that of all decisions together. The model "
            "answers with a label when its probability reaches its threshold. Average precision needs no threshold: it "
            "measures how far the pictures with the label are ranked first."
        ]
    return [
        "Balanced accuracy is the mean of the classes' recalls: every class counts the same, however many pictures it "
        "has.",
        "",
        "![confusion matrix](confusion.png)",
    ]


def classes(metrics: dict[str, Any]) -> list[str]:
    """A row per label; if there are too many to read, the worst."""
    listed = metrics["classes"]
    lines = []
    if len(listed) > LOWEST:
        there = [item for item in listed if item["average_precision"] is not None]
        listed = sorted(there, key=lambda item: (item["average_precision"], item["name"]))[:LOWEST]
        total = len(metrics["classes"])
        lines = [f"The {len(listed)} labels of {total:,} with the lowest average precision; metrics.json has all.", ""]
    keys = ("precision", "recall", "f1", "average_precision", "threshold")
    return [
        *lines,
        "| label | pictures | precision | recall | F1 | average precision | threshold |",
        "|---|---|---|---|---|---|---|",
        *[
            f"| {plain(item['name'])} | {item['pictures']:,} | {' | '.join(_share(item[key]) for key in keys)} |"
            for item in listed
        ],
    ]


def mistakes(metrics: dict[str, Any]) -> list[str]:
    """The pictures that did not get exactly their labels, if there are any and pictures have several labels."""
    reported = metrics[metrics["reported"]]
    rows = [
        f"| ![]({m['thumbnail']}) | {plain(m['picture'])} | {_names(m['labels'])} | {_names(m['called'])} "
        f"| {plain(m['worst'])}, {m['worst_probability']:.1%} |"
        for m in metrics["mistakes"]
    ]
    return [
        "## The worst mistakes",
        "",
        f"{len(rows)} of {reported['pictures'] - reported['correct']:,}, the largest error of a label first. The "
        "last column names it. A wrong label in the data looks the same.",
        "",
        "| | picture | labels | predicted | furthest off |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def squashing(metrics: dict[str, Any]) -> str:
    return "sigmoid" if metrics.get("several") else "softmax"


def accuracy(metrics: dict[str, Any]) -> str:
    return "exact match on" if metrics.get("several") else "accuracy on"


def chosen(metrics: dict[str, Any]) -> str:
    """What validation chooses."""
    return "epoch, temperature and thresholds" if metrics.get("several") else "epoch and temperature"


def answers(metrics: dict[str, Any]) -> str:
    if metrics.get("several"):
        return "It answers with any number of its labels, or none; it knows no others."
    return "It always answers with one of its classes, even if a picture shows something else."


def weighted(config: dict[str, Any]) -> str:
    """The sentence about a model whose classes were weighted in the loss."""
    weights = config["training"].get("class_weights")
    if weights is None:
        return ""
    named = [f"{plain(name)} {weight:.2f}" for name, weight in zip(config["classes"], weights, strict=True)]
    shown = listed(named, 8, "more in config.json")
    return (
        f" In the loss each picture was weighted by its class: {shown}. Every class had an equal share in the loss. "
        "The temperature was fitted on the pictures as they are, unweighted."
    )


def _names(names: list[str]) -> str:
    return ", ".join(map(plain, names)) or "none"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
