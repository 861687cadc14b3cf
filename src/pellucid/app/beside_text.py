"""The printed output of `pellucid explain --beside`: two models on one picture, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from pellucid.app import explain_text
from pellucid.app.format import printable
from pellucid.glassbox.trace.trace import Trace


def comparison(first: Trace, second: Trace, result: Mapping[str, Any]) -> None:
    """Both predictions, the first layer where the models part, and a line per layer. `result`: as Parting.as_json."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{printable(first.source)} in both:", style="bold"))
    for letter, trace, name in (("A", first, result["first"]), ("B", second, result["second"])):
        console.print(Text(f"{letter}: {printable(name)}: {explain_text.called(trace)}{_share(trace)}"))
    console.print(Text(parted(result), style="bold"))
    lines = [("layer", "in B", "differs most at", "", "A", "B", "B − A")]
    lines += [_cells(layer, first=at == result["parts"]) for at, layer in enumerate(result["layers"])]
    for line in explain_text.aligned([tuple(map(printable, line)) for line in lines], left=4):
        console.print(line)
    console.print(
        Text(
            f"Layers part where a number differs by more than {result['tolerance']:.2g} of the layer's largest number. "
            "Rounding alone differs by less.",
            style="dim",
        )
    )
    for note in result["notes"]:
        console.print(Text(printable(note), style="dim"))


def parted(result: Mapping[str, Any]) -> str:
    """The first layer where two models part, in a sentence."""
    at, layers = result["parts"], result["layers"]
    if at is None:
        return "The models agree in every layer that both have."
    layer = layers[at]
    name = printable(layer["first"])
    other = "" if layer["second"] == layer["first"] else f" (in B {printable(layer['second'])})"
    if layer["value"] is None:
        return f"They part first at {name}{other}: {_size(layer['shapes'][0])} in A, {_size(layer['shapes'][1])} in B."
    count = layer["value"]["different"]
    return f"They part first at {name}{other}: {count:,} of {layer['value']['count']:,} numbers differ."


def _cells(layer: Mapping[str, Any], first: bool) -> tuple[str, ...]:
    one, other, value = layer["first"], layer["second"], layer["value"]
    if one is None or other is None:
        return one or "–", other or "–", "", "only in B" if one is None else "only in A", "", "", ""
    same = "" if one == other else other
    if value is None:
        return one, same, "", "they part first" if first else "other shape", *map(_size, layer["shapes"]), ""
    if not value["different"]:
        return one, same, "", "equal", "", "", "0"
    verdict = "they part first" if first else "apart" if value["parted"] else "rounding"
    index = f"[{', '.join(map(str, value['index']))}]" if value["index"] else "the number"
    return one, same, index, verdict, *(_number(value[key]) for key in ("first", "second", "difference"))


def _share(trace: Trace) -> str:
    return f" {trace.probabilities[trace.predicted]:.1%}" if trace.thresholds is None else ""


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.7g}".replace("-", "−")


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"
