"""The command `import`: turn a file that Keras saved into a model folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from pellucid.app import streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Switch, parse
from pellucid.app.format import printable
from pellucid.errors import RecipeError
from pellucid.keras import importing
from pellucid.keras.importing import Imported


def import_keras(
    file: Annotated[Positional[Path], arg(metavar="FILE")],
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    /,
    classes: Annotated[str | None, arg(metavar="NAMES", help_behavior_hint="")] = None,
    size: Annotated[str | None, arg(metavar="SIDE|HxW", help_behavior_hint="")] = None,
    pixels: Annotated[str, arg(metavar="LOW..HIGH")] = "0..255",
    json: Switch = False,
) -> int:
    """Turn a saved Keras model into a model folder, without Keras.

    FILE is a .keras file, or an .h5 file of a whole model. Supported are Sequential models and functional models whose
    layers form a row; an Add of two branches becomes a residual layer. Needs h5py: pip install 'pellucid[keras]'.

    Args:
        file: The file that model.save wrote. No code in it is run.
        out: A new model folder.
        classes: Class names in the order of the outputs, such as cat,dog. For one sigmoid unit: the classes 0 and 1.
        size: Side of the pictures, or height and width, for a model that does not fix them.
        pixels: The values of black and white that the model was trained on: 0..1 if pixels were divided by 255.
        json: Print everything as JSON, with what became of each layer.
    """
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    imported = importing.import_keras(file, out, classes=names, size=_size(size), pixels=_range(pixels))
    streams.write_json(imported.as_json(), indent=2) if json else _show(imported)
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(import_keras, args, "import")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text)
    if sides is None:
        raise RecipeError(f"--size is {text!r}; write 150, or height and width, 150x200.")
    return int(sides[1]), int(sides[2] or sides[1])


def _range(text: str) -> tuple[float, float]:
    number = r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*"
    ends = re.fullmatch(rf"{number}\.\.{number}", text)
    if ends is None:
        raise RecipeError(f"--pixels is {text!r}; write the values of black and white, such as 0..1.")
    return float(ends[1]), float(ends[2])


def _show(imported: Imported) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(printable(f"{imported.source}: saved by Keras {imported.keras}"), style="bold"))
    table = Table("layer", "kind", "became", box=None, padding=(0, 1), pad_edge=False)
    for each in imported.layers:
        table.add_row(*(Text(printable(words)) for words in (each.name, each.kind, each.became)))
    console.print(table)
    for note in imported.notes:
        console.print(Text(printable(note)))
    folder = printable(str(imported.folder))
    console.print(Text(f"{folder}: {imported.parameters:,} parameters, {len(imported.classifier.classes)} classes"))
    console.print(Text(f"Its accuracy is unknown. Measure it: pellucid evaluate {folder} photos/"))
