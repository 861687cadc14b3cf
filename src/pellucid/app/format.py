"""Format numbers, times and names for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pellucid.texts import listed

if TYPE_CHECKING:
    from pellucid.training.evaluate import Metrics

# control characters, line ends, and bytes of a name that are not UTF-8
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(words: object) -> str:
    """A file's or a class's name on one line, even if it has line ends, escapes or bytes that are not UTF-8."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), str(words))


def few(names: Sequence[str], most: int = 5) -> str:
    """class a; classes a, b and 3 more."""
    shown = listed([printable(name) for name in names], most)
    return f"class {shown}" if len(names) == 1 else f"classes {shown}"


def many(count: int, thing: str, things: str | None = None) -> str:
    """1 epoch, 1,200 epochs; 2 copies."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {things or thing + 's'}"


def share(metrics: Metrics) -> str:
    """Accuracy with count and interval, in one phrase; for several labels the fraction with exactly the right ones."""
    low, high = metrics.interval
    if metrics.several:
        of = f"of {many(metrics.pictures, 'picture')} have exactly the right labels"
        return f"{metrics.accuracy:.1%} {of}, 95% interval {low:.1%} to {high:.1%}"
    return f"{metrics.accuracy:.1%} of {many(metrics.pictures, 'picture')}, 95% interval {low:.1%} to {high:.1%}"


def balanced(metrics: Metrics, most: int = 5) -> str:
    """Balanced accuracy with its interval, and the recall of each class (of many, the lowest), in one phrase.

    For several labels, the F1 over all of them, with its interval where there is one, and the mean average precision.
    """
    if metrics.balanced_accuracy is None or metrics.balanced_interval is None:
        figures = {"macro F1": metrics.macro_f1, "micro F1": metrics.micro_f1}
        figures |= {"mean average precision": metrics.mean_average_precision}
        shown = {name: f"{value:.1%}" for name, value in figures.items() if value is not None}
        if metrics.macro_interval is not None:
            low, high = metrics.macro_interval
            shown["macro F1"] += f" (95% interval {low:.1%} to {high:.1%})"
        figure = ", ".join(f"{name} {value}" for name, value in shown.items())
    else:
        low, high = metrics.balanced_interval
        figure = f"balanced accuracy {metrics.balanced_accuracy:.1%}, 95% interval {low:.1%} to {high:.1%}"
    recalls = [(item.recall, printable(item.name)) for item in metrics.classes if item.recall is not None]
    if len(recalls) > most:
        recalls = sorted(recalls)[:most]
        return f"{figure}; lowest recall {', '.join(f'{name} {recall:.1%}' for recall, name in recalls)}"
    return f"{figure}; recall {', '.join(f'{name} {recall:.1%}' for recall, name in recalls)}"


def duration(seconds: float) -> str:
    """42 s, 3:05 min, 2:10 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def operations(count: int) -> str:
    """1.31 G for 1,314,240,000."""
    return _scaled(count, ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")), "")


def size(count: int) -> str:
    """Bytes, in steps of a thousand: 1.76 MB."""
    return _scaled(count, ((1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB")), " B")


def _scaled(count: int, units: tuple[tuple[float, str], ...], plain: str) -> str:
    # 999,600 is 1 M and not 1e+03 k: a number that rounds to a thousand takes the next unit
    return next((f"{count / limit:.3g}{unit}" for limit, unit in units if count >= 0.9995 * limit), f"{count}{plain}")
