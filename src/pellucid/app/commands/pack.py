"""The command `pack`: pictures into shards, WebDataset tars or Parquet files."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from time import monotonic
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pellucid.app import streams
from pellucid.app.bars import UNTIMED, only_bar, progress_bars
from pellucid.app.exits import Exit
from pellucid.app.flags import Column, Switch, parse
from pellucid.app.format import duration, many, printable, size
from pellucid.pictures.places import on_this_machine, place
from pellucid.pictures.shards.packing import QUARANTINE, Packed, Packing
from pellucid.pictures.shards.verb import packing
from pellucid.pictures.tabular import Columns
from pellucid.steps import Steps


def pack(
    source: Annotated[Positional[str], arg(metavar="SOURCE")],
    out: Annotated[Positional[str], arg(metavar="OUT")],
    /,
    format: Literal["webdataset", "parquet"] = "webdataset",  # noqa: A002
    shard_size: Annotated[str, arg(metavar="SIZE")] = "1GB",
    labels: Literal["one", "several"] = "one",
    seed: int = 0,
    path_column: Column = None,
    label_column: Column = None,
    split_column: Column = None,
    group_column: Column = None,
    ray: Annotated[str | None, arg(metavar="[ADDRESS]", help_behavior_hint="")] = None,
    json: Switch = False,
) -> int:
    """Write the pictures of a folder, a table or other shards into a few large files, shuffled: shards.

    Shards are trained on, predicted and evaluated like folders, and other programs read them. Files keep their bytes.
    Stopped or killed, the same command goes on after the last whole shard, and the result is the same.

    Args:
        source: What `pellucid train` takes: a folder of class folders, a table, or shards. It may be an address.
        out: The folder to write, on this machine and outside SOURCE.
        format: Tars for the WebDataset library, or Parquet files for Hugging Face's datasets.
        shard_size: About how large each shard becomes.
        labels: Whether a picture has one label, or may have several.
        seed: The shuffling depends on it alone.
        path_column: The table's column of paths. Default: path or file_name.
        label_column: The table's column of labels. Default: label.
        split_column: The table's column of train, val or test. Default: split, if there is one.
        group_column: The table's column of groups. Default: group, if there is one.
        ray: Write the shards on all machines of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT; without an address,
            on the cores of this machine. All machines must see SOURCE and OUT under the same paths. Needs pip install
            'pellucid[ray]'.
        json: Print as JSON.
    """
    columns = Columns(path_column, label_column, split_column, group_column, several=labels == "several")
    folder = on_this_machine(out, "OUT")
    if ray is None:
        steps = packing(place(source), folder, format, shard_size, seed, columns)
    else:
        from pellucid.app import clustered
        from pellucid.scale import packing as cluster

        clustered.check(ray)
        steps = cluster.packing(place(source), folder, format, shard_size, seed, columns, ray)
    packed = _watched(steps)
    if json:
        streams.write_json(packed.as_json(), indent=2)
        return Exit.OK
    total = size(sum(shard.size for shard in packed.shards))
    shards = many(len(packed.shards), "shard")
    print(f"{many(packed.pictures, 'picture')} in {shards}, {total}: {printable(packed.out)}")
    if packed.reused:
        print(f"{many(packed.reused, 'shard')} of an earlier run stayed.")
    if packed.quarantine:
        print(f"Not packed: {many(len(packed.quarantine), 'file')}, each with its reason in {QUARANTINE}.")
    print(f"To use it: pellucid train {printable(packed.out)}")
    return Exit.OK


def _watched(steps: Generator[Packing, None, Packed]) -> Packed:
    """Run the packing to its end under a bar."""
    watched = Steps(steps)
    began = monotonic()
    with progress_bars() as bars, closing(steps):
        for event in watched:
            spent, new = monotonic() - began, event.done - event.reused
            left = spent / new * (event.total - event.done) if new and spent > UNTIMED else None
            note = "" if left is None else f"{duration(left)} left"
            bars.update(only_bar(bars), description=event.shard, completed=event.done, total=event.total, left=note)
    return watched.result


def run(args: list[str]) -> int:
    from pellucid.app.clustered import with_address

    return parse(pack, with_address(args), "pack")
