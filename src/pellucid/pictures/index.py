"""The index of a store: a record for each file, by its number in the catalog, and whether it is still valid.

files.npy          one record (`RECORD`) for each file of the catalog, in the catalog's order
paths.json         [[path, ...], {file's number: why it cannot be used}]
store.json         the store's identity, the lengths and hashes of all its files, and a hash of itself
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.pictures import twins
from pellucid.pictures.catalog import Catalog, Quarantined, by_path, contradictions
from pellucid.pictures.decode import Form
from pellucid.pictures.places import identity, is_address
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.reading import Stamp, exists, stamp_of

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

VERSION = 2  # of the layout, and of what decode.py and twins.py make of a file; a store of another version is rebuilt
RECORD = np.dtype(
    [
        ("stamp", "<i8", 3),  # size, mtime_ns, ctime_ns of the file that was read; -1 if unreadable
        ("digest", "u1", 32),  # SHA-256 of its content
        ("size", "<i4", 2),  # height and width, upright
        ("row", "<i8"),  # in images.raw, or -1 if it is not there
    ]
)


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one file: an image and its description, or the reason why there is none."""

    stamp: Stamp
    digest: bytes = bytes(32)
    size: tuple[int, int] = (0, 0)
    image: NDArray[np.uint8] | None = None
    description: NDArray[np.uint8] | None = None
    reason: str | None = None
    reused: bool = False


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

    def repeated(self) -> list[int]:
        """The places of digests that more than one file has."""
        _, kind, count = np.unique(self._digests.view("V32").ravel(), return_inverse=True, return_counts=True)
        return np.flatnonzero(count[kind] > 1).tolist()


class Index:
    """The records of a store's files, by their number in the catalog."""

    def __init__(
        self,
        folder: Path,
        labels: str,
        paths: Sequence[str],
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
            paths, reasons = json.loads((folder / "paths.json").read_bytes())
            records = np.load(folder / "files.npy", allow_pickle=False)
            ranges = Ranges.from_json(header["ranges"])
            return cls(folder, header["labels"], paths, {int(n): why for n, why in reasons.items()}, records, ranges)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save(self, identity: dict[str, Any]) -> None:
        """Write everything but the images and descriptions, which exist already."""
        np.save(self.folder / "files.npy", self.records, allow_pickle=False)
        (self.folder / "paths.json").write_text(json.dumps([list(self.paths), self.reasons]))
        names = ["images.raw", "descriptions.raw", "files.npy", "paths.json"]
        header = identity | {
            "labels": self.labels,
            "ranges": self.ranges.as_json(),
            "pictures": int((self.records["row"] >= 0).sum()),
            "lengths": {name: (self.folder / name).stat().st_size for name in names},
            "hashes": {name: files.sha256(self.folder / name) for name in names[2:]},
        }
        (self.folder / "store.json").write_text(json.dumps(header | {"self": _hash(header)}, indent=1))

    def describes(self, catalog: Catalog, stamps: NDArray[np.int64]) -> bool:
        """Whether building the store again would give exactly this store."""
        same = self.labels == labels_of(catalog) and np.array_equal(self.records["stamp"], stamps)
        return same and bool((stamps[:, 0] >= 0).all())

    def add(self, number: int, result: Result, row: int) -> None:
        """Record a result; `row` is the place of its image, or -1."""
        self.records[number] = (result.stamp, np.frombuffer(result.digest, np.uint8), result.size, row)
        if result.reason is not None:
            self.reasons[number] = result.reason

    def clashes(self, catalog: Catalog) -> dict[int, str]:
        """The files that are in two classes: number -> reason."""
        good = np.ones(len(self.paths), bool)
        good[list(self.reasons)] = False
        numbers, digests = np.flatnonzero(good), Digests(self.records["digest"][good])
        repeated = digests.repeated()
        clashing = contradictions(
            [catalog.pictures[numbers[at]] for at in repeated], [digests[at] for at in repeated], catalog.classes
        )
        return {int(numbers[repeated[at]]): reason for at, reason in clashing.items()}


class Reuse:
    """Takes unchanged results over from an older store."""

    def __init__(self, old: Index, form: Form) -> None:
        self.old = old
        self.form = form
        self.numbers = {path: number for number, path in enumerate(old.paths)}
        self.images = (old.folder / "images.raw").open("rb", buffering=0)
        self.descriptions = (old.folder / "descriptions.raw").open("rb", buffering=0)

    def find(self, path: str, stamp: NDArray[np.int64]) -> Result | None:
        number = self.numbers.get(path)
        if number is None or stamp[0] < 0 or not np.array_equal(self.old.records["stamp"][number], stamp):
            return None
        record, reason = self.old.records[number], self.old.reasons.get(number)
        known = tuple(stamp.tolist()), record["digest"].tobytes(), tuple(record["size"].tolist())
        if reason is not None:
            return Result(*known, reason=reason, reused=True)
        if (row := int(record["row"])) < 0:  # it was in two classes then
            return None
        image = read_row(self.images, row, self.form.shape)
        return Result(*known, image, read_row(self.descriptions, row, (twins.DESCRIPTION,)), reused=True)

    def close(self) -> None:
        self.images.close()
        self.descriptions.close()


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
    return hash_lines(f"{picture.path}\0{catalog.classes_of(picture)}\0" for picture in catalog.pictures)


def hash_lines(lines: Iterable[str]) -> str:
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode("utf-8", "surrogateescape"))  # a file name need not be valid UTF-8
    return total.hexdigest()


def there(catalog: Catalog) -> tuple[Catalog, NDArray[np.int64]]:
    """The catalog without missing files, which join the quarantine; and the stamps of the others, (N, 3).

    A table may list missing files, and a file may disappear after its folder was read. Without this, no store would be
    complete while they are missing.
    """
    stamps = _stamps(catalog)
    lost = []
    for number in np.flatnonzero(stamps[:, 0] < 0).tolist():
        path = catalog.pictures.paths[number]
        if _is_missing(catalog.picture_at(path)):
            lost.append((number, Quarantined(path, "not found", catalog.class_at(number))))
    if not lost:
        return catalog, stamps
    rows = np.delete(np.arange(len(stamps)), [number for number, _ in lost])
    quarantine = by_path((*catalog.quarantine, *(bad for _, bad in lost)))
    return replace(catalog, pictures=catalog.pictures.take(rows), quarantine=quarantine), stamps[rows]


def _stamps(catalog: Catalog) -> NDArray[np.int64]:
    """The stamps of all pictures, (N, 3): from the listing of an address, or else one by one."""
    paths = catalog.pictures.paths
    if not catalog.is_remote:
        stamps = np.empty((len(paths), 3), np.int64)
        for stamp, path in zip(stamps, paths, strict=True):
            stamp[:] = stamp_of(catalog.root / path)
        return stamps
    from pellucid.pictures import ahead

    stamps = np.array([catalog.stamp_listed(path) for path in paths], np.int64).reshape(-1, 3)
    rest = np.flatnonzero(stamps[:, 0] < 0)
    if len(rest):
        stamps[rest] = ahead.stamps([catalog.picture_at(paths[number]) for number in rest.tolist()])
    return stamps


def _is_missing(place: Place) -> bool:
    """Whether a file is certainly not there: a disk or network that fails now may recover."""
    if is_address(place):
        return not exists(place)
    try:
        place.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def read_row(file: FileIO, row: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    length = int(np.prod(shape))
    file.seek(row * length)
    return np.frombuffer(file.read(length), np.uint8).reshape(shape)


def _hash(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
