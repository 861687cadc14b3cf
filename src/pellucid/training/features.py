"""The features that a frozen backbone computes for each picture, computed once and cached like the pictures.

A folder in the cache, one for each (data folder, form, backbone, precision, view):

    features.raw     float32 (N, D), one picture after the other
    digests.raw      uint8 (N, 32), SHA-256 of each picture's file
    features.json    their identity, the lengths and hashes of both files, and a hash of itself

A picture is identified by the digest of its file: the next run takes over what it can and computes the rest. The folder
is built beside its place and renamed, under a lock that ends with its process. A folder with wrong lengths or hashes is
built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.pictures import clearing, places
from pellucid.pictures.lock import Lock, beside
from pellucid.pictures.space import another_place, full_disk
from pellucid.pictures.store import Store, StoreInfo
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    from torch import Tensor

    from pellucid.network.standardise import Stored

View = Literal["plain", "mirror"]

VERSION = 1  # of the layout and of the computation; features of another version are computed again
BATCH = 64  # pictures between two progress reports
RAW, DIGESTS, HEADER = "features.raw", "digests.raw", "features.json"
_NAME = re.compile(r"\.?(\w*-[0-9a-f]{16}\.features)(\.\w+\.part|\.\w+\.old|\.lock)?")
_EVERY = 0.1  # seconds between progress reports


@dataclass(frozen=True)
class Extracting:
    """Progress: pictures done of `total`, including those `reused` from an earlier run, and the time left."""

    done: int
    total: int
    reused: int
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Backbone:
    """Computes the features.

    * forward: stored pictures, uint8 (n, H, W, C) -> float (n, D) on the CPU; a picture's numbers depend on no other
    * identity: everything that determines the numbers for a picture, as JSON
    """

    name: str
    forward: Callable[[Stored], Tensor]
    identity: dict[str, Any]


@dataclass(frozen=True)
class FeaturesInfo(StoreInfo):
    """Features in the cache."""

    network: str
    view: str


@dataclass(frozen=True)
class _Saved:
    """The checked contents of a folder."""

    digests: NDArray[np.uint8]  # (N, 32)
    features: NDArray[np.float32]  # (N, D)


def extract(
    store: Store, rows: NDArray[np.int64], backbone: Backbone, view: View, cache: Path, team: Team = ALONE
) -> Generator[Extracting, None, NDArray[np.float32]]:
    """The features of `rows`, (n,) -> float32 (n, D), computed or taken over from an earlier run; yields progress.

    A second process that wants the same features waits for the first. In a team each process computes its share of
    them; the first one stores and returns them all, and the others return none, (0, 0). Raises StorageError if the disk
    is full or cannot be written.
    """
    if not team.leads:
        missing = team.same(np.empty(0, np.int64))
        yield from _computed(store, missing, backbone, view, 0, [], team)
        return np.empty((0, 0), np.float32)
    identity = _identity(store, backbone, view)
    folder = _folder(cache, identity, store)
    digests = _digests(store)
    with another_place(), files.storage_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with closing(Lock(beside(folder))) as lock:
        with another_place():
            free = lock.acquire()
        while not free:
            yield Extracting(0, len(rows), 0, 0.0, 0.0)
            time.sleep(_EVERY)
            free = lock.acquire()
        if lock.held:
            clearing.remove_leftovers(folder, _NAME)
        saved = _load(folder, identity)
        places = {} if saved is None else {digest.tobytes(): at for at, digest in enumerate(saved.digests)}
        missing = [int(row) for row in rows if digests[row].tobytes() not in places]
        team.same(np.array(missing, np.int64))
        if missing:
            made: list[NDArray[np.float32]] = []
            reused = len(rows) - len(missing)
            try:
                yield from _computed(store, np.array(missing, np.int64), backbone, view, reused, made, team)
            finally:  # after an interruption, the next run continues from here
                if made:
                    saved = _merged(saved, digests, missing[: sum(map(len, made))], np.concatenate(made))
                    _save(folder, identity, saved)
            assert saved is not None
            places = {digest.tobytes(): at for at, digest in enumerate(saved.digests)}
        elif saved is not None:
            with suppress(OSError):
                os.utime(folder / HEADER)  # records the last use
        assert saved is not None, "there are no rows"
        yield Extracting(len(rows), len(rows), len(rows) - len(missing), 0.0, 0.0)
        return saved.features[[places[digests[row].tobytes()] for row in rows]]


def _computed(
    store: Store,
    rows: NDArray[np.int64],
    backbone: Backbone,
    view: View,
    reused: int,
    made: list[NDArray[np.float32]],
    team: Team,
) -> Generator[Extracting, None, None]:
    """Batch by batch, each added to `made`; in a team a batch for each process."""
    total = reused + len(rows)
    began, reported = time.monotonic(), -np.inf
    yield Extracting(reused, total, reused, 0.0, 0.0)
    groups = [rows[start : start + BATCH * team.world] for start in range(0, len(rows), BATCH * team.world)]
    mine = [group[team.part(len(group))] for group in groups]
    store.coming(np.concatenate([np.empty(0, np.int64), *mine]))
    done = 0
    for group, part in zip(groups, mine, strict=True):
        pixels = store.batch(part)
        if view == "mirror":
            pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        made_here = backbone.forward(pixels).numpy().astype(np.float32, copy=False) if len(pixels) else None
        together = team.gathered(made_here)
        if team.leads and together is not None:
            made.append(together)
        done, now = done + len(group), time.monotonic()
        if now >= reported + _EVERY:
            reported, pace = now, (now - began) / done
            yield Extracting(reused + done, total, reused, 1 / max(pace, 1e-9), pace * (len(rows) - done))


def _merged(saved: _Saved | None, digests: NDArray[np.uint8], rows: list[int], made: NDArray[np.float32]) -> _Saved:
    """The earlier features of pictures that still exist, and the new ones of `rows`."""
    if saved is None or saved.features.shape[1] != made.shape[1]:
        return _Saved(digests[rows], made)
    there = {digest.tobytes() for digest in digests}
    stays = [at for at, digest in enumerate(saved.digests) if digest.tobytes() in there]
    return _Saved(np.concatenate([saved.digests[stays], digests[rows]]), np.concatenate([saved.features[stays], made]))


def _digests(store: Store) -> NDArray[np.uint8]:
    """(N, 32)"""
    return np.frombuffer(bytes.fromhex("".join(store.digests)), np.uint8).reshape(-1, 32)


def _identity(store: Store, backbone: Backbone, view: View) -> dict[str, Any]:
    """Everything that determines the features of a picture's file."""
    return {
        "version": VERSION,
        "root": places.identity(store.catalog.root),
        "pictures": store.made_by,
        "backbone": backbone.identity,
        "network": backbone.name,
        "view": view,
    }


