"""Files of a repository on a model hub, through `huggingface_hub`: its cache, its token, its protocol.

A branch moves, so a commit identifies the files. Without a connection the hub's own cache answers.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pellucid import files
from pellucid.errors import ArtefactError
from pellucid.hub.reference import COMMIT, NEWEST, Reference
from pellucid.hub.words import INSTALL, LOGIN, first_line, is_busy, is_passing, offline, pause, status_of

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata


class Wanted(NamedTuple):
    """Names of files: those without which a repository is of no use, and those that are read if they exist."""

    needed: Sequence[str]
    optional: Sequence[str] = ()


class Snapshot(NamedTuple):
    """The files of a repository at one commit."""

    folder: Path
    """It holds the files that were wanted. It belongs to the hub's cache: nothing may write there."""
    commit: str
    """40 digits."""
    note: str | None
    """Why the cache answered and not the hub, as the end of a sentence; None if the hub did."""


class Missing(ArtefactError):
    """A repository lacks a file. `commit`: 40 digits, or None if even the first file is missing."""

    def __init__(self, shown: str, file: str, commit: str | None) -> None:
        super().__init__(f"{shown} has no {file}.")
        self.file = file
        self.commit = commit


def at(
    reference: Reference, endpoint: str | None = None, cache: Path | None = None, usual: tuple[str, ...] = ()
) -> Repository:
    """A repository. `endpoint`: the hub's address, `cache`: its folder; by default `huggingface_hub`'s own.

    Raises ArtefactError if `huggingface_hub` is not installed.
    """
    try:
        import httpx2  # noqa: F401
        from huggingface_hub import constants
    except ImportError as error:
        raise ArtefactError(
            f"{reference.name} is on a hub. Reading it needs huggingface_hub, which is not installed: {INSTALL}"
        ) from error
    return Repository(reference.name, reference.revision, endpoint, cache or Path(constants.HF_HUB_CACHE), usual)


