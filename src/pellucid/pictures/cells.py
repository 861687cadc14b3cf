"""What a cell of a table means: a path, labels, a side, a group. A cell is text, a number, a list, or nothing."""

from __future__ import annotations

import os
import unicodedata
from typing import Any

from pellucid.pictures import sides
from pellucid.pictures.places import is_written_as_address, shown
from pellucid.texts import LABELS_BETWEEN, composed


class Unusable(Exception):
    """A cell that makes its row unusable; the text is the reason, a phrase."""


def path_of(cell: Any, root: str) -> str:
    """The path with "/" on every system, relative to `root` (absolute) if it is below it; or an address.

    If no file has the exact name, a file that has it with the other separators, in another form of Unicode or in an old
    encoding is used. Raises Unusable.
    """
    if not isinstance(cell, str | bytes) and not _is_nothing(cell):
        raise Unusable(f"its path is not text: {cell!r:.60}")
    path = os.fsdecode(cell) if isinstance(cell, bytes) else cell
    if path is None or not isinstance(path, str) or not path.strip():
        raise Unusable("the table has no path for it")
    if "://" in path and is_written_as_address(address := path.strip()):
        if (harmless := shown(address)) != address:
            raise Unusable(f"its address has a password or a signature in it: {harmless}")
        return address if root.startswith("http") else address.removeprefix(f"{root}/")  # a link has %20 for a space
    if not path.isascii() or "\\" in path or "\0" in path:
        path = _standing(path, root)
    if "//" in path or "./" in path:
        start = "/" if path.startswith("/") else ""
        path = start + "/".join(part for part in path.split("/") if part not in ("", "."))
    if os.path.isabs(path) and path.startswith(below := os.path.join(root, "").replace(os.sep, "/")):
        path = path[len(below) :]
    return path


def labels_of(cell: Any, several: bool) -> list[str] | None:
    """The labels, each once, in Unicode's composed form; None for an empty cell. Raises Unusable.

    Text is one label, or several separated by LABELS_BETWEEN if `several`: then empty text means no label.
    """
    if isinstance(cell, str) and several:
        cell = cell.split(LABELS_BETWEEN)
    if isinstance(cell, list | tuple):
        return list(dict.fromkeys(label for each in cell if (label := _label(each))))
    label = _label(cell)
    return [label] if label else None


def side_of(cell: Any) -> str | None:
    """The side "train", "val", "test" or "eval"; None for an empty cell. Raises ValueError for anything else."""
    text = _text(cell)
    if text == "":
        return None
    side = None if text is None else sides.read(text)
    if side is None or side[1]:
        raise ValueError(f"{cell if text is None else text!r:.60}")
    return side[0]


def group_of(cell: Any) -> str:
    """The name of the group, from a value of any kind; "" for none. Raises Unusable."""
    name = "" if _is_nothing(cell) else composed(str(_whole(cell)).strip())
    if not _is_escaped(name):
        raise Unusable(f"its group is not text: {name!r:.60}")
    return name


def _label(cell: Any) -> str:
    text = _text(cell)
    if text is None:
        raise Unusable(f"its label is neither text nor a whole number: {cell!r:.60}")
    return text


def _text(cell: Any) -> str | None:
    """Text without spaces around it, or a whole number as text; "" for nothing, None for anything else."""
    if _is_nothing(cell):
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    cell = _whole(cell)
    if isinstance(cell, int):
        return str(cell)
    if not isinstance(cell, str):
        return None
    try:
        cell.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8, as Excel on Windows writes them
        cell = cell.encode("utf-8", "surrogateescape").decode("cp1252", "replace") if _is_escaped(cell) else None
    return None if cell is None else composed(cell.strip())


def _whole(cell: Any) -> Any:
    """A number without a fraction as an int: in a column with gaps, pandas turns numbers into floats."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _is_nothing(cell: Any) -> bool:
    return cell is None or cell != cell  # only NaN differs from itself


def _is_escaped(text: str) -> bool:
    """Whether all lone surrogates in a text stand for bytes."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _standing(path: str, root: str) -> str:
    """The name of an existing file, among those that the text may mean. Raises Unusable."""
    if "\0" in path or not _is_escaped(path):
        raise Unusable(f"its path holds a character that no file's name has: {path!r:.60}")
    old = path.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    names = [path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")), old]
    names += [name.replace("\\", "/") for name in names]
    return next((name for name in names if os.path.lexists(os.path.join(root, name))), names[0])
