"""Known weights by the name that a user gives: imagenet, or a model folder of Pellucid's."""

from pathlib import Path

from pellucid.errors import ArtefactError
from pellucid.pretrained import lite0, ours
from pellucid.pretrained.known import Known

NAMES = ("imagenet", lite0.NAME)


def find(name: str, cache: Path, model: str | None = None) -> Known:
    """The weights called `name`. `cache`: where converted weights are kept; `model`: the network that the user named.

    Raises ArtefactError where there are none, or they are damaged, and StorageError.
    """
    if name in NAMES:
        return lite0.load(cache)
    folder = Path(name)
    if folder.is_dir():
        return ours.load(folder)
    what = "is a file, and no model folder" if folder.exists() else "is neither a name nor a folder that is there"
    raise ArtefactError(
        f"pretrained is {name!r}, which {what}. Use {NAMES[0]}, or a model folder that `pellucid train` wrote."
    )
