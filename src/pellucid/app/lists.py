"""Standard input: a picture, or a list of paths in any encoding."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import cast

from pellucid import texts
from pellucid.errors import PictureError

_START = 4096  # bytes that reveal the type
_BYTES = ("utf-8", "utf-8-sig")  # read as bytes, because a file name need not be valid UTF-8
# formats with zero bytes and few control characters
_PICTURES = re.compile(rb"GIF8[79]a|BM.{4}\0{4}|RIFF.{4}WEBP|II\*\0|MM\0\*|\0\0", re.DOTALL)


def standard_input() -> Iterator[str | bytes]:
    """A picture's bytes, or the paths of a list, separated by line ends or zero bytes. Raises PictureError."""
    if sys.stdin is None:
        raise PictureError("Standard input is closed, so - cannot be read. Name files or folders instead.")
    stream = cast(io.BufferedReader, sys.stdin.buffer)
    try:
        start = stream.peek(_START)[:_START]
        if is_list(start):
            yield from _paths(stream, start)
        else:
            yield stream.read()
    except (OSError, UnicodeDecodeError) as error:
        what = (
            f"is not a list of paths: {error}" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error}"
        )
        raise PictureError(f"Standard input {what}. Name files or folders instead of -.") from error


def is_list(start: bytes) -> bool:
    """Whether bytes could be paths: every picture format except Netpbm has control characters in its first line."""
    if not start or re.match(rb"P[1-7]\s+(#|\d|WIDTH)", start) or _PICTURES.match(start):
        return False
    if (encoding := texts.encoding(start)) in _BYTES:
        few = start.count(0) <= len(start) / 4  # more than a list of paths with a zero byte after each has
        return few and not any(byte < 32 and byte not in b"\t\r\n\0" for byte in start)
    try:
        letters = codecs.getincrementaldecoder(encoding)("surrogatepass").decode(start)
    except UnicodeDecodeError:
        return False
    return not any(letter < " " and letter not in "\t\r\n" for letter in letters)


def _paths(stream: io.BufferedReader, start: bytes) -> Iterator[str]:
    """The paths of a list as they come, without empty lines."""
    if (encoding := texts.encoding(start)) in _BYTES:
        ending = b"\0" if b"\0" in start else b"\n" if b"\n" in start else b"\r"  # from old Macs
        lines = (line.rstrip(b"\r\n") for line in (stream if ending == b"\n" else _pieces(stream, ending)))
        yield from (_standing(line) for line in lines if line.strip(b"\r\n").removeprefix(codecs.BOM_UTF8))
        return
    text = io.TextIOWrapper(stream, encoding, "surrogatepass", newline="\n")
    try:
        for line in text:
            if path := line.strip("\r\n\ufeff"):
                yield path
    finally:
        text.detach()  # otherwise it would close standard input


def _pieces(stream: io.BufferedReader, ending: bytes) -> Iterator[bytes]:
    """The pieces between one-byte separators."""
    rest = b""
    while part := stream.read1():
        *whole, rest = (rest + part).split(ending)
        yield from whole
    yield rest


def _standing(line: bytes) -> str:
    """The path in a line: unchanged, or in another encoding or Unicode form if only that names a file."""
    path = line.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if os.path.lexists(path):
        return path
    try:
        text = line.decode("utf-8-sig")
        others = [unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]
        others.append(text.encode("cp1252", "ignore").decode("utf-8", "surrogateescape"))
    except UnicodeDecodeError:
        others = [line.decode("cp1252", "replace"), line.decode("latin-1")]
    return next((other for other in others if os.path.lexists(other)), path)
