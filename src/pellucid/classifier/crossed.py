"""The card of a cross-validated model: the figure from the folds, and a row for each of them."""

from __future__ import annotations

from typing import Any


def headline(folds: dict[str, Any], unseen: bool = True) -> str:
    """The figure, its interval, and its source. `folds` is the entry of that name in metrics.json.

    `unseen`: whether each picture was predicted by a model that had not seen it, nor had the model that it started
    from.
    """
    low, high = folds["interval"]
    what = "exact match" if folds.get("several") else "accuracy"
    macro = ""
    if folds.get("macro_interval") is not None:
        worst, best = folds["macro_interval"]
        macro = f" and {folds['macro_f1']:.1%} macro F1 ({worst:.1%} to {best:.1%})"
    return (
        f"{folds['accuracy']:.1%} {what} (95% interval {low:.1%} to {high:.1%}){macro}, from {folds['count']}-fold "
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
    several = bool(folds.get("several"))
    rows = [
        f"| {fold['number']} | {fold['train']:,} | {fold['validation']:,} | {fold['pictures']:,} "
        f"| {fold['accuracy']:.1%} {_macro(fold)}| {fold['loss']:.3f} |"
        for fold in folds["each"]
    ]
    units = (
        f" Pictures that stay together, such as near-duplicates, count together: all of them as {folds['units']:,.0f}."
        if folds["units"] < folds["pictures"] - 0.5
        else ""
    )
    columns = "accuracy"
    sentence = f"The folds' accuracies have a standard deviation of {folds['spread']:.1%}. The interval accounts"
    if several:
        columns = "exact match | macro F1"
        macro = f", their macro F1 one of {folds['macro_spread']:.1%}" if "macro_spread" in folds else ""
        sentence = (
            f"The folds' exact matches have a standard deviation of {folds['spread']:.1%}{macro}. Each fold chose "
            "thresholds of its own, so the table of labels names none. The intervals account"
        )
    return [
        f"| fold | learned from | chose by | tested | {columns} | cross-entropy |",
        "|---|---|---|---|---|---|" + "---|" * several,
        *rows,
        "",
        f"{sentence} for both the small number of pictures and the difference between the folds.{units}",
        "",
    ]


def _macro(fold: dict[str, Any]) -> str:
    """The cell of the macro F1, with several labels a picture."""
    if "macro_f1" not in fold:
        return ""
    return "| – " if fold["macro_f1"] is None else f"| {fold['macro_f1']:.1%} "
