"""Every picture decoded once, to `uint8` at training size, in one file from which batches are read.

A store is a folder below the cache, one for each (data folder, table if any, form, pixel limit):

    images.raw         uint8 (N, height, width, channels), one usable picture after the other; not there for a set that
                       does not fit into the free space: its pictures are decoded again at each use (streamed.py)
    descriptions.raw   uint8 (N, DESCRIPTION), for the search for twins
    files.npy          one record (`look.RECORD`) for each file of the catalog, in the catalog's order
    paths.raw          the files' paths, one after the other, in the same order
    ends.npy           int64 (N + 1): where each path ends; the first is 0
    reasons.json       {file's number: why it cannot be used}
    store.json         the store's identity, the range of the deep pictures, the lengths and hashes of the
                       files above, and a hash of itself

The next run, or the first run of another table over the same folder, takes over what it can by (path, size, times) and
decodes the rest. A store is built beside its place and renamed, under a lock that ends with its process: a store in its
place is complete, and a `.part` without a lock belongs to a dead run. A store with wrong lengths or hashes is built
again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from io import FileIO
from itertools import pairwise
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import StorageError
from pellucid.pictures import clearing, processes, twins
from pellucid.pictures.ahead import Ahead
from pellucid.pictures.begun import Journal, recover
from pellucid.pictures.catalog import Catalog, Quarantined, by_path
from pellucid.pictures.decode import PIXEL_LIMIT, Form, expect_many
from pellucid.pictures.index import Digests, Index, identity_of, labels_of, read_header, there
from pellucid.pictures.lock import Lock, beside
from pellucid.pictures.look import RECORD, Looks, Way, look
from pellucid.pictures.measure import measure
from pellucid.pictures.neighbour import neighbour
from pellucid.pictures.opened_store import Store
from pellucid.pictures.order import reading_order
from pellucid.pictures.places import below, identity, name_of, place
from pellucid.pictures.processes import Processes
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.reuse import Reuse
from pellucid.pictures.space import ELSEWHERE, another_place, free_in, full_disk
from pellucid.runtime.memory import keep_memory
from pellucid.runtime.threads import cores

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

# the names that may occur in a cache; group 1 is the store's name
_NAME = re.compile(r"\.?(\w*-[0-9a-f]{16}\.store)(\.\w+\.part|\.\w+\.old|\.lock)?")
_EVERY = 0.1  # seconds between progress reports
_MANY = 300  # pictures that justify loading the resizing kernel; training needs most of it later anyway
_LONG = 100_000  # pictures whose sizes and times take a second to read
_SMALL, _MEDIUM = 8 << 10, 64 << 10  # bytes of a file: smaller ones wait for Python's lock most, or much, of the time
_GROUP, _BYTES = 256, 1 << 20  # at most so many of these, with so many bytes of pixels, at a time
_FETCHED = 8  # of them at a time where they come from addresses: there NumPy's time is short beside a request's
_WORKERS = 16  # more threads than this wait for Python's lock


@dataclass(frozen=True)
class Decoding:
    """Progress: files done of `total`, including those taken over from an older store (`reused`)."""

    done: int
    total: int
    reused: int


@dataclass(frozen=True)
class StoreInfo:
    """A store in the cache; `root` is its folder or table, `used` the time of its last use in seconds since 1970."""

    folder: Path
    root: Place
    form: Form
    pictures: int
    bytes: int
    used: float


def build(
    catalog: Catalog, form: Form, cache: Path, pixel_limit: int = PIXEL_LIMIT, ranges: Ranges | None = None
) -> Generator[Decoding, None, Store]:
    """Decode the pictures of `catalog`, or take them over from the last run; yields progress, returns the store.

    `ranges`: what is black and white in files with more than 8 bits a sample, by default measured over the catalog.
    Unusable files join the quarantine in the store's catalog. Closing the generator, at any point, stops the threads
    and does not change the cache, except that pictures from addresses stay for the next run. A second process that
    wants the same store waits for the first. Raises StorageError if the disk is full or cannot be written.
    """
    folder = _folder(cache, catalog, form, pixel_limit)
    identity = identity_of(catalog.root, form, pixel_limit, catalog.table)
    with another_place(), files.storage_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with closing(Lock(beside(folder))) as lock:
        with another_place():
            free = lock.acquire()
        while not free:
            yield Decoding(0, len(catalog.pictures), 0)
            time.sleep(_EVERY)
            free = lock.acquire()
        if lock.held:
            recover(folder, _NAME, identity, _lengths(form))
            clearing.remove_leftovers(folder, _NAME)
        if len(catalog.pictures) >= _LONG:
            yield Decoding(0, len(catalog.pictures), 0)  # looking at so many files takes seconds
        old = Index.load(folder, identity)
        catalog, stamps = there(catalog)
        streams = _bytes(form, len(stamps)) > free_in(cache)
        if (
            old is not None
            and (old.holds_images or streams)
            and old.describes(catalog, stamps)
            and ranges in (None, old.ranges)
        ):
            yield Decoding(len(stamps), len(stamps), len(stamps))
            return _open(old, catalog, form, identity)
        ranges = measure(catalog, pixel_limit) if ranges is None else ranges
        with ExitStack() as others:
            if old is None:
                old = others.enter_context(neighbour(folder, identity))
            if old is not None and old.ranges != ranges:
                old = None  # its pictures were decoded with another range
            if old is not None and not (old.holds_images or streams):
                old = None  # its pictures are needed now, and it has only their descriptions
            yield from _rebuild(folder, identity, catalog, Way(form, pixel_limit, ranges), old, stamps, streams)
        new = Index.load(folder, identity)
        if new is None:
            raise StorageError(f"{folder} does not read as it was written: the disk may be damaged.")
        return _open(new, catalog, form, identity)


def default_cache() -> Path:
    """The default folder of stores: the system's place for data that can be made again.

    Raises StorageError if this user has no home folder, as in some containers.
    """
    try:
        return files.user_cache() / "stores"
    except StorageError as error:
        raise StorageError(f"There is no home folder to store decoded pictures in. {ELSEWHERE}") from error


def stores(cache: Path) -> list[StoreInfo]:
    """The stores in `cache`, the last used first; damaged ones are not listed, but `clear` removes them."""
    infos = []
    for folder in cache.glob("*.store"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            header = read_header(folder)
            form, root = Form(**header["form"]), place(header.get("table", header["root"]))
            used = (folder / "store.json").stat().st_mtime
            infos.append(StoreInfo(folder, root, form, header["pictures"], clearing.occupied(folder), used))
    return sorted(infos, key=lambda info: -info.used)


def clear(cache: Path) -> int:
    """Remove all stores and the remains of killed runs: nothing else, and no store that is being built.

    Returns the bytes freed. Raises StorageError if something cannot be removed.
    """
    return clearing.clear(cache, _NAME)


def _open(index: Index, catalog: Catalog, form: Form, identity: dict[str, Any]) -> Store:
    """Open a finished store for `catalog`, which its index must describe."""
    bad = index.reasons | index.clashes(catalog)
    good = np.delete(np.arange(len(index.paths)), list(bad))
    assert np.array_equal(index.records["row"][good], np.arange(len(good)))
    refused = [Quarantined(index.paths[n], reason, catalog.class_at(n)) for n, reason in bad.items()]
    pictures = catalog.pictures.take(good)
    usable = replace(catalog, pictures=pictures, quarantine=by_path((*catalog.quarantine, *refused)))
    with suppress(OSError):
        os.utime(index.folder / "store.json")  # records the last use
    records = index.records[good]
    made_by = {name: value for name, value in identity.items() if name != "root"}
    made_by["ranges"] = index.ranges.as_json()
    digests, sizes = Digests(records["digest"]), records["size"].copy()
    return Store(index.folder, usable, form, digests, sizes, index.ranges, made_by, records["stamp"].copy())


def _bytes(form: Form, pictures: int, with_images: bool = True) -> int:
    """What a store of so many pictures takes."""
    image = int(np.prod(form.shape)) if with_images else 0
    return pictures * (image + twins.DESCRIPTION + RECORD.itemsize)


def _rebuild(
    folder: Path,
    identity: dict[str, Any],
    catalog: Catalog,
    way: Way,
    old: Index | None,
    stamps: NDArray[np.int64],
    streams: bool,
) -> Generator[Decoding, None, None]:
    """Build the store beside `folder`, then move it there. `streams`: without the images."""
    total = len(stamps)
    lengths = _lengths(way.form)
    order = reading_order(catalog.pictures.paths, stamps)
    jumps = not np.array_equal(order, np.arange(total))  # a picture's place in the raw files is then its number
    ordered = replace(catalog, pictures=catalog.pictures.take(order)) if jumps else catalog
    done, rows, reused, reported = 0, 0, 0, -np.inf
    with full_disk(folder.parent, _bytes(way.form, total, not streams)), files.replacing_folder(folder) as part:
        new = Index(part, labels_of(catalog), catalog.pictures.paths, {}, np.zeros(total, RECORD), way.ranges)
        with ExitStack() as stack:
            names = ["descriptions.raw"] if streams else ["descriptions.raw", "images.raw"]
            raw = [stack.enter_context((part / name).open("w+b", buffering=0)) for name in names]
            every = stack.enter_context(closing(_looks(ordered, way, old, stamps[order], not streams)))
            fetched = catalog.is_remote and not (jumps or streams)
            journal = stack.enter_context(Journal(part, folder, identity, lengths, way.ranges, fetched))
            yield Decoding(0, total, 0)  # the resizing code may have to be compiled first
            for looks, known in every:
                numbers = order[done : done + len(looks.records)]
                count = len(looks.descriptions)
                places = numbers[looks.records["row"] >= 0] if jumps else np.arange(rows, rows + count)
                for file, length, arrays in zip(raw, lengths, (looks.descriptions, looks.images), strict=False):
                    _write_rows(file, places, arrays, length)
                new.add(numbers, looks, places)
                journal.add(new, numbers, looks)
                rows, done = rows + count, done + len(numbers)
                reused += len(numbers) if known else 0
                if (now := time.monotonic()) >= reported + _EVERY:
                    reported = now
                    yield Decoding(done, total, reused)
            clashes = new.clashes(catalog)
            if clashes or jumps:
                new.records["row"][list(clashes)] = -1
                stored_rows = np.flatnonzero(new.records["row"] >= 0)
                for file, length in zip(raw, lengths, strict=False):
                    _keep_rows(file, new.records["row"][stored_rows], length)
                new.records["row"][stored_rows] = np.arange(len(stored_rows))
        new.save(identity)
    yield Decoding(total, total, reused)


def _looks(
    catalog: Catalog, way: Way, old: Index | None, stamps: NDArray[np.int64], with_images: bool
) -> Generator[tuple[Looks, bool], None, None]:
    """What the files are, some at a time, in the catalog's order; and whether the old store knew it.

    Threads or processes run a little ahead. `with_images`: whether what the old store knew needs its image.
    """
    keep_memory()  # the next picture reuses the memory of the last one
    paths = catalog.pictures.paths
    with ExitStack() as ends:
        reuse = None
        if old is not None:
            reuse = ends.enter_context(closing(Reuse(old, way.form, paths, stamps, with_images)))
        numbers = np.full(len(stamps), -1) if reuse is None else reuse.numbers
        new = numbers < 0
        count = int(new.sum())
        if count >= _MANY:
            expect_many()  # not during the decoding, whose threads would slow the import
        size = stamps[new, 0].mean() if count else 0
        apart = size < _MEDIUM and not catalog.is_remote and processes.pay(count)
        alone = size < _SMALL and not apart
        workers = 1 if alone else min(_WORKERS, cores())
        executor = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        ends.callback(executor.shutdown, cancel_futures=True)
        ahead = ends.enter_context(Ahead())
        several = ends.enter_context(closing(Processes(workers, str(catalog.root), way))) if apart else None
        fitting = max(1, min(_GROUP, _BYTES // int(np.prod(way.form.shape))))
        group = fitting if apart or alone else 1
        if catalog.is_remote:  # a stopped run goes on behind the last whole group
            group = min(group, _FETCHED)
        waiting: deque[tuple[Future[Looks] | Looks, bool]] = deque()
        for part in _parts(new, group, fitting):
            if reuse is not None and not new[part.start]:
                waiting.append((reuse.looks(numbers[part]), True))
            elif several is not None:
                waiting.append((executor.submit(several.look, list(paths[part])), False))
            else:
                pairs = zip(paths[part], stamps[part].tolist(), strict=True)
                begun = [ahead.begun(below(catalog.root, path), stamp) for path, stamp in pairs]
                waiting.append((executor.submit(look, begun, way), False))
            if len(waiting) >= max(4 * workers, ahead.window // group):
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())


def _finished(looks: Future[Looks] | Looks, known: bool) -> tuple[Looks, bool]:
    return (looks.result() if isinstance(looks, Future) else looks), known


def _parts(new: NDArray[np.bool_], most_new: int, most_known: int) -> Iterator[slice]:
    """All places, in order, in slices that are all new or all known, of at most so many places."""
    edges = [0, *(np.flatnonzero(new[1:] != new[:-1]) + 1).tolist(), len(new)]
    for start, end in pairwise(edges):
        step = most_new if start < end and new[start] else most_known
        yield from (slice(at, min(at + step, end)) for at in range(start, end, step))


def _lengths(form: Form) -> tuple[int, int]:
    """Bytes of a picture in descriptions.raw and images.raw."""
    return twins.DESCRIPTION, int(np.prod(form.shape))


def _folder(cache: Path, catalog: Catalog, form: Form, pixel_limit: int) -> Path:
    table = [] if catalog.table is None else [identity(catalog.table)]
    key = json.dumps([identity(catalog.root), asdict(form), pixel_limit, *table])
    name = re.sub(r"\W+", "_", PurePath(*table).stem if table else name_of(catalog.root))[:40]
    return cache / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.store"


def _write_rows(file: FileIO, rows: NDArray[np.int64], arrays: NDArray[np.uint8], length: int) -> None:
    """Write arrays (m, ...) of `length` bytes each to their rows, (m,); rows in sequence with one call."""
    for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1) if len(rows) else []:
        file.seek(int(rows[run[0]]) * length)
        _write(file.fileno(), arrays[run[0] : run[-1] + 1])


def _write(file: int, array: NDArray[np.uint8]) -> None:
    """Write all of it, without a map: on a full disk a map would kill the process with SIGBUS."""
    rest = array.reshape(-1).data  # not `cast`, which refuses an empty one
    while rest:
        rest = rest[os.write(file, rest) :]


def _keep_rows(file: FileIO, rows: NDArray[np.int64], length: int) -> None:
    """Move `rows`, ascending, of `length` bytes each, to the front of the file, and truncate it behind them."""
    moved = np.flatnonzero(rows != np.arange(len(rows)))
    breaks = np.flatnonzero(np.diff(rows[moved]) != 1) + 1
    for run in np.split(moved, breaks) if len(moved) else []:  # rows that stay one after the other
        for part in np.array_split(run, -(-len(run) * length // _BYTES)):
            file.seek(int(rows[part[0]]) * length)
            data = np.frombuffer(file.read(len(part) * length), np.uint8)
            file.seek(int(part[0]) * length)
            _write(file.fileno(), data)
    file.truncate(len(rows) * length)
