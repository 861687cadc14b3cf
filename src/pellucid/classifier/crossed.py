"""The card of a cross-validated model: the figure from the folds, and a row for each of them."""

from __future__ import annotations

from typing import Any


def headline(folds: dict[str, Any], unseen: bool = True) -> str:
    """The figure, its interval, and its source. `folds` is the entry of that name in metrics.json.

    `unseen`: whether each picture was predicted by a model that had not seen it, nor had the model that it started
    from.
    """
    low, high = folds["interval"]
    return (
        f"{folds['accuracy']:.1%} accuracy (95% interval {low:.1%} to {high:.1%}), from {folds['count']}-fold "
        f"cross-validation of the same recipe{': each picture predicted by a model that had not seen it' * unseen}"
    )


def which(folds: dict[str, Any]) -> str:
    """Which pictures the figure is for, and what it means for this model."""
    each = folds["each"][0]
    share = each["pictures"] / (each["pictures"] + each["train"] + each["validation"])
    return (
        f"All {folds['pictures']:,} pictures were tested, in {folds['count']} trainings that each kept about "
        f"{share:.0%} of them apart. The model in this folder comes from one more training, on all pictures. No "
        "picture is left to test it, but it learned from more pictures than the tested models did."
    )


def row(folds: dict[str, Any], beside: str) -> str:
    """A row of the table of sides; `beside`: the cells beside the accuracy."""
    low, high = folds["interval"]
    return (
        f"| cross-validation | the reported figure | {folds['pictures']:,} | {folds['accuracy']:.1%} "
        f"| {low:.1%} to {high:.1%} | {beside} | {folds['loss']:.3f} "
        f"| {folds['calibration']['error']:.3f} |"
    )


def table(folds: dict[str, Any]) -> list[str]:
    """A row per fold."""
    rows = [
        f"| {fold['number']} | {fold['train']:,} | {fold['validation']:,} | {fold['pictures']:,} "
        f"| {fold['accuracy']:.1%} | {fold['loss']:.3f} |"
        for fold in folds["each"]
    ]
    units = (
        f" Pictures that stay together, such as near-duplicates, count together: all of them as {folds['units']:,.0f}."
        if folds["units"] < folds["pictures"] - 0.5
        else ""
    )
    return [
        "| fold | learned from | chose by | tested | accuracy | cross-entropy |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"The folds' accuracies have a standard deviation of {folds['spread']:.1%}. The interval accounts for both the "
        f"small number of pictures and the difference between the folds.{units}",
        "",
    ]
