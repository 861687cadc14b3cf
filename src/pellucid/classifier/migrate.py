"""The formats of a model folder, and how to read the folders of earlier versions.

    1   the first. At the beginning it stated neither `preprocessing.ranges` nor `optimizer`, and had no file with the
        optimizer's state or with the pictures that were seen.
    2   `network` may be null: then `program` describes program.pt2, a network that our text cannot write.

A migration fills in what an earlier format left out, with what that version meant. It never changes the folder. A later
addition whose default stands for its absence needs no new format.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid import __version__
from pellucid.errors import ArtefactError

FORMAT = 2


def migrated(config: object, path: Path) -> dict[str, Any]:
    """The contents of config.json, in the terms of FORMAT. Raises ArtefactError for an unknown format.

    `path`: the file's, for the error.
    """
    stated = config.get("format") if isinstance(config, dict) else type(config).__name__
    if not isinstance(config, dict) or not isinstance(stated, int) or isinstance(stated, bool) or stated < 1:
        raise ArtefactError(f"{path} is of format {stated!r}; this Pellucid reads formats 1 to {FORMAT}.")
    if stated > FORMAT:
        raise ArtefactError(
            f"{path} is of format {stated}; this Pellucid {__version__} reads formats 1 to {FORMAT}. "
            f"{_writer(config)}, or train again."
        )
    for earlier in range(stated, FORMAT):
        config = _STEPS[earlier](config)
    return config


def _to_2(config: dict[str, Any]) -> dict[str, Any]:
    preprocessing = config.get("preprocessing")
    if isinstance(preprocessing, dict):
        # before ranges were measured, every integer above 8 bits was read as 16 bits
        preprocessing = {"ranges": {"integer": [0, 65535], "real": None}, **preprocessing}
    return {**config, "format": 2, "preprocessing": preprocessing, "program": None}


_STEPS = {1: _to_2}


def _writer(config: dict[str, Any]) -> str:
    """Which version to install. The folder says what wrote it, unless it is damaged."""
    versions = config.get("versions")
    version = versions.get("pellucid") if isinstance(versions, dict) else None
    if not isinstance(version, str):
        return "A later Pellucid wrote it: install a newer one"
    return f"Pellucid {version} wrote it: install that version, pip install 'pellucid>={version}'"
