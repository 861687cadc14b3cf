"""Where pictures are: a file or folder of this machine, or an address that fsspec opens, such as s3://bucket/photos.

An address is a `UPath`, which has the methods of `pathlib.Path`: the same code reads both. It is not a `Path` and has
no `__fspath__`: a function of the operating system refuses it instead of looking for a local file of that name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from typing_extensions import TypeIs
    from upath import UPath

    Place: TypeAlias = Path | UPath

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+(://|::)", re.IGNORECASE)  # two letters or more: C:/ is a drive


def place(where: str | Place) -> Place:
    """What a user's text names. `file://` addresses are paths of this machine."""
    if not isinstance(where, str):
        return where
    if not is_written_as_address(where):
        return Path(where)
    if where.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(where).path))
    from upath import UPath

    return UPath(where)


def is_written_as_address(where: object) -> bool:
    """Whether a text is an address and not a path of this machine."""
    return isinstance(where, str) and _ADDRESS.match(where) is not None


def is_address(where: object) -> TypeIs[UPath]:
    """Whether a place is an address. Imports nothing: addresses exist only once `place` has made one."""
    return not isinstance(where, str | Path | bytes) and hasattr(where, "storage_options")
