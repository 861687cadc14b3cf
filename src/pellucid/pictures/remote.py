"""Read from an address: its file system, several tries with a growing pause, the stamp of a file, a copy of a table.

Retries are here and not left to the packages behind fsspec, because s3fs and botocore each repeat what the other
repeats, and HTTP repeats nothing: a refused connection would take minutes or no second try at all.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pellucid.errors import CatalogError
from pellucid.pictures.faults import CutShort, phrase, sentence
from pellucid.pictures.places import shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from upath import UPath

T = TypeVar("T")

TRIES = 3
PAUSE = 0.4  # seconds before the second try; four times as long before the third
IN_FLIGHT = 32  # requests at a time; docs/why/places.md
GIVEN_UP = 2 * IN_FLIGHT  # pictures lost one after the other, after which each is tried once only
CONNECT, ANSWER = 10, 30  # seconds to wait for a connection, and for more bytes


class Unreachable(Exception):
    """A file that could not be read, after all tries. `reason`: a phrase. `passing`: a later run may read it."""

    def __init__(self, reason: str, passing: bool) -> None:
        super().__init__(reason)
        self.reason, self.passing = reason, passing


class RemoteStore:
    """A file system with our retries. One object serves all addresses of a protocol, and all threads.

    `stopping`: set, it ends pauses and further tries.
    """

    def __init__(self, system: AbstractFileSystem) -> None:
        self.system: Any = system  # its methods are typed for text and bytes alike
        self._lost = 0  # files lost one after the other

    def read(self, path: str, size: int, most: int, stopping: threading.Event | None = None) -> bytes:
        """The content of a file, checked against its `size`. Raises Unreachable.

        -1 stands for an unknown size; then at most `most` bytes are read.
        """

        def attempt() -> bytes:
            if size < 0:
                with self.system.open(path, "rb") as file:
                    return file.read(most)
            data = self.system.cat_file(path)
            if size != len(data):
                raise CutShort(f"{len(data)} of {size} bytes")
            return data

        return self.tried(attempt, stopping)

    def info(self, path: str) -> dict[str, Any]:
        """fsspec's description of a file or folder: type, size, version. Raises Unreachable."""
        with suppress(Exception):
            self.system.invalidate_cache(path)
        return self.tried(lambda: self.system.info(path))

    def tried(self, attempt: Callable[[], T], stopping: threading.Event | None = None) -> T:
        """What `attempt` returns, on one of TRIES tries. Raises Unreachable with the reason of the last."""
        tries = TRIES if self._lost < GIVEN_UP else 1
        for number in range(1, tries + 1):
            try:
                result = attempt()
            except Exception as error:  # of any package that fsspec opens addresses with
                reason, passing = phrase(error)
                stopped = stopping is not None and stopping.is_set()
                if passing and number < tries and not stopped:
                    pause = PAUSE * 4 ** (number - 1) * random.uniform(0.5, 1.5)  # else all would return at once
                    stopping.wait(pause) if stopping is not None else time.sleep(pause)
                    continue
                self._lost = self._lost + 1 if passing else 0
                counted = f"{reason} ({number} tries)" if number > 1 else reason
                raise Unreachable(counted if not passing else f"cannot be read: {counted}", passing) from error
            self._lost = 0
            return result
        raise AssertionError("no try was made")


_STORES: dict[str, RemoteStore] = {}
_LOCK = threading.Lock()


def store_of(address: UPath) -> RemoteStore:
    """The store of an address. Raises CatalogError if its package is missing or its settings are wrong."""
    from fsspec.utils import tokenize

    key = tokenize(os.getpid(), address.protocol, **address.storage_options)
    with _LOCK:
        if key not in _STORES:
            try:
                _STORES[key] = RemoteStore(_opened(address))
            except Exception as error:
                raise CatalogError(sentence(error, shown(address))) from error
        return _STORES[key]


class Copy:
    """A temporary file at `path`, which disappears with this object or with the process."""

    def __init__(self) -> None:
        file, name = tempfile.mkstemp(prefix="pellucid-", suffix=".table")
        os.close(file)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)


def copied(address: UPath) -> Copy:
    """A copy of a file. Raises CatalogError."""
    store, copy = store_of(address), Copy()
    try:
        store.tried(lambda: store.system.get_file(address.path, str(copy.path)))
    except Unreachable as error:
        raise CatalogError(refusal(error, address)) from error
    return copy


def refusal(error: Unreachable, address: UPath) -> str:
    """What to say about an address that the whole command depends on."""
    if error.passing:
        return f"{address} {error.reason}. Look at the network and the address, then try again."
    if error.reason == "not found":
        return f"{address}: not found. Check the address."
    return sentence(error.__cause__ or error, shown(address))


def _opened(address: UPath) -> AbstractFileSystem:
    import fsspec
    from fsspec.config import conf

    protocol = address.protocol
    options: dict[str, Any] = dict(address.storage_options)
    if protocol in ("s3", "s3a"):
        # a picture in one request, and as many connections as there are requests
        options.setdefault("max_concurrency", 1)
        once = {"max_pool_connections": IN_FLIGHT, "connect_timeout": CONNECT, "read_timeout": ANSWER}
        named = conf.get(protocol, {}).get("config_kwargs", {})
        options.setdefault("config_kwargs", {**once, **named, "retries": {"total_max_attempts": 1}})
    elif protocol in ("http", "https"):
        import aiohttp

        named = conf.get(protocol, {}).get("client_kwargs", {})
        patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=ANSWER)
        options.setdefault("client_kwargs", {"timeout": patience, **named})
    system = fsspec.filesystem(protocol, **options)
    if protocol in ("s3", "s3a"):
        system.retries = 1
    return system
