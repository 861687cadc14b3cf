"""The command `export`: write a model folder for other programs or for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pellucid import api
from pellucid.app import models, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Source, Switch, parse
from pellucid.app.format import printable, size


def export(
    model: Model,
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    /,
    format: Annotated[Literal["onnx", "openvino", "torch", "html"] | None, arg(help_behavior_hint="")] = None,
    precision: Literal["float32", "int8"] = "float32",
    pictures: Source = None,
    trust: Switch = False,
    json: Switch = False,
) -> int:
    """Write a model for other programs, or as a page that classifies in a browser.

    The file contains weights, resizing, standardising and temperature, the class names and the model card. It appears
    only if its probabilities agree with the model's on real pictures.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        out: The file to write, such as model.onnx or model.html. An earlier export is replaced.
        format: onnx (.onnx, read by many programs), openvino (.xml and .bin), torch (.pt2) or html (.html, a page that
            classifies in a browser without a connection; the first one fetches ONNX Runtime for browsers, 33 MB, into
            the cache). Default: by OUT's ending.
        precision: int8 computes with 8-bit integers. It is refused if the accuracy on the validation pictures (with
            several labels the macro F1) falls by more than half a point. For onnx only.
        pictures: Pictures to compare on, at most 32. Default: those behind the model's reported accuracy. If the
            validation pictures are gone, int8 needs a labelled folder here.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
        json: Print as JSON.
    """
    folder = models.local(model, trust)
    done = api.export(folder, out, format=format, pictures=pictures, trust=trust, precision=precision)
    if json:
        streams.write_json(done.as_json(), indent=2)
        return Exit.OK
    names = " and ".join(printable(str(path)) for path in (done.path, *done.beside))
    print(f"{names}: {size(done.bytes)}.")
    pictures_checked = f"{done.pictures} picture{'s' if done.pictures > 1 else ''}"
    print(
        f"Compared with the model on {pictures_checked}: no probability differs by more than {done.difference:.1g} "
        f"({done.bound:g} is allowed)."
    )
    if done.caveat:
        print(done.caveat)
    if done.int8 is not None:
        print(*done.int8.sentences(), sep="\n")
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(export, args, "export")
