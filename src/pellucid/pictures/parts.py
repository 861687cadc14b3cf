"""Folders that hold the same folders: the parts of one set (fold1/cat, fold2/cat), or classes divided alike.

Names cannot settle it in every language: Trainingsdaten/cat and entrenamiento/cat are parts, cat/left is not. The user
says which of the two names are the classes, in a file `classes.txt` beside the folders.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from pellucid import texts
from pellucid.errors import PictureError
from pellucid.pictures.listing import Folders, folders
from pellucid.pictures.places import is_address
from pellucid.pictures.reading import read
from pellucid.texts import composed, decoded

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

CLASSES = "classes.txt"  # one name per line, in the folder to train on
_LARGEST = 1 << 20  # bytes of such a file
_SAME = 0.6  # fraction of all names in two lists that both must have to be the same list
_NEARLY = 0.75  # of the folders; or all but one
_PART = re.compile(
    r"(cv|k|cross)?[ _-]*(fold|part|batch|split|chunk|shard|set|subset|round|run|session|partition|section|lot|group"
    r"|volume|vol|disk|disc|archive|folder|dir|zip)s?([ _.-]*[0-9]+|[ _.-]+[a-z])",
    re.IGNORECASE,
)
_DATE = re.compile(r"(19|20)\d\d([-_. ]?(0?[1-9]|1[0-2])([-_. ]?\d\d?)?)?")
_VIEW_WORDS = (
    "left right front back rear top bottom side above below inside outside indoor outdoor day night dawn dusk morning "
    "noon evening spring summer autumn fall winter"
)
_VIEWS = set(_VIEW_WORDS.split())


def alike(inside: Mapping[str, Collection[str]]) -> tuple[list[str], list[str]] | None:
    """The folders, of all in `inside`, that hold nearly the same two or more folders, and all that they hold.

    `inside`: folder -> the names of its folders; "" stands for pictures in the folder itself. None if these are both
    fewer than three quarters of the folders and fewer than all but one, or if the names show that these are classes.
    """
    filled = {name: set(inner) for name, inner in inside.items() if inner}
    counts = Counter(each for inner in filled.values() for each in inner)
    common = {each for each, count in counts.items() if 2 * count > len(filled) and each}
    looks = [
        name
        for name, inner in filled.items()
        if "" not in inner and len(inner & common) > 1 and len(inner & common) >= _SAME * len(inner | common)
    ]
    if len(looks) < 2 or (len(looks) < _NEARLY * len(filled) and len(looks) < len(filled) - 1):
        return None
    divides = all(_DATE.fullmatch(name) or name.casefold() in _VIEWS for name in common)
    if divides and not any(_PART.fullmatch(name) or _DATE.fullmatch(name) for name in looks):
        return None
    return looks, sorted(set().union(*(filled[name] for name in looks)))


def declared(root: Place, below: Folders | None = None) -> frozenset[str]:
    """The names in a folder's `classes.txt`, composed; empty if the file is missing or not text.

    `below`: what the folder holds, if it was listed.
    """
    path = root / CLASSES
    try:
        if not folders(root if below is None else below).has_file(CLASSES):
            return frozenset()
        if not is_address(path) and path.stat().st_size > _LARGEST:
            return frozenset()
        text = decoded(read(path))
    except (OSError, PictureError, UnicodeDecodeError):
        return frozenset()
    return frozenset(composed(line.strip().rstrip("/")) for line in text.splitlines() if line.strip())


def refusal(root: Place, looks: list[str], inner: list[str], named: Collection[str]) -> str:
    """The message for folders that look like parts. `named`: the names in `classes.txt`, which fit no reading."""
    file, tops = root / CLASSES, names(looks)
    wrong = f" The names in {file} now match neither." if named else ""
    return (
        f"{root} has {tops}, and {'both' if len(looks) == 2 else 'all'} hold {names(inner)}: either may be the classes."
        f"{wrong} Write the names of the classes into {file}, one a line: {listed(inner)} where {tops} are parts of "
        f"one set, else {listed(looks)}. For parts to train and to test on, name the folders train and test instead."
    )


def names(some: Iterable[str]) -> str:
    """`a, b, c, d, e and 4 more`."""
    return texts.listed(list(some), 5)


def listed(some: list[str]) -> str:
    """`a, b and c`, or `a, b, …` of many."""
    return f"{some[0]}, {some[1]}, …" if len(some) > 3 else f"{', '.join(some[:-1])} and {some[-1]}"
