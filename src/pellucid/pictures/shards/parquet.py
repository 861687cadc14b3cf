"""A Parquet file with a column of pictures, as Hugging Face writes them: `image: struct<bytes, path>`.

A picture's name in the shard is its row, counted from 0, with the ending of its own path: 17.jpg. So a row is reached
without an index, and every name is there once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np

from pellucid.pictures.tabular import PARQUET as NEEDS

ROWS = 1 << 14  # rows of labels at a time
_LIKELY = ("image", "img", "picture", "photo", "jpg", "png")
_ROW = re.compile(r"(\d{1,18})(\.\w+)?")


class Unreadable(Exception):
    """The file is no readable Parquet file, or pyarrow is missing; the text is a phrase."""


class Row(NamedTuple):
    """A picture's name in the shard, and the cells of the columns that were named."""

    name: str
    cells: tuple[Any, ...]


@dataclass(frozen=True)
class Layout:
    """A Parquet file's columns, and where the pictures are.

    * column: of the pictures; `inner`: their bytes in it, "image.bytes", or the column itself
    * ends: the first row of each row group, and the number of all rows
    * weights: mean bytes of a row of each row group's pictures, uncompressed
    * features: what Hugging Face's metadata say about each column
    """

    names: tuple[str, ...]
    column: str
    inner: str
    path: str | None
    ends: tuple[int, ...]
    weights: tuple[int, ...]
    features: dict[str, Any]

    @cached_property
    def starts(self) -> Any:
        """`ends` as an array."""
        return np.array(self.ends)

    def place(self, name: str) -> tuple[int, int] | None:
        """(row group, row in it) of a picture by its name; None if there is none."""
        match = _ROW.fullmatch(name)
        row = int(match[1]) if match else -1
        if not 0 <= row < self.ends[-1]:
            return None
        group = int(np.searchsorted(self.starts, row, side="right")) - 1
        return group, row - self.ends[group]

    def classes(self, column: str) -> list[str] | None:
        """The names behind the numbers of a column, if it is a ClassLabel of Hugging Face, alone or in a list."""
        feature = self.features.get(column)
        while isinstance(feature, list) and feature:
            feature = feature[0]
        while isinstance(feature, dict) and "names" not in feature and "feature" in feature:
            feature = feature["feature"]
        names = feature.get("names") if isinstance(feature, dict) else None
        return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def opened(path: Any) -> Any:
    """pyarrow's reader of a file, by its path or open. Raises Unreadable."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise Unreadable(f"a Parquet file, which {NEEDS.partition(', or')[0]}") from error
    try:
        return parquet.ParquetFile(path, memory_map=False)
    except (pyarrow.ArrowException, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise Unreadable(f"not a whole Parquet file ({first}). Copy it again") from error


def layout(reader: Any) -> Layout | None:
    """Where the pictures of a Parquet file are; None if it has no column of pictures."""
    schema, metadata = reader.schema_arrow, reader.metadata
    features = _features(schema)
    columns = [field.name for field in schema if _holds_pictures(field, features.get(field.name))]
    if not columns:
        return None
    column = next((name for want in _LIKELY for name in columns if name.lower() == want), columns[0])
    inner, path = _inner(schema.field(column))
    ends, weights = [0], []
    at = [metadata.schema.column(number).path for number in range(metadata.num_columns)].index(inner)
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        ends.append(ends[-1] + about.num_rows)
        weights.append(about.column(at).total_uncompressed_size // max(about.num_rows, 1))
    return Layout(tuple(schema.names), column, inner, path, tuple(ends), tuple(weights), features)


def rows(reader: Any, where: Layout, columns: list[str | None]) -> Iterator[Row]:
    """The name of each picture, and the cells of `columns`, None for a missing one. No picture's bytes are read.

    Raises Unreadable.
    """
    import pyarrow

    wanted = list(dict.fromkeys(name for name in (*columns, where.path) if name is not None))
    if not wanted:
        yield from (Row(str(row), (None,) * len(columns)) for row in range(where.ends[-1]))
        return
    row = 0
    try:
        for batch in reader.iter_batches(ROWS, columns=wanted):
            cells = [
                repeat(None, batch.num_rows) if name is None else batch.column(name).to_pylist() for name in columns
            ]
            paths = _paths(batch, where)
            for path, *own in zip(paths, *cells, strict=True):
                yield Row(f"{row}{_ending(path)}", tuple(own))
                row += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise Unreadable(f"damaged behind row {row:,} ({str(error).splitlines()[0].rstrip('.')})") from error


def _paths(batch: Any, where: Layout) -> Iterator[str | None]:
    if where.path is None:
        return repeat(None, batch.num_rows)
    return (None if cell is None else cell["path"] for cell in batch.column(where.column).to_pylist())


def _ending(path: str | None) -> str:
    ending = os.path.splitext(path or "")[1].lower()
    return ending if re.fullmatch(r"\.\w{1,8}", ending, re.ASCII) else ""


def contents(reader: Any, where: Layout, group: int) -> list[memoryview | None]:
    """The bytes of each picture of a row group, None where the row has none. Raises Unreadable."""
    import pyarrow

    try:
        column = reader.read_row_group(group, columns=[where.inner]).column(where.column)
    except (pyarrow.ArrowException, OSError) as error:
        raise Unreadable(f"damaged in row group {group} ({str(error).splitlines()[0].rstrip('.')})") from error
    return list(chain.from_iterable(map(_views, column.chunks)))


def _views(chunk: Any) -> Iterator[memoryview | None]:
    import pyarrow

    if pyarrow.types.is_struct(chunk.type):
        there, chunk = chunk.is_valid().to_pylist(), chunk.field(0)
    else:
        there = [True] * len(chunk)
    for is_there, value in zip(there, chunk, strict=True):
        content = value.as_buffer() if is_there and value.is_valid else None
        yield None if content is None else memoryview(content)


def _features(schema: Any) -> dict[str, Any]:
    """What Hugging Face's `datasets` wrote about the columns; {} without it."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _holds_pictures(field: Any, feature: Any) -> bool:
    import pyarrow

    if pyarrow.types.is_struct(field.type):
        return any(inner.name == "bytes" and _is_binary(inner.type) for inner in field.type)
    named = isinstance(feature, dict) and feature.get("_type") == "Image"
    return _is_binary(field.type) and (named or field.name.lower() in _LIKELY)


def _inner(field: Any) -> tuple[str, str | None]:
    import pyarrow

    if not pyarrow.types.is_struct(field.type):
        return field.name, None
    names = {inner.name for inner in field.type}
    return f"{field.name}.bytes", f"{field.name}.path" if "path" in names else None


def _is_binary(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)
