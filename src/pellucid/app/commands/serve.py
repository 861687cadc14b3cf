"""The command `serve`: models for other programs, over HTTP."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pellucid.app.exits import Exit
from pellucid.app.flags import Place, Switch, parse


def serve(
    models: Annotated[Positional[tuple[str, ...]], arg(metavar="MODEL ...", help_behavior_hint="")],
    /,
    host: str = "127.0.0.1",
    port: int = 8000,
    grpc_port: Annotated[int | None, arg(metavar="INT", help_behavior_hint="")] = None,
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
    precision: Literal["float32", "int8"] = "float32",
) -> int:
    """Serve models over HTTP: Pellucid's own requests, Open Inference Protocol v2, Hugging Face's image classification.

    /docs lists the addresses. Ctrl-C or SIGTERM ends the server after it has answered the requests in work. When a
    model's folder changes, or on SIGHUP, the server reloads the model; the old version answers until the new one is
    checked. Needs pip install 'pellucid[serve]'.

    Args:
        models: Model folders, or hf://OWNER/NAME on the hub, each served under its own name. NAME=FOLDER serves it
            under NAME.
        host: Address to listen at. Any but this machine's own requires a token.
        port: 0 takes any free port.
        grpc_port: Answer Open Inference Protocol v2 over gRPC too, at this port; 0 takes any free port. Needs
            pip install 'pellucid[grpc]'.
        token: Clients must send Authorization: Bearer TEXT. Other users can see TEXT in the list of processes: prefer
            --token-file.
        token_file: Read the token from this file.
        workers: Processes that answer requests. They share the weights.
        max_mb: Most megabytes in a request. A larger one is refused (413).
        max_megapixels: Most megapixels in a picture. A larger one is refused before it is decoded.
        max_pictures: Most pictures in a request.
        queue: Most pictures in work at once. When it is full, clients must try again later (429).
        timeout: Seconds for a request to arrive, and again for its answer.
        no_page: Serve no page at /. There is none with several workers either.
        trust: Open saved Python modules, which may run code. Use this only if you trust who made them.
        precision: int8 predicts with 8-bit integers, as `pellucid predict` does. Explanations stay in float32.
    """
    from pellucid.app import serving

    if not models:
        print("pellucid serve: MODEL is missing. See `pellucid serve --help`.", file=sys.stderr)
        return Exit.USAGE
    settings = serving.Settings(
        models,
        host,
        port,
        grpc_port,
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
        precision,
    )
    return serving.run(settings)


def run(args: list[str]) -> int:
    return parse(serve, args, "serve")
