"""The command `open`: the page, served to a browser on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.app.flags import Model, Switch, parse
from pellucid.app.page import server


def open_page(
    model: Model,
    picture: Annotated[Positional[Path | None], arg(metavar="[PICTURE]", help_behavior_hint="")] = None,
    /,
    port: int = 0,
    no_browser: Switch = False,
    trust: Switch = False,
) -> int:
    """Open a network in the browser: every layer, every number, forward, backward and into the optimizer's step.

    Only this machine can see it. Ctrl-C ends it.

    Args:
        model: Model folder.
        picture: The picture's file; by default the first of those that the model keeps for evaluation.
        port: Where it answers; 0 is any port that is free.
        no_browser: Only print the address.
        trust: Open a program that somebody's Python module was saved as. It may run code: trust who made MODEL.
    """
    return server.run(model, picture, port, not no_browser, trust)


def run(args: list[str]) -> int:
    return parse(open_page, args, "open")
