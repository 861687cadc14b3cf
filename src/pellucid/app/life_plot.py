"""The curve of a weight's life as a picture."""

from __future__ import annotations

import io
from pathlib import Path

from pellucid import files
from pellucid.life.story import Life

ENDINGS = (".png", ".svg")


def write(place: Path, life: Life) -> None:
    """Draw the value before the first step and after each, with a dot after each of the largest steps.

    Raises StorageError if there is something at `place`, or it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure((7.0, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    steps = range(life.begin, life.begin + len(life.values))
    axes.plot(steps, life.values, color="#2563a8", linewidth=1.2)
    axes.plot([each.step for each in life.largest], [each.after for each in life.largest], "o", color="#c05a00")
    axes.set_title(life.weight, fontsize=10)
    axes.set_xlabel("steps made")
    axes.set_ylabel("value of the weight")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    content = io.BytesIO()
    form = place.suffix.lower().removeprefix(".")
    figure.savefig(content, format=form, metadata={"Software": None} if form == "png" else {"Date": None})
    files.create(place, content.getvalue())
