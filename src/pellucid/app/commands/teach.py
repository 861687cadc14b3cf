"""The command `teach`: collect pictures, train on them and try the result, in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.app.flags import Switch, parse

FOLDER = Path("pellucid-teach")


def teach(
    folder: Annotated[
        Positional[Path], arg(metavar="[FOLDER]", help_behavior_hint="(default: pellucid-teach)")
    ] = FOLDER,
    /,
    port: int = 0,
    no_browser: Switch = False,
) -> int:
    """Teach a network in the browser: collect pictures by camera, drawing or file, train, and try it at once.

    Everything stays on this machine. Pictures are written to FOLDER as they come, and nothing is deleted: what you
    remove goes to FOLDER/removed. Start it again with the same FOLDER to go on. Ctrl-C ends it.

    Args:
        folder: A new folder, or one of an earlier start.
        port: The server's port; 0 for any free port.
        no_browser: Print the address and start no browser.
    """
    from pellucid.app.teach import server

    return server.run(folder, port, not no_browser)


def run(args: list[str]) -> int:
    return parse(teach, args, "teach")
