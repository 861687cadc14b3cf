"""The command `taught`: the training pictures that taught an answer, and those whose labels are suspicious."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid import files
from pellucid.app import answers, models, outputs, repeating, streams, taught_sheet, taught_text
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.errors import RecipeError
from pellucid.life import answer as answering
from pellucid.life import influence
from pellucid.life.influence import Method, Suspects, Teaching
from pellucid.life.material import Material
from pellucid.pictures.png import encode as png

TOP = 5


def taught(
    model: Model,
    picture: Annotated[Positional[str | None], arg(metavar="[PICTURE]", help_behavior_hint="")] = None,
    /,
    label: Annotated[str | None, arg(metavar="CLASS", help_behavior_hint="")] = None,
    top: int = TOP,
    method: Method = "derivative",
    verify: Switch = False,
    suspects: Switch = False,
    plot: Place = None,
    out: Place = None,
    cache: Place = None,
    json: Switch = False,
) -> int:
    """Show who taught an answer: the training pictures that helped it most, and those that hurt it most.

    The training is made again, so its pictures must be on this machine. A figure is an estimate of how much higher the
    loss of the answer, -log of its probability before calibration, would be without the picture. --verify trains again
    and measures it.

    Args:
        model: Model folder.
        picture: The picture whose answer it is; it need not be one of the model's own.
        label: The class. Default: the predicted one.
        top: Pictures to show of each kind.
        method: derivative follows the loss back through every step. tracin looks at 20 moments of the training: faster
            on large networks, and far less exact. A head on a frozen backbone has a closed form instead of both.
        verify: Train again without the helpers that are shown, and without the hurters, and measure the loss.
        suspects: Instead, the training pictures whose labels are most suspicious: no other picture supports them.
        plot: Write the pictures, side by side, to this new file (.png).
        out: Write everything as JSON, with every training picture, to this new file.
        cache: Where decoded pictures and features are stored. Default: the user's cache folder.
        json: Print everything as JSON.
    """
    answers.check(top=top)
    outputs.check_drawn(out, plot)
    if (picture is None) == (not suspects):
        what = "--suspects takes no PICTURE" if suspects else "PICTURE is missing; or use --suspects"
        print(f"pellucid taught: {what}. See `pellucid taught --help`.", file=sys.stderr)
        return Exit.USAGE
    if suspects and (verify or label is not None):
        raise RecipeError(
            f"--{'verify' if verify else 'label'} is about the answer to a PICTURE, not about --suspects."
        )
    material = repeating.opened(models.local(model), cache)
    result: Teaching | Suspects
    if picture is None:
        result = repeating.timed(influence.suspecting(repeating.begun(material)), "training again")
        image = taught_sheet.suspects(result, material, top) if plot is not None else None
    else:
        result = _taught(material, picture, label, top, method, verify)
        image = taught_sheet.teaching(result, material, picture, top) if plot is not None else None
    if plot is not None and image is not None:
        files.create(plot, png(image))
    if out is not None:
        outputs.create_json(out, {"model": str(model), **result.as_json()})
    if json:
        streams.write_json({"model": str(model), **result.as_json(top)})
    elif isinstance(result, Teaching):
        taught_text.teaching(result, top)
    else:
        taught_text.suspects(result, top)
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(taught, args, "taught")


def _taught(material: Material, picture: str, label: str | None, top: int, method: Method, verify: bool) -> Teaching:
    answer = answering.of(material.classifier, picture, label)
    again = repeating.begun(material)
    result = repeating.timed(influence.teaching(again, answer, method), "following the training")
    if not verify:
        return result
    groups = [some for some in (result.helped(top), result.hurt(top)) if some]
    return repeating.timed(influence.verifying(material, answer, result, groups), "training again")
