"""The blocks of a job through Ray Data: references to tables in, rows of files out."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from pellucid.scale import work
from pellucid.scale.work import Work

Row = dict[str, Any]
"""A row of work.answer."""


def answered(tables: Sequence[Any], task: Work) -> Generator[Row, None, None]:
    """The rows of work.answer for references to tables of blocks, as they come, in any order."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    answer: Any = work.answer  # Ray's type knows no fn_kwargs
    answers = ray.data.from_arrow_refs(list(tables)).map_batches(
        answer, fn_kwargs={"work": task}, batch_size=1, batch_format="pyarrow", num_cpus=1
    )
    batches: Any = answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
    for batch in batches:
        yield from batch.to_pylist()


class Inside:
    """`answered` in a process of the cluster. A client of ray:// cannot use Ray Data itself."""

    def __init__(self, tables: list[Any], task: Work) -> None:
        self._rows = answered(tables, task)

    def next(self) -> Row | None:
        """The next row; None after the last."""
        return next(self._rows, None)


def answered_inside(tables: Sequence[Any], task: Work, options: dict[str, Any]) -> Generator[Row, None, None]:
    """As `answered`, for a client. `options`: of the actor that holds the pipeline."""
    import ray

    inside: Any = ray.remote(Inside).options(**options).remote(list(tables), task)
    try:
        while True:
            row: Any = ray.get(inside.next.remote())
            if row is None:
                return
            yield row
    finally:
        with suppress(Exception):  # the connection may be lost
            ray.kill(inside)
