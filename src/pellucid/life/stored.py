"""What a repeat of the training showed, stored in the model folder: for its page, and for the offline file.

life.json belongs to one config.json, as classifier/tied.py says. Its entry "makers" is as in makers.py, with fewer
pictures: WHOLE each way for the whole training, and TENTH for each tenth.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from pellucid.classifier import tied
from pellucid.life.makers import Makers

FILE = "life.json"
MAKERS = "makers"
WHOLE, TENTH = 12, 4
_WRITING = threading.Lock()


def read(model: Path) -> dict[str, Any]:
    """What is stored for a model as it is now: "makers", as Makers.as_json with fewer pictures; {} if nothing is."""
    return {key: each for key, each in tied.read(model, FILE).items() if key == MAKERS and isinstance(each, dict)}


def store(model: Path, makers: Makers) -> None:
    """Store these layers' makers, beside those of other layers that were stored before."""
    content = makers.as_json(WHOLE, TENTH)
    with _WRITING:
        stored = tied.read(model, FILE)
        before = read(model).get(MAKERS, {})
        new = {layer["layer"] for layer in content["layers"]}
        content["layers"] = [each for each in before.get("layers", []) if each["layer"] not in new] + content["layers"]
        content["pictures"] = {**before.get("pictures", {}), **content["pictures"]}
        tied.write(model, FILE, {**stored, MAKERS: content})