@dataclass(frozen=True)
class Repository:
    """One repository at one revision. `folder`: the hub's cache. `usual`: its files of interest; none means all."""

    name: str
    revision: str
    endpoint: str | None
    folder: Path
    usual: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its name, with the revision unless that is the newest."""
        return self.name if self.revision == NEWEST else f"{self.name}@{self.revision}"

    @property
    def address(self) -> str:
        """Of its page."""
        from huggingface_hub import constants

        return f"{(self.endpoint or constants.ENDPOINT).rstrip('/')}/{self.name}"

    def snapshot(self, first: str, further: Callable[[Path], Wanted]) -> Snapshot:
        """The file `first`, and those that `further` names after reading it, all of one commit.

        Shows the progress of a download. Raises Missing if a file is not there. Raises ArtefactError if there is no
        such repository or revision, no permission to read it, no connection and nothing in the cache, or if a file has
        another hash than the hub states. Errors of `further` pass through.
        """
        import httpx2
        from huggingface_hub import errors

        try:
            return self._read(first, further)
        except (errors.OfflineModeIsEnabled, httpx2.TransportError) as error:
            return self._stored(first, further, offline(error))
        except errors.LocalEntryNotFoundError as error:
            # the client's sentence about a file hides what the hub answered
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            if (status := status_of(cause)) >= 400 and not is_busy(status):
                raise ArtefactError(self._refusal(cause)) from error
            why = f"the hub answers with an error, {status}." if status else first_line(cause)
            raise ArtefactError(f"{self.shown} could not be read completely: {why} Try again.") from error
        except errors.HfHubHTTPError as error:
            if is_busy(status := status_of(error)):
                return self._stored(first, further, f"the hub answers with an error, {status}")
            raise ArtefactError(self._refusal(error)) from error
        except (errors.FileMetadataError, errors.HFValidationError) as error:
            raise ArtefactError(f"{self.shown} cannot be read: {first_line(error)}") from error
        except (errors.XetDownloadError, RuntimeError) as error:  # hf_xet, the hub's newer storage
            raise ArtefactError(f"{self.shown} could not be read completely: {first_line(error)} Try again.") from error
        except OSError as error:
            if "Consistency check failed" in str(error):
                raise ArtefactError(f"{self.shown} arrived incomplete: {first_line(error)} Try again.") from error
            with files.storage_errors(self.folder):
                raise

    def has(self, file: str, commit: str) -> bool:
        """Whether it holds a file, as far as the hub answers; nothing is downloaded."""
        import httpx2
        from huggingface_hub import errors

        try:
            self._metadata(file, commit)
        except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx2.TransportError):
            return False
        return True

    def _read(self, first: str, further: Callable[[Path], Wanted]) -> Snapshot:
        """From the hub, or from the cache if the revision is a commit that is there completely."""
        from huggingface_hub import errors

        if COMMIT.fullmatch(self.revision) and (cached := self._all_cached(first, further)) and not cached.unknown:
            return Snapshot(cached.checked(), self.revision, None)
        try:
            commit = self._metadata(first, self.revision).commit_hash or ""
        except errors.RemoteEntryNotFoundError as error:
            raise Missing(self.shown, first, None) from error
        if not COMMIT.fullmatch(commit):
            raise ArtefactError(f"{self.address} names no commit; it is not a hub that huggingface_hub can read.")
        start = self._get(first, commit)
        wanted = further(start)
        for name in wanted.needed:
            self._get(name, commit)
        for name in wanted.optional:
            with suppress(Missing):
                self._get(name, commit)
        # by the branch's name, and last: the cache then remembers its commit for offline use, once all is there
        self._download(first, self.revision)
        return Snapshot(start.parent, commit, None)

    def _stored(self, first: str, further: Callable[[Path], Wanted], why: str) -> Snapshot:
        """From the cache alone. Raises ArtefactError with the reason `why` the hub is not used, and what to do."""
        cached = self._all_cached(first, further)
        if cached is None:
            at = "" if self.revision == NEWEST else f" --revision {self.revision}"
            names = "".join(f" {name}" for name in self.usual)
            raise ArtefactError(
                f"{self.shown} is not in the cache, {self.folder}, and {why}. On a machine with a connection, run `hf "
                f"download {self.name}{names}{at} --local-dir FOLDER`; then use FOLDER for {self.name}."
            )
        lacking = f", and the cache has no {', '.join(cached.unknown)}" if cached.unknown else ""
        return Snapshot(folder := cached.checked(), folder.name, why + lacking)

    def _all_cached(self, first: str, further: Callable[[Path], Wanted]) -> _Cached | None:
        """The files of one commit, if the cache has all that are needed."""
        config = self._cached(first)
        if config is None:
            return None
        commit, wanted = config.parent.name, further(config)
        paths = [self._cached(name, commit) for name in wanted.needed]
        optional = {name: self._cached(name, commit) for name in wanted.optional}
        there = [path for path in (*paths, *optional.values()) if path is not None]
        unknown = [name for name, path in optional.items() if path is None and not self._absent(name, commit)]
        return None if None in paths else _Cached([config, *there], unknown)

    def _get(self, file: str, commit: str) -> Path:
        """The path of a file at a commit, checked. Raises Missing."""
        from huggingface_hub import errors

        there = self._cached(file, commit) is not None
        try:
            path = self._download(file, commit)
        except errors.RemoteEntryNotFoundError as error:
            raise Missing(self.shown, file, commit) from error
        stated = self._metadata(file, commit).etag if not there and not path.is_symlink() else None
        _check_hash(path, stated, downloaded=not there)
        return path

    def _download(self, file: str, revision: str) -> Path:
        from huggingface_hub import hf_hub_download

        path = hf_hub_download(
            self.name,
            file,
            revision=revision,
            cache_dir=self.folder,
            endpoint=self.endpoint,
            library_name="pellucid",
        )
        return Path(path)

    def _metadata(self, file: str, revision: str) -> HfFileMetadata:
        """What the hub states of a file. If it is busy or hangs up, it is called once more, unless the cache has it."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        address = hf_hub_url(self.name, file, revision=revision, endpoint=self.endpoint)
        try:
            return get_hf_file_metadata(address, endpoint=self.endpoint)
        except Exception as error:
            if not is_passing(error) or self._cached(file, revision) is not None:
                raise
        pause()
        return get_hf_file_metadata(address, endpoint=self.endpoint)

    def _cached(self, file: str, revision: str | None = None) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.name, file, cache_dir=self.folder, revision=revision or self.revision)
        return Path(path) if isinstance(path, str) else None

    def _absent(self, file: str, commit: str) -> bool:
        """Whether the hub has said that a commit has no such file."""
        from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

        return try_to_load_from_cache(self.name, file, cache_dir=self.folder, revision=commit) is _CACHED_NO_EXIST

    def _refusal(self, error: Exception) -> str:
        """The meaning of a refused request, and what to do."""
        from huggingface_hub import errors

        status = status_of(error)
        if isinstance(error, errors.RevisionNotFoundError):
            return f"{self.name} has no revision {self.revision!r}: no such branch, tag or commit."
        if isinstance(error, errors.GatedRepoError) or status in (401, 403):
            return (
                f"The hub refuses access to {self.shown} ({status}). If its name is right, it is private or gated: "
                f"accept its terms at {self.address}, then {LOGIN}."
            )
        if status == 404:
            return f"There is no repository {self.name} at {self.address}. Write OWNER/NAME, or an existing path."
        return f"{self.shown} cannot be read: {first_line(error)}"


class _Cached(NamedTuple):
    """Files of one commit in the cache. `unknown`: optional ones that are not there but may be on the hub."""

    paths: list[Path]
    unknown: list[str]

    def checked(self) -> Path:
        """Their folder, after each file's hash is checked. Raises ArtefactError."""
        for path in self.paths:
            _check_hash(path, None, downloaded=False)
        return self.paths[0].parent


def _check_hash(path: Path, stated: str | None, downloaded: bool) -> None:
    """Raises ArtefactError if a file differs from what the hub states. `stated`: its hash, if it is not a link.

    The hub's cache names a file by its hash and links to it: a large file's is SHA-256, a small one's is git's.
    """
    stated = Path(os.readlink(path)).name if path.is_symlink() else stated
    if stated is None or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", stated):
        return  # another hub's own mark
    if (digest := files.sha256(path) if len(stated) == 64 else _git_hash(path)) == stated:
        return
    fault = f"its hash is {digest[:12]}… and not {stated[:12]}…"
    if not downloaded:
        raise ArtefactError(f"{path} is damaged: {fault}. Delete {path.resolve()}, and it is downloaded again.")
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    raise ArtefactError(f"{path.name} does not match what the hub states: {fault}. The file was deleted. Try again.")


def _git_hash(path: Path) -> str:
    """The SHA-1 by which git knows a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
