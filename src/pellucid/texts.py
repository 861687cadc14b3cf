"""The user's text: the encoding of a file, names that mean the same, and a few of many names."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Sequence

_MARKS = (  # longest first: UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LABELS_BETWEEN = "|"  # between the labels of one picture: in a table's cell, in split.csv, in predictions
_ZEROS = 0.25  # share of zero bytes that means UTF-16: from line ends, dots, slashes; a zero after each path is rarer
_UNSEEN = {"Zs", "Zl", "Zp", "Cc", "Cf"}  # Unicode categories of spaces and of characters without a shape


def encoding(start: bytes) -> str:
    """The encoding of a text that begins with `start`, from its byte order mark or from the places of its zero bytes.

    "utf-8-sig", "utf-16" or "utf-32" with a mark, "utf-16-le" or "utf-16-be" without one, else "utf-8".
    """
    for mark, name in _MARKS:
        if start.startswith(mark) and start != mark:  # a mark alone decides nothing
            return name
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) > _ZEROS * len(start) and min(even, odd) < max(even, odd) / 4:
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8"


def decoded(data: bytes) -> str:
    """Decode a text and drop its byte order mark. Raises UnicodeDecodeError."""
    return data.decode(encoding(data)).removeprefix("\ufeff")


def composed(name: str) -> str:
    """A name in Unicode's composed form, NFC: macOS writes é as two characters, other systems as one."""
    return unicodedata.normalize("NFC", name)


def listed(names: Sequence[str], most: int, rest: str = "more") -> str:
    """The first names in a sentence: "a, b" where there are `most` at the most, else "a, b and 1,200 more"."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} {rest}" if len(names) > most else shown


def alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of names that differ only by case, spaces, underscores or invisible characters."""
    groups: dict[str, list[str]] = {}
    for name in names:
        seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in _UNSEEN)
        groups.setdefault(seen.casefold().replace("_", ""), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
