"""Write one shard from pictures: a tar as WebDataset reads it, or a Parquet file as Hugging Face's `datasets` reads it.

The same pictures give the same bytes: a tar's members have no times and no owner.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pellucid import files

Format = Literal["webdataset", "parquet"]
ENDING: dict[str, str] = {"webdataset": ".tar", "parquet": ".parquet"}
GROUP = 16 << 20  # bytes of pictures in a row group: what a reader holds to reach one of them
ROWS = 1000  # most rows in a row group
_PART = 100  # most characters of each folder or name in a key
_MEMBER = 2 * tarfile.BLOCKSIZE  # bytes of a header, and of a small content in its padding


@dataclass(frozen=True)
class Item:
    """A picture to write.

    * key: its name without an ending, unique in all shards of a set: `keys`
    * ending: of its file's name, without the dot; "" for none
    * content: the file's bytes
    * labels: indices into the classes
    * side: only where the pictures of one shard may be on different sides
    """

    key: str
    ending: str
    content: bytes
    labels: tuple[int, ...]
    group: str = ""
    side: str | None = None


@dataclass(frozen=True)
class Written:
    """A shard on the disk. sha256: hexadecimal; size: in bytes."""

    name: str
    sha256: str
    size: int
    pictures: int


def write(place: Path, form: Format, items: Iterable[Item], classes: tuple[str, ...], several: bool = False) -> Written:
    """Write a shard, beside its place and then renamed. Memory holds one picture, or one row group of a Parquet file.

    classes: the names behind the labels. `several`: whether a picture may have several labels, or none. Raises
    StorageError; errors of `items` pass, and nothing is written then.
    """
    count = 0

    def counted() -> Iterator[Item]:
        nonlocal count
        for item in items:
            count += 1
            yield item

    write_in = _write_tar if form == "webdataset" else _write_parquet
    with files.storage_errors(place), files.replacing(place) as part:
        write_in(part, counted(), classes, several)
        digest, size = files.sha256(part), part.stat().st_size
    return Written(place.name, digest, size, count)


def occupied(size: int, form: Format, with_more: bool) -> int:
    """About how many bytes of a shard a picture of `size` bytes takes. `with_more`: with a group or several labels."""
    if form == "parquet":
        return size + 64
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE + tarfile.BLOCKSIZE + _MEMBER * (1 + with_more)


def keys(paths: Iterable[str]) -> Iterator[str]:
    """A key for each path: the path without its ending, from characters that are safe in a file's name, each key once.

    >>> list(keys(["cat/my photo.jpg", "cat/my photo.png", "../a.b.jpg"]))
    ['cat/my-photo', 'cat/my-photo-2', 'a-b']
    """
    taken: dict[str, int] = {}
    for path in paths:
        stem = re.sub(r"\.[^./]*$", "", path)
        parts = (re.sub(r"[^\w-]+", "-", part).strip("-")[:_PART] for part in stem.split("/"))
        key = base = "/".join(part for part in parts if part) or "picture"
        while key in taken:
            taken[base] += 1
            key = f"{base}-{taken[base]}"
        taken[key] = 1
        yield key


def _write_tar(place: Path, items: Iterable[Item], classes: tuple[str, ...], several: bool) -> None:
    with place.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in items:
            _add(tar, f"{item.key}.{item.ending or 'img'}", item.content)
            if not several:
                _add(tar, f"{item.key}.cls", str(item.labels[0]).encode())
            names: Any = [classes[label] for label in item.labels]
            more = {"group": item.group, "split": item.side or ""}
            about = {"label": names if several else names[0]} | {name: text for name, text in more.items() if text}
            if several or len(about) > 1:
                _add(tar, f"{item.key}.json", json.dumps(about, ensure_ascii=False).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)  # without time, owner and group
    about.size, about.mode = len(content), 0o644
    tar.addfile(about, io.BytesIO(content))


def _write_parquet(place: Path, items: Iterable[Item], classes: tuple[str, ...], several: bool) -> None:
    import pyarrow
    from pyarrow import parquet

    label = {"names": list(classes), "_type": "ClassLabel"}
    text = {"dtype": "string", "_type": "Value"}
    features = {
        "image": {"_type": "Image"},
        "label": {"feature": label, "_type": "Sequence"} if several else label,
        "group": text,
        "split": text,
    }
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    labels = pyarrow.list_(pyarrow.int64()) if several else pyarrow.int64()
    columns = [("image", image), ("label", labels), ("group", pyarrow.string()), ("split", pyarrow.string())]
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pyarrow.schema(columns, metadata=about)
    # pictures are compressed already, and a dictionary of them would only cost memory
    with parquet.ParquetWriter(
        place, schema, compression="none", use_dictionary=False, write_statistics=False
    ) as writer:
        for group in _groups(items):
            rows = [
                {
                    "image": {"bytes": item.content, "path": f"{item.key}.{item.ending}".rstrip(".")},
                    "label": list(item.labels) if several else item.labels[0],
                    "group": item.group or None,
                    "split": item.side,
                }
                for item in group
            ]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema), row_group_size=len(rows))


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The pictures of each row group."""
    group: list[Item] = []
    size = 0
    for item in items:
        if group and (size + len(item.content) > GROUP or len(group) == ROWS):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item.content)
    if group:
        yield group


def hashed(text: Iterable[str]) -> str:
    """SHA-256, hexadecimal, over lines of text."""
    total = hashlib.sha256()
    for line in text:
        total.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return total.hexdigest()
