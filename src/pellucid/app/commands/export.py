"""The command `export`: write a model folder as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pellucid import api
from pellucid.app import models, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import printable


def export(
    model: Model,
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    /,
    format: Literal["onnx"] = "onnx",
    pictures: Place = None,
    trust: Switch = False,
    json: Switch = False,
) -> int:
    """Write a model as one file for other programs: pixels in, probabilities out.

    The file contains weights, resizing, standardising and temperature. Its metadata holds the class names and the model
    card. The file appears only if its probabilities agree with the model's on real pictures.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        out: The file to write, such as model.onnx. An earlier export is replaced.
        format: onnx, for ONNX Runtime and other programs that read ONNX.
        pictures: Pictures to compare on, at most 32. Default: those behind the model's reported accuracy.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
        json: Print as JSON.
    """
    done = api.export(models.local(model, trust), out, format=format, pictures=pictures, trust=trust)
    if json:
        streams.write_json(done.as_json(), indent=2)
        return Exit.OK
    print(f"{printable(str(done.path))}: {done.bytes / 1e6:,.1f} MB.")
    pictures_checked = f"{done.pictures} picture{'s' if done.pictures > 1 else ''}"
    print(
        f"Compared with the model on {pictures_checked}: no probability differs by more than {done.difference:.1g} "
        f"({done.bound:g} is allowed)."
    )
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(export, args, "export")
