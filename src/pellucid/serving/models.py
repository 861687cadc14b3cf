"""The models of a server by name. A new version in a folder is loaded beside the old one, then takes its place."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from pellucid.classifier import store
from pellucid.errors import PellucidError, did_you_mean
from pellucid.runtime.memory import give_back_memory
from pellucid.serving import logs, served
from pellucid.serving.limits import Limits
from pellucid.serving.metrics import Metrics
from pellucid.serving.refusal import Refusal
from pellucid.serving.served import Loaded, Served

LOOK = 1.0  # seconds between two looks at the folders
SOON = 1.0  # seconds until nothing refers to a version that has ended

FILES = (store.CONFIG, store.WEIGHTS, store.PROGRAM)

Signature = tuple[tuple[int, int, int] | None, ...]
"""Of each of FILES: modified, size, number on the disk; None where it is not there.

Pellucid writes config.json last. Other programs copy a folder in any order, so the weights count too: a version that
was refused while half of it was there is tried again once the rest has come.
"""


class Models:
    """Used on the event loop's thread alone, but for loading. The first model answers where none is named."""

    def __init__(self, loaded: Iterable[Loaded], limits: Limits, threads: int, metrics: Metrics) -> None:
        self._limits, self._threads, self._metrics = limits, threads, metrics
        self._served = {each.name: self._begin(each) for each in loaded}
        self._seen = {name: _signature(each.loaded.folder) for name, each in self._served.items()}
        self._reloading = asyncio.Lock()

    @property
    def names(self) -> list[str]:
        return list(self._served)

    def now(self, name: str | None = None, version: str | None = None) -> Served:
        """The version that answers now. Raises Refusal (404) where there is no such model or version."""
        name = name or self.names[0]
        if name not in self._served:
            hint = did_you_mean(name, self._served, quoted=True)
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"There is no model {name[:80]!r}.{hint} The models are {', '.join(self.names)}.",
            )
        current = self._served[name]
        if version and version != current.version:
            raise Refusal(
                HTTPStatus.NOT_FOUND, f"{name} has no version {version[:80]!r}; it has version {current.version}."
            )
        return current

    @contextmanager
    def using(self, name: str | None = None, version: str | None = None) -> Iterator[Served]:
        """The same for a request: it stays, whatever happens in its folder. Raises Refusal (404)."""
        current = self.now(name, version)
        current.users += 1
        try:
            yield current
        finally:
            current.users -= 1
            if current.retired and not current.users:
                _end(current)

    async def watch(self) -> None:
        """Reload what changes in its folder, until this is cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            for name, each in list(self._served.items()):
                signature = _signature(each.loaded.folder)
                if signature[0] is not None and signature != self._seen[name]:
                    await self.reload(name)

    async def reload_all(self) -> None:
        for name in self.names:
            await self.reload(name)

    async def reload(self, name: str) -> None:
        """Load the model again. Where it cannot be used, the old one goes on, and the log says why."""
        async with self._reloading:
            old = self._served[name]
            self._seen[name] = _signature(old.loaded.folder)
            try:
                if await asyncio.to_thread(served.version_of, old.loaded.folder) == old.version:
                    return
                loaded = await asyncio.to_thread(
                    served.load, name, old.loaded.folder, self._limits, old.loaded.trust, old.loaded.int8
                )
            except (PellucidError, OSError) as error:
                self._metrics.reloaded(name, "refused")
                logs.line("model refused", "error", model=name, version=old.version, reason=str(error))
                return
            except Exception as error:  # a fault of ours or of a library: the next version is still looked for
                self._metrics.reloaded(name, "refused")
                logs.line("fault", "error", model=name, version=old.version, trace=traceback.format_exception(error))
                return
            self._served[name] = self._begin(loaded)
            old.retired = True
            if not old.users:
                _end(old)
            self._metrics.reloaded(name, "replaced")
            logs.line("model replaced", model=name, version=loaded.version, before=old.version)

    def close(self) -> None:
        """End the threads. No request may be in work."""
        for each in self._served.values():
            each.batcher.close()

    def _begin(self, loaded: Loaded) -> Served:
        return served.begin(loaded, self._limits, self._threads, self._metrics.batched)


def _end(old: Served) -> None:
    """End the threads of a version, and return its memory: the thread that loads the next may be unable to use it."""
    old.batcher.close()
    asyncio.get_running_loop().call_later(SOON, give_back_memory)


def _signature(folder: Path) -> Signature:
    return tuple(_stated(folder / name) for name in FILES)


def _stated(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
