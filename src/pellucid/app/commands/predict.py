"""The command `predict`, in its own file: one picture should not wait for the other commands' imports."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pellucid.app import answers, models
from pellucid.app.exits import Exit

TOP, FORMAT, BATCH, PRECISION = 3, "table", 32, "float32"  # defaults of the flags


def run(args: list[str]) -> int:
    """Parse and run. Without a flag there is nothing to parse, and the parser would take longer than a picture."""
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
    precision: str = PRECISION,
) -> int:
    answers.check(top=top, batch=batch)
    model = models.local(model, trust, predicting=True)
    with answers.sink(out) as stream:
        if features is None:
            unusable = answers.write(model, pictures, top, format, batch, stream, trust, precision)
            return Exit.UNUSABLE if unusable else Exit.OK
        from pellucid.app import featured

        featured.check(precision)
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
        precision: Literal["float32", "int8"] = PRECISION,
    ) -> int:
        """Classify pictures. An unusable picture gets a row with the reason, and the exit status is 3.

        Args:
            model: Model folder, hf://OWNER/NAME, or a file that `pellucid export` wrote.
            pictures: Files, folders, globs, tables with a column path, or - for a picture or paths on standard input.
            top: Classes to name per picture.
            format: table for people, csv or jsonl for scripts.
            out: Write to this file instead of standard output. An existing text file is replaced.
            batch: Pictures classified at once.
            features: Write features to this Parquet file, replacing an older one. Needs pip install 'pellucid[tables]'.
            trust: Open a saved Python module or .pt2 file, which may run code. Use it only if you trust who made MODEL.
            precision: int8 computes with 8-bit integers. The first use measures the accuracy on the validation pictures
                and stores the result in MODEL; a fall by more than half a point is refused.
        """
        if not pictures:
            print("pellucid predict: PICTURE is missing. See `pellucid predict --help`.", file=sys.stderr)
            return Exit.USAGE
        return _run(model, pictures, top, format, out, batch, features, trust, precision)

    return parse(predict, args, "predict")