def _folder(cache: Path, identity: dict[str, Any], store: Store) -> Path:
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    name = re.sub(r"\W+", "_", places.name_of(store.catalog.root))[:40]
    return cache / f"{name}-{key}.features"


def _load(folder: Path, identity: dict[str, Any]) -> _Saved | None:
    """An earlier run's features, if they are intact."""
    try:
        header = _header(folder)
        if header["identity"] != json.loads(json.dumps(identity)):
            return None
        if any(files.sha256(folder / name) != digest for name, digest in header["hashes"].items()):
            return None
        digests = np.fromfile(folder / DIGESTS, np.uint8).reshape(-1, 32)
        features = np.fromfile(folder / RAW, np.dtype("<f4")).astype(np.float32, copy=False)
        return _Saved(digests, features.reshape(len(digests), -1)) if len(digests) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _save(folder: Path, identity: dict[str, Any], saved: _Saved) -> None:
    needed = saved.features.nbytes + saved.digests.nbytes
    with full_disk(folder.parent, needed), files.replacing_folder(folder) as part:
        saved.features.astype("<f4", copy=False).tofile(part / RAW)
        saved.digests.tofile(part / DIGESTS)
        header = {
            "identity": identity,
            "pictures": len(saved.digests),
            "hashes": {name: files.sha256(part / name) for name in (RAW, DIGESTS)},
        }
        (part / HEADER).write_text(json.dumps(header | {"self": _hash(header)}, indent=1))


def _header(folder: Path) -> dict[str, Any]:
    """features.json, checked against its own hash. Raises OSError or ValueError."""
    header = json.loads((folder / HEADER).read_bytes())
    if not isinstance(header, dict) or header.pop("self", None) != _hash(header):
        raise ValueError(f"{folder / HEADER} is damaged")
    return header


def _hash(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def stored(cache: Path) -> list[FeaturesInfo]:
    """The features in `cache`, the last used first; damaged ones are not listed, but `clear` removes them."""
    from pellucid.pictures.decode import Form

    infos = []
    for folder in cache.glob("*.features"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            header = _header(folder)
            identity = header["identity"]
            used = (folder / HEADER).stat().st_mtime
            form, root = Form(**identity["pictures"]["form"]), places.place(identity["root"])
            size = clearing.occupied(folder)
            info = FeaturesInfo(
                folder, root, form, header["pictures"], size, used, identity["network"], identity["view"]
            )
            infos.append(info)
    return sorted(infos, key=lambda info: -info.used)


def clear(cache: Path) -> int:
    """Remove all features and the remains of killed runs, but none that are being made. Returns the bytes freed.

    Raises StorageError if something cannot be removed.
    """
    return clearing.clear(cache, _NAME)
