"""The command `compare`: two models, or one and its altered self, on the same pictures."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from pellucid import files
from pellucid.app import compared_text, outputs, progress, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import printable
from pellucid.app.page import whatif
from pellucid.debugging import variant
from pellucid.debugging.comparing import comparing
from pellucid.debugging.comparison import Comparison
from pellucid.errors import RecipeError
from pellucid.glassbox.whatif import spelling
from pellucid.glassbox.whatif.change import Change
from pellucid.texts import LABELS_BETWEEN

Precision = Literal["float32", "int8", "bfloat16"]


def compare(
    model: Model,
    others: Annotated[Positional[tuple[str, ...]], arg(metavar="[OTHER] [PICTURE ...]", help_behavior_hint="")] = (),
    /,
    precision: Precision = "float32",
    change: Annotated[tuple[str, ...], arg(metavar="CHANGE", help_behavior_hint=""), UseAppendAction] = (),
    changes: Place = None,
    list: Switch = False,  # noqa: A002 (the flag's name)
    csv: Place = None,
    json: Switch = False,
    trust: Switch = False,
) -> int:
    """Compare two models on the same pictures: who is right how often, which answers change, and by how much.

    Args:
        model: Model folder, hf://OWNER/NAME, a file that `pellucid export` wrote, or RUN/checkpoint of an unfinished
            training.
        others: The second model, then pictures: a labelled folder or table, or files, folders, globs. Without a second
            model: MODEL itself, altered by --precision or --change. Without pictures: MODEL's own test pictures.
        precision: Of the second model. bfloat16 rounds its weights; int8 is that of `pellucid predict`.
        change: A change to the second model, such as "conv1.weight[3, 0, 2, 2] = 0.5", "stride 2 in conv1", "average
            pooling in maxpool1". Repeat it for several.
        changes: A JSON file of such changes, in the form that the page sends.
        list: List every picture whose answer changes.
        csv: Write a row for each picture to this new file.
        json: Print everything as JSON.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made the models.
    """
    second, pictures = _split(others)
    every = (*_from_file(changes), *map(spelling.read, change))
    if second is None and others and precision == "float32" and not every:
        raise RecipeError(
            f"{others[0]} is not a model, so {model} would be compared with itself. Name a second model before the "
            "pictures, or what is different: --precision or --change."
        )
    if csv is not None:
        outputs.check_free(csv, "--csv")
    with progress.waiting("opening the models"):
        one, other = variant.pair(model, second, precision, every, trust, _say)
    result = progress.timed(comparing(one, other, pictures), "comparing")
    if csv is not None:
        files.create(csv, as_csv(result))
    if json:
        streams.write_json(result.as_json(), indent=2)
    else:
        compared_text.comparison(result, every=list)
    return Exit.UNUSABLE if result.unusable else Exit.OK


def run(args: list[str]) -> int:
    return parse(compare, args, "compare")


def as_csv(result: Comparison) -> bytes:
    """A row for each picture, in their order."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ("picture", "labels", "first", "second", "changed", "of", "first_probability", "second_probability")
    writer.writerow([*columns, "error"])
    for each in result.pictures:
        row = result.described(each)
        names = (LABELS_BETWEEN.join(row[name] or ()) for name in ("labels", "first", "second"))
        numbers = (f"{row[name]:.6f}" for name in columns[-2:])
        writer.writerow([row["picture"], *names, int(each.changed), row["of"], *numbers, ""])
    for path, reason in result.unusable:
        writer.writerow([path, *[""] * (len(columns) - 1), reason])
    return stream.getvalue().encode("utf-8", "backslashreplace")


def _split(names: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The second model, if the first name is one, and the pictures."""
    if names and variant.is_model(names[0]):
        return names[0], names[1:]
    return None, names


def _from_file(place: Path | None) -> tuple[Change, ...]:
    if place is None:
        return ()
    try:
        content = place.read_bytes()
    except OSError as error:
        raise RecipeError(f"--changes is {place}, which cannot be read: {error.strerror or error}.") from error
    return whatif.read(content)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)
