"""Known weights in a repository on a hub: the two files that describe and hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pellucid.errors import ArtefactError
from pellucid.hub import repository as repositories
from pellucid.hub.reference import REPOSITORY, Reference
from pellucid.hub.repository import Missing, Repository, Wanted

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PICKLES = ("pytorch_model.bin", "model.bin", "pytorch_model.pth")


class Snapshot(NamedTuple):
    """The files of a repository at one commit."""

    source: str
    """`timm/resnet18.a1_in1k@` and the commit's 40 digits, which always give the same files."""
    config: Path
    weights: Path


def fetch(name: str, endpoint: str | None = None, cache: Path | None = None) -> Snapshot:
    """The two files of a repository's weights. `name`: see REPOSITORY. `endpoint` and `cache`: as for `repository.at`.

    Shows the progress of a download. Raises ArtefactError: see Repository.snapshot.
    """
    match = REPOSITORY.fullmatch(name)
    if match is None:
        raise ArtefactError(f"{name!r} is not the name of a repository; write OWNER/NAME, timm/resnet18.a1_in1k.")
    reference = Reference(match["name"], match["revision"] or "main")
    repository = repositories.at(reference, endpoint, cache, (CONFIG, WEIGHTS))
    try:
        snapshot = repository.snapshot(CONFIG, lambda _: Wanted([WEIGHTS]))
    except Missing as error:
        raise ArtefactError(_lacking(repository, error)) from error
    folder = snapshot.folder
    return Snapshot(f"{repository.name}@{snapshot.commit}", folder / CONFIG, folder / WEIGHTS)


def _lacking(repository: Repository, error: Missing) -> str:
    """The message about a repository without one of the two files."""
    if error.commit is None:
        return (
            f"{repository.shown} has no {CONFIG}, which says what network its weights are for. Repositories of timm "
            "have one."
        )
    for pickle in PICKLES:
        if repository.has(pickle, error.commit):
            return (
                f"{repository.shown} has no {WEIGHTS}, only {pickle}: a pickle of unknown hash, which can run code "
                "when it is read. It is refused. Look for a repository with safetensors."
            )
    return f"{repository.shown} has no {WEIGHTS}. Look for a repository that has one, timm/resnet18.a1_in1k."
