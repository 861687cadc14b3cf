"""The weights of a Pellucid model folder, as the start of another training."""

from dataclasses import replace
from pathlib import Path

from pellucid.classifier import store
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError
from pellucid.network import zoo
from pellucid.network.learning import Dense
from pellucid.network.network import Network
from pellucid.pretrained.known import Known


def load(folder: Path) -> Known:
    """The classifier in `folder`, its head with the names of its classes.

    Raises ArtefactError if the folder is damaged or not a model folder, or if the network has no replaceable head.
    """
    config = store.read_config(folder)
    if config.get("program") is not None:
        raise ArtefactError(
            f"{folder} holds a module of its maker's as a program, whose layers have no names here. Load it in Python "
            "and train its module: pellucid.train(..., model=pellucid.load(folder, trust=True).module)."
        )
    saved = store.read(folder)
    assert isinstance(saved, Saved), "a network with a text needs no program"
    *backbone, last = saved.network.layers
    if not isinstance(last, Dense) or not backbone:
        raise ArtefactError(
            f"{folder} has a network that ends with `{last}`: known weights need layers before a last dense, the head."
        )
    network = Network((*backbone, replace(last, units=None, bias=True)))  # like the head that will be fitted
    names = (name for name in zoo.NAMES if zoo.find(name).network == network)
    data = config.get("data", {})
    before = config.get("pretrained", {}).get("seen")
    count = data.get("train")
    many = f"{count:,}" if isinstance(count, int) else "an unknown number of"
    seen = f"{many} pictures of {len(saved.classes)} classes ({folder.name})"
    return Known(
        next(names, str(network)),
        f"{folder.name} (SHA-256 {config['files'][store.WEIGHTS]['sha256'][:16]})",
        network,
        saved.weights,
        saved.form,
        saved.standardise,
        f"{seen}, and before that {before}" if before else seen,
        saved.classes,
        folder,
    )
