"""The known weights that a model started from: their text in the card, and their folder if they are a Pellucid model.

The card says where they come from, what they had seen, and which result was kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pellucid.classifier import store
from pellucid.classifier.caveats import plain
from pellucid.errors import PellucidError


def lines(config: Mapping[str, Any]) -> list[str]:
    """Paragraphs for the card; empty if the training was from scratch."""
    about = config.get("pretrained")
    if not about:
        return []
    seen = f"The weights had seen {plain(about['seen'])}."
    source = f"It started from known weights of {plain(about['name'])} ({plain(about['source'])}). {seen}"
    weighted = config.get("training", {}).get("class_weights") is not None
    by_loss = weighted or config.get("recipe", {}).get("labels") == "several"
    return [source, "", " ".join([_fitted(about), *_choice(about, by_loss)]), ""]


def is_head(config: Mapping[str, Any]) -> bool:
    """Whether only the head was trained or kept."""
    return bool(config.get("pretrained", {}).get("frozen"))


def parent(folder: Path, config: Mapping[str, Any]) -> tuple[str | None, Path | None]:
    """The Pellucid model that the one in `folder` started from: its name, and its folder if that still exists.

    (None, None) if it did not start from one. The folder is sought at its recorded path and beside `folder`. The
    SHA-256 of its weights must match the weights that the training started from.
    """
    about = config.get("pretrained") or {}
    if "knew" not in about:
        return None, None
    name, _, rest = str(about.get("source", "")).rpartition(" (SHA-256 ")
    digest = rest.removesuffix(")")
    places = [Path(about["folder"])] if "folder" in about else []
    for place in (*places, folder.absolute().parent / name):
        with suppress(PellucidError, OSError, KeyError, TypeError):
            stated = store.read_config(place)["files"][store.WEIGHTS]["sha256"]
            if digest and stated.startswith(digest) and place.resolve() != folder.resolve():
                return name, place
    return name or "that is not named", None


def _fitted(about: Mapping[str, Any]) -> str:
    head = about["head"]
    mirrored = " and of their mirror images" if "mirror" in head["views"] else ""
    least = min(head["tried"], key=lambda pair: pair[1], default=None)
    chosen = ", chosen on the validation pictures" if least is not None and least[0] == head["c"] else ", the default"
    return (
        f"Its head was fitted to the frozen network's features of the training pictures{mirrored} in "
        f"{head['seconds']:.1f} seconds: logistic regression, C {head['c']:.3g}{chosen}."
    )


def _choice(about: Mapping[str, Any], by_loss: bool) -> list[str]:
    head, whole = about["validation"]["head"], about["validation"]["whole network"]
    if whole is None:
        first = "No other layer was trained."
    else:
        reached = f"the head alone reached {_figures(head)}, the whole network, trained from there, {_figures(whole)}."
        choice = "The head alone was kept" if about["frozen"] else "The whole network was kept"
        if about["frozen"] and _better(whole, head, by_loss):
            reached = f"{reached[:-1]}; on so few pictures the difference may be chance."
        between = reached if head["accuracy"] is not None else "no pictures chose between the two."
        first = f"{choice}: {between}"
    if not about["frozen"]:
        return [first]
    step = "The update that `pellucid explain` shows is a step of plain gradient descent on the head with that picture"
    return [first, f"{step}; the layers before it are frozen and do not change."]


def _better(one: Mapping[str, float | None], other: Mapping[str, float | None], by_loss: bool) -> bool:
    """Whether the first is more accurate, or as accurate with a smaller loss; `by_loss`: with a smaller loss."""
    if one["accuracy"] is None or other["accuracy"] is None or one["loss"] is None or other["loss"] is None:
        return False
    if by_loss:
        return one["loss"] < other["loss"]
    return (one["accuracy"], -one["loss"]) > (other["accuracy"], -other["loss"])


def _figures(held: Mapping[str, float | None]) -> str:
    if held["accuracy"] is None or held["loss"] is None:
        return "no figure"
    return f"{held['accuracy']:.1%} on validation (cross-entropy {held['loss']:.3f})"
