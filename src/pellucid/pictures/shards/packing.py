"""Pack pictures into shards: which picture goes where, and one shard after the other, and a killed run goes on.

`packing.json` in the folder lists the whole shards while the work goes on; at its end `manifest.json` does. A shard
depends on the pictures, the settings and the seed alone: packed again, it has the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import ArtefactError, CatalogError, PictureError, RecipeError, none_usable
from pellucid.pictures import catalog as catalogs
from pellucid.pictures.ahead import Ahead, Begun, content
from pellucid.pictures.catalog import Catalog, Quarantined
from pellucid.pictures.decode import decode
from pellucid.pictures.index import there
from pellucid.pictures.lock import Lock, beside
from pellucid.pictures.places import below
from pellucid.pictures.shards import writing
from pellucid.pictures.shards.catalog import CLASS_LISTS, MANIFEST
from pellucid.pictures.shards.naming import UNFINISHED
from pellucid.pictures.shards.plan import VERSION, Plan, bytes_of, planned
from pellucid.pictures.shards.samples import PICTURES
from pellucid.pictures.shards.writing import Format, Item, Written
from pellucid.runtime.threads import cores
from pellucid.texts import listed

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

QUARANTINE = "quarantine.csv"
_WORKERS = 16
_EVERY = 0.1  # seconds between progress reports
_KINDS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "HEIF": "heic"}
_AHEAD = 4  # pictures read before they are written, for each thread


@dataclass(frozen=True)
class Packing:
    """Progress: pictures done of `total`, of which `reused` are in shards of an earlier run; and the current shard,
    or how many are whole."""

    done: int
    total: int
    reused: int
    shard: str


@dataclass(frozen=True)
class Packed:
    """What `pack` wrote. `quarantine`: what could not be packed. `reused`: shards of an earlier run."""

    out: Path
    format: str
    classes: tuple[str, ...]
    pictures: int
    shards: tuple[Written, ...]
    quarantine: tuple[Quarantined, ...]
    reused: int

    def as_json(self) -> dict[str, Any]:
        """JSON: everything, with paths as text."""
        return {
            "out": str(self.out),
            "format": self.format,
            "classes": list(self.classes),
            "pictures": self.pictures,
            "bytes": sum(shard.size for shard in self.shards),
            "shards": [_stated(shard) for shard in self.shards],
            "quarantine": [{"path": bad.path, "reason": bad.reason} for bad in self.quarantine],
            "reused": self.reused,
        }


@dataclass
class Done:
    """The whole shards so far, by name, in any order, and what could not be read for each."""

    shards: dict[str, Written] = field(default_factory=dict)
    unreadable: dict[str, list[list[str]]] = field(default_factory=dict)


def pack(
    catalog: Catalog, out: Path, form: str = "webdataset", shard_size: str | int = "1GB", seed: int = 0
) -> Generator[Packing, None, Packed]:
    """Write the pictures of a catalog into shards below `out`; yields progress.

    Files keep their bytes. Each is decoded once: one that cannot be is listed in quarantine.csv with the reason.
    Raises RecipeError, CatalogError if there is no picture, ArtefactError if `out` holds something else, StorageError.
    """
    plan = prepared(catalog, form, shard_size, seed)
    with claimed(out):
        return (yield from _pack(plan, out))


def prepared(catalog: Catalog, form: str, shard_size: str | int, seed: int) -> Plan:
    """Check the settings, and plan the shards of the pictures that are there. Raises RecipeError and CatalogError."""
    if form not in get_args(Format):
        raise RecipeError(f"format is {form!r}; it must be {' or '.join(get_args(Format))}.")
    if form == "parquet":
        _check_parquet()
    size = bytes_of(shard_size)
    catalog, stamps = there(catalog)
    if not len(catalog.pictures):
        catalogs.check(catalog)
    return planned(catalog, stamps, cast(Format, form), size, seed)


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Make the folder, and hold it: no other process may pack into it. Raises ArtefactError and StorageError."""
    with files.storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with closing(Lock(beside(out.absolute()))) as lock:
        if not lock.acquire():
            raise ArtefactError(f"Another process is packing into {out}. Wait for it, or choose another folder.")
        yield


