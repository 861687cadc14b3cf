"""A table's rows -> its pictures: each once, with sorted labels and a numbered group."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError
from pellucid.pictures.columns import Pictures, no_further, ragged
from pellucid.pictures.split import SIDES
from pellucid.pictures.strings import Texts

Number = TypeVar("Number", np.int8, np.int32)


def relabelled(pictures: Pictures, order: list[int]) -> Pictures:
    """The same with other class numbers: class order[n] becomes n."""
    rank = np.full(len(order) + 1, -1, np.int32)  # the last entry maps -1 to itself
    rank[order] = np.arange(len(order))
    return Pictures(
        pictures.paths, rank[pictures.labels], pictures.sides, pictures.groups, rank[pictures.also], pictures.also_ends
    )


def merged(
    pictures: Pictures, groups: Texts, classes: tuple[str, ...], several: bool, table: str
) -> tuple[Pictures, int]:
    """Each picture once, by label, then path; and how many rows were repetitions.

    groups: the name of each row's group, "" for none. With `several`, a picture has the labels of all its rows. Raises
    CatalogError, naming `table` and the picture, if rows give it two labels, two sides or two groups.
    """
    order, new = pictures.paths.order()
    number = np.empty(len(order), np.int64)  # each row's picture
    number[order] = np.cumsum(new) - 1
    rows = order[new]  # the first row of each picture
    sides = _one(pictures.sides, number, rows)
    if (bad := _differs(pictures.sides, sides[number])) is not None:
        one, other = (SIDES[side] for side in (sides[number[bad]], pictures.sides[bad]))
        raise CatalogError(f"{table} puts {pictures.paths[bad]} on two sides, {one} and {other}. Keep one of them.")
    numbered = _numbered(groups)
    of_group = _one(numbered, number, rows)
    if (bad := _differs(numbered, of_group[number])) is not None:
        one, other = (groups[int(np.flatnonzero(numbered == n)[0])] for n in (of_group[number[bad]], numbered[bad]))
        raise CatalogError(f"{table} puts {pictures.paths[bad]} in two groups, {one} and {other}. Keep one of them.")
    if several:
        labels, also, also_ends = _united(pictures, number, len(rows), len(classes))
    else:
        labels, also, also_ends = pictures.labels[rows], pictures.also[:0], no_further(len(rows))
        if (bad := _differs(pictures.labels, labels[number])) is not None:
            one, other = (classes[label] for label in (labels[number[bad]], pictures.labels[bad]))
            raise CatalogError(two_labels(table, pictures.paths[bad], one, other))
    again, by_label = len(order) - len(rows), np.argsort(labels, kind="stable")
    del order, new, number, numbered, groups  # frees memory: the paths are copied next
    also, also_ends = ragged(also, also_ends, by_label)
    paths = pictures.paths.take(rows[by_label])
    return Pictures(paths, labels[by_label], sides[by_label], of_group[by_label], also, also_ends), again


def two_labels(table: str, path: str, one: str, other: str) -> str:
    """One line that reports the conflict and what to do."""
    return f"{table} gives {path} two labels, {one} and {other}. Keep one of them, or train with --labels several."


def _one(values: NDArray[Number], number: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Number]:
    """For each picture, the largest value of its rows, which are -1 or others."""
    largest = values[rows]
    np.maximum.at(largest, number, values)
    return largest


def _differs(values: NDArray[np.integer], wanted: NDArray[np.integer]) -> int | None:
    """The first row whose value is neither -1 nor the wanted one."""
    bad = np.flatnonzero((values >= 0) & (values != wanted))
    return int(bad[0]) if len(bad) else None


def _numbered(names: Texts) -> NDArray[np.int32]:
    """Equal numbers from 0 for equal names, (N,); -1 for ""."""
    order, new = names.order()
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.cumsum(new) - 1
    empty = names.ends[1:] == names.ends[:-1]
    return np.where(empty, -1, numbers - empty.any()).astype(np.int32)  # "" comes first, if present


def _united(
    pictures: Pictures, number: NDArray[np.int64], count: int, classes: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """For each of `count` pictures, the smallest label of its rows, and the others: labels, also, also_ends."""
    many = np.diff(pictures.also_ends)
    owner = np.concatenate([number, np.repeat(number, many)])
    label = np.concatenate([pictures.labels, pictures.also]).astype(np.int64)
    keys = np.unique(owner[label >= 0] * max(classes, 1) + label[label >= 0])  # by picture, then label
    owner, label = keys // max(classes, 1), (keys % max(classes, 1)).astype(np.int32)
    first = np.ones(len(keys), np.bool_)
    first[1:] = owner[1:] != owner[:-1]
    labels = np.full(count, -1, np.int32)
    labels[owner[first]] = label[first]
    ends = np.concatenate([[0], np.cumsum(np.bincount(owner[~first], minlength=count))]).astype(np.int64)
    return labels, label[~first], ends
