"""Where the members of a tar lie: its headers alone are read, in the semantics of Python's `tarfile`.

`tarfile` takes three times as long (docs/why/shards.md). It also ends in silence where a tar is cut; here that is a
fault.

Formats: POSIX.1-1988 (ustar), POSIX.1-2001 (pax) and GNU, as in https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

BLOCK = 512
WINDOW = 1 << 13  # bytes read at a time: several headers of small members
_LONGEST = 1 << 20  # bytes of a long name or of pax records
_RECORD = 20 * BLOCK  # a tar is padded to a multiple of this
_ZEROS = bytes(BLOCK)
_CODE = ("utf-8", "surrogateescape")
_FILES, _FOLDER = (b"0", b"\0", b"7"), b"5"
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
_LONG_NAME, _LONG_LINK, _SPARSE, _PAX, _GLOBAL = b"L", b"K", b"S", (b"x", b"X"), b"g"
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
UNPACK = "Unpack it to a plain .tar: pictures are compressed already"
_PAX_RECORD = re.compile(rb"(\d{1,20}) ([^=]+)=")


Kind = Literal["file", "folder", "other"]


class Member(NamedTuple):
    """A member of a tar: `size` bytes at `offset`. kind "other": a link, a device or a sparse file, without bytes."""

    name: str
    offset: int
    size: int
    kind: Kind = "file"


class Fault(Exception):
    """The tar cannot be read further. The text is a phrase; `member`: the name of the member that is cut, if any."""

    def __init__(self, reason: str, member: str | None = None) -> None:
        super().__init__(reason)
        self.member = member


class Opened:
    """A file open for reading at any place, from any thread."""

    def __init__(self, path: str) -> None:
        import weakref

        self.path = path
        self.file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.close = weakref.finalize(self, os.close, self.file)
        self.status = os.fstat(self.file)
        if sys.platform == "win32":
            from threading import Lock

            self._lock = Lock()

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""
        parts = []
        while size > 0 and (part := self._read(offset, size)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, offset: int, size: int) -> bytes:
        if sys.platform != "win32":
            return os.pread(self.file, size, offset)
        with self._lock:  # Windows has no read at a place
            os.lseek(self.file, offset, os.SEEK_SET)
            return os.read(self.file, size)


def members(file: Opened) -> Iterator[Member]:
    """The members in their order. Raises Fault where the rest cannot be read."""
    length, at, window, start = file.status.st_size, 0, b"", 0
    renamed: str | None = None  # for the next member, as are its settings
    settings: dict[str, str] = {}
    always: dict[str, str] = {}  # pax records for all that follow
    while True:
        if at < start or at + BLOCK > start + len(window):
            window, start = file.read(at, WINDOW), at
        header = window[at - start : at - start + BLOCK]
        if len(header) < BLOCK or header == _ZEROS:
            _check_end(file, header, at, length)
            return
        size, kind = _number(header[124:136]), header[156:157]
        if size is None or size < 0 or not _is_sound(header):
            raise Fault(_what(header) if at == 0 else f"damaged: what stands at byte {at:,} is no header")
        data = at + BLOCK
        if kind in (_LONG_NAME, _LONG_LINK, _GLOBAL, *_PAX):
            content = file.read(data, size) if size <= _LONGEST else b""
            if len(content) < size:
                raise Fault("cut in the middle of a name")
            if kind == _LONG_NAME and renamed is None:
                renamed = _text(content)
            elif kind == _GLOBAL:
                always |= _records(content)
            elif kind in _PAX:
                settings |= _records(content)
            at = data + _padded(size)
            continue
        name = _name(header)
        if kind == _SPARSE:
            more = header[482:483] != b"\0"
            while more:
                more, data = file.read(data + 504, 1) not in (b"\0", b""), data + BLOCK
        chosen = always | settings
        name = chosen["path"].rstrip("/") if "path" in chosen else renamed if renamed is not None else name
        size = int(chosen["size"]) if chosen.get("size", "").isdecimal() else size
        if kind == b"\0" and _name(header).endswith("/"):
            kind = _FOLDER
        sparse = kind == _SPARSE or any(key.startswith("GNU.sparse.") for key in chosen)
        what: Kind = "folder" if kind == _FOLDER else "file" if kind in _FILES and not sparse else "other"
        occupied = 0 if kind in _WITHOUT_DATA else size
        if data + occupied > length:
            raise Fault("cut in the middle of this picture", name)
        yield Member(name.rstrip("/") if what == "folder" else name, data, occupied, what)
        at, renamed, settings = data + _padded(occupied), None, {}


def _check_end(file: Opened, header: bytes, at: int, length: int) -> None:
    """Raise Fault unless the tar ends here as one does: zeros, and nothing else behind them."""
    if length == 0:
        raise Fault("an empty file")
    if at > length or 0 < len(header) < BLOCK:
        raise Fault("not a tar" if at == 0 else "cut in the middle of a picture's header or padding")
    if not header:
        raise Fault("without the end mark of a tar: it may be cut")
    if length - at > _RECORD + BLOCK and file.read(at, 4 * _RECORD).strip(b"\0"):
        raise Fault(f"{(length - at) / 1e6:,.1f} MB behind its end mark are not read: it is several tars in one file")


def _what(start: bytes) -> str:
    """What a file is that does not begin as a tar."""
    kind = next((kind for magic, kind in _PACKED.items() if start.startswith(magic)), None)
    return "not a tar" if kind is None else f"compressed ({kind}), and no picture in it can be read alone. {UNPACK}"


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return f"{prefix}/{name}" if prefix and header[156:157] != _SPARSE else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(*_CODE)


def _number(field: bytes) -> int | None:
    """An octal number, or GNU's base 256; None for neither."""
    if field[0] in (0x80, 0xFF):
        number = int.from_bytes(field[1:], "big")
        return number - (1 << 8 * (len(field) - 1)) if field[0] == 0xFF else number
    digits = field.partition(b"\0")[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError:
        return None


def _is_sound(header: bytes) -> bool:
    """Whether the checksum fits: the sum of all bytes, its own as spaces. Some old programs took them as signed."""
    stated = _number(header[148:156])
    rest = header[:148] + header[156:]
    total = 256 + sum(rest)
    return stated == total or stated == total - 256 * sum(byte > 127 for byte in rest)


def _records(content: bytes) -> dict[str, str]:
    """pax records, "length keyword=value\\n" each. Raises Fault."""
    records, at = {}, 0
    while at < len(content) and content[at]:
        match = _PAX_RECORD.match(content, at)
        end = at + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(content):
            raise Fault("damaged: a pax header in it cannot be read")
        records[match[2].decode(*_CODE)] = content[match.end() : end - 1].decode(*_CODE)
        at = end
    return records


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
