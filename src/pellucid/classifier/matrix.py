"""A confusion matrix in JSON: whole for few classes, only the counts above 0 for many.

A thousand classes make a million cells, but no more than one per picture is above 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WHOLE = 100  # classes up to which all cells are written


def stored(matrix: Sequence[Sequence[int]]) -> Any:
    """[true][predicted] for JSON: lists, or for more than WHOLE classes {"classes": n, "called", "times"}.

    called[true] lists the classes predicted for pictures of this class, ascending; times[true] says how often.
    """
    if len(matrix) <= WHOLE:
        return [list(row) for row in matrix]
    called = [[column for column, count in enumerate(row) if count] for row in matrix]
    return {"classes": len(matrix), "called": called, "times": [[count for count in row if count] for row in matrix]}


def rows(content: Any) -> list[list[int]]:
    """The whole matrix, [true][predicted], from the output of `stored`. Raises ValueError if it has neither form."""
    if isinstance(content, list):
        return content
    try:
        count = content["classes"]
        whole = [[0] * count for _ in range(count)]
        for row, called, times in zip(whole, content["called"], content["times"], strict=True):
            for column, value in zip(called, times, strict=True):
                row[column] = value
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"a confusion matrix is a list of rows, or classes, called and times: {error}") from error
    return whole


def mistakes(content: Any) -> list[tuple[int, int, int]]:
    """(count, true, predicted) of the confusions, the most frequent first."""
    cells = [(n, true, called) for true, row in enumerate(rows(content)) for called, n in enumerate(row)]
    return sorted(((n, t, c) for n, t, c in cells if n and t != c), key=lambda cell: (-cell[0], *cell[1:]))
