"""Send files to a repository on a model hub as one commit, through `huggingface_hub`."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import ArtefactError
from pellucid.hub.reference import NEWEST, REPOSITORY
from pellucid.hub.words import BUSY, INSTALL, LOGIN, first_line, is_busy, is_passing, offline, pause, status_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

FULL = re.compile(r"quota|storage|limit|billing|payment", re.IGNORECASE)
OLDER = "HF_HUB_DISABLE_XET=1 sends it the older way"


@dataclass(frozen=True)
class Parcel:
    """What a repository shall hold.

    * contents: the bytes or the file, by name in the repository
    * ours: whether a file that the repository has now may be replaced or removed, by its name
    * mark: the file by which a model of ours is recognised, and `is_mark` whether a file is one
    * card: the file that is the repository's page, and `merged` what becomes of ours and theirs, in this order
    """

    contents: Mapping[str, bytes | Path]
    ours: Callable[[str], bool]
    mark: str
    is_mark: Callable[[Path], bool]
    card: str
    merged: Callable[[bytes, bytes], bytes]


@dataclass(frozen=True)
class Uploaded:
    """A commit that the hub has accepted.

    * address: of the repository's page
    * commit: 40 digits
    * public: whether anybody can read it
    * files: the size of each file in bytes
    * changed: False if the repository held all of it already; then there is no new commit
    * removed: files of an earlier push that no longer belong to it
    * notes: what the hub says about the card
    """

    address: str
    commit: str
    public: bool
    files: dict[str, int]
    changed: bool
    removed: tuple[str, ...]
    notes: tuple[str, ...]


def named(repository: str) -> str:
    """OWNER/NAME as the user wrote it, perhaps behind hf://. Raises ArtefactError for any other form."""
    written = re.sub("^hf:/+", "", repository.strip())
    match = REPOSITORY.fullmatch(written)
    if match is None or "--" in written or ".." in written or re.search(r"(^|/)[-.]|[-.](/|$)|\.git$", written):
        raise ArtefactError(
            f"{repository!r} is not the name of a repository; write OWNER/NAME in letters, digits and single - _ ."
        )
    if match["revision"] is not None:
        raise ArtefactError(f"{repository!r} names a revision; write {match['name']} and --branch {match['revision']}.")
    return match["name"]


def prepare(name: str) -> None:
    """Raise ArtefactError if the client is not installed or the user has no token."""
    try:
        from huggingface_hub import get_token
    except ImportError as error:
        raise ArtefactError(
            f"{name} is on a hub. Pushing needs huggingface_hub, which is not installed: {INSTALL}"
        ) from error
    if get_token() is None:
        raise ArtefactError(f"Pushing needs a token with write access to {name}: {LOGIN}.")


def upload(name: str, parcel: Parcel, message: str, branch: str | None = None, public: bool = False) -> Uploaded:
    """Make the repository `name` hold the parcel, in one commit. It is created, private unless `public`, if missing.

    Call `prepare` first.

    `branch`: by default the main one; a new one begins there. Shows the progress. Only files that are `ours` are
    removed. Raises ArtefactError if the repository holds something else, if it is public and `public` is not set, or if
    the hub refuses. The repository is then as it was; one that did not exist may be there, empty.
    """
    from huggingface_hub import HfApi

    api = HfApi(library_name="pellucid")
    heads: list[str | None] = []
    with _refusals(name), _reporting(), warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        try:
            commit, info, sizes, removed = _send(api, name, parcel, message, branch, public, heads)
        except Exception as error:
            if not is_passing(error):
                raise
            pause()  # once more: what has arrived is not sent twice, even if the commit has
            commit, info, sizes, removed = _send(api, name, parcel, message, branch, public, heads)
    remarks = tuple(" ".join(str(note.message).split()) for note in notes if note.category is UserWarning)
    address = f"{api.endpoint}/{name}"
    return Uploaded(address, commit, not info.private, sizes, commit != heads[0], removed, remarks)


def _send(
    api: HfApi, name: str, parcel: Parcel, message: str, branch: str | None, public: bool, heads: list[str | None]
) -> tuple[str, ModelInfo, dict[str, int], tuple[str, ...]]:
    """(the commit, the repository before it, the files' sizes, those removed). Adds the newest commit to `heads`."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    info = _repository(api, name, branch, public)
    heads.append(info.sha)
    there = [each.rfilename for each in info.siblings or ()]
    _check_kind(api, name, info, there, parcel)
    removed = tuple(each for each in there if parcel.ours(each) and each not in parcel.contents)
    contents = {**parcel.contents, **_card(api, name, info, there, parcel)}
    additions = [CommitOperationAdd(each, content) for each, content in contents.items()]
    deletions = [CommitOperationDelete(each) for each in removed]
    done = api.create_commit(
        name, [*additions, *deletions], commit_message=message, revision=branch, parent_commit=info.sha
    )
    sizes = {
        each: content.stat().st_size if isinstance(content, Path) else len(content)
        for each, content in sorted(contents.items())
    }
    return done.oid, info, sizes, removed


def _repository(api: HfApi, name: str, branch: str | None, public: bool) -> ModelInfo:
    """The repository's state on the branch; both are created if missing."""
    from huggingface_hub import errors

    try:
        info = api.model_info(name)
    except errors.RepositoryNotFoundError:
        api.create_repo(name, private=not public, exist_ok=True)
        info = api.model_info(name)
    if not info.private and not public:
        raise ArtefactError(
            f"{name} is public: anybody could download the model. Add --public (public=True) if you want that, or push "
            "to another name, which will be private."
        )
    if branch is None or branch == NEWEST:
        return info
    try:
        return api.model_info(name, revision=branch)
    except errors.RevisionNotFoundError:
        api.create_branch(name, branch=branch, exist_ok=True)
        return api.model_info(name, revision=branch)


