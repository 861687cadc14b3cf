"""A JSON file in a model folder that belongs to one config.json: what has been measured about the model as it is now.

config.json states the hashes of the weights, so after any change the file no longer counts. No model needs it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pellucid import files
from pellucid.classifier import store
from pellucid.errors import StorageError


def read(model: Path, name: str) -> dict[str, Any]:
    """The content of the file `name`; {} if there is none, or it belongs to other weights."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads((model / name).read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.pop("config", "") == _config(model):
            return content
    return {}


def write(model: Path, name: str, content: dict[str, Any]) -> None:
    """Write the file; not in a hub's cache, whose files are links, nor in a folder that cannot be written."""
    if (model / store.CONFIG).is_symlink():
        return
    with suppress(StorageError, OSError):
        text = json.dumps({"config": _config(model), **content}, separators=(",", ":"))
        files.write(model / name, text + "\n")


def _config(model: Path) -> str:
    return hashlib.sha256((model / store.CONFIG).read_bytes()).hexdigest()
