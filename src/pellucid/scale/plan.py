"""The plan of a job: what decides every row of its files. A job that is interrupted continues with the same plan."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pellucid.errors import StorageError
from pellucid.scale.listing import Listing

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What decides the rows of a job, and how they are divided into files.

    * model: the SHA-256 of the model's files
    * sources: what the user named; each row says from which of them its picture is
    * folder: where relative paths begin; empty if all are absolute
    * form: parquet, csv or jsonl
    * top: classes named for each picture
    * precision: float32 or int8
    * features: whether the features of each picture are written too
    * listing: the pictures
    * version: of Pellucid
    """

    model: str
    sources: tuple[str, ...]
    folder: str
    form: str
    top: int
    precision: str
    features: bool
    listing: Listing
    version: str

    def part(self, number: int) -> str:
        """The name of the file with the rows of block `number`."""
        return f"part-{number:05}.{self.form}"

    def features_part(self, number: int) -> str:
        """The name of the file with the features of block `number`."""
        return f"part-{number:05}.parquet"

    def as_json(self) -> dict[str, Any]:
        """For `_plan.json`."""
        return {"format": FORMAT, **asdict(self), "block": self.listing.block, "blocks": self.listing.blocks}

    def check(self, stored: str, where: str) -> None:
        """Raise StorageError that names the first difference, unless `stored`, a `_plan.json`, is this plan."""
        try:
            theirs = json.loads(stored)
            differences = [name for name, value in _plain(self).items() if theirs.get(name) != value]
        except (ValueError, AttributeError) as error:
            raise StorageError(f"{where} holds a plan that is damaged: {error}. Choose another --out.") from error
        if differences:
            reason = _REASONS[differences[0]].format(theirs=theirs.get(differences[0]), ours=_plain(self))
            raise StorageError(f"{where} holds the answers of another job: {reason}. Choose another --out.")


_REASONS = {
    "format": "it was written in format {theirs}",
    "version": "Pellucid {theirs} began it, and this is {ours[version]}",
    "model": "the model is another one, or has changed",
    "sources": "its pictures are from {theirs}",
    "folder": "it was begun in the folder {theirs}",
    "form": "its format is {theirs}, not {ours[form]}",
    "top": "it names {theirs} classes for each picture, not {ours[top]}",
    "precision": "its precision is {theirs}, not {ours[precision]}",
    "features": "one of the two is without --features",
    "listing": "it is about {theirs[pictures]:,} pictures, and now there are {ours[listing][pictures]:,} or others",
    "block": "its files hold {theirs} pictures each",
    "blocks": "it has {theirs} files",
}


def _plain(plan: Plan) -> dict[str, Any]:
    """The plan after a way through JSON, which turns tuples into lists."""
    return json.loads(json.dumps(plan.as_json()))  # type: ignore[no-any-return]
