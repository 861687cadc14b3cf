"""The index of a store: a record for each file, by its number in the catalog, and whether it is still valid.

files.npy          one record (`RECORD`) for each file of the catalog, in the catalog's order
paths.raw          the files' paths, one after the other, in the same order
ends.npy           int64 (N + 1): where each path ends; the first is 0
reasons.json       {file's number: why it cannot be used}
store.json         the store's identity, the lengths and hashes of all its files, and a hash of itself
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.pictures import ahead, twins
from pellucid.pictures.catalog import Catalog, Quarantined, by_path, contradictions
from pellucid.pictures.decode import Form
from pellucid.pictures.look import Looks
from pellucid.pictures.places import below, identity
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.reading import stamp_of
from pellucid.pictures.reasons import open_reason
from pellucid.pictures.strings import BLOCK, CODE, Texts

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

VERSION = 3  # of the layout, and of what look.py makes of a file; a store of another version is rebuilt
_RAW = "images.raw", "descriptions.raw"  # a set that is streamed has no images
_FILES = "files.npy", "paths.raw", "ends.npy", "reasons.json"


class Digests(Sequence[str]):
    """Hexadecimal SHA-256 of each of many files, stored in 32 bytes each."""

    def __init__(self, digests: NDArray[np.uint8]) -> None:
        self._digests = np.ascontiguousarray(digests).reshape(-1, 32)

    def __len__(self) -> int:
        return len(self._digests)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Digests: ...
    def __getitem__(self, at: int | slice) -> str | Digests:
        return Digests(self._digests[at]) if isinstance(at, slice) else self._digests[at].tobytes().hex()

    @property
    def bytes(self) -> NDArray[np.uint8]:
        """(N, 32)"""
        return self._digests

    def repeated(self) -> list[int]:
        """The places of digests that more than one file has."""
        _, count, kind = self._kinds()
        return np.flatnonzero(count[kind] > 1).tolist()

    def differing(self, values: NDArray[np.integer]) -> NDArray[np.int64]:
        """The places of files whose copies do not all have the same of `values`, (N,), ascending."""
        first, _, kind = self._kinds()
        differs = np.zeros(len(first), np.bool_)
        differs[kind[values != values[first][kind]]] = True
        return np.flatnonzero(differs[kind])

    def _kinds(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The first place of each different digest, how many files have it, and which of them each file has, (N,)."""
        begin = np.ascontiguousarray(self._digests[:, :8]).view(np.uint64).ravel()  # numbers are sorted much sooner
        _, first, kind, count = np.unique(begin, return_index=True, return_inverse=True, return_counts=True)
        if not np.array_equal(self._digests[first][kind], self._digests):
            whole = self._digests.view("V32").ravel()
            _, first, kind, count = np.unique(whole, return_index=True, return_inverse=True, return_counts=True)
        return first, count, kind


