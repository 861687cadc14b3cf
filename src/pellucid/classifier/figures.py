"""The pictures of a model card: curves, confusion matrix, calibration."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.classifier import matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2166ac", "#d6604d", "#8a8a8a"
MOST_NAMED = 60  # classes; more names are unreadable on the confusion matrix
MOST_COUNTED = 30  # classes; more numbers are unreadable in its cells


def curves(history: list[dict[str, str]]) -> Figure:
    """Loss and accuracy of training and validation over the epochs."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = _figure(9, 3.4)
    epochs = [int(row["epoch"]) for row in history]
    validated = any(row["validation_loss"] for row in history)
    best = [int(row["epoch"]) for row in history if row["best"] == "1"][-1:] if validated else []
    loss, accuracy = figure.subplots(1, 2)
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        for side, colour in (("train", GREY), ("validation", BLUE)) if validated else (("train", GREY),):
            values = [float(row[f"{side}_{quantity}"] or "nan") for row in history]
            axes.plot(epochs, values, color=colour, label=side, marker="o" if len(epochs) < 3 else None)
        for epoch in best:
            axes.axvline(epoch, color=ORANGE, linewidth=1, linestyle=":", label="best")
        axes.set_xlabel("epoch")
        axes.set_title(quantity, fontsize=10)
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _quiet(axes)
    accuracy.set_ylim(0, 1.02)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(*accuracy.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def confusion(metrics: dict[str, Any]) -> Figure:
    """Rows are labels, columns are predictions; each row is coloured by its shares."""
    counts = matrix.rows(metrics["confusion"])
    count = len(counts)
    shown = metrics["classes"] if count <= MOST_NAMED else []
    names = [_short(item["name"], number) for number, item in enumerate(shown, start=1)]
    size = 9 if count <= MOST_COUNTED else 7
    side = min(max(3.4, 1.6 + 0.42 * count), 12) if count <= MOST_NAMED else 7  # more would be noise, and large
    figure = _figure(side + 0.6, side)
    axes = figure.add_subplot()
    shares = [[value / total for value in row] for row, total in ((row, max(sum(row), 1)) for row in counts)]
    place = None if count <= MOST_NAMED else (0.5, count + 0.5, count + 0.5, 0.5)  # numbered from 1, as in the table
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, extent=place)
    if count <= MOST_NAMED:
        upright = max(map(len, names)) * count <= 24
        turned = {} if upright else {"rotation": 90 if count > MOST_COUNTED else 45, "ha": "center"}
        if turned and count <= MOST_COUNTED:
            turned |= {"ha": "right", "rotation_mode": "anchor"}
        # a $ in a name does not start a formula
        axes.set_xticks(range(count), names, fontsize=size, parse_math=False, **turned)
        axes.set_yticks(range(count), names, fontsize=size, parse_math=False)
    order = "" if count <= MOST_NAMED else " (classes numbered as in the table)"
    axes.set_xlabel(f"predicted{order}")
    axes.set_ylabel(f"true class{order}")
    for y, row in enumerate(counts) if count <= MOST_COUNTED else ():
        for x, value in enumerate(row):
            if value:
                colour = "white" if shares[y][x] > 0.5 else "black"
                axes.text(x, y, f"{value}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_title(f"{metrics['pictures']:,} {metrics['side']} pictures", fontsize=10)
    return figure


def calibration(metrics: dict[str, Any]) -> Figure:
    """Of the pictures predicted with a probability of about p, how many were right, before and after scaling."""
    panels = [("calibration_before", "before temperature scaling"), ("calibration", "after temperature scaling")]
    if metrics["calibration_before"] == metrics["calibration"]:
        panels = [("calibration", "no temperature scaling")]
    figure = _figure(4.5 * len(panels), 3.6)
    for place, (key, title) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        bins = [item for item in metrics[key]["bins"] if item["pictures"]]
        axes.bar([b["low"] + 0.05 for b in bins], [b["accuracy"] for b in bins], width=0.09, color=BLUE, alpha=0.75)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
        axes.plot(
            [b["confidence"] for b in bins],
            [b["accuracy"] for b in bins],
            "o",
            color=ORANGE,
            markersize=4,
            clip_on=False,
        )
        for b in bins:
            inside = b["accuracy"] > 0.1
            height = 0.02 if inside else b["accuracy"] + 0.03
            axes.text(
                b["low"] + 0.05,
                height,
                f"{b['pictures']:,}",
                ha="center",
                fontsize=7,
                color="white" if inside else "black",
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share correct")
        axes.set_title(f"{title}: error {metrics[key]['error']:.3f}", fontsize=10)
        _quiet(axes)
    return figure


def _quiet(axes: Axes) -> None:
    """Show only the two axes that carry numbers."""
    axes.spines[["top", "right"]].set_visible(False)


def _figure(width: float, height: float) -> Figure:
    """A figure outside any window and any global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(path: Path, figure: Figure) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    files.write(path, content.getvalue())


def _short(name: str, number: int, most: int = 18) -> str:
    """A class's name for the matrix: cut if it is long; its number in the table if the font lacks a letter."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    shown = " ".join(name.split())
    if not all(ord(character) in known for character in shown):
        return f"no. {number}"
    return shown if len(shown) <= most else shown[: most - 1] + "…"
