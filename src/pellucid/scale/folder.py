"""The folder with a job's files: each appears whole, once, and the folder knows which are there.

The names of what is not an answer begin with an underscore: programs that read a folder as one table skip these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid import files
from pellucid.classifier.store import write_json
from pellucid.errors import StorageError
from pellucid.scale.plan import Plan
from pellucid.training import claim
from pellucid.training.claim import Claim

PLAN, LISTING, JOURNAL, MANIFEST = "_plan.json", "_pictures.parquet", "_parts.jsonl", "_manifest.json"


@dataclass(frozen=True)
class Written:
    """A file of answers: the number of its block, its name, rows, rows with an error, bytes and SHA-256.

    `features_sha256`: of the file with the features; None if there is none.
    """

    block: int
    file: str
    rows: int
    unusable: int
    bytes: int
    sha256: str
    features_sha256: str | None = None


@dataclass(frozen=True)
class Output:
    """The folders of a job: `answers`, and `features` if these are written too."""

    answers: Path
    features: Path | None

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folders; no other process may write there. Those that are empty at the end are removed.

        Raises StorageError if a folder holds anything else than a job, and ArtefactError if another process writes
        there.
        """
        for place, flag in ((self.answers, "--out"), (self.features, "--features")):
            if place is not None:
                _check(place, flag)
        claims = [Claim(place) for place in self.places]
        try:
            for each in claims:
                each.take()
                files.remove_parts(each.folder)
            yield
        finally:
            for each in reversed(claims):
                each.release()

    @property
    def places(self) -> list[Path]:
        """All folders of the job."""
        return [self.answers, *([self.features] if self.features is not None else [])]

    def begin(self, plan: Plan) -> dict[int, Written]:
        """Store the plan, or check that the folders hold the same; returns the parts that are there by block.

        A plan of another job that has answered nothing is replaced. Raises StorageError.
        """
        answered = any(path.name not in (PLAN, LISTING) for place in self.places for path in _inside(place))
        for place in self.places:
            if answered and (place / PLAN).is_file():
                plan.check((place / PLAN).read_text(encoding="utf-8"), str(place))
            else:
                write_json(place / PLAN, plan.as_json())
        return {part.block: part for part in self._journal() if self._is_there(part, plan)}

    def write(self, plan: Plan, block: int, unusable: int, content: bytes, features: bytes | None) -> Written:
        """Write the files of a block and note that they are whole. Raises StorageError."""
        digest = None
        if features is not None:
            assert self.features is not None
            files.write(self.features / plan.features_part(block), features)
            digest = hashlib.sha256(features).hexdigest()
        name = plan.part(block)
        files.write(self.answers / name, content)
        rows, size, whole = plan.listing.rows(block), len(content), hashlib.sha256(content).hexdigest()
        part = Written(block, name, rows, unusable, size, whole, digest)
        with files.storage_errors(self.answers), (self.answers / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(asdict(part)) + "\n")
        return part

    def finish(self, plan: Plan, parts: dict[int, Written]) -> None:
        """Write the manifest: every file with its rows and hash. Raises StorageError."""
        listed = [asdict(parts[block]) for block in sorted(parts)]
        unusable = sum(part.unusable for part in parts.values())
        whole: dict[str, Any] = {"pictures": plan.listing.pictures, "unusable": unusable, "parts": listed}
        write_json(self.answers / MANIFEST, whole)
        with files.storage_errors(self.answers):
            (self.answers / JOURNAL).unlink(missing_ok=True)

    def _journal(self) -> Iterator[Written]:
        """The parts noted as whole. A line that a killed process left unfinished counts as none."""
        manifest, journal = self.answers / MANIFEST, self.answers / JOURNAL
        try:
            if manifest.is_file():
                yield from (Written(**entry) for entry in json.loads(manifest.read_text(encoding="utf-8"))["parts"])
                return
            lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
        except (ValueError, KeyError, TypeError):
            return
        for line in lines:
            try:
                yield Written(**json.loads(line))
            except (ValueError, TypeError):
                continue

    def _is_there(self, part: Written, plan: Plan) -> bool:
        """Whether the files of a part are there, with the size that was noted."""
        try:
            whole = (self.answers / part.file).stat().st_size == part.bytes
        except OSError:
            return False
        return whole and (self.features is None or (self.features / plan.features_part(part.block)).is_file())


def _inside(place: Path) -> list[Path]:
    """What a folder holds, except a claim and files that were not finished."""
    return [path for path in claim.inside(place) if not files.is_part(path)] if place.is_dir() else []


def _check(place: Path, flag: str) -> None:
    if place.exists() and not place.is_dir():
        raise StorageError(f"{place} is a file; with --ray, {flag} names a folder.")
    if not place.is_dir() or (place / PLAN).is_file():
        return
    ours = {LISTING}  # of a job that was killed before it wrote its plan
    others = [path.name for path in _inside(place) if path.name not in ours]
    if others:
        raise StorageError(f"{place} already holds other files, such as {min(others)}. Choose another {flag}.")
