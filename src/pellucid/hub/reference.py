"""The name of a repository on a hub, as a user writes it: hf://OWNER/NAME, with @ and a revision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import ArtefactError

NEWEST = "main"
"""The branch that is meant where none is named."""
REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
"""`timm/resnet18.a1_in1k`, with `@` and a branch, a tag or a commit unless it is the newest."""
COMMIT = re.compile(r"[0-9a-f]{40}")
_PREFIX = re.compile(r"hf:/+")  # one slash: a Path has merged the two


@dataclass(frozen=True)
class Reference:
    """A repository at a revision. `name`: OWNER/NAME. `revision`: a branch, a tag or the 40 digits of a commit."""

    name: str
    revision: str = NEWEST

    def __str__(self) -> str:
        return f"hf://{self.name}{'' if self.revision == NEWEST else f'@{self.revision}'}"


def is_reference(model: str | Path) -> bool:
    """Whether a user names a repository and not a path."""
    return _PREFIX.match(str(model)) is not None


def parse(model: str | Path) -> Reference:
    """The repository that a user names. Raises ArtefactError if its name is incomplete."""
    written = _PREFIX.sub("", str(model).strip(), count=1).rstrip("/")
    match = REPOSITORY.fullmatch(written)
    if match is None or ".." in written:  # no name of a revision; in the cache it would be a path
        raise ArtefactError(
            f"'hf://{written}' is not the name of a repository; write hf://OWNER/NAME or hf://OWNER/NAME@REVISION."
        )
    return Reference(match["name"], match["revision"] or NEWEST)


def name_of(folder: Path) -> str:
    """The name of a model folder. One in the hub's cache has the name of its repository, without the owner."""
    folder = folder.resolve()
    cached = folder.parent.parent.name  # models--OWNER--NAME/snapshots/COMMIT
    if folder.parent.name == "snapshots" and cached.startswith("models--"):
        return cached.rpartition("--")[2]
    return folder.name
