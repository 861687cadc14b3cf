"""From runs to medians, from medians to tables, and tables between marks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from contenders import OURS, TITLES

Run = dict[str, Any]


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"


def between(text: str, name: str, content: str) -> str:
    """The text with the part between its two marks replaced. Raises ValueError if a mark is missing."""
    begin, end = marks(name)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"the marks {begin} and {end} must stand in the text once, in this order")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{content.strip()}\n{end}{rest.split(end)[1]}"


def write(page: Path, name: str, content: str) -> None:
    page.write_text(between(page.read_text(encoding="utf-8"), name, content), encoding="utf-8")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in lines)


def median(runs: Iterable[Run], of: Callable[[Run], float | None]) -> float | None:
    """The median of the successful runs that have such a value; None if there is none."""
    values = [value for run in runs if "failed" not in run and (value := of(run)) is not None]
    return statistics.median(values) if values else None


def grouped(runs: Iterable[Run], case: str) -> dict[str, list[Run]]:
    """The runs of a case by contender, Pellucid first, the others in their order."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run["case"] == case:
            groups.setdefault(run["contender"], []).append(run)
    return dict(sorted(groups.items(), key=lambda each: each[0] != OURS))


def compared(runs: Iterable[Run]) -> list[str]:
    return list(dict.fromkeys(run["case"] for run in runs))


def seconds(run: Run) -> float:
    return run["seconds"]


def peak(run: Run) -> float:
    return run["peak_mb"]


def answered(name: str) -> Callable[[Run], float | None]:
    return lambda run: run["answer"].get(name)


def title(contender: str) -> str:
    return TITLES.get(contender, contender)


def failure(runs: list[Run]) -> str | None:
    """Why a contender has no figure, if none of its runs succeeded."""
    reasons = [run["failed"] for run in runs if "failed" in run]
    return reasons[-1] if len(reasons) == len(runs) else None


def best_peer(groups: dict[str, list[Run]], of: Callable[[Run], float | None], more: bool) -> tuple[str, float] | None:
    """The peer with the best median: the largest if `more`, else the least."""
    medians = {name: median(runs, of) for name, runs in groups.items() if name != OURS}
    known = [(name, value) for name, value in medians.items() if value is not None]
    return (max if more else min)(known, key=lambda each: each[1]) if known else None


def against(groups: dict[str, list[Run]], of: Callable[[Run], float | None], more: bool) -> tuple[float, str] | None:
    """How many times better Pellucid is than the best peer (below 1: worse), and that peer."""
    mine, peer = median(groups.get(OURS, []), of), best_peer(groups, of, more)
    if not mine or peer is None or not peer[1]:
        return None
    return (mine / peer[1] if more else peer[1] / mine), peer[0]


def number(value: float | None, unit: str = "", digits: int | None = None) -> str:
    """Three digits; a dash for None."""
    if value is None:
        return "-"
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{f' {unit}' if unit else ''}"


def times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def spread(runs: Iterable[Run], of: Callable[[Run], float | None], digits: int | None = None) -> str:
    """Every value, from least to most."""
    values = sorted(value for run in runs if "failed" not in run and (value := of(run)) is not None)
    return ", ".join(number(value, digits=digits) for value in values) or "-"
