"""Files of a repository on a model hub, through `huggingface_hub`: its cache, its token, its protocol.

A branch moves, so a commit identifies the files. Without a connection the hub's own cache answers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pellucid import files
from pellucid.errors import ArtefactError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PICKLES = ("pytorch_model.bin", "model.bin", "pytorch_model.pth")
INSTALL = "pip install 'pellucid[hub]'"
REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
"""`timm/resnet18.a1_in1k`, with `@` and a branch, a tag or a commit unless it is the newest."""


class Snapshot(NamedTuple):
    """The files of a repository at one commit."""

    source: str
    """`timm/resnet18.a1_in1k@` and the commit's 40 digits, which always give the same files."""
    config: Path
    weights: Path


def fetch(name: str, endpoint: str | None = None, cache: Path | None = None) -> Snapshot:
    """The two files of a repository's weights. `name`: see REPOSITORY.

    `endpoint`: the hub's address, and `cache`: its folder; by default `huggingface_hub`'s own. Shows the progress of a
    download. Raises ArtefactError if there is no such repository, revision or file, no permission to read it, no
    connection and nothing in the cache, or if a file has another hash than the hub states.
    """
    try:
        import httpx2
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise ArtefactError(
            f"{name} is on a hub. Reading it needs huggingface_hub, which is not installed: {INSTALL}"
        ) from error
    match = REPOSITORY.fullmatch(name)
    if match is None:
        raise ArtefactError(f"{name!r} is not the name of a repository; write OWNER/NAME, timm/resnet18.a1_in1k.")
    folder = cache or Path(constants.HF_HUB_CACHE)
    repository = _Repository(match["name"], match["revision"] or "main", endpoint, folder)
    try:
        return repository.snapshot()
    except (errors.OfflineModeIsEnabled, httpx2.TransportError) as error:
        return repository.stored(_offline(error))
    except errors.LocalEntryNotFoundError as error:
        raise ArtefactError(f"{repository.shown} could not be read completely: {_first(error)} Try again.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status >= 500:
            return repository.stored(f"the hub answers with an error, {status}")
        raise ArtefactError(repository.refusal(error)) from error
    except (errors.FileMetadataError, errors.HFValidationError) as error:
        raise ArtefactError(f"{repository.shown} cannot be read: {_first(error)}") from error
    except OSError as error:
        if "Consistency check failed" in str(error):
            raise ArtefactError(f"{repository.shown} arrived incomplete: {_first(error)} Try again.") from error
        with files.storage_errors(repository.folder):
            raise


@dataclass(frozen=True)
class _Repository:
    """One repository at one revision."""

    name: str
    revision: str
    endpoint: str | None
    folder: Path

    @property
    def shown(self) -> str:
        return self.name if self.revision == "main" else f"{self.name}@{self.revision}"

    @property
    def address(self) -> str:
        from huggingface_hub import constants

        return f"{(self.endpoint or constants.ENDPOINT).rstrip('/')}/{self.name}"

    def snapshot(self) -> Snapshot:
        """From the hub, or from the cache if the revision is a commit in it."""
        from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

        commit = self.revision
        if self._cached(CONFIG) is None or self._cached(WEIGHTS) is None or not re.fullmatch(r"[0-9a-f]{40}", commit):
            address = hf_hub_url(self.name, CONFIG, revision=self.revision, endpoint=self.endpoint)
            try:
                commit = get_hf_file_metadata(address, endpoint=self.endpoint).commit_hash or ""
            except errors.RemoteEntryNotFoundError as error:
                raise ArtefactError(
                    f"{self.shown} has no {CONFIG}, which says what network its weights are for. Repositories of timm "
                    "have one."
                ) from error
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise ArtefactError(f"{self.address} names no commit; it is not a hub that huggingface_hub can read.")
        try:
            return self._at(commit)
        except errors.RemoteEntryNotFoundError as error:
            raise ArtefactError(self._lacking(commit)) from error

    def stored(self, why: str) -> Snapshot:
        """From the cache alone. Raises ArtefactError with the reason `why` the hub is not used, and what to do."""
        config, weights = self._cached(CONFIG), self._cached(WEIGHTS)
        if config is None or weights is None:
            at = "" if self.revision == "main" else f" --revision {self.revision}"
            raise ArtefactError(
                f"{self.shown} is not in the cache, {self.folder}, and {why}. On a machine with a connection, run `hf "
                f"download {self.name} {CONFIG} {WEIGHTS}{at} --local-dir FOLDER`; then use FOLDER for {self.name}."
            )
        _check_hash(weights, None, downloaded=False)
        return self._as_snapshot(config, weights)

    def refusal(self, error: Exception) -> str:
        """The meaning of a refused request, and what to do."""
        from huggingface_hub import errors

        status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
        if isinstance(error, errors.RevisionNotFoundError):
            return f"{self.name} has no revision {self.revision!r}: no such branch, tag or commit."
        if isinstance(error, errors.GatedRepoError) or status in (401, 403):
            return (
                f"The hub refuses access to {self.shown} ({status}). If its name is right, it is private or gated: "
                f"accept its terms at {self.address}, then log in by `hf auth login` or set HF_TOKEN."
            )
        if status == 404:
            return f"There is no repository {self.name} at {self.address}. Write OWNER/NAME, or an existing path."
        return f"{self.shown} cannot be read: {_first(error)}"

    def _at(self, commit: str) -> Snapshot:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        there = self._cached(WEIGHTS, commit) is not None

        def get(file: str, revision: str) -> Path:
            return Path(
                hf_hub_download(
                    self.name,
                    file,
                    revision=revision,
                    cache_dir=self.folder,
                    endpoint=self.endpoint,
                    library_name="pellucid",
                )
            )

        # by revision, not by commit: the cache then remembers a branch's commit for offline use
        config = get(CONFIG, self.revision)
        weights = get(WEIGHTS, commit)
        stated = None
        if not there and not weights.is_symlink():
            stated = get_hf_file_metadata(
                hf_hub_url(self.name, WEIGHTS, revision=commit, endpoint=self.endpoint), endpoint=self.endpoint
            ).etag
        _check_hash(weights, stated, downloaded=not there)
        return self._as_snapshot(config, weights)

    def _as_snapshot(self, config: Path, weights: Path) -> Snapshot:
        if config.parent != weights.parent:
            raise ArtefactError(f"{self.shown} changed while it was read. Try again.")
        return Snapshot(f"{self.name}@{weights.parent.name}", config, weights)

    def _cached(self, file: str, revision: str | None = None) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.name, file, cache_dir=self.folder, revision=revision or self.revision)
        return Path(path) if isinstance(path, str) else None

    def _lacking(self, commit: str) -> str:
        """The message about a repository without the file of weights."""
        from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

        for pickle in PICKLES:
            try:
                get_hf_file_metadata(
                    hf_hub_url(self.name, pickle, revision=commit, endpoint=self.endpoint), endpoint=self.endpoint
                )
            except errors.RemoteEntryNotFoundError:
                continue
            return (
                f"{self.shown} has no {WEIGHTS}, only {pickle}: a pickle of unknown hash, which can run code when it "
                "is read. It is refused. Look for a repository with safetensors."
            )
        return f"{self.shown} has no {WEIGHTS}. Look for a repository that has one, timm/resnet18.a1_in1k."


def _check_hash(path: Path, stated: str | None, downloaded: bool) -> None:
    """Raises ArtefactError if a file differs from what the hub states. `stated`: its SHA-256, if it is not a link.

    The hub's cache names a large file by its SHA-256 and links to it.
    """
    stated = Path(os.readlink(path)).name if path.is_symlink() else stated
    if stated is None or not re.fullmatch(r"[0-9a-f]{64}", stated):
        return  # a small file, for which the hub has git's hash
    if (digest := files.sha256(path)) == stated:
        return
    fault = f"its hash is {digest[:12]}… and not {stated[:12]}…"
    if not downloaded:
        raise ArtefactError(f"{path} is damaged: {fault}. Delete {path.resolve()}, and it is downloaded again.")
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    raise ArtefactError(f"{path.name} does not match what the hub states: {fault}. The file was deleted. Try again.")


def _offline(error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE says not to connect"
    return f"there is no connection to the hub ({_first(error).rstrip('.')})"


def _first(error: Exception) -> str:
    """The first line of an error's text."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
