"""The command `serve`: models for other programs, over HTTP."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.app.exits import Exit
from pellucid.app.flags import Place, Switch, parse


def serve(
    models: Annotated[Positional[tuple[str, ...]], arg(metavar="MODEL ...", help_behavior_hint="")],
    /,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None,
    token_file: Place = None,
    workers: int = 1,
    max_mb: float = 32.0,
    max_megapixels: float = 50.0,
    max_pictures: int = 64,
    queue: int = 256,
    timeout: float = 30.0,
    no_page: Switch = False,
    trust: Switch = False,
) -> int:
    """Serve models over HTTP: Pellucid's own requests, Open Inference Protocol v2, Hugging Face's image classification.

    /docs lists the addresses. Ctrl-C and SIGTERM end the server; requests in work are answered first. A model whose
    folder changes is reloaded, also on SIGHUP; the old one answers until the new one is checked. Needs pip install
    'pellucid[serve]'.

    Args:
        models: Model folders, each served under its folder's name, or NAME=FOLDER.
        host: Another address than this machine's own requires a token.
        port: 0 for any free port.
        token: What clients send as Authorization: Bearer TEXT. Others on this machine can see it: prefer --token-file.
        token_file: Read the token from this file.
        workers: Processes that answer. They share the weights.
        max_mb: Megabytes of a request; larger ones are refused (413).
        max_megapixels: Megapixels of a picture; larger ones are refused before they are decoded.
        max_pictures: Pictures of a request.
        queue: Pictures that may be in work at once. Beyond, requests are told to come back (429).
        timeout: Seconds for a request to arrive, and for its answer.
        no_page: Serve no page at /. With several workers there is none either.
        trust: Open saved Python modules, which may run code. Use this only if you trust who made them.
    """
    from pellucid.app import serving

    if not models:
        print("pellucid serve: MODEL is missing. See `pellucid serve --help`.", file=sys.stderr)
        return Exit.USAGE
    settings = serving.Settings(
        models,
        host,
        port,
        token,
        token_file,
        workers,
        max_mb,
        max_megapixels,
        max_pictures,
        queue,
        timeout,
        not no_page,
        trust,
    )
    return serving.run(settings)


def run(args: list[str]) -> int:
    return parse(serve, args, "serve")
