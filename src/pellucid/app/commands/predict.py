"""The command `predict`, in a file of its own: one picture should not wait for what the other commands import."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pellucid.app import answers
from pellucid.app.exits import Exit

TOP, FORMAT, BATCH = 3, "table", 32  # unless flags say otherwise


def run(args: list[str]) -> int:
    """Parse and run. Without a flag there is nothing to parse, and the parser takes longer than a picture."""
    if len(args) > 1 and not any(word.startswith("-") and word != answers.STANDARD_INPUT for word in args):
        return _run(Path(args[0]), tuple(args[1:]))
    return _parsed(args)


def _run(
    model: Path,
    pictures: tuple[str, ...],
    top: int = TOP,
    format: str = FORMAT,
    out: Path | None = None,
    batch: int = BATCH,
    features: Path | None = None,
    trust: bool = False,
) -> int:
    answers.check(top=top, batch=batch)
    with answers.sink(out) as stream:
        if features is None:
            return Exit.UNUSABLE if answers.write(model, pictures, top, format, batch, stream, trust) else Exit.OK
        from pellucid.app import featured

        unusable = featured.write(model, pictures, top, format, batch, stream, features, out, trust)
        return Exit.UNUSABLE if unusable else Exit.OK


def _parsed(args: list[str]) -> int:
    from tyro.conf import Positional, arg

    from pellucid.app.flags import Model, Place, Switch, parse

    def predict(
        model: Model,
        pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PICTURE ...", help_behavior_hint="")],
        /,
        top: int = TOP,
        format: Literal["table", "csv", "jsonl"] = FORMAT,
        out: Place = None,
        batch: int = BATCH,
        features: Place = None,
        trust: Switch = False,
    ) -> int:
        """Classify pictures. A picture that cannot be used is a row that says why, and the exit status is then 3.

        Args:
            model: Model folder.
            pictures: Files, folders (everything in them), globs, tables (CSV, JSONL, Parquet) with a column path, or -
                for standard input: a picture, or a path a line.
            top: How many classes to name for each picture.
            format: table to read, csv or jsonl for a script.
            out: Write to this file instead of standard output. An earlier text of that name is replaced.
            batch: Pictures classified at once.
            features: Also write what the network's last dense layer gets of each picture, as Parquet, to this file; an
                earlier Parquet file of that name is replaced. Needs pip install 'pellucid[tables]'.
            trust: Open a program that somebody's Python module was saved as. It may run code: trust who made MODEL.
        """
        if not pictures:
            print("pellucid predict: no pictures are named. See `pellucid predict --help`.", file=sys.stderr)
            return Exit.USAGE
        return _run(model, pictures, top, format, out, batch, features, trust)

    return parse(predict, args, "predict")
