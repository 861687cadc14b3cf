"""One process that listens: uvicorn around the application, and what signals mean to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from pellucid.errors import StorageError
from pellucid.serving import logs
from pellucid.serving.application import Application
from pellucid.serving.entrance import Access
from pellucid.serving.limits import Limits
from pellucid.serving.metrics import Metrics
from pellucid.serving.page import Pages
from pellucid.serving.protocol import patient
from pellucid.serving.served import Loaded

if TYPE_CHECKING:
    from pellucid.serving.rpc import Rpc

BACKLOG = 2048  # connections that the operating system holds until they are taken
INTERRUPTED = 130  # exit status after a second Ctrl-C
TURN = 0.0005  # seconds that a thread computes in Python while the event loop waits; Python's own are ten times as many
IDLE = 75  # seconds that an idle connection stays open: longer than proxies keep theirs


@dataclass(frozen=True, eq=False)
class Service:
    """All that a process needs to answer. `threads`: how many decode, and how many compute for each model."""

    loaded: Sequence[Loaded]
    limits: Limits
    access: Access
    metrics: Metrics
    threads: int
    pages: Pages | None = None
    """What answers the page; None without it."""
    grpc: str | None = None
    """Host and port of gRPC; None without it."""


class Listener(socket.socket):
    """A socket of which each process takes one connection at a time.

    asyncio takes as many at once as may wait, so that one process would get all those that come together.
    """

    def listen(self, backlog: int = BACKLOG, /) -> None:
        super().listen(BACKLOG)


def listening(host: str, port: int, flag: str = "--port") -> socket.socket:
    """A socket that takes connections; port 0 is any that is free. Raises StorageError, which names the `flag`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = Listener(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:  # a name that no network has, such as a..b, is a UnicodeError
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"Port {port} of {host} cannot be used: {reason}. Choose another {flag}, or 0 for any."
        ) from error
    listener.set_inheritable(True)
    return listener


def reserved(host: str, port: int, flag: str = "--port") -> socket.socket:
    """A socket that keeps an address for processes that will listen there, all at once; port 0 is any that is free.

    Raises StorageError, which names the `flag`, where another program has the address.
    """
    with listening(host, port, flag) as probe:  # the next socket would share the address with another program
        family, address = probe.family, probe.getsockname()
    holding = socket.socket(family, socket.SOCK_STREAM)
    holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holding.bind(address)
    return holding


def place_of(listener: socket.socket) -> str:
    """Host and port as in an address."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def answer(service: Service, listener: socket.socket, announce: Callable[[], None] = lambda: None) -> None:
    """Answer until SIGTERM or Ctrl-C; SIGHUP reloads the models. Requests in work are answered before it returns.

    A second Ctrl-C ends the process at once. `announce` is called when signals are heard and requests are answered.
    """
    logs.take_over()
    sys.setswitchinterval(TURN)
    asyncio.run(server(service, announce).serve([listener]))


def server(service: Service, announce: Callable[[], None] = lambda: None) -> Server:
    """What answers once `serve` is awaited."""
    application = Application(
        service.loaded, service.limits, service.access, service.metrics, service.threads, service.pages
    )
    patience = int(max(service.limits.seconds, service.limits.explaining_seconds)) + 1
    rpc = None
    if service.grpc is not None:
        from pellucid.serving.rpc import Rpc

        rpc = Rpc(application.handler, service.access, service.grpc)
    config = uvicorn.Config(
        application.asgi,
        backlog=1,  # how many are taken at once; see Listener
        http=patient(service.limits.seconds),
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="on",
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=patience,
        proxy_headers=False,
    )
    return Server(config, application, rpc, announce)


class Server(uvicorn.Server):
    """uvicorn raises the signal again that ended it; here the end is an ordinary return.

    On another thread than the first it hears no signals, and `should_exit` ends it.
    """

    def __init__(
        self, config: uvicorn.Config, application: Application, rpc: Rpc | None, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.application, self._rpc, self._announce = application, rpc, announce
        self._interrupted = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._rpc is not None and self.started:
            await self._rpc.start()
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """The requests of both are answered before the application ends its threads."""
        if self._rpc is not None:
            for each in self.servers:  # HTTP must not take more while gRPC's requests are answered
                each.close()
            await self._rpc.end(self.config.timeout_graceful_shutdown or 0)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop, first = asyncio.get_running_loop(), threading.current_thread() is threading.main_thread()
        handlers = {"SIGINT": self._interrupt, "SIGTERM": self._end, "SIGHUP": self._reload}
        present = {getattr(signal, name): what for name, what in handlers.items() if first and hasattr(signal, name)}
        for number, what in present.items():
            loop.add_signal_handler(number, what)
        try:
            yield
        finally:
            for number in present:
                loop.remove_signal_handler(number)

    def _end(self) -> None:
        logs.line("ending")
        self.should_exit = True

    def _interrupt(self) -> None:
        if self._interrupted:  # not an exception: it would wait for threads that still compute
            logs.line("ended at once", "warning")
            os._exit(INTERRUPTED)
        self._interrupted = True
        self._end()

    def _reload(self) -> None:
        task = asyncio.get_running_loop().create_task(self.application.handler.models.reload_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
