"""The folder of the model that a command is about, and a line where the hub's cache answered for the hub."""

from __future__ import annotations

import sys
from pathlib import Path

from pellucid.app.format import printable
from pellucid.classifier.locate import folder_of


def local(model: str | Path, trust: bool = False, predicting: bool = False) -> Path:
    """See folder_of; what it says goes to standard error. Raises ArtefactError."""
    return folder_of(model, trust, predicting, _say)


def _say(note: str) -> None:
    print(f"pellucid: {printable(note)}", file=sys.stderr)
