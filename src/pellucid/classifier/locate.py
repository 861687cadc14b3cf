"""From what a user writes for a model to its folder on this disk: a path, or hf://OWNER/NAME, which is downloaded.

Every verb that takes a model calls `folder_of` first. A path costs nothing: only a repository imports the hub's client.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import ArtefactError
from pellucid.hub import reference as references
from pellucid.hub.reference import Reference

if TYPE_CHECKING:
    from pellucid.hub.repository import Wanted

CARD = "README.md"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # also as a path, which has one / where two were written
Say = Callable[[str], None]


def _warn(note: str) -> None:
    warnings.warn(note, stacklevel=4)


def folder_of(model: str | Path, trust: bool = False, predicting: bool = False, say: Say = _warn) -> Path:
    """The folder of a model. A repository is downloaded to the hub's cache unless it is there.

    `trust`: also download program.pt2, if there is one. `predicting`: leave out what predictions do not need. `say`
    receives a sentence if the cache answered because the hub did not; by default it becomes a warning.

    Raises ArtefactError if the repository cannot be read (see Repository.snapshot) or is not a Pellucid model. A path
    is not checked here.
    """
    if not references.is_reference(model):
        if _ADDRESS.match(str(model)) and not Path(model).exists():
            address = re.sub(":/+", "://", str(model), count=1)
            raise ArtefactError(
                f"{address} is an address; a model is a folder of this machine, or hf://OWNER/NAME. Copy it here first."
            )
        return Path(model)
    from pellucid.classifier import store
    from pellucid.hub import repository as repositories
    from pellucid.hub.repository import Missing

    reference = references.parse(model)
    repository = repositories.at(reference)
    try:
        snapshot = repository.snapshot(store.CONFIG, lambda config: _wanted(reference, config, trust, predicting))
    except Missing as error:
        raise ArtefactError(f"{reference} is not a Pellucid model: it has no {error.file}.") from error
    if snapshot.note is not None:
        say(f"{reference}: {snapshot.note}. Commit {snapshot.commit[:12]} from the cache is used.")
    return snapshot.folder


def _wanted(reference: Reference, config: Path, trust: bool, predicting: bool) -> Wanted:
    """The files beside config.json that a model needs, and those that it may have."""
    from pellucid.classifier import store
    from pellucid.classifier.predict.graph import GRAPH
    from pellucid.hub.repository import Wanted

    if not store.is_model(store.read_json(config)):
        raise ArtefactError(
            f"{reference} is not a Pellucid model: its {store.CONFIG} describes another kind. Weights of timm can "
            f"begin a training: --pretrained {reference.name}"
        )
    contents = store.read_config(config.parent)
    needed = [store.WEIGHTS]
    if contents.get("program") is not None:
        if not trust:
            raise ArtefactError(store.untrusted(str(reference), contents))
        needed.append(store.PROGRAM)
    if predicting:
        return Wanted(needed, [GRAPH])
    # by our names alone: a stranger's config.json may state any
    others = [name for name in store.HASHED if name in contents["files"] and name not in (*needed, store.PROGRAM)]
    return Wanted(needed, [GRAPH, CARD, *others])