def _pack(plan: Plan, out: Path) -> Generator[Packing, None, Packed]:
    total, known = len(plan.catalog.pictures), begun(plan, out)
    state, done, reused, again = Done(), 0, 0, 0
    for name, rows in zip(plan.names, plan.rows, strict=True):
        yield Packing(done, total, reused, name)
        earlier, lost = known.shards.get(name), known.unreadable.get(name, [])
        if earlier is not None and is_whole(out / name, earlier) and not is_mended(plan, lost):
            state.shards[name], state.unreadable[name] = earlier, lost
            reused, again = reused + len(rows), again + 1
        else:
            with closing(_written(plan, name, rows, out, state)) as counts:
                for count in counts:
                    yield Packing(done + count, total, reused, name)
            note(out / UNFINISHED, plan, state)
        done += len(rows)
    yield Packing(total, total, reused, "")
    return finished(plan, out, state, again)


def _written(plan: Plan, name: str, rows: NDArray[np.int64], out: Path, state: Done) -> Generator[int, None, None]:
    """Write a shard and note it in `state`; yields how many of its pictures are done."""
    unreadable: list[list[str]] = []
    stop, count = Event(), 0

    def items() -> Generator[Item, None, None]:
        nonlocal count
        with closing(items_of(plan, rows, unreadable, ahead, stop)) as every:
            for item in every:
                yield item
                count += 1

    def write() -> Written:
        # at once: a later collection would wait for the reading threads wherever it runs
        with closing(items()) as some:
            return writing.write(out / name, plan.form, some, plan.catalog.classes, plan.catalog.several)

    with Ahead() as ahead, ThreadPoolExecutor(1, "write") as executor:
        writer = executor.submit(write)
        try:
            while not writer.done():
                wait([writer], _EVERY)
                yield count
        finally:
            stop.set()
            ahead.close()  # a silent server does not hold up the end
    state.shards[name], state.unreadable[name] = writer.result(), unreadable


def items_of(
    plan: Plan,
    rows: NDArray[np.int64],
    unreadable: list[list[str]],
    ahead: Ahead,
    stop: Event,
    threads: int | None = None,
) -> Generator[Item, None, None]:
    """The pictures of a shard, read by threads a little ahead; those that cannot be decoded go to `unreadable`.

    `threads`: that decode; by default as many as the machine has cores. Raises InterruptedError once `stop` is set.
    """
    paths, workers = plan.catalog.pictures.paths, threads or min(_WORKERS, cores())
    waiting: deque[tuple[int, Future[bytes]]] = deque()

    def first() -> Generator[Item, None, None]:
        row, future = waiting.popleft()
        try:
            yield _item(plan, row, future.result())
        except PictureError as error:
            unreadable.append([paths[row], error.reason])
        if stop.is_set():
            raise InterruptedError

    executor = ThreadPoolExecutor(workers, "read")
    try:
        for row in rows.tolist():
            begun = ahead.begun(below(plan.catalog.root, paths[row]), plan.stamps[row].tolist())
            waiting.append((row, executor.submit(decodable, begun)))
            if len(waiting) > max(_AHEAD * workers, ahead.window):
                yield from first()
        while waiting:
            yield from first()
    finally:
        executor.shutdown(cancel_futures=True)


def decodable(picture: str | Place | Begun) -> bytes:
    """The bytes of a picture that can be decoded. Raises PictureError."""
    data, _ = content(picture)
    decode(data)
    return data


def is_mended(plan: Plan, unreadable: list[list[str]]) -> bool:
    """Whether a picture that an earlier run could not read can be read now: a network recovers."""
    for path, _ in unreadable:
        try:
            decodable(below(plan.catalog.root, path))
            return True
        except PictureError as error:
            if error.reason.startswith("cannot be read"):  # the way to all of them: it would be tried again and again
                return False
    return False


def _item(plan: Plan, row: int, content: bytes) -> Item:
    picture = plan.catalog.pictures[row]
    first = (picture.label,) if picture.label >= 0 else ()
    ending = os.path.splitext(picture.path)[1][1:].lower()
    group = f"{plan.identity[:8]}-{picture.group}" if picture.group >= 0 else ""
    return Item(
        plan.keys[row],
        ending if ending in PICTURES else _KINDS.get(_kind(content), "img"),
        content,
        (*first, *picture.also),
        group,
        picture.side if plan.mixed else None,
    )


