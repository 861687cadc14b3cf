"""Every picture decoded once, to `uint8` at training size, in one file from which batches are read.

A store is a folder below the cache, one for each (data folder, form, pixel limit):

    images.raw         uint8 (N, height, width, channels), one usable picture after the other
    descriptions.raw   uint8 (N, DESCRIPTION), for the search for twins
    files.npy          one record (`_RECORD`) for each file of the catalog, in the catalog's order
    paths.json         [[path, ...], {file's number: why it cannot be used}]
    store.json         what the store is of, the lengths and hashes of the files above, and a hash of itself

The next run takes over what it can by (path, size, times) and decodes the rest. A store is built beside its
place and renamed, under a lock that its process loses by dying: what stands there is whole, and a `.part` without
a lock is a dead run's. One whose lengths or hashes are wrong is not trusted but built anew.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import PictureError, StorageError
from pellucid.pictures import twins
from pellucid.pictures.catalog import Catalog, Quarantined, by_path, contradictions
from pellucid.pictures.decode import PIXEL_LIMIT, Form, decode, read_with_stat

if sys.platform != "win32":
    import fcntl

_VERSION = 1  # of the layout, and of what decode.py and twins.py make of a file; another is rebuilt
_RECORD = np.dtype(
    [
        ("stamp", "<i8", 3),  # size, mtime_ns, ctime_ns of the file that was read; -1 where it could not be
        ("digest", "u1", 32),  # SHA-256 of its content
        ("size", "<i4", 2),  # height and width, upright
        ("row", "<i8"),  # in images.raw, or -1 for one that is not there
    ]
)
# all that may stand in a cache; group 1 is the store's name
_NAME = re.compile(r"\.?(\w*-[0-9a-f]{16}\.store)(\.\w+\.part|\.\w+\.old|\.lock)?")
_EVERY = 0.1  # seconds between reports of progress
_WORKERS = 16  # more threads than this wait for Python's lock


@dataclass(frozen=True)
class Decoding:
    """Progress: files done (taken over from an older store, `reused`, included) of `total`."""

    done: int
    total: int
    reused: int


@dataclass(frozen=True)
class StoreInfo:
    """A store in the cache; `used` is the time of its last use, seconds since 1970."""

    folder: Path
    root: Path
    form: Form
    pictures: int
    bytes: int
    used: float


class Store:
    """A finished store, open for reading; its files stay readable even when another process replaces them.

    * catalog: the usable pictures, in the order of the rows below, and the complete quarantine
    * form: size and fit of `images`
    * digests: SHA-256 of each picture's file, hexadecimal
    * sizes: int32 (N, 2), height and width of each picture, upright, before it was brought to the form
    * descriptions: uint8 (N, DESCRIPTION), a memory map
    * fingerprint: SHA-256 over the sorted (path, digest, class) of all usable pictures
    """

    def __init__(
        self, folder: Path, catalog: Catalog, form: Form, digests: tuple[str, ...], sizes: NDArray[np.int32]
    ) -> None:
        self.folder = folder
        self.catalog = catalog
        self.form = form
        self.digests = digests
        self.sizes = sizes
        self.fingerprint = _fingerprint(catalog, digests)
        self.descriptions = _map(folder / "descriptions.raw", (len(digests), twins.DESCRIPTION))
        self._file = os.open(folder / "images.raw", os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.close = weakref.finalize(self, os.close, self._file)
        self._images = _map(folder / "images.raw", (len(digests), *form.shape))

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def images(self) -> NDArray[np.uint8]:
        """(N, height, width, channels), read-only, mapped: what is touched counts as the process's memory."""
        return self._images

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy the images of `rows`, (n,) -> (n, height, width, channels).

        Read by position and not through the map, so that the process's memory does not grow with the store.
        Raises IndexError for a row outside 0..N-1 and StorageError where the file cannot be read.
        """
        if len(rows) and not 0 <= int(np.min(rows)) <= int(np.max(rows)) < len(self):
            raise IndexError(f"rows {np.min(rows)} to {np.max(rows)} of a store with 0 to {len(self) - 1}")
        images = np.empty((len(rows), *self.form.shape), np.uint8)
        if not hasattr(os, "preadv"):  # Windows
            return np.take(self._images, rows, axis=0, out=images)
        length = images[0].nbytes if len(rows) else 0
        for image, row in zip(images, rows, strict=True):
            if os.preadv(self._file, [image.data], int(row) * length) != length:
                raise StorageError(f"{self.folder / 'images.raw'} is too short: run again to rebuild it.")
        return images


def build(
    catalog: Catalog, form: Form, cache: Path, pixel_limit: int = PIXEL_LIMIT
) -> Generator[Decoding, None, Store]:
    """Decode the pictures of `catalog`, or take them over from the last run; yields progress, returns the store.

    Files that cannot be used join the quarantine in the store's catalog. Closing the generator, at any point,
    stops the threads and leaves the cache as it was. A second process that wants the same store waits for the
    first. Raises StorageError where the disk is full or cannot be written.
    """
    folder = _folder(cache, catalog.root, form, pixel_limit)
    identity = _identity(catalog.root, form, pixel_limit)
    with files.storage_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with closing(_Lock(folder)) as lock:
        while not lock.acquire():
            yield Decoding(0, len(catalog.pictures), 0)
            time.sleep(_EVERY)
        if lock.held:
            _remove_leftovers(folder)
        old = _Ledger.load(folder, identity)
        stamps = np.array([_stamp(f"{catalog.root}/{p.path}") for p in catalog.pictures], np.int64)
        stamps = stamps.reshape(-1, 3)  # also without any picture
        if old is not None and old.describes(catalog, stamps):
            yield Decoding(len(stamps), len(stamps), len(stamps))
            return old.store(catalog, form)
        yield from _rebuild(folder, identity, catalog, form, pixel_limit, old, stamps)
        new = _Ledger.load(folder, identity)
        if new is None:
            raise StorageError(f"{folder} does not read as it was written: the disk may be damaged.")
        return new.store(catalog, form)


def default_cache() -> Path:
    """Where stores lie unless the user says otherwise: the system's place for what can be made again."""
    return platformdirs.user_cache_path("pellucid", appauthor=False) / "stores"


