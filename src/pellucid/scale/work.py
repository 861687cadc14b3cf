"""What a machine of a cluster does: open the model once in each process, and answer one block of pictures at a time.

Nothing is raised for what the user can mend: a row of the answer carries it, as one sentence, to the process that the
user sees. A machine that dies raises nothing, and Ray starts its blocks again elsewhere.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pellucid
from pellucid.errors import ClusterError, PellucidError
from pellucid.pictures.places import is_written_as_address
from pellucid.texts import listed

if TYPE_CHECKING:
    import pyarrow as pa

    from pellucid.classifier.predict.prediction import Described
    from pellucid.scale.carried import Carried, Opened

MOST_STARTS = 4  # of a block; a machine may be taken away, but a picture that ends four processes would end all


@dataclass(frozen=True)
class Work:
    """What every process of a job needs to know.

    * model: a reference to a Carried in Ray's store
    * starts: a handle of the actor Starts
    * digest: of the model
    * batch: pictures that go through the network at once
    * others: as in Plan
    """

    model: Any
    starts: Any  # Ray gives neither reference a type
    digest: str
    folder: str
    sources: tuple[str, ...]
    form: str
    top: int
    batch: int
    precision: str
    features: bool
    trust: bool
    version: str


class Starts:
    """Counts how often each block was begun. One process of the cluster holds it."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}

    def begin(self, block: int) -> int:
        """Count a start of a block; returns how many there were, this one included."""
        self._begun[block] = self._begun.get(block, 0) + 1
        return self._begun[block]

    def end(self, block: int) -> None:
        """Forget a block that was answered."""
        self._begun.pop(block, None)


def block_table(number: int, batch: pa.RecordBatch) -> pa.Table:
    """A block as one row, which Ray can neither cut nor join with another: number, sources, pictures (as bytes)."""
    import pyarrow as pa

    sources = pa.ListArray.from_arrays(pa.array([0, batch.num_rows], pa.int32()), batch.column("source"))
    pictures = pa.ListArray.from_arrays(pa.array([0, batch.num_rows], pa.int32()), batch.column("picture"))
    return pa.table({"number": pa.array([number], pa.int64()), "sources": sources, "pictures": pictures})


def answer(blocks: pa.Table, work: Work) -> pa.Table:
    """Answer blocks. A row for each: number, unusable, content (a file), features (a file or null), fault (or null)."""
    import pyarrow as pa

    rows = [_row(row["number"], row["sources"], row["pictures"], work) for row in blocks.to_pylist()]
    kinds = {"number": pa.int64(), "unusable": pa.int64(), "content": pa.binary(), "features": pa.binary()}
    return pa.Table.from_pylist(rows, pa.schema([*kinds.items(), ("fault", pa.string())]))


def _row(number: int, sources: list[int], pictures: list[bytes], work: Work) -> dict[str, Any]:
    import ray

    try:
        check_version(work.version)
        names = [os.fsdecode(each) for each in pictures]
        starts: int = ray.get(work.starts.begin.remote(number))  # type: ignore[assignment]
        if starts > MOST_STARTS:
            raise ClusterError(_deadly(number, names, starts - 1))
        row = {"number": number, **_answered(names, sources, work)}
        work.starts.end.remote(number)
        return row
    except PellucidError as error:
        return {"number": number, "fault": str(error)}


def _answered(names: list[str], sources: list[int], work: Work) -> dict[str, Any]:
    from pellucid.classifier.predict.columns import Columns
    from pellucid.scale import rows

    model = _model(_Key(work))
    answers = list(_named(model, names, work.folder))
    predictions = [each.prediction for each in answers]
    predictor = model.predictor
    columns = Columns.of(predictor.classes, work.top, predictor.thresholds is not None)
    content = rows.encoded(work.form, columns, predictions, [work.sources[source] for source in sources])
    features = rows.features(model.classifier, answers) if model.classifier is not None else None
    return {
        "unusable": sum(each.error is not None for each in predictions),
        "content": content,
        "features": features,
    }


def _named(model: Opened, names: list[str], folder: str) -> Iterator[Described]:
    """The answers to pictures, each with the name that the user wrote. Relative paths begin in `folder`."""
    places = [name if is_written_as_address(name) else os.path.join(folder, name) for name in names]
    for name, each in zip(names, model.answers(places), strict=True):
        yield replace(each, prediction=replace(each.prediction, source=name))


class _Key:
    """Work whose model is the same is the same: a process opens a model once."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._same = (work.digest, work.batch, work.precision, work.features, work.trust)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)


@lru_cache(1)
def _model(key: _Key) -> Opened:
    import ray

    from pellucid.runtime.memory import keep_memory
    from pellucid.scale import carried

    work = key.work
    keep_memory()
    model: Carried = ray.get(work.model)  # type: ignore[assignment]
    with model.unpacked() as folder:
        return carried.opened(folder, work.batch, work.features, work.trust, work.precision)


def check_version(wanted: str) -> None:
    """Raise ClusterError unless this machine has the version `wanted` of Pellucid."""
    if pellucid.__version__ != wanted:
        raise ClusterError(
            f"{platform.node()} has Pellucid {pellucid.__version__}, but the job is of Pellucid {wanted}. Install the "
            "same version on every machine of the cluster."
        )


def _deadly(number: int, names: list[str], deaths: int) -> str:
    of = listed(names, 1)
    return (
        f"Block {number:,} ({of}) ended its process {deaths} times. A picture in it may need more memory than a worker "
        "has, or break a decoder. Look for it with `pellucid predict` on these pictures; leave it out to go on."
    )
