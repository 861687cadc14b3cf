"""Where pictures are: a file or folder of this machine, or an address that fsspec opens, such as s3://bucket/photos.

An address is a `UPath`, which has the methods of `pathlib.Path`: the same code reads both. It is not a `Path` and has
no `__fspath__`: a function of the operating system refuses it instead of looking for a local file of that name.

Addresses are written into model folders and answers. So an address with a password or a signature in it is refused:
each store reads credentials from its own settings.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from pellucid.errors import CatalogError, StorageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs
    from upath import UPath

    Place: TypeAlias = Path | UPath

# two letters or more: C:/ is a drive. Also a chain, such as simplecache::s3://bucket/photos
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+::)*([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_LOCAL = ("file", "local")  # fsspec's names of this machine
WEB = ("http", "https")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")  # endings of files that list pictures
_PASSWORD = re.compile(r"://[^/?#@]*:[^/?#@]*@")
_SECRET = re.compile(
    r"x-(amz|goog)-(signature|credential|security-token)|awsaccesskeyid|googleaccessid|signature|sig"
    r"|(access_?|auth_?)?token|auth|api_?key|password|passwd|secret",
    re.IGNORECASE,
)


def place(where: str | Place) -> Place:
    """What a user's text names. `file://` addresses are paths of this machine.

    Raises CatalogError for an address with a password or a signature in it, and for one that cannot be parsed.
    """
    if not isinstance(where, str):
        return where
    if (match := _ADDRESS.match(where)) is None:
        return Path(where)
    if (harmless := shown(where)) != where:
        raise CatalogError(
            f"{harmless} has a password or a signature in its address, which would be written into files. Take it out. "
            "The store reads credentials from its own settings: see docs/how-to.md, Pictures in a bucket."
        )
    if match[2].lower() in _LOCAL and match[1] is None:
        from urllib.request import url2pathname

        return Path(url2pathname(urlsplit(where).path))
    from upath import UPath

    try:
        return UPath(match[0].lower() + where[match.end() :])
    except Exception as error:  # of any package that fsspec opens addresses with
        from pellucid.pictures.faults import sentence

        raise CatalogError(sentence(error, where)) from error


def is_written_as_address(where: object) -> bool:
    """Whether a text is an address and not a path of this machine."""
    return isinstance(where, str) and "://" in where and _ADDRESS.match(where) is not None


def on_this_machine(where: str | Path, name: str) -> Path:
    """The path of what Pellucid writes. `name`: what messages call it.

    Raises StorageError for an address: `Path` would make the local folder s3: of it.
    """
    if is_written_as_address(where):
        raise StorageError(
            f"{name} is {shown(where)}, and it must be on this machine: only pictures and their tables are read from "
            "addresses. Name a path."
        )
    return Path(where)


def is_address(where: object) -> TypeIs[UPath]:
    """Whether a place is an address. Imports nothing: addresses exist only once `place` has made one."""
    return not isinstance(where, str | Path | bytes) and hasattr(where, "storage_options")


def is_on_the_web(where: Place) -> bool:
    """Whether a place is an HTTP address: these have no list of files."""
    return is_address(where) and where.protocol in WEB


def shown(where: object) -> str:
    """A place's text as it may be printed and stored: an address without its password and without a signed query."""
    text = str(where)
    if not is_written_as_address(text):
        return text
    text = _PASSWORD.sub("://", text)
    path, mark, query = text.partition("?")
    if mark and any(_SECRET.fullmatch(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        return f"{path}?…"
    return text


def within(root: Place, path: str) -> Place:
    """The place of a picture: `path` is relative to `root`, or absolute, or an address.

    Beside a table on the web, a path is a link, as on a page: one that begins with / begins at the server's root.
    Raises CatalogError as `place`.
    """
    if is_written_as_address(path):
        return place(path)
    if is_address(root):
        if is_on_the_web(root):
            return place(urljoin(f"{root}/", quote(path)))
        if os.path.isabs(path):
            return Path(path)
    return root / path


def below(root: Place, path: str) -> str | Place:
    """As `within`; a path of this machine is a text, which takes less time for a million pictures."""
    if is_address(root) or "://" in path:
        return within(root, path)
    return os.path.join(root, path)


def absolute(where: str | Place) -> str:
    """The text by which a later process finds the same place from another working folder."""
    somewhere = place(where)
    return str(somewhere if is_address(somewhere) else somewhere.absolute())


def identity(where: str | Place) -> str:
    """The text that two names of one place share: links are followed. An address is its own identity."""
    somewhere = place(where)
    return str(somewhere).rstrip("/") if is_address(somewhere) else str(somewhere.resolve())


def name_of(where: str | Place) -> str:
    """The last name of a place that is not empty: photos of s3://bucket/photos/."""
    somewhere = place(where)
    if not is_address(somewhere):
        return somewhere.resolve().name
    return str(somewhere).partition("?")[0].rstrip("/").rpartition("/")[2]
