"""Write predictions: which pictures, in which format, to which place, one row at a time."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from pellucid import files
from pellucid.app import bars, lists, streams
from pellucid.app.format import printable
from pellucid.classifier.predict.columns import Columns, text
from pellucid.classifier.predict.expand import LeftOut, expand, listed_once, walked
from pellucid.classifier.predict.load import predictor
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Prediction
from pellucid.classifier.predict.predictor import Predictor
from pellucid.errors import RecipeError, StorageError
from pellucid.pictures.listing import ListedFolders
from pellucid.pictures.places import is_written_as_address

STANDARD_INPUT = "-"
_HEAD = 4096  # bytes of a file that tell a text from a picture
LISTED = 5  # left-out folders reported by name
WIDEST = 30  # cells of a class name in the table; longer ones push their row to the right


def write(
    model: Path,
    pictures: tuple[str, ...],
    top: int,
    form: str,
    batch: int,
    stream: TextIO,
    trust: bool = False,
    precision: str = "float32",
) -> int:
    """Classify and write row by row. Returns the number of unusable pictures."""
    int8 = None
    if precision != "float32":
        from pellucid.runs import quantise

        int8 = quantise.for_predictions(precision, lambda line: print(printable(line), file=sys.stderr))
    names = listed_names(pictures)
    classifier = predictor(model, names, trust, int8)
    return listed(classifier, classifier.stream(sources(names), batch), names, top, form, stream)


def listed(
    classifier: Predictor,
    answers: Iterator[Prediction],
    pictures: Sequence[Source | ListedFolders],
    top: int,
    form: str,
    stream: TextIO,
) -> int:
    """Write the answers to `pictures` row by row, as they come. Returns the number of unusable pictures."""
    row = {"table": _table, "csv": _csv, "jsonl": _jsonl}[form]
    if form == "csv":
        csv.writer(stream, lineterminator="\n").writerow(_columns(classifier, top).names)

    def total() -> int | None:
        """Counted in a separate walk, because a folder's names are never all in memory; None if they stream in."""
        return None if STANDARD_INPUT in pictures else sum(1 for _ in expand(pictures))

    count = unusable = 0
    for answer in bars.counted(answers, total, "pictures", stream is sys.stdout):
        count += 1
        unusable += answer.error is not None
        row(replace(answer, source=named(answer.source)), classifier, top, stream)
        if stream is sys.stdout:
            stream.flush()
    if not count:
        names = [str(each.top) if isinstance(each, ListedFolders) else str(each) for each in pictures]
        print(f"There is no picture in {', '.join(map(printable, names))}.", file=sys.stderr)
    return unusable


@contextmanager
def sink(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears when it is complete. Raises StorageError."""
    if out is None:
        yield sys.stdout
        return
    if out.is_dir():
        raise StorageError(f"{out} is a folder; --out names the file to write.")
    with files.storage_errors(out):
        if out.is_file() and not _is_text(out):
            raise StorageError(
                f"{out} already exists and is not a text file, so it is not an earlier answer: nothing of yours is "
                "overwritten. Choose another --out."
            )
        if out.exists() and not out.is_file():  # /dev/stdout or a named pipe, which cannot be replaced
            with out.open("w", buffering=1, encoding="utf-8", errors="backslashreplace", newline="") as file:
                yield file  # line-buffered, for a reader at the other end
            return
        with (
            files.replacing(out.resolve()) as temporary,
            temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            yield file


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(_HEAD)


def check(**numbers: int) -> None:
    """Refuse numbers below 1. Raises RecipeError."""
    for name, value in numbers.items():
        if value < 1:
            raise RecipeError(f"--{name} is {value}; it must be 1 or more.")


def listed_names(pictures: Sequence[Source]) -> Sequence[Source | ListedFolders]:
    """The same names, with a listing for each folder at an address, which may take a while."""
    if not any(map(is_written_as_address, pictures)):
        return pictures
    from pellucid.app import progress

    with progress.waiting("listing pictures"):
        return listed_once(pictures)


def expanded_sources(pictures: Iterable[Source | ListedFolders]) -> Iterator[Source]:
    """The pictures that the names stand for; left-out folders are reported on standard error."""
    left_out = 0
    for each in walked(pictures):
        if not isinstance(each, LeftOut):
            yield each
            continue
        left_out += 1
        if left_out <= LISTED:
            print(f"left out: {printable(each.path)} ({each.reason})", file=sys.stderr)
    if left_out > LISTED:
        print(f"left out: {left_out - LISTED:,} folders more", file=sys.stderr)


def sources(pictures: Sequence[Source | ListedFolders]) -> Iterator[Source]:
    """The pictures that names on a command line, including -, stand for; left-out folders are reported."""
    return expanded_sources(_sources(pictures))


def named(source: str) -> str:
    """A picture's name in its row."""
    return STANDARD_INPUT if source == "<bytes>" else source


def _sources(pictures: Sequence[Source | ListedFolders]) -> Iterator[Source | ListedFolders]:
    for picture in pictures:
        if isinstance(picture, str) and picture == STANDARD_INPUT:
            yield from lists.standard_input()
        else:
            yield picture


def _table(answer: Prediction, classifier: Predictor, top: int, stream: TextIO) -> None:
    width = min(max(_cells(printable(name)) for name in classifier.classes), WIDEST)
    path = printable(answer.source)
    if answer.error is not None:
        stream.write(f"{'–':<{width}}          {path}: {printable(answer.error)}\n")
        return
    if answer.labels is not None:
        label = ", ".join(map(printable, answer.labels)) or "–"
        shares = "  ".join(f"{printable(name)} {share:.1%}" for name, share in answer.top(top))
        stream.write(f"{label}{' ' * max(0, width - _cells(label))}  {path}  ({shares})\n")
        return
    (label, probability), *others = ((printable(name), share) for name, share in answer.top(top))
    rest = "  ".join(f"{name} {share:.1%}" for name, share in others)
    padding = " " * max(0, width - _cells(label))
    stream.write(f"{label}{padding}  {probability:>6.1%}  {path}{f'  ({rest})' if rest else ''}\n")


def _csv(answer: Prediction, classifier: Predictor, top: int, stream: TextIO) -> None:
    cells = _columns(classifier, top).cells(answer)
    csv.writer(stream, lineterminator="\n").writerow(map(text, cells))


def _columns(classifier: Predictor, top: int) -> Columns:
    return Columns.of(classifier.classes, top, classifier.thresholds is not None)


def _jsonl(answer: Prediction, classifier: Predictor, top: int, stream: TextIO) -> None:
    streams.write_json(answer.as_json(top), stream)


def _cells(name: str) -> int:
    """The width of a name on a terminal: Chinese characters take two cells each."""
    if name.isascii():
        return len(name)
    from rich.cells import cell_len

    return cell_len(name)
