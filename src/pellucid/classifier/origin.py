"""What a model card says of known weights: where they come from, what they had seen, and which result was kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.classifier.caveats import plain


def lines(config: Mapping[str, Any]) -> list[str]:
    """Paragraphs for the card; none where the training was from scratch."""
    about = config.get("pretrained")
    if not about:
        return []
    seen = f"The weights had seen {plain(about['seen'])}."
    source = f"It started from known weights of {plain(about['name'])} ({plain(about['source'])}). {seen}"
    return [source, "", " ".join([_fitted(about), *_kept(about)]), ""]


def is_head(config: Mapping[str, Any]) -> bool:
    """Whether only the head was trained, or kept."""
    return bool(config.get("pretrained", {}).get("frozen"))


def _fitted(about: Mapping[str, Any]) -> str:
    head = about["head"]
    mirrored = " and of their mirror images" if "mirror" in head["views"] else ""
    least = min(head["tried"], key=lambda pair: pair[1], default=None)
    chosen = ", chosen on the validation pictures" if least is not None and least[0] == head["c"] else ", the default"
    return (
        f"Its head was fitted to the frozen network's features of the training pictures{mirrored} in "
        f"{head['seconds']:.1f} seconds: logistic regression, C {head['c']:.3g}{chosen}."
    )


def _kept(about: Mapping[str, Any]) -> list[str]:
    head, whole = about["validation"]["head"], about["validation"]["whole network"]
    if whole is None:
        first = "No other layer was trained."
    else:
        reached = f"the head alone reached {_said(head)}, the whole network, trained from there, {_said(whole)}."
        kept = "The head alone was kept" if about["frozen"] else "The whole network was kept"
        first = (
            f"{kept}: {reached}" if head["accuracy"] is not None else f"{kept}: no validation chose between the two."
        )
    if not about["frozen"]:
        return [first]
    step = "The update that `pellucid explain` shows is a step of plain gradient descent on the head with that picture"
    return [first, f"{step}; the layers before it are frozen, and nothing of them changes."]


def _said(held: Mapping[str, float | None]) -> str:
    if held["accuracy"] is None or held["loss"] is None:
        return "no figure"
    return f"{held['accuracy']:.1%} on validation (cross-entropy {held['loss']:.3f})"