def stores(cache: Path) -> list[StoreInfo]:
    """The stores in `cache`, the last used first; damaged ones are left out, but `clear` removes them."""
    found = []
    for folder in cache.glob("*.store"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            header = _read_header(folder)
            form, root = Form(**header["form"]), Path(header["root"])
            used = (folder / "store.json").stat().st_mtime
            found.append(StoreInfo(folder, root, form, header["pictures"], _occupied(folder), used))
    return sorted(found, key=lambda info: -info.used)


def clear(cache: Path) -> int:
    """Remove all stores and what killed runs left of them: nothing else, and no store that is being built.

    Returns the bytes freed. Raises StorageError where something cannot be removed.
    """
    freed = 0
    names = os.listdir(cache) if cache.is_dir() else []
    for name in sorted({match[1] for name in names if (match := _NAME.fullmatch(name))}):
        with files.storage_errors(cache / name), closing(_Lock(cache / name)) as lock:
            if lock.acquire():
                freed += _remove_leftovers(cache / name) + _remove(cache / name)
    return freed


@dataclass(frozen=True, slots=True)
class _Result:
    """What came out of one file: an image and its description, or the reason why not."""

    stamp: tuple[int, int, int]
    digest: bytes = bytes(32)
    size: tuple[int, int] = (0, 0)
    image: NDArray[np.uint8] | None = None
    description: NDArray[np.uint8] | None = None
    reason: str | None = None
    reused: bool = False


class _Ledger:
    """What is known of each file of a store, by its number in the catalog."""

    def __init__(
        self, folder: Path, labels: str, paths: list[str], reasons: dict[int, str], records: NDArray[np.void]
    ) -> None:
        self.folder = folder
        self.labels = labels  # hash over the (path, class) of all files
        self.paths = paths
        self.reasons = reasons
        self.records = records

    @classmethod
    def load(cls, folder: Path, identity: dict[str, Any]) -> "_Ledger | None":
        """Read the ledger of a store; None where there is none, one of another kind, or a damaged one."""
        try:
            header = _read_header(folder)
            if {key: header[key] for key in identity} != identity:
                return None
            for name, length in header["lengths"].items():
                if (folder / name).stat().st_size != length:
                    return None
            if any(files.sha256(folder / name) != digest for name, digest in header["hashes"].items()):
                return None
            paths, reasons = json.loads((folder / "paths.json").read_bytes())
            records = np.load(folder / "files.npy", allow_pickle=False)
            return cls(folder, header["labels"], paths, {int(n): why for n, why in reasons.items()}, records)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save(self, identity: dict[str, Any]) -> None:
        """Write everything but the images and descriptions, which are there."""
        np.save(self.folder / "files.npy", self.records, allow_pickle=False)
        (self.folder / "paths.json").write_text(json.dumps([self.paths, self.reasons]))
        names = ["images.raw", "descriptions.raw", "files.npy", "paths.json"]
        header = identity | {
            "labels": self.labels,
            "pictures": int((self.records["row"] >= 0).sum()),
            "lengths": {name: (self.folder / name).stat().st_size for name in names},
            "hashes": {name: files.sha256(self.folder / name) for name in names[2:]},
        }
        (self.folder / "store.json").write_text(json.dumps(header | {"self": _hash(header)}, indent=1))

    def describes(self, catalog: Catalog, stamps: NDArray[np.int64]) -> bool:
        """Whether the store is just what building it anew would give."""
        same = self.labels == _labels(catalog) and np.array_equal(self.records["stamp"], stamps)
        return same and bool((stamps[:, 0] >= 0).all())

    def add(self, number: int, result: _Result, row: int) -> None:
        """Record a result; `row` is where its image stands, or -1."""
        self.records[number] = (result.stamp, np.frombuffer(result.digest, np.uint8), result.size, row)
        if result.reason is not None:
            self.reasons[number] = result.reason

    def clashes(self, catalog: Catalog) -> dict[int, str]:
        """The files that stand under two classes: number -> reason."""
        good = [number for number in range(len(self.paths)) if number not in self.reasons]
        pictures = [catalog.pictures[number] for number in good]
        found = contradictions(pictures, [self.digest(number) for number in good], catalog.classes)
        return {good[index]: reason for index, reason in found.items()}

    def digest(self, number: int) -> str:
        return self.records["digest"][number].tobytes().hex()

    def store(self, catalog: Catalog, form: Form) -> Store:
        """Open the store for `catalog`, which it has to describe."""
        bad = self.reasons | self.clashes(catalog)
        good = [number for number in range(len(self.paths)) if number not in bad]
        assert np.array_equal(self.records["row"][good], np.arange(len(good)))
        refused = [Quarantined(self.paths[number], reason) for number, reason in bad.items()]
        pictures = tuple(catalog.pictures[number] for number in good)
        usable = replace(catalog, pictures=pictures, quarantine=by_path((*catalog.quarantine, *refused)))
        with suppress(OSError):
            os.utime(self.folder / "store.json")  # the time of its last use
        digests = tuple(self.digest(number) for number in good)
        return Store(self.folder, usable, form, digests, self.records["size"][good])


class _Reuse:
    """Takes over from an older store what has not changed."""

    def __init__(self, old: _Ledger, form: Form) -> None:
        self.old = old
        self.form = form
        self.numbers = {path: number for number, path in enumerate(old.paths)}
        self.images = (old.folder / "images.raw").open("rb", buffering=0)
        self.descriptions = (old.folder / "descriptions.raw").open("rb", buffering=0)

    def find(self, path: str, stamp: NDArray[np.int64]) -> _Result | None:
        number = self.numbers.get(path)
        if number is None or stamp[0] < 0 or not np.array_equal(self.old.records["stamp"][number], stamp):
            return None
        record, reason = self.old.records[number], self.old.reasons.get(number)
        kept = tuple(stamp.tolist()), record["digest"].tobytes(), tuple(record["size"].tolist())
        if reason is not None:
            return _Result(*kept, reason=reason, reused=True)
        if (row := int(record["row"])) < 0:  # it stood under two classes then
            return None
        image = _read_row(self.images, row, self.form.shape)
        return _Result(*kept, image, _read_row(self.descriptions, row, (twins.DESCRIPTION,)), reused=True)

    def close(self) -> None:
        self.images.close()
        self.descriptions.close()


def _rebuild(
    folder: Path,
    identity: dict[str, Any],
    catalog: Catalog,
    form: Form,
    pixel_limit: int,
    old: _Ledger | None,
    stamps: NDArray[np.int64],
) -> Generator[Decoding, None, None]:
    """Build the store beside `folder`, then put it there."""
    total = len(stamps)
    lengths = int(np.prod(form.shape)), twins.DESCRIPTION  # bytes a picture in the two raw files
    done, rows, reused, told = 0, 0, 0, -np.inf
    needed = total * (sum(lengths) + _RECORD.itemsize)
    paths = [picture.path for picture in catalog.pictures]
    with _full_disk(folder.parent, needed), files.replacing_folder(folder) as part:
        new = _Ledger(part, _labels(catalog), paths, {}, np.zeros(total, _RECORD))
        with (
            (part / "images.raw").open("w+b", buffering=0) as images,
            (part / "descriptions.raw").open("w+b", buffering=0) as descriptions,
            closing(_results(catalog, form, pixel_limit, old, stamps)) as results,
        ):
            for number, result in enumerate(results):
                if result.image is not None and result.description is not None:
                    _write(images.fileno(), result.image)
                    _write(descriptions.fileno(), result.description)
                new.add(number, result, -1 if result.image is None else rows)
                done, rows, reused = done + 1, rows + (result.image is not None), reused + result.reused
                if (now := time.monotonic()) >= told + _EVERY:
                    told = now
                    yield Decoding(done, total, reused)
            if clashes := new.clashes(catalog):
                new.records["row"][list(clashes)] = -1
                kept = np.flatnonzero(new.records["row"] >= 0)
                for file, length in zip((images, descriptions), lengths, strict=True):
                    _keep_rows(file, new.records["row"][kept], length)
                new.records["row"][kept] = np.arange(len(kept))
        new.save(identity)
    yield Decoding(total, total, reused)


def _results(
    catalog: Catalog, form: Form, pixel_limit: int, old: _Ledger | None, stamps: NDArray[np.int64]
) -> Generator[_Result, None, None]:
    """The results of all files, in the catalog's order: taken over, or decoded by threads, a few ahead."""
    workers = min(_WORKERS, _cores())
    waiting: deque[_Result | Future[_Result]] = deque()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    reuse = None if old is None else _Reuse(old, form)
    try:
        for picture, stamp in zip(catalog.pictures, stamps, strict=True):
            known = None if reuse is None else reuse.find(picture.path, stamp)
            waiting.append(known or executor.submit(_look, catalog.root / picture.path, form, pixel_limit))
            if len(waiting) >= 4 * workers:
                yield _finished(waiting.popleft())
        while waiting:
            yield _finished(waiting.popleft())
    finally:
        executor.shutdown(cancel_futures=True)
        if reuse is not None:
            reuse.close()


def _look(path: Path, form: Form, pixel_limit: int) -> _Result:
    """Read, hash, decode and describe one file."""
    try:
        data, status = read_with_stat(path)
    except PictureError as error:
        # a bad disk or network may recover without a trace in the file's times: looked at again each time
        passing = isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, PermissionError)
        return _Result((-1, -1, -1) if passing else _stamp(path), reason=error.reason)
    stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    digest = hashlib.sha256(data).digest()
    try:
        image = decode(data, pixel_limit)
        return _Result(stamp, digest, image.shape[:2], form.apply(image), twins.describe(image))
    except PictureError as error:
        passing = isinstance(error.__cause__, MemoryError)
        return _Result((-1, -1, -1) if passing else stamp, digest, reason=error.reason)