def _kind(content: bytes) -> str:
    """The kind of a picture by its first bytes, as Pillow names it; "" if Pillow does not know it."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.format or ""
    except Exception:  # it was decoded in another way
        return ""


def begun(plan: Plan, out: Path) -> Done:
    """What an earlier run of this plan has written. Raises ArtefactError if the folder holds anything else."""
    names = sorted(os.listdir(out))
    stated = next((name for name in (UNFINISHED, MANIFEST) if name in names), None)
    identity, state = _read(out / stated) if stated else (plan.identity, Done())
    allowed = {*plan.names, *state.shards, UNFINISHED, MANIFEST, QUARANTINE, *CLASS_LISTS[:1]}
    others = [name for name in names if name not in allowed and not files.is_part(out / name)]
    if others:
        raise ArtefactError(
            f"{out} holds other files: {listed(others, 3)}. Choose a new folder, or one that an earlier run began."
        )
    if identity != plan.identity:
        raise ArtefactError(
            f"{out} holds shards of other pictures, or packed with other settings or another seed, or while some "
            "pictures could not be reached. Choose a new folder."
        )
    if stated is None and (shards := [name for name in names if name in plan.names]):
        raise ArtefactError(f"{out} holds {listed(shards, 3)}, but no {UNFINISHED}. Choose a new folder.")
    files.remove_parts(out)
    if stated is None:
        note(out / UNFINISHED, plan, state)
    return state


def _read(place: Path) -> tuple[str, Done]:
    """The identity of the plan that a list of whole shards belongs to, and those shards. Raises ArtefactError."""
    try:
        about = json.loads(place.read_bytes())
        shards = [Written(*shard.values()) for shard in about["shards"]]
        return about["identity"], Done({shard.name: shard for shard in shards}, about["unreadable"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtefactError(f"{place} cannot be read: {error}. Choose a new folder.") from error


def identity_in(out: Path) -> str | None:
    """The identity of the plan that a folder's shards are of; None if there is none, or none that can be read."""
    for name in (UNFINISHED, MANIFEST):
        with suppress(OSError, ValueError, TypeError, KeyError):
            return str(json.loads((out / name).read_bytes())["identity"])
    return None


def is_whole(place: Path, stated: Written) -> bool:
    """Whether a shard has the bytes that were noted."""
    try:
        return place.stat().st_size == stated.size and files.sha256(place) == stated.sha256
    except OSError:
        return False


def _stated(shard: Written) -> dict[str, Any]:
    return {"name": shard.name, "sha256": shard.sha256, "bytes": shard.size, "pictures": shard.pictures}


def note(place: Path, plan: Plan, state: Done) -> None:
    """Write which shards are whole, in the order of the plan. Raises StorageError."""
    whole = [name for name in plan.names if name in state.shards]
    about = {
        "version": VERSION,
        "format": plan.form,
        "pictures": sum(shard.pictures for shard in state.shards.values()),
        "classes": list(plan.catalog.classes),
        "identity": plan.identity,
        "shards": [_stated(state.shards[name]) for name in whole],
        "unreadable": {name: state.unreadable[name] for name in whole if state.unreadable[name]},
    }
    files.write(place, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def finished(plan: Plan, out: Path, state: Done, reused: int) -> Packed:
    """Write the lists; the manifest comes last but one, and then the note of an unfinished run goes."""
    catalog = plan.catalog
    lost = [Quarantined(*each) for name in plan.names for each in state.unreadable[name]]
    quarantine = catalogs.by_path((*catalog.quarantine, *lost))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "reason"])
    rows.writerows([bad.path, bad.reason] for bad in quarantine)
    files.write(out / QUARANTINE, text.getvalue().encode("utf-8", "surrogateescape"))
    files.write(out / CLASS_LISTS[0], json.dumps(list(catalog.classes), ensure_ascii=False) + "\n")
    note(out / MANIFEST, plan, state)
    with files.storage_errors(out), suppress(FileNotFoundError):
        (out / UNFINISHED).unlink()
    shards = tuple(state.shards[name] for name in plan.names)
    pictures = sum(shard.pictures for shard in shards)
    if not pictures:
        raise CatalogError(none_usable(len(quarantine), quarantine[0].path, quarantine[0].reason))
    return Packed(out, plan.form, catalog.classes, pictures, shards, quarantine, reused)


def _check_parquet() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise RecipeError("--format parquet needs an extra: pip install 'pellucid[tables]'.") from error
