"""The command `article`: how a convolutional network works, in numbers small enough to follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid import api
from pellucid.app import lessons, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Switch, parse
from pellucid.errors import PictureError
from pellucid.lessons.lesson import as_json


def article(
    picture: Annotated[Positional[Path | None], arg(metavar="[PICTURE]", help_behavior_hint="")] = None,
    /,
    only: Annotated[str | None, arg(metavar="LESSON", help_behavior_hint="")] = None,
    json: Switch = False,
) -> int:
    """Walk through how a convolutional network works, in numbers small enough to follow by hand.

    The numbers are those of the article "Architecture of Convolutional Neural Networks (CNNs) demystified". The
    arithmetic is the same that `pellucid explain` shows for your own network.

    Args:
        picture: The picture for the filters that find edges, blur and sharpen. Default: a photograph.
        only: One lesson, such as six-by-six.
        json: Print every number as JSON.
    """
    try:
        walked = api.article(picture, only)
    except PictureError as error:
        raise PictureError(f"{picture}: {error.reason}") from error
    if json:
        streams.write_json(as_json(walked))
    else:
        lessons.show(walked)
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(article, args, "article")
