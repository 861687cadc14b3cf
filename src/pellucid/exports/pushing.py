"""Push a model folder to a repository on a hub."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid.classifier import store
from pellucid.errors import ArtefactError
from pellucid.exports.publication import CARD, is_model, is_ours, publication
from pellucid.exports.published_card import merged
from pellucid.hub import upload as uploads
from pellucid.hub.reference import is_reference
from pellucid.hub.upload import Parcel


@dataclass(frozen=True)
class Pushed:
    """The result of `push`.

    * repository: OWNER/NAME
    * address: of its page
    * commit: 40 digits; hf://OWNER/NAME@COMMIT always means this model
    * public: whether anybody can read it
    * changed: False if the repository held the same model already
    * files: the size in bytes of each published file
    * pictures_left_out: files and folders that stayed here because they show or name your pictures
    * others_left_out: files and folders that are not part of the model
    * removed: files of an earlier push that the new commit no longer has
    * notes: what the hub says about the card
    """

    repository: str
    address: str
    commit: str
    public: bool
    changed: bool
    files: dict[str, int]
    pictures_left_out: tuple[str, ...]
    others_left_out: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        return asdict(self)


def push(
    model: str | Path, repository: str, public: bool, branch: str | None, message: str | None, pictures: bool
) -> Pushed:
    """See pellucid.push."""
    name = uploads.named(repository)
    if is_reference(model):
        raise ArtefactError(f"{model} is on a hub already. Push a model folder.")
    if message is not None and not message.strip():
        raise ArtefactError("The message is empty; say what this version of the model is.")
    uploads.prepare(name)
    what = publication(Path(model), name, pictures)
    parcel = Parcel(what.contents, is_ours, store.CONFIG, is_model, CARD, merged)
    done = uploads.upload(name, parcel, message or "Push a Pellucid model", branch, public)
    return Pushed(
        name,
        done.address,
        done.commit,
        done.public,
        done.changed,
        done.files,
        what.pictures,
        what.others,
        done.removed,
        done.notes,
    )
