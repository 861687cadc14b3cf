"""The plan of a pack, made before the first picture is read: which picture goes into which shard."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import RecipeError
from pellucid.pictures import order
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.places import is_address
from pellucid.pictures.shards import writing
from pellucid.pictures.shards.writing import ENDING, Format
from pellucid.pictures.split import SIDES

VERSION = 1  # of the plan and of a shard's bytes
ANY = "unsplit"  # the name of shards of pictures that may be on any side, where others have one
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


@dataclass(frozen=True)
class Plan:
    """Which pictures go into which shard. `rows`: of the catalog, for each name in `names`; `keys`: of each row.

    `identity`: SHA-256 over all that decides the shards' bytes, except the files' contents. `stamps`: (N, 3).
    """

    catalog: Catalog
    stamps: NDArray[np.int64]
    form: Format
    names: tuple[str, ...]
    rows: tuple[NDArray[np.int64], ...]
    keys: tuple[str, ...]
    identity: str
    mixed: bool  # some pictures have a side, and some have none

    def part(self, shard: int) -> Plan:
        """The plan of one shard alone, for a process in another folder or on another machine: the same bytes."""
        catalog, rows = self.catalog, self.rows[shard]
        root = catalog.root if is_address(catalog.root) else catalog.root.absolute()
        pictures = catalog.pictures.take(rows)
        alone = replace(catalog, root=root, pictures=pictures, quarantine=(), left_out=(), listing=None)
        keys = tuple(self.keys[row] for row in rows.tolist())
        own = {"names": (self.names[shard],), "rows": (np.arange(len(rows)),), "keys": keys}
        return replace(self, catalog=alone, stamps=self.stamps[rows], **own)


def bytes_of(size: str | int) -> int:
    """Bytes of a text such as "1GB" or "250 MB", in powers of 1,000. Raises RecipeError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?b?)", str(size).strip().lower())
    number = float(match[1]) * _UNITS.get(match[2] if match[2].endswith("b") else match[2] + "b", 1) if match else 0
    if number < 1:
        raise RecipeError(f"shard_size is {size!r}; it must be a number of bytes, such as 1GB or 250MB.")
    return int(number)


def planned(catalog: Catalog, stamps: NDArray[np.int64], form: Format, size: int, seed: int) -> Plan:
    """Deal the pictures, shuffled by the seed, to shards of about `size` bytes, each side of a split for itself."""
    pictures = catalog.pictures
    sides, more = pictures.sides, catalog.several or bool((pictures.groups >= 0).any())
    mixed = bool((sides < 0).any() and (sides >= 0).any())
    weights = np.array([writing.occupied(max(0, each), form, more or mixed) for each in stamps[:, 0].tolist()])
    jumps = order.blocks(pictures.paths, stamps) if order.in_shards(pictures.paths) else None
    names, rows = [], []
    for side in np.unique(sides).tolist():
        generator = np.random.default_rng((seed, side + 1))
        some = np.flatnonzero(sides == side)
        some = generator.permutation(some) if jumps is None else order.shuffled(some, jumps, generator)
        weight = np.cumsum(weights[some])
        shards = int(np.ceil(weight[-1] / size))
        cuts = np.searchsorted(weight, weight[-1] / shards * np.arange(1, shards))
        name = SIDES[side] if side >= 0 else ANY if mixed else SIDES[0]
        parts = [part for part in np.split(some, cuts) if len(part)]
        names += [f"{name}-{number:06d}{ENDING[form]}" for number in range(len(parts))]
        rows += parts
    lines = (
        f"{picture.path}\0{catalog.classes_of(picture)}\0{picture.side}\0{picture.group}\0{size}"
        for picture, size in zip(pictures, stamps[:, 0].tolist(), strict=True)
    )
    settings = json.dumps([VERSION, form, size, seed, catalog.several, catalog.classes])
    identity = writing.hashed((settings, writing.hashed(lines)))
    return Plan(catalog, stamps, form, tuple(names), tuple(rows), tuple(writing.keys(pictures.paths)), identity, mixed)
