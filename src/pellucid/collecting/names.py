"""Which names a class may have. A class is a folder, so its name must work as a folder's on every system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from pellucid.errors import CatalogError
from pellucid.pictures import sides
from pellucid.pictures.walk import is_system
from pellucid.texts import LABELS_BETWEEN, alike, composed

LONGEST = 60  # characters
MOST_BYTES = 200  # in UTF-8; file systems allow 255, and a name may get a number behind it
FORBIDDEN = '/\\:*?"<>' + LABELS_BETWEEN
"""Characters that no folder's name may have on some system; the last one stands between several labels."""
JOINERS = "\u200c\u200d"  # between the letters of some scripts, and in emoji of several parts
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode categories of what has no shape


def checked(written: str, others: Iterable[str] = ()) -> str:
    """The name of a class, from what somebody wrote: in Unicode's composed form, without spaces around it.

    `others`: the names of the other classes. Raises CatalogError with what is wrong and what to do.
    """
    name = composed(written).strip()
    problem = _problem(name)
    if problem is not None:
        raise CatalogError(f"“{_shown(name)}” cannot be the name of a class: {problem}. Choose another name.")
    known = list(others)
    for group in alike([*known, name]):
        if name in group:
            other = next((each for each in group if each != name), name)
            raise CatalogError(
                f"There is a class “{other}” already. Case, spaces and underscores alone do not make another: choose "
                "another name."
            )
    if sides.read_all([*known, name]) is not None:
        raise CatalogError(f"“{', '.join([*known, name])}” would read as the sides of a split. Choose another name.")
    return name


def free(others: Sequence[str]) -> str:
    """The first of "Class 1", "Class 2" and so on that no other class has."""
    number = 1
    while alike([*others, f"Class {number}"]) != alike(others):
        number += 1
    return f"Class {number}"


def _problem(name: str) -> str | None:
    """Why a composed name without spaces around it cannot be a class, as a phrase; None if it can."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST or len(name.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        return f"it is longer than {LONGEST} characters or {MOST_BYTES} bytes"
    if bad := next((sign for sign in name if sign in FORBIDDEN), None):
        return f"it holds {bad}, which a folder's name must not hold on every system"
    if any(unicodedata.category(sign) in _UNSEEN and sign not in JOINERS for sign in name):
        return "it holds a character that cannot be seen"
    if not any(unicodedata.category(sign)[0] in "LNSP" for sign in name):
        return "it holds no letter, digit or sign"
    if name[0] == "." or name[-1] == ".":
        return "it begins or ends with a dot"
    if _RESERVED.fullmatch(name) or is_system(name):
        return "operating systems reserve it"
    side = sides.read(name)
    if side is not None and not side[1]:
        return "as a folder's name it means a side of a split"
    return None


def _shown(name: str) -> str:
    """The name for a message: short, and without what cannot be seen."""
    seen = "".join("·" if unicodedata.category(sign) in _UNSEEN else sign for sign in name)
    return seen if len(seen) <= LONGEST else f"{seen[:LONGEST]}…"