class Index:
    """The records of a store's files, by their number in the catalog."""

    def __init__(
        self,
        folder: Path,
        labels: str,
        paths: Texts,
        reasons: dict[int, str],
        records: NDArray[np.void],
        ranges: Ranges,
    ) -> None:
        self.folder = folder
        self.labels = labels  # hash of the (path, class) of all files
        self.paths = paths
        self.reasons = reasons
        self.records = records
        self.ranges = ranges  # used to decode its pictures

    @classmethod
    def load(cls, folder: Path, identity: dict[str, Any]) -> Index | None:
        """Read the index of a store; None if there is none, or it is of another kind, or damaged."""
        try:
            header = read_header(folder)
            if {key: header[key] for key in identity} != identity:
                return None
            for name, length in header["lengths"].items():
                if (folder / name).stat().st_size != length:
                    return None
            if any(files.sha256(folder / name) != digest for name, digest in header["hashes"].items()):
                return None
            content = np.fromfile(folder / "paths.raw", np.uint8)
            paths = Texts(content, np.load(folder / "ends.npy", allow_pickle=False))
            reasons = {int(number): why for number, why in json.loads((folder / "reasons.json").read_bytes()).items()}
            records = np.load(folder / "files.npy", allow_pickle=False)
            return cls(folder, header["labels"], paths, reasons, records, Ranges.from_json(header["ranges"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save(self, identity: dict[str, Any]) -> None:
        """Write everything but the images and descriptions, which exist already."""
        np.save(self.folder / "files.npy", self.records, allow_pickle=False)
        self.paths.content.tofile(self.folder / "paths.raw")
        np.save(self.folder / "ends.npy", self.paths.ends, allow_pickle=False)
        (self.folder / "reasons.json").write_text(json.dumps(self.reasons))
        header = identity | {
            "labels": self.labels,
            "ranges": self.ranges.as_json(),
            "pictures": int((self.records["row"] >= 0).sum()),
            "lengths": {
                name: (self.folder / name).stat().st_size for name in (*_RAW, *_FILES) if (self.folder / name).exists()
            },
            "hashes": {name: files.sha256(self.folder / name) for name in _FILES},
        }
        (self.folder / "store.json").write_text(json.dumps(header | {"self": _hash(header)}, indent=1))

    @property
    def holds_images(self) -> bool:
        """Whether the decoded pictures are stored, too; a set that does not fit into the cache is streamed."""
        return (self.folder / "images.raw").exists()

    def describes(self, catalog: Catalog, stamps: NDArray[np.int64]) -> bool:
        """Whether building the store again would give exactly this store."""
        same = self.labels == labels_of(catalog) and np.array_equal(self.records["stamp"], stamps)
        return same and bool((stamps[:, 0] >= 0).all())

    def add(self, numbers: NDArray[np.int64], looks: Looks, rows: NDArray[np.int64]) -> None:
        """Record what the files with these numbers are, (n,). `rows`: of those that have a description, (m,)."""
        records = looks.records.copy()
        records["row"][records["row"] >= 0] = rows
        self.records[numbers] = records
        self.reasons.update({int(numbers[at]): reason for at, reason in looks.reasons.items()})

    def clashes(self, catalog: Catalog) -> dict[int, str]:
        """The files that are in two classes: number -> reason."""
        good = np.ones(len(self.paths), bool)
        good[list(self.reasons)] = False
        numbers = np.flatnonzero(good)
        places = Digests(self.records["digest"][good]).differing(catalog.pictures.kinds()[good])
        pictures = [catalog.pictures[number] for number in numbers[places].tolist()]
        digests = Digests(self.records["digest"][numbers[places]])
        clashing = contradictions(pictures, digests, catalog.classes)
        return {int(numbers[places[at]]): reason for at, reason in clashing.items()}


def identity_of(root: Place, form: Form, pixel_limit: int, table: str | None = None) -> dict[str, Any]:
    """Everything that determines the decoding of a file, and the table: the stores of two tables stay separate."""
    return {
        "version": VERSION,
        "decoders": {name: _version(name) for name in ("pillow", "simplejpeg", "pillow_heif")},
        "description": twins.DESCRIPTION,
        "root": identity(root),
        **({} if table is None else {"table": identity(table)}),
        "form": asdict(form),
        "pixel_limit": pixel_limit,
    }


def _version(name: str) -> str | None:
    """None if not installed: a file that was refused for that is tried again once it is."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def read_header(folder: Path) -> dict[str, Any]:
    """store.json, checked against its own hash. Raises OSError or ValueError."""
    header = json.loads((folder / "store.json").read_bytes())
    if not isinstance(header, dict) or header.pop("self", None) != _hash(header):
        raise ValueError(f"{folder / 'store.json'} is damaged")
    return header


def labels_of(catalog: Catalog) -> str:
    """A hash of the path and the classes of all pictures, in the catalog's order."""
    return _hash_rows(catalog, np.arange(len(catalog.pictures)))


def fingerprint(catalog: Catalog, digests: Digests) -> str:
    """SHA-256 over the path, the content's digest and the classes of all pictures, by path."""
    order, _ = catalog.pictures.paths.order()
    return _hash_rows(catalog, order, digests)


def _hash_rows(catalog: Catalog, order: NDArray[np.int64], digests: Digests | None = None) -> str:
    """SHA-256 of the pictures' lines in this order, some at a time: each value of a line ends in a zero character."""
    total = hashlib.sha256()
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK]
        pictures = catalog.pictures.take(rows)
        columns = [pictures.paths.encoded()]
        if digests is not None:
            columns.append([digests[row].encode() for row in rows.tolist()])
        columns.append([names.encode(*CODE) for names in catalog.classes_of_all(pictures)])
        for line in zip(*columns, strict=True):
            total.update(b"\0".join((*line, b"")))
    return total.hexdigest()


def there(catalog: Catalog) -> tuple[Catalog, NDArray[np.int64]]:
    """The catalog without missing files, which join the quarantine; and the stamps of the others, (N, 3).

    A table may list missing files, and a file may disappear after its folder was read. Without this, no store would be
    complete while they are missing.
    """
    stamps = _stamps(catalog)
    unknown = np.flatnonzero(stamps[:, 0] < 0)
    paths = [catalog.pictures.paths[number] for number in unknown.tolist()]
    lost = [
        (number, Quarantined(path, open_reason(FileNotFoundError()), catalog.class_at(number)))
        for number, path, is_there in zip(
            unknown.tolist(), paths, ahead.exist([below(catalog.root, path) for path in paths]), strict=True
        )
        if not is_there
    ]
    if not lost:
        return catalog, stamps
    rows = np.delete(np.arange(len(stamps)), [number for number, _ in lost])
    quarantine = by_path((*catalog.quarantine, *(bad for _, bad in lost)))
    return replace(catalog, pictures=catalog.pictures.take(rows), quarantine=quarantine), stamps[rows]


def _stamps(catalog: Catalog) -> NDArray[np.int64]:
    """The stamps of all pictures, (N, 3); those at addresses from the catalog's listing, if it has one."""
    paths, far = catalog.pictures.paths, catalog.is_remote
    numbers = array("q")
    for path in paths:
        numbers.extend(catalog.stamp_listed(path) if far else stamp_of(below(catalog.root, path)))
    stamps = np.frombuffer(numbers, np.int64).reshape(-1, 3)
    unlisted = np.flatnonzero(stamps[:, 0] < 0)
    if far and len(unlisted):
        stamps[unlisted] = ahead.stamps([below(catalog.root, paths[number]) for number in unlisted.tolist()])
    return stamps


def _hash(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
