"""The command `life`: one weight through its whole training, and the pictures that pushed it."""

from __future__ import annotations

import re
import sys
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.app import answers, life_plot, life_text, models, outputs, progress, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import printable
from pellucid.errors import RecipeError
from pellucid.life.again import differs, opened
from pellucid.life.story import LARGEST, living
from pellucid.pictures.store import default_cache


def life(
    model: Model,
    weight: Annotated[Positional[str], arg(metavar="WEIGHT")],
    /,
    largest: int = LARGEST,
    steps: Annotated[str | None, arg(metavar="FROM:TO", help_behavior_hint="")] = None,
    out: Place = None,
    plot: Place = None,
    cache: Place = None,
    json: Switch = False,
) -> int:
    """Follow one weight through its training: every update from its first value to the saved one, and who caused it.

    The training is made again, which takes about as long as it did, and compared with the saved weights. Each update is
    checked against the optimizer's formula. The exit status is 1 if the training made again does not end in the saved
    weights, as on another machine.

    Args:
        model: Model folder.
        weight: Such as 'conv1.weight[3, 0, 2, 2]' or 'dense1.bias[1]', counted from 0.
        largest: How many of its largest steps to show.
        steps: Only these steps, such as 1:100. Default: all that lead to the saved weights.
        out: Write everything as JSON to this new file.
        plot: Draw the weight's curve into this new file, .png or .svg.
        cache: Where decoded pictures and features are stored. Default: the user's cache folder.
        json: Print everything as JSON.
    """
    answers.check(largest=largest)
    span = None if steps is None else _span(steps)
    outputs.check_drawn(out, plot, life_plot.ENDINGS)
    folder = models.local(model)
    again = progress.prepared(opened(folder, cache or default_cache(), [weight]))
    (result,) = progress.timed(living(again, [weight], largest, span), "training again")
    content = {"model": str(model), **result.as_json()}
    if out is not None:
        outputs.create_json(out, content)
    if plot is not None:
        life_plot.write(plot, result)
    if json:
        streams.write_json(content)
    else:
        life_text.life(result, model)
    if result.drift is None:
        return Exit.OK
    print(f"pellucid: {printable(differs(folder, result.drift))}", file=sys.stderr)
    return Exit.ERROR


def run(args: list[str]) -> int:
    return parse(life, args, "life")


def _span(text: str) -> tuple[int, int]:
    """(1, 100) of "1:100". Raises RecipeError."""
    match = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", text)
    if match is None:
        raise RecipeError(f"--steps is {text!r}; it must be the first and the last step, such as 1:100.")
    return int(match[1]), int(match[2])
