"""ONNX Runtime for browsers: the package onnxruntime-web, fetched once from npm's registry and cached."""

from __future__ import annotations

import hashlib
import socket
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pellucid import files
from pellucid.errors import ArtefactError, ExportError

NAME, VERSION, LICENCE = "onnxruntime-web", "1.30.0", "MIT"
FILE = f"{NAME}-{VERSION}.tgz"
ADDRESS = f"https://registry.npmjs.org/{NAME}/-/{FILE}"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
BYTES = 33_106_585
FOLDER = "browser"  # in the cache
MODULE, PROGRAM = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
TIMEOUT = 30  # seconds that the registry may be silent
_PIECE = 1 << 18  # bytes read at once


class RuntimeInfo(files.StoredFile):
    """A package in the cache."""


class BrowserRuntime(NamedTuple):
    """The two files of the package that a page needs."""

    module: bytes
    """An ES module without imports, which loads the program."""
    program: bytes
    """WebAssembly, for one thread here."""


def default_cache() -> Path:
    """The user's cache folder, which decoded pictures share. Raises StorageError without a home."""
    return files.user_cache() / "stores"


def place(cache: Path) -> Path:
    """The package's file in a cache folder. Whoever has no connection may put it there."""
    return cache / FOLDER / FILE


def read(cache: Path) -> BrowserRuntime:
    """The runtime, out of the package in the cache. Fetches the package if it is not there (33 MB).

    A bar on standard error shows the progress. Raises ArtefactError if the registry cannot be reached, or if its file
    is another one, and StorageError.
    """
    path = place(cache)
    with files.storage_errors(path):
        if not path.is_file() or files.sha256(path) != SHA256:
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(path) as temporary, temporary.open("wb") as file:
                file.writelines(_fetched(path))
    parts: dict[str, bytes] = {}
    with tarfile.open(path, "r:gz") as package:
        for entry in package:
            if entry.name in (MODULE, PROGRAM):
                content = package.extractfile(entry)
                parts[entry.name] = content.read() if content is not None else b""
            if len(parts) == 2:
                return BrowserRuntime(parts[MODULE], parts[PROGRAM])
    raise ExportError(f"{path} holds no {PROGRAM}. Please report this version of {NAME}.")


def _fetched(path: Path) -> Iterator[bytes]:
    """The package in pieces. `path`: where it is going to be, for the error's text."""
    import http.client
    import urllib.error
    import urllib.request

    instead = f"On a machine with a connection, fetch {ADDRESS}; copy it to {path} and run again."
    digest, done = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(ADDRESS, timeout=TIMEOUT) as answer:
            while piece := answer.read(_PIECE):
                digest.update(piece)
                done += len(piece)
                _show(done)
                yield piece
    except (OSError, http.client.HTTPException) as error:
        missing = f"The page needs {NAME} {VERSION}, which could not be fetched: {_why(error)}."
        raise ArtefactError(f"{missing} {instead}") from error
    finally:
        _show(None)
    if digest.hexdigest() != SHA256:
        raise ArtefactError(
            f"{ADDRESS} is not the published file: its hash is {digest.hexdigest()[:12]}… and not {SHA256[:12]}…, "
            f"after {done:,} of {BYTES:,} bytes. Run again; if it stays so, something between here and npm changes it."
        )


def _why(error: Exception) -> str:
    import ssl
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        return f"the registry answers with error {error.code}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, socket.gaierror):
        return "there is no connection to registry.npmjs.org"
    if isinstance(reason, TimeoutError):
        return "registry.npmjs.org does not answer"
    if isinstance(reason, ssl.SSLError):
        return f"the connection is not safe ({reason.reason or reason})"
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    return str(reason) or type(reason).__name__


def _show(done: int | None) -> None:
    """A line on a terminal that replaces itself. None clears it."""
    if not sys.stderr.isatty():
        return
    with suppress(OSError):
        text = "" if done is None else f"fetching {FILE}: {done / 1e6:.0f} of {BYTES / 1e6:.0f} MB"
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def stored(cache: Path) -> list[RuntimeInfo]:
    """The packages in the cache, by name."""
    entries = ((path, path.stat()) for path in files.stored(cache / FOLDER, ".tgz"))
    return [RuntimeInfo(path, status.st_size, status.st_mtime) for path, status in entries]


def clear(cache: Path) -> int:
    """Remove them, and the remains of killed runs. Returns the bytes freed. Raises StorageError."""
    return files.clear(cache / FOLDER, ".tgz")
