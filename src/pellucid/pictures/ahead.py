"""Many requests at a time: files at addresses are read before they are needed, and stamps by the folder.

A picture on a disk is read by the thread that decodes it. One at an address takes 20 to 200 ms to come, nearly all of
it waiting, so more requests are in flight than threads decode.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError, PictureError
from pellucid.pictures.places import is_address, is_on_the_web
from pellucid.pictures.reading import UNKNOWN, Stamp, exists, read_with_stamp, stamp_in, stamp_of
from pellucid.pictures.remote import IN_FLIGHT, Unreachable, store_of

if TYPE_CHECKING:
    from upath import UPath

    from pellucid.pictures.places import Place

WORTH_LISTING = 20  # pictures in one folder for which one listing takes less than their requests


Begun: TypeAlias = Future[tuple[bytes, Stamp]]
"""A file that is being read; its result is that of `reading.read_with_stamp`."""


class Ahead:
    """Reads files at addresses in the background, IN_FLIGHT at a time, in the order in which they are begun.

    Each holds its file in memory until somebody takes the result. Closing ends the wait for all of them: what has not
    come by then raises PictureError. Threads start with the first address.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._waiting: SimpleQueue[tuple[Begun, Place, Stamp] | None] = SimpleQueue()
        self._unfinished: set[Begun] = set()
        self._threads = 0

    @property
    def window(self) -> int:
        """How many files to begin before the result of the first is taken; 0 while there are no addresses."""
        return 2 * IN_FLIGHT if self._threads else 0

    def begun(self, where: str | Place, stamp: Sequence[int] = UNKNOWN) -> str | Place | Begun:
        """A file of this machine as it is; one at an address, being read. `stamp`: as for `reading.read_with_stamp`."""
        if not is_address(where):
            return where
        size, version, last = stamp
        file: Begun = Future()
        self._unfinished.add(file)
        file.add_done_callback(self._unfinished.discard)
        self._waiting.put((file, where, (size, version, last)))
        if self._stopping.is_set():  # by another thread; nobody reads it any more
            self._stop(file)
        if self._threads < IN_FLIGHT:
            self._threads += 1
            # a daemon, because a silent server must not hold up the end of the process
            threading.Thread(target=self._read, name=f"fetch-{self._threads}", daemon=True).start()
        return file

    def close(self) -> None:
        self._stopping.set()
        for file in list(self._unfinished):
            self._stop(file)
        for _ in range(self._threads):
            self._waiting.put(None)

    def _stop(self, file: Begun) -> None:
        with suppress(InvalidStateError):
            file.set_exception(PictureError("not read: stopped"))

    def _read(self) -> None:
        while (task := self._waiting.get()) is not None and not self._stopping.is_set():
            file, where, stamp = task
            try:
                result = read_with_stamp(where, stamp, self._stopping)
            except BaseException as error:
                with suppress(InvalidStateError):  # it was closed meanwhile
                    file.set_exception(error)
            else:
                with suppress(InvalidStateError):
                    file.set_result(result)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def content(picture: str | Place | Begun) -> tuple[bytes, Stamp]:
    """The content and stamp of a file that `Ahead.begun` returned. Raises PictureError."""
    return picture.result() if isinstance(picture, Future) else read_with_stamp(picture)


def stamps(places: Sequence[str | Place]) -> NDArray[np.int64]:
    """The stamp of each, (N, 3), as `reading.stamp_of`.

    A folder at an address that holds many of them is listed. The others take a request each, IN_FLIGHT at a time.
    """
    listed: dict[str, dict[str, Stamp]] = {}
    folders = Counter(str(each.parent) for each in places if is_address(each) and not is_on_the_web(each))
    first = {str(each.parent): each.parent for each in reversed(places) if is_address(each)}
    worth = [name for name, count in folders.items() if count >= WORTH_LISTING]

    def one(place: str | Place) -> Stamp:
        if is_address(place) and (names := listed.get(str(place.parent))) is not None:
            return names.get(place.name, UNKNOWN)
        return stamp_of(place)

    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="stamp") as pool:
        for name, names in zip(worth, pool.map(lambda name: _in_folder(first[name]), worth), strict=True):
            if names is not None:
                listed[name] = names
        every = pool.map(one, places) if any(map(is_address, places)) else map(one, places)
        return np.array(list(every), np.int64).reshape(-1, 3)


def present(places: Sequence[Place]) -> Iterator[bool]:
    """Whether each is there: on this machine on demand; addresses are looked up all at once. See `reading.exists`."""
    if not any(map(is_address, places)):
        yield from map(exists, places)
        return
    there = stamps(places)[:, 0] >= 0
    unknown = np.flatnonzero(~there)
    there[unknown] = exist([places[number] for number in unknown.tolist()])
    yield from there.tolist()


def exist(places: Sequence[str | Place]) -> list[bool]:
    """`reading.exists` of each; addresses take a request each, IN_FLIGHT at a time."""
    if not any(map(is_address, places)):
        return list(map(exists, places))
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="exists") as pool:
        return list(pool.map(exists, places))


def _in_folder(folder: UPath) -> dict[str, Stamp] | None:
    """The stamps of the files in a folder, by their names; None if it cannot be listed."""
    with suppress(CatalogError, Unreachable):
        store = store_of(folder)

        def listing() -> list[dict[str, object]]:
            store.system.invalidate_cache()
            return store.system.ls(folder.path, detail=True)

        return {str(info["name"]).rpartition("/")[2]: stamp_in(info) for info in store.tried(listing)}
    return None
