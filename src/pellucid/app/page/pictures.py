"""The model's own pictures, which the page names by numbers and never by a path: as PNG, and to show."""

from __future__ import annotations

from http import HTTPStatus

import numpy as np
from numpy.typing import NDArray

from pellucid.app.page.shown import Glass
from pellucid.errors import PictureError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.pictures.png import encode

DIGITS = 10  # most digits of a number


def whole(query: Query, name: str, below: int) -> int:
    """A number in an address's query, from 0 to below - 1. Raises Refused."""
    text = query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS and int(text) < below):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is {text!r}; it must be a number from 0 to {below - 1:,}.")
    return int(text)


def prepared(glass: Glass, path: str) -> NDArray[np.uint8]:
    """A picture as the network's input, in three colours: uint8 (H, W, 3). Raises Refused if it no longer exists."""
    try:
        image = glass.classifier.prepared(path)
    except PictureError as error:
        raise unusable(path, error) from error
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def unusable(path: str, error: PictureError) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, f"{path} can no longer be used: {error.reason}.")


def png(image: NDArray[np.uint8]) -> Reply:
    """uint8 (H, W, 3); an empty image becomes a single grey pixel."""
    return Reply("image/png", encode(image if image.size else np.full((1, 1, 3), 128, np.uint8)))


def show(glass: Glass, path: str, label: str | None = None) -> Reply:
    """Show another of the model's own pictures, against a class. Raises Refused, TraceError."""
    try:
        glass.show(path, label, path)
    except PictureError as error:
        raise unusable(path, error) from error
    return replies.as_json({"ok": True, "run": glass.shown.run})
