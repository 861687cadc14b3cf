"""Names for a trace's arrays: those that users know, each for one array only.

The module's author comes first: parameters and buffers have PyTorch's names, then the output of a module has the
module's name. The arrays that a trace adds (the input, the probabilities, the loss) and operators outside any module
give way, and get `@2` if their name is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

INPUT, PICTURE, PROBABILITY, LOSS = ROLES = ("input", "picture", "probability", "loss")


class Place(NamedTuple):
    """The place of a call."""

    id: str
    path: str
    """Path of the innermost module that makes it; "" for the whole."""
    operator: str
    beside: bool
    """Whether it is beside the module's computation, as hooks are: then it does not count as the module's."""


def names(places: Sequence[Place], taken: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(name of each place by its id, name of each of ROLES), all distinct and none of them `taken`.

    A module's only operator has the module's name, others are called `path.operator`; a second use is `name@2`.
    """
    operators: dict[str, set[str]] = {}
    for place in places:
        if not place.beside:
            operators.setdefault(place.path, set()).add(place.operator)
    alone = {path for path, several in operators.items() if path and len(several) == 1}
    used = set(taken)
    by_node: dict[str, str] = {}
    for place in places:
        if place.path in alone and not place.beside:
            by_node[place.id] = free(place.path, used)
    for place in places:
        if place.path and place.id not in by_node:
            by_node[place.id] = free(f"{place.path}.{place.operator}", used)
    roles = {role: free(role, used) for role in ROLES}
    for place in places:
        if place.id not in by_node:
            by_node[place.id] = free(place.operator, used)
    return by_node, roles


def free(name: str, used: set[str]) -> str:
    """The first unused of name, name@2, name@3, ... It counts as used from then on."""
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}@{number}"
    used.add(candidate)
    return candidate
