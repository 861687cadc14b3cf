"""The list of the pictures of a job, as a file. It is cut into numbered blocks that are read one at a time.

A job may have more names than fit into memory as Python strings. The file holds them as bytes, compressed.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import RecipeError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 16_384  # of a row group: what the writer and the reader hold at once
LEAST, MOST, BLOCKS = 250, 4_000, 1_000  # pictures of a block, and the blocks of a job that stays between the two
_HEAD = struct.Struct("<iI")  # the number of the source, the length of the name

Named = tuple[int, object]
"""A picture: the number of the source in which it is, and its name, a str or Path."""


@dataclass(frozen=True)
class Listing:
    """How many pictures a list has, and its SHA-256, which only the same names in the same order give."""

    pictures: int
    sha256: str

    @property
    def block(self) -> int:
        """The pictures of a block. Few pictures make blocks of 250, very many make blocks of 4,000."""
        return min(MOST, max(LEAST, -(-self.pictures // BLOCKS)))

    @property
    def blocks(self) -> int:
        """How many blocks there are; the last may be smaller."""
        return -(-self.pictures // self.block)

    def rows(self, number: int) -> int:
        """The pictures of the block `number`, counted from 0."""
        return min(self.block, self.pictures - number * self.block)


def write(path: Path, pictures: Iterable[Named]) -> Listing:
    """Write the names as they come. Raises RecipeError if a picture has no name, OSError if the disk is full."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("source", pa.int32()), ("picture", pa.binary())])
    whole, count, rest = hashlib.sha256(), 0, iter(pictures)
    with parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        while group := list(islice(rest, ROWS)):
            sources, names = [source for source, _ in group], [_name(picture) for _, picture in group]
            for source, name in zip(sources, names, strict=True):
                whole.update(_HEAD.pack(source, len(name)) + name)
            writer.write_batch(pa.record_batch([pa.array(sources, pa.int32()), pa.array(names, pa.binary())], schema))
            count += len(group)
    return Listing(count, whole.hexdigest())


def blocks(path: Path, listing: Listing, wanted: Sequence[int]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The blocks with the `wanted` numbers, in order: columns source, int32, and picture, the name as bytes."""
    from pyarrow import parquet

    numbers = frozenset(wanted)
    with parquet.ParquetFile(path) as file:
        for number, batch in enumerate(file.iter_batches(batch_size=listing.block, use_threads=False)):
            if number in numbers:
                yield number, batch


def _name(picture: object) -> bytes:
    if not isinstance(picture, str | Path):
        raise RecipeError("A picture on standard input has no name that a cluster could read. Leave out --ray.")
    return os.fsencode(picture)
