"""The rows of a block as the bytes of a file: Parquet, CSV or lines of JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pellucid.classifier.predict.columns import Columns, text
from pellucid.classifier.predict.prediction import Described, Prediction

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

SOURCE = "source"  # the name of the column that says which source of the job a picture is from
_ENCODING = "utf-8", "backslashreplace"  # a byte of a name that is not UTF-8 becomes \udc80


def encoded(form: str, columns: Columns, answers: Sequence[Prediction], sources: Sequence[str]) -> bytes:
    """The file of a block. `sources`: of each answer. `form`: parquet, csv or jsonl."""
    return {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}[form](columns, answers, sources)


def features(classifier: Classifier, rows: Sequence[Described]) -> bytes:
    """The Parquet file of the features of a block; see feature_table.Table."""
    from pellucid.classifier.predict.feature_table import Table

    stream = io.BytesIO()
    table = Table(stream, classifier)
    for row in rows:
        table.add(row.prediction.source, row)
    table.close()
    return stream.getvalue()


def _csv(columns: Columns, answers: Sequence[Prediction], sources: Sequence[str]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*columns.names, SOURCE])
    for answer, source in zip(answers, sources, strict=True):
        writer.writerow([*map(text, columns.cells(answer)), source])
    return stream.getvalue().encode(*_ENCODING)


def _jsonl(columns: Columns, answers: Sequence[Prediction], sources: Sequence[str]) -> bytes:
    lines = (
        json.dumps({**answer.as_json(columns.top), SOURCE: source}, ensure_ascii=False) + "\n"
        for answer, source in zip(answers, sources, strict=True)
    )
    return "".join(lines).encode(*_ENCODING)


def _parquet(columns: Columns, answers: Sequence[Prediction], sources: Sequence[str]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    kinds: dict[str, Any] = {"labels": pa.list_(pa.string())}
    types = [
        pa.float64() if name.startswith("probability_") else kinds.get(name, pa.string()) for name in columns.names
    ]
    schema = pa.schema([*zip(columns.names, types, strict=True), (SOURCE, pa.string())])
    cells = zip(
        *([*columns.cells(answer), source] for answer, source in zip(answers, sources, strict=True)), strict=True
    )
    arrays = [pa.array(map(_plain, column), field.type) for column, field in zip(cells, schema, strict=True)]
    sink = io.BytesIO()
    parquet.write_table(pa.table(arrays, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _plain(cell: Any) -> Any:
    return cell.encode(*_ENCODING).decode() if isinstance(cell, str) else cell