def _check_kind(api: HfApi, name: str, info: ModelInfo, there: list[str], parcel: Parcel) -> None:
    """Raise ArtefactError if the repository holds another kind of model."""
    if parcel.mark in there:
        if parcel.is_mark(Path(api.hf_hub_download(name, parcel.mark, revision=info.sha))):
            return
    elif not any(parcel.ours(each) and each != "README.md" for each in there):
        return
    raise ArtefactError(f"{name} holds a model of another kind, which would be replaced. Push to another name.")


def _card(api: HfApi, name: str, info: ModelInfo, there: list[str], parcel: Parcel) -> dict[str, bytes]:
    """The repository's page, if both sides have one."""
    ours = parcel.contents.get(parcel.card)
    if parcel.card not in there or not isinstance(ours, bytes):
        return {}
    theirs = Path(api.hf_hub_download(name, parcel.card, revision=info.sha)).read_bytes()
    return {parcel.card: parcel.merged(ours, theirs)}


@contextmanager
def _reporting() -> Iterator[None]:
    """Bars on a terminal alone. The client's own remark that nothing has changed is left to the caller."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    verbosity, silent = logging.get_verbosity(), are_progress_bars_disabled()
    hide = not silent and (sys.stderr is None or not sys.stderr.isatty())
    logging.set_verbosity_error()
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if hide:
            enable_progress_bars()


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Turn what the client raises into an ArtefactError that says what to do."""
    import httpx2
    from huggingface_hub import errors

    again = "Push again: what has arrived is not sent twice."
    try:
        yield
    except errors.HfHubHTTPError as error:
        raise ArtefactError(_refusal(name, error, again)) from error
    except errors.OfflineModeIsEnabled as error:
        raise ArtefactError(f"{name} was not pushed: {offline(error)}. Unset it and push again.") from error
    except httpx2.TransportError as error:
        raise ArtefactError(f"{name} was not pushed: {offline(error)}. {again}") from error
    except errors.HFValidationError as error:
        raise ArtefactError(f"{name} is not the name of a repository: {first_line(error)}") from error
    except ValueError as error:  # how the client reports a refused file or card
        raise ArtefactError(f"{name} was not pushed: {' '.join(str(error).split())}") from error
    except (OSError, RuntimeError) as error:  # how hf_xet, the hub's newer storage, reports anything
        raise ArtefactError(
            f"{name} was not pushed: the upload failed ({first_line(error).rstrip('.')}). {again} {OLDER}."
        ) from error


def _refusal(name: str, error: Any, again: str) -> str:
    """The meaning of a refused request, and what to do. `error`: an HfHubHTTPError."""
    from huggingface_hub import errors

    status, owner = status_of(error), name.split("/")[0]
    stated = " ".join((error.server_message or "").split()).rstrip(".")
    why = f"{status}: {stated}" if stated else f"{status}"
    if status == 401:
        return f"{name} was not pushed: the hub does not accept the token ({why}). To use another one, {LOGIN}."
    if status in (402, 413, 507) or (status == 403 and FULL.search(stated)):
        return f"{name} was not pushed: the hub has no room for it ({why}). Free some space of {owner}, or ask the hub."
    if status == 403:
        return (
            f"{name} was not pushed: the token may not write there ({why}). Use a token with write access to {owner}, "
            "or push under your own name."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{name} was not pushed: it has no such branch ({why})."
    if status == 404:
        return f"{name} was not pushed: the hub does not know it, or {owner} ({why}). Check the name."
    if status in (409, 412):
        return f"{name} was not pushed: somebody else changed it meanwhile ({why}). {again}"
    if status == BUSY:
        wait = error.response.headers.get("Retry-After")
        later = f"in {wait} seconds" if wait and wait.isdigit() else "later"
        return f"{name} was not pushed: the hub limits how often it is called ({why}). Push again {later}."
    if is_busy(status):
        return f"{name} was not pushed: the hub answers with an error ({why}). Push again later."
    return f"{name} was not pushed: the hub refuses ({why if stated else first_line(error)})."
