"""Write the features of pictures as a Parquet file, a row for each picture, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.expand import expand
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Described
from pellucid.errors import StorageError
from pellucid.texts import composed

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"PAR1"  # how a Parquet file begins
ROWS, BYTES = 1024, 32 << 20  # the most rows and bytes of features in a row group
EXTRA = "Parquet needs an extra: pip install 'pellucid[tables]'."


def opened(model: str | Path, trust: bool = False) -> Classifier:
    """The classifier in a folder; `trust` as for pellucid.load. Raises ArtefactError."""
    return artefact.load(Path(model), trust=trust)


def described(model: str | Path, pictures: Iterable[Source], batch: int = 32) -> Iterator[Described]:
    """Like `predict`, but yields the features of each picture too.

    Raises ArtefactError, RecipeError, and NetworkError if the network does not end in a dense layer.
    """
    return opened(model).described(expand(pictures), batch)


class Table:
    """The rows of a Parquet file, gathered into groups.

    Columns: path, label (the class whose folder holds the picture, else null), prediction, probability, error, features
    (as many float32 as the last dense layer has inputs). For an unusable picture, error gives the reason, and
    prediction, probability and features are null.
    """

    def __init__(self, path: Path | BinaryIO, classifier: Classifier) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.classes = {composed(name): name for name in classifier.classes}
        self.width = classifier.backbone.width
        self.group = max(1, min(ROWS, BYTES // (4 * self.width)))
        self.rows: list[tuple[str, Described]] = []
        about = {"head": classifier.backbone.head, "classes": list(classifier.classes)}
        fields = [("path", pa.string()), ("label", pa.string()), ("prediction", pa.string())]
        fields += [("probability", pa.float64()), ("error", pa.string())]
        fields += [("features", pa.list_(pa.float32(), self.width))]
        self.schema = pa.schema(fields, metadata={"pellucid": json.dumps(about)})
        self.writer = parquet.ParquetWriter(path, self.schema, use_dictionary=False)  # features hardly repeat

    def add(self, path: str, row: Described) -> None:
        """Add a row; `path` names the picture."""
        self.rows.append((path, row))
        if len(self.rows) == self.group:
            self.flush()

    def flush(self) -> None:
        """Write the gathered rows as a row group."""
        import pyarrow as pa

        if not self.rows:
            return
        predictions = [row.prediction for _, row in self.rows]
        columns: list[Any] = [
            [path.encode("utf-8", "backslashreplace").decode() for path, _ in self.rows],
            [self._label(path) for path, _ in self.rows],
            [each.label for each in predictions],
            [each.probability for each in predictions],
            [each.error for each in predictions],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=False)]
        arrays.append(_vectors([row for _, row in self.rows], self.width))
        self.writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        self.rows.clear()

    def close(self) -> None:
        self.flush()
        self.writer.close()

    def _label(self, path: str) -> str | None:
        """The class whose folder holds a picture: the innermost folder with a class's name."""
        names = map(composed, reversed(Path(path).parts[:-1]))
        return next((self.classes[name] for name in names if name in self.classes), None)


@contextmanager
def table(out: Path, classifier: Classifier) -> Iterator[Table]:
    """A Parquet file that appears at `out` when it is complete, and replaces an earlier one.

    Raises StorageError if pyarrow is missing, if `out` is not a Parquet file, or if it cannot be written.
    """
    check(out)
    with files.storage_errors(out), files.replacing(out.resolve()) as temporary:
        rows = Table(temporary, classifier)
        try:
            yield rows
        except BaseException:
            rows.writer.close()
            raise
        rows.close()


def check(out: Path) -> None:
    """Raise StorageError if no Parquet file can be written to this place, before any picture is read."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise StorageError(EXTRA) from error
    if out.is_dir():
        raise StorageError(f"{out} is a folder; --features names the file to write.")
    with files.storage_errors(out):
        if out.exists() and not out.is_file():
            raise StorageError(f"{out} is not a regular file; --features writes one. Choose another name.")
        if out.exists() and not _is_parquet(out):
            raise StorageError(
                f"{out} already exists and is not a Parquet file: nothing of yours is overwritten. Choose another "
                "--features."
            )


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) in (MAGIC, b"")


def _vectors(rows: Sequence[Described], width: int) -> pa.FixedSizeListArray:
    import pyarrow as pa

    numbers = np.zeros((len(rows), width), np.float32)
    for number, row in zip(numbers, rows, strict=True):
        if row.features is not None:
            number[:] = row.features
    missing = pa.array([row.features is None for row in rows])
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), width, mask=missing)
