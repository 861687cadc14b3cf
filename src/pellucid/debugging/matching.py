"""Which layer of one network corresponds to which of another: by role, kind and name, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROLE, KIND, NAME, SHAPE = 8, 3, 2, 1
"""What two layers have in common, by its weight. A kind says more than a name, which may be a mere number."""

Pair = tuple[int | None, int | None]


@dataclass(frozen=True)
class Layer:
    """What is compared of a layer. `role`: "picture", "input", "probability", "loss", or "" within the network."""

    name: str
    kind: str
    shape: tuple[int, ...]
    role: str = ""


def matched(first: Sequence[Layer], second: Sequence[Layer]) -> list[Pair]:
    """Pairs of positions, in the order of both; None stands for the partner of a layer that has none.

    A layer matches one of the same role, or of the same kind, or one with its name and shape. Of all ways to match
    them in order, this is the one that has most in common (Needleman and Wunsch 1970, without a cost for a gap).
    Equal layers at both ends are matched at once.
    """
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    end = 0
    while end < min(len(first), len(second)) - start and first[-1 - end] == second[-1 - end]:
        end += 1
    inner = _aligned(first[start : len(first) - end], second[start : len(second) - end])
    shift = [(None if a is None else a + start, None if b is None else b + start) for a, b in inner]
    head: list[Pair] = [(at, at) for at in range(start)]
    tail: list[Pair] = [(len(first) - each, len(second) - each) for each in range(end, 0, -1)]
    return [*head, *shift, *tail]


def _aligned(first: Sequence[Layer], second: Sequence[Layer]) -> list[Pair]:
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    """best[a][b]: the most that the layers from a and from b on can have in common."""
    for a in reversed(range(len(first))):
        for b in reversed(range(len(second))):
            alike = _alike(first[a], second[b])
            together = alike + best[a + 1][b + 1] if alike else 0
            best[a][b] = max(together, best[a + 1][b], best[a][b + 1])
    pairs: list[Pair] = []
    a = b = 0
    while a < len(first) and b < len(second):
        alike = _alike(first[a], second[b])
        if alike and best[a][b] == alike + best[a + 1][b + 1]:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            pairs.append((a, None))
            a += 1
        else:
            pairs.append((None, b))
            b += 1
    return [*pairs, *((at, None) for at in range(a, len(first))), *((None, at) for at in range(b, len(second)))]


def _alike(one: Layer, other: Layer) -> int:
    """How much two layers have in common; 0 if they do not match."""
    if one.role or other.role:
        return ROLE if one.role == other.role else 0
    kind, name, shape = one.kind == other.kind, one.name == other.name, one.shape == other.shape
    if kind:
        return KIND + NAME * name + SHAPE * shape
    return NAME if name and shape and not one.name.rpartition(".")[2].isdigit() else 0
