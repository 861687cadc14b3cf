"""The command `push`: upload a model folder to a repository on a hub."""

from __future__ import annotations

import sys
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid import api
from pellucid.app import streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Column, Model, Switch, parse
from pellucid.app.format import many, printable, size
from pellucid.classifier.store import PROGRAM

Text = Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")]


def push(
    model: Model,
    repository: Annotated[Positional[str], arg(metavar="OWNER/NAME")],
    /,
    public: Switch = False,
    branch: Column = None,
    message: Text = None,
    with_pictures: Switch = False,
    json: Switch = False,
) -> int:
    """Upload a model folder to a repository on a model hub. hf://OWNER/NAME then opens it wherever a MODEL is taken.

    The repository is created if it does not exist, and is private. The card becomes its page. Files that show your
    pictures or name them stay here, and paths of this machine are removed; the model predicts the same. The token is
    the one that `hf auth login` stored, or HF_TOKEN. Needs pip install 'pellucid[hub]'.

    Args:
        model: Model folder.
        repository: The repository, such as anna/cats.
        public: Anybody may read the repository. Required to push to one that is public.
        branch: Push to this branch, a new one if it does not exist. Default: the main branch.
        message: Message of the commit.
        with_pictures: Also upload thumbnails, the replay, the list of mistakes, and the lists of picture files.
        json: Print as JSON.
    """
    done = api.push(model, repository, public=public, branch=branch, message=message, pictures=with_pictures)
    for note in done.notes:
        print(f"pellucid: {printable(note)}", file=sys.stderr)
    if json:
        streams.write_json(done.as_json(), indent=2)
        return Exit.OK
    readers = "public" if done.public else "private"
    state = "" if done.changed else ", which held this model already"
    print(f"{printable(done.address)} ({readers}), commit {done.commit}{state}")
    print(f"{many(len(done.files), 'file')}, {size(sum(done.files.values()))}.")
    if public and not done.public:
        print("The repository was private and stays private; its settings on the hub can change that.")
    if done.pictures_left_out:
        names = ", ".join(map(printable, done.pictures_left_out))
        print(f"Left out, because they show or name your pictures (--with-pictures uploads them): {names}.")
    if done.others_left_out:
        print(f"Left out, because they are not part of the model: {', '.join(map(printable, done.others_left_out))}.")
    if done.removed:
        names = ", ".join(map(printable, done.removed))
        print(f"Removed, because this version lacks them (older commits still hold them): {names}.")
    at = f"@{printable(branch)}" if branch is not None else ""
    trust = " --trust" if PROGRAM in done.files else ""
    print(f"To use it: pellucid predict hf://{done.repository}{at} picture.jpg{trust}")
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(push, args, "push")