def _finished(item: _Result | Future[_Result]) -> _Result:
    return item.result() if isinstance(item, Future) else item


class _Lock:
    """A lock between processes that ends with the process that holds it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(f".{folder.name}.lock")
        self.file = -1

    @property
    def held(self) -> bool:
        return self.file >= 0

    def acquire(self) -> bool:
        """False while another process has it; True, but not `held`, where the system or disk has no locks."""
        if sys.platform == "win32":
            return True
        with files.storage_errors(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(self.path)):
                self.file = file
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(file)
            return True
        os.close(file)  # taken, or just removed by the process that had it
        return False

    def close(self) -> None:
        if self.held:
            with suppress(OSError):
                self.path.unlink()
            os.close(self.file)
            self.file = -1


def _folder(cache: Path, root: Path, form: Form, pixel_limit: int) -> Path:
    key = json.dumps([str(root.resolve()), asdict(form), pixel_limit])
    name = re.sub(r"\W+", "_", root.resolve().name)[:40]
    return cache / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.store"


def _identity(root: Path, form: Form, pixel_limit: int) -> dict[str, Any]:
    """All that decides what decoding a given file gives."""
    return {
        "version": _VERSION,
        "decoders": {name: version(name) for name in ("pillow", "simplejpeg")},
        "description": twins.DESCRIPTION,
        "root": str(root.resolve()),
        "form": asdict(form),
        "pixel_limit": pixel_limit,
    }


def _read_header(folder: Path) -> dict[str, Any]:
    """store.json, checked against its own hash. Raises OSError or ValueError."""
    header = json.loads((folder / "store.json").read_bytes())
    if not isinstance(header, dict) or header.pop("self", None) != _hash(header):
        raise ValueError(f"{folder / 'store.json'} is damaged")
    return header


def _hash(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _labels(catalog: Catalog) -> str:
    lines = (f"{picture.path}\0{catalog.classes[picture.label]}\0" for picture in catalog.pictures)
    return _hash_lines(lines)


def _fingerprint(catalog: Catalog, digests: tuple[str, ...]) -> str:
    pairs = zip(catalog.pictures, digests, strict=True)
    rows = sorted((picture.path, digest, catalog.classes[picture.label]) for picture, digest in pairs)
    return _hash_lines("\0".join((*row, "")) for row in rows)


def _hash_lines(lines: Iterator[str]) -> str:
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode("utf-8", "surrogateescape"))  # a file's name need not be valid UTF-8
    return total.hexdigest()


def _stamp(path: str | Path) -> tuple[int, int, int]:
    """(size, mtime_ns, ctime_ns); -1 where it cannot be had."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1, -1
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)


