"""The command `plan`: the layers of a network and their cost."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from pellucid import api
from pellucid.app import answers, streams, tables
from pellucid.app.exits import Exit
from pellucid.app.flags import Switch, parse


def plan(
    network: Annotated[Positional[str], arg(metavar="NETWORK")],
    /,
    input: Annotated[str | None, arg(metavar="HxWxC", help_behavior_hint="")] = None,
    classes: int = 2,
    batch: int = 32,
    probe: Switch = False,
    pictures: int = 1000,
    epochs: int = 30,
    json: Switch = False,
) -> int:
    """Show what a network is made of and what it costs, before any training.

    Args:
        network: A name (compact, article, resnet50, efficientnet_lite0, ...; the reference has all) or text:
            "conv(10, 5) relu maxpool(2) flatten dense".
        input: Picture size as HEIGHTxWIDTHxCHANNELS, such as 300x300x3. Default: the size it was published for.
        classes: Number of classes.
        batch: Pictures per training step.
        probe: Also measure images per second and memory on this machine, and estimate the time of a training.
        pictures: With --probe: number of training pictures.
        epochs: With --probe: number of epochs.
        json: Print everything as JSON.
    """
    answers.check(classes=classes, batch=batch, pictures=pictures, epochs=epochs)
    planned = api.plan(network, input, classes, batch)
    probed = api.probe(network, input, classes, batch) if probe else None
    if json:
        measured = {"probe": probed.as_json(pictures, epochs)} if probed else {}
        streams.write_json({**planned.as_json(), **measured}, indent=2)
    else:
        tables.plan(planned, probed, pictures, epochs)
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(plan, args, "plan")
