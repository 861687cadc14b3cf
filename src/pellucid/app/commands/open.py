"""The command `open`: the page, served to a browser on this machine."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.app import models
from pellucid.app.flags import Model, Switch, parse
from pellucid.app.page import server


def open_page(
    model: Model,
    picture: Annotated[Positional[str | None], arg(metavar="[PICTURE]", help_behavior_hint="")] = None,
    /,
    beside: Annotated[str | None, arg(metavar="OTHER", help_behavior_hint="")] = None,
    port: int = 0,
    no_browser: Switch = False,
    trust: Switch = False,
) -> int:
    """Open a model in the browser: every layer and every number, forward, backward and into the optimizer's step.

    Only this machine can reach the page. Ctrl-C ends it.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        picture: A picture file. Default: one of the model's test pictures, right but not certain.
        beside: Compare with a second model, layer by layer: a model folder, RUN/checkpoint, "int8", "bfloat16", or
            changes such as "conv1.weight[3, 0, 2, 2] = 0.5; stride 2 in conv1".
        port: The server's port; 0 for any free port.
        no_browser: Print the address and start no browser.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
    """
    return server.run(models.local(model, trust), picture, port, not no_browser, trust, beside)


def run(args: list[str]) -> int:
    return parse(open_page, args, "open")
