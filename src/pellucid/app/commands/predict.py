"""The command `predict`, in its own file: one picture should not wait for the other commands' imports."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pellucid.app import answers, models
from pellucid.app.exits import Exit
from pellucid.errors import RecipeError
from pellucid.runtime.memory import keep_memory

Format = Literal["table", "csv", "jsonl", "parquet"]
TOP, FORMAT, BATCH, PRECISION = 3, "table", 32, "float32"  # defaults of the flags


def run(args: list[str]) -> int:
    """Parse and run. The parser takes longer than a picture, so it only reads help, wrong arguments and rare flags."""
    words = None if any(word.startswith("--ray") for word in args) else _few_flags(args)
    return _parsed(args) if words is None else _run(Path(words[0][0]), tuple(words[0][1:]), **words[1])


def _few_flags(args: list[str]) -> tuple[list[str], dict[str, Any]] | None:
    """(model and pictures, values by flag), if all flags come last, once, in the form `--flag value`, and are valid."""
    count = next((at for at, word in enumerate(args) if word.startswith("-") and word != "-"), len(args))
    flags, values = args[count::2], args[count + 1 :: 2]
    if count < 2 or len(flags) != len(values) or len(set(flags)) != len(flags):
        return None
    settings: dict[str, Any] = {}
    for flag, value in zip(flags, values, strict=True):
        if flag in ("--top", "--batch") and re.fullmatch("[0-9]{1,9}", value):
            settings[flag[2:]] = int(value)
        elif flag == "--format" and value in get_args(Format):
            settings["format"] = value
        elif flag == "--out" and value and not value.startswith("-") and "://" not in value:
            settings["out"] = Path(value)
        else:
            return None
    return args[:count], settings


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
    if format == "parquet":
        raise RecipeError("--format parquet needs --ray. For one Parquet file of features use --features.")
    keep_memory(shared=True)
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

    from pellucid.app.clustered import with_address
    from pellucid.app.flags import Model, Place, Switch, parse

    def predict(
        model: Model,
        pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="PICTURE ...", help_behavior_hint="")],
        /,
        top: int = TOP,
        format: Annotated[Format | None, arg(help_behavior_hint="")] = None,
        out: Place = None,
        batch: int = BATCH,
        features: Place = None,
        trust: Switch = False,
        precision: Literal["float32", "int8"] = PRECISION,
        ray: Annotated[str | None, arg(metavar="[ADDRESS]", help_behavior_hint="")] = None,
    ) -> int:
        """Classify pictures. An unusable picture gets a row with the reason, and the exit status is 3.

        Args:
            model: Model folder, hf://OWNER/NAME, or a file that `pellucid export` wrote.
            pictures: Files, folders, globs, tables with a column path, also at addresses such as s3://bucket/new; or -
                for a picture or paths on standard input.
            top: Classes to name per picture.
            format: table for people (the default), csv or jsonl for scripts. With --ray parquet (the default), csv or
                jsonl.
            out: Write to this file instead of standard output. An existing text file is replaced. With --ray, a folder.
            batch: Pictures classified at once.
            features: Write features to this Parquet file, replacing an older one. Needs pip install 'pellucid[tables]'.
            trust: Open a saved Python module or .pt2 file, which may run code. Use it only if you trust who made MODEL.
            precision: int8 computes with 8-bit integers. The first use measures the accuracy on the validation pictures
                and stores the result in MODEL; a fall by more than half a point is refused.
            ray: Use all machines of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT; without an address, the cores of
                this machine. --out and --features name folders of files; the same command continues an interrupted one.
                Needs pip install 'pellucid[ray]'.
        """
        if not pictures:
            print("pellucid predict: PICTURE is missing. See `pellucid predict --help`.", file=sys.stderr)
            return Exit.USAGE
        if ray is None:
            return _run(model, pictures, top, format or FORMAT, out, batch, features, trust, precision)
        from pellucid.app import clustered

        answers.check(top=top, batch=batch)
        local = models.local(model, trust, predicting=True)
        return clustered.write(local, pictures, ray, out, format, top, batch, features, trust, precision)

    return parse(predict, with_address(args), "predict")
