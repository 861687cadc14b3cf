"""The verb `pack`: from a folder, a table or other shards to shards."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import ArtefactError, RecipeError
from pellucid.pictures import table
from pellucid.pictures.joined import joined
from pellucid.pictures.places import is_address, on_this_machine, place
from pellucid.pictures.shards import packing as packer
from pellucid.pictures.shards.packing import Packed, Packing
from pellucid.pictures.tabular import Columns
from pellucid.steps import result_of

if TYPE_CHECKING:
    from pellucid.pictures.catalog import Catalog
    from pellucid.pictures.places import Place


def pack(
    source: str | Place,
    out: str | Path,
    *,
    format: str = "webdataset",  # noqa: A002
    shard_size: str | int = "1GB",
    labels: str = "one",
    seed: int = 0,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
) -> Packed:
    """Write the pictures of a folder, a table or other shards into shards in the folder `out`, shuffled by `seed`.

    `format`: "webdataset" for tars of `key.jpg` with `key.cls`, "parquet" for files with a column image of bytes and
    path. `shard_size`: about how many bytes a shard has. `labels`: "several" if a picture may have several labels.

    Files keep their bytes. Each is decoded once; one that cannot be is listed in quarantine.csv with the reason. The
    sides of a split have shards of their own. `manifest.json` has the SHA-256 of each shard. After an interruption, the
    same call goes on after the last whole shard, and the result has the same bytes.

    Raises CatalogError if there is no picture, RecipeError for an unknown setting, ArtefactError if `out` holds
    something else or lies in `source`, StorageError for an address as `out`, or if the disk is full: whole shards stay.
    """
    if labels not in ("one", "several"):
        raise RecipeError(f"labels is {labels!r}; it must be one or several.")
    columns = Columns(path_column, label_column, split_column, group_column, several=labels == "several")
    return result_of(packing(place(source), out, format, shard_size, seed, columns))


def packing(
    source: Place, out: str | Path, form: str, shard_size: str | int, seed: int, columns: Columns
) -> Generator[Packing, None, Packed]:
    """See `pack`; yields progress."""
    return (
        yield from packer.pack(catalog_of(source, out, columns), on_this_machine(out, "out"), form, shard_size, seed)
    )


def catalog_of(source: Place, out: str | Path, columns: Columns) -> Catalog:
    """The pictures to pack.

    Raises CatalogError, StorageError if `out` is an address, and ArtefactError if it lies in `source`.
    """
    out = on_this_machine(out, "out")
    if not is_address(source) and out.resolve().is_relative_to(source.resolve()):
        where = "is the source itself" if source.resolve() == out.resolve() else f"lies in the source, {source}"
        raise ArtefactError(f"{out} {where}. Name another folder for the shards.")
    catalog = table.read(source, columns, leave_out=out)
    return joined(catalog) if columns.several else catalog
