"""Predictions on their way out: which pictures, in which format, to which place, one row at a time."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pellucid import api, files
from pellucid.api import Classifier, Prediction, Source
from pellucid.app import screen
from pellucid.app.words import printable
from pellucid.errors import RecipeError


def write(model: Path, pictures: tuple[str, ...], top: int, format: str, batch: int, stream: TextIO) -> int:
    """Classify and write row by row. Returns how many pictures could not be used."""
    classifier = api.load(model)
    sources = list(api.expand(_sources(pictures)))
    row = {"table": _table, "csv": _csv, "jsonl": _jsonl}[format]
    if format == "csv":
        named = range(1, min(top, len(classifier.classes)) + 1)
        ranks = [f"{word}_{rank}" for rank in named for word in ("label", "probability")]
        csv.writer(stream, lineterminator="\n").writerow(["picture", *ranks, "error"])
    unusable = 0
    for answer in screen.counted(classifier.stream(sources, batch), len(sources), "pictures"):
        unusable += answer.error is not None
        row(answer, classifier, top, stream)
        stream.flush()
    return unusable


@contextmanager
def sink(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears when it is complete."""
    if out is None:
        yield sys.stdout
        return
    with (
        files.storage_errors(out),
        files.replacing(out) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


def check(**numbers: int) -> None:
    """Refuse numbers below 1. Raises RecipeError."""
    for name, value in numbers.items():
        if value < 1:
            raise RecipeError(f"--{name} is {value}; it must be 1 or more.")


def _sources(pictures: tuple[str, ...]) -> Iterator[Source]:
    for picture in pictures:
        if picture == "-":
            yield from _standard_input()
        else:
            yield picture


def _standard_input() -> Iterator[Source]:
    """A picture's bytes, or a path a line: pictures hold bytes that no text does."""
    stream = sys.stdin.buffer
    if _is_text(stream.peek(512)[:512]):  # type: ignore[attr-defined]
        for line in stream:
            if path := line.rstrip(b"\r\n").decode("utf-8", "surrogateescape"):
                yield path
    else:
        yield stream.read()


def _is_text(start: bytes) -> bool:
    """Whether bytes could be paths: every picture format has control characters in its first line."""
    return bool(start) and not any(byte < 32 and byte not in b"\t\r\n" for byte in start)


def _table(answer: Prediction, classifier: Classifier, top: int, stream: TextIO) -> None:
    width = max(len(name) for name in classifier.classes)
    path = printable(answer.source)
    if answer.error is not None:
        stream.write(f"{'–':<{width}}          {path}: {answer.error}\n")
        return
    (label, probability), *others = answer.top(top)
    rest = "  ".join(f"{name} {share:.1%}" for name, share in others)
    stream.write(f"{label:<{width}}  {probability:>6.1%}  {path}{f'  ({rest})' if rest else ''}\n")


def _csv(answer: Prediction, classifier: Classifier, top: int, stream: TextIO) -> None:
    named = min(top, len(classifier.classes))
    cells = [cell for name, share in answer.top(top) for cell in (name, f"{share:.6f}")] or [""] * (2 * named)
    csv.writer(stream, lineterminator="\n").writerow([printable(answer.source), *cells, answer.error or ""])


def _jsonl(answer: Prediction, classifier: Classifier, top: int, stream: TextIO) -> None:
    stream.write(printable(json.dumps(answer.as_json(top), ensure_ascii=False)) + "\n")
