"""The largest network that trains by hand: what a step may take of memory and time, so that a page stays live."""

from __future__ import annotations

from pathlib import Path

from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.errors import NetworkError, PellucidError
from pellucid.network import plan as plans
from pellucid.network import text
from pellucid.network.network import Network
from pellucid.network.window import Shape
from pellucid.pictures.places import within
from pellucid.pictures.reading import exists
from pellucid.pictures.sides import TRAIN
from pellucid.runs import made_from

MOST_LAYERS = 300  # PyTorch takes about a third of a millisecond to make one
LONGEST = 20_000  # characters of a network's text; the page checks it while somebody types
MOST_WEIGHTS = 1_000_000
MOST_BYTES = 1_000_000_000  # of a step, as network/plan.py counts them
MOST_OPERATIONS = 100_000_000_000  # of a step: one to three seconds on two cores


def parsed(written: str) -> Network:
    """A network from its text. Raises NetworkError."""
    if len(written) > LONGEST:
        raise NetworkError(f"The network's text has {len(written):,} characters; here it may have at most {LONGEST:,}.")
    return text.parse(written)


def check(network: Network, shape: Shape, classes: int, batch: int) -> int:
    """The number of weights. Raises NetworkError if sizes do not fit, or if a step is too large to train by hand."""
    plan = plans.plan(network, shape, classes, batch)
    if len(plan.rows) > MOST_LAYERS:
        raise NetworkError(f"This network has {len(plan.rows):,} layers; here it may have at most {MOST_LAYERS:,}.")
    if plan.parameters > MOST_WEIGHTS:
        raise NetworkError(
            f"This network has {plan.parameters:,} weights; here it may have at most {MOST_WEIGHTS:,}. "
            "Use fewer filters or units, or a pooling before the first dense layer. pellucid train has no such limit."
        )
    operations = batch * (plan.forward_flops + plan.backward_flops)
    if plan.training_bytes > MOST_BYTES or operations > MOST_OPERATIONS:
        share = min(MOST_BYTES / plan.training_bytes, MOST_OPERATIONS / operations)
        raise NetworkError(
            f"A step of {batch:,} pictures needs {plan.training_bytes / 1e6:,.0f} MB and {operations / 1e9:,.1f} "
            f"billion operations; here it may need at most {MOST_BYTES / 1e6:,.0f} MB and "
            f"{MOST_OPERATIONS / 1e9:,.0f} billion. Use a smaller network, or at most {max(1, int(batch * share))} "
            "pictures in a batch."
        )
    return plan.parameters


def trains(model: Path, classifier: Classifier) -> bool:
    """Whether a model probably can be trained further here: it is small, from scratch, and has its pictures."""
    if classifier.network is None or sum(each.numel() for each in classifier.module.parameters()) > MOST_WEIGHTS:
        return False
    try:
        config = artefact.read_config(model)
        root, rows = made_from.every(model)
    except (PellucidError, OSError):
        return False
    first = next((row for row in rows if row["side"] == TRAIN), None)
    if config.get("pretrained") or "recipe" not in config or first is None:
        return False
    return exists(within(root, first["path"]))
