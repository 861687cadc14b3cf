"""What `pellucid serve` does with its flags: checks them, loads the models, says where it listens."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.app import models, progress
from pellucid.app.format import printable
from pellucid.errors import PellucidError, RecipeError, StorageError
from pellucid.hub.reference import is_reference, parse

if TYPE_CHECKING:
    from pellucid.serving.served import Quantise

LARGEST_PORT = 65_535
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """The flags of `pellucid serve`."""

    models: tuple[str, ...]
    host: str
    port: int
    grpc_port: int | None
    token: str | None
    token_file: Path | None
    workers: int
    max_mb: float
    max_megapixels: float
    max_pictures: int
    queue: int
    timeout: float
    page: bool
    trust: bool
    precision: str = "float32"


def run(settings: Settings) -> int:
    """Serve until a signal ends it; returns the exit status. Raises PellucidError."""
    folders, token = named(settings.models), _token(settings)
    _check(settings, token)
    try:
        from pellucid.serving import workers
        from pellucid.serving.entrance import Access
        from pellucid.serving.limits import Limits
        from pellucid.serving.metrics import Metrics
        from pellucid.serving.running import Service, listening, place_of, reserved
        from pellucid.serving.served import load
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        raise PellucidError(
            f"Serving needs the package {package}. Install it: pip install 'pellucid[serve]'"
        ) from error
    if settings.grpc_port is not None and find_spec("grpc") is None:
        raise PellucidError("--grpc-port needs the package grpcio. Install it: pip install 'pellucid[grpc]'")
    from pellucid.runtime.threads import cores

    limits = Limits(
        body=round(settings.max_mb * 1e6),
        pixels=round(settings.max_megapixels * 1e6),
        pictures=settings.max_pictures,
        queue=settings.queue,
        seconds=settings.timeout,
    )
    with ExitStack() as sockets:
        listener = sockets.enter_context(listening(settings.host, settings.port))
        rpc = None
        if settings.grpc_port is not None:
            rpc = place_of(sockets.enter_context(reserved(settings.host, settings.grpc_port, "--grpc-port")))
        with progress.waiting("opening the models"):
            places = {name: models.local(path, settings.trust) for name, path in folders.items()}
            int8 = _int8(settings.precision)
            loaded = [load(name, folder, limits, settings.trust, int8) for name, folder in places.items()]
        metrics = Metrics(list(folders), settings.workers)
        threads = max(1, cores() // settings.workers)
        host, port = settings.host, listener.getsockname()[1]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        pages = None
        if settings.page and settings.workers == 1:  # a reader's run is in one process, and any may be asked
            from pellucid.app.page.readers import Readers

            pages = Readers()
        lines = [f"{printable(', '.join(folders))} served at {address} (Ctrl-C ends it). {address}/docs"]
        if rpc is not None:
            lines.append(f"gRPC at {rpc}")
        if settings.page and pages is None:
            lines.append("There is no page at / with several workers: what a reader opens is in one of them.")
        service = Service(loaded, limits, Access(token), metrics, threads, pages, rpc)
        return workers.run(service, listener, settings.workers, lambda: print(*lines, sep="\n", flush=True))


def named(models: tuple[str, ...]) -> dict[str, Path]:
    """NAME=FOLDER, or a folder that is served under its own name -> the folders by name. Raises RecipeError."""
    folders: dict[str, Path] = {}
    for model in models:
        name, equals, path = model.partition("=")
        hosted = is_reference(model)
        if not equals or Path(model).exists():
            name, path = parse(model).name.split("/")[1] if hosted else Path(model).resolve().name, model
        if not path or not name or "/" in name or not name.isprintable():
            raise RecipeError(f"{model!r} names no model. Write NAME=FOLDER; NAME is printable text without a slash.")
        if name in folders:
            raise RecipeError(f"Two models are called {name!r}: {folders[name]} and {path}. Name one: other={path}")
        folders[name] = Path(path)
    return folders


def _int8(precision: str) -> Quantise | None:
    """What makes a model one of 8-bit integers; None for float32. What it measures stands in the log."""
    if precision == "float32":
        return None
    from pellucid.runs import quantise
    from pellucid.serving import logs

    return quantise.for_predictions(precision, lambda text: logs.line("precision", text=text))


def _token(settings: Settings) -> str | None:
    if settings.token is not None and settings.token_file is not None:
        raise RecipeError("--token and --token-file both state the token. Remove one.")
    token = settings.token.strip() if settings.token is not None else None  # a header has no spaces around it
    if settings.token_file is not None:
        try:
            token = settings.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise StorageError(f"The token file {settings.token_file} cannot be read: {error}.") from error
    if token is not None and (not token.strip() or not token.isprintable()):
        raise RecipeError("The token is empty or holds characters that a header cannot carry.")
    return token


def _check(settings: Settings, token: str | None) -> None:
    if settings.host not in LOCAL and token is None:
        raise RecipeError(
            f"--host {settings.host} allows requests from other machines, which requires a token: "
            "--token-file FILE, with a long random text in FILE."
        )
    for flag, port in (("--port", settings.port), ("--grpc-port", settings.grpc_port)):
        if port is not None and not 0 <= port <= LARGEST_PORT:
            raise RecipeError(f"{flag} is {port}; it must be from 0 (any free port) to {LARGEST_PORT}.")
    for flag, value in (
        ("--max-mb", settings.max_mb),
        ("--max-megapixels", settings.max_megapixels),
        ("--timeout", settings.timeout),
    ):
        if not (isfinite(value) and value > 0):
            raise RecipeError(f"{flag} is {value:g}; it must be above 0, and finite.")
    if settings.workers < 1:
        raise RecipeError(f"--workers is {settings.workers}; it must be 1 or more.")