def _write(file: int, array: NDArray[np.uint8]) -> None:
    """Write all of it; not through a map, where a full disk would kill the process with SIGBUS."""
    rest = array.data.cast("B")
    while rest:
        rest = rest[os.write(file, rest) :]


def _read_row(file: FileIO, row: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    length = int(np.prod(shape))
    file.seek(row * length)
    return np.frombuffer(file.read(length), np.uint8).reshape(shape)


def _keep_rows(file: FileIO, rows: NDArray[np.int64], length: int) -> None:
    """Move `rows`, ascending, of `length` bytes each, to the front of the file, and cut off the rest."""
    for target, row in enumerate(rows.tolist()):
        if target != row:
            data = _read_row(file, row, (length,))
            file.seek(target * length)
            _write(file.fileno(), data)
    file.truncate(len(rows) * length)


@contextmanager
def _full_disk(cache: Path, needed: int) -> Iterator[None]:
    """Check that `needed` bytes are free; say how many it takes where the disk runs full all the same."""
    try:
        with files.storage_errors(cache):
            if shutil.disk_usage(cache).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield
    except StorageError as error:
        if getattr(error.__cause__, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(cache).free
        raise StorageError(
            f"The disk is full: the decoded pictures need {needed / 1e6:,.0f} MB in {cache}, "
            f"{free / 1e6:,.0f} MB are free. Free some space or take a smaller image size."
        ) from error.__cause__


def _remove_leftovers(folder: Path) -> int:
    """Remove what killed builds of this store left; only for who holds its lock. Returns the bytes freed."""
    names = [name for name in os.listdir(folder.parent) if name.endswith((".part", ".old"))]
    ours = [name for name in names if (match := _NAME.fullmatch(name)) and match[1] == folder.name]
    return sum(_remove(folder.with_name(name)) for name in ours)


def _remove(folder: Path) -> int:
    freed = _occupied(folder)
    if folder.is_dir():
        shutil.rmtree(folder)
    return freed


def _occupied(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
