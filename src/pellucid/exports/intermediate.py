"""Write a whole classifier for OpenVINO: its intermediate representation, an .xml file with a .bin file beside it.

OpenVINO converts our ONNX graph. Its rt_info holds the metadata, and the SHA-256 of the .bin file: nothing else would
tell that the two belong together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid import files
from pellucid.classifier.predict.exported_readers import NUMBERS
from pellucid.classifier.saved import Saved
from pellucid.errors import ExportError
from pellucid.exports import pipeline
from pellucid.exports.pairs import Pair
from pellucid.runtime import openvino_models

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

ENDING, BESIDE = ".xml", ".bin"
MARK = b'<?xml version="1.0"?>\n<net name="pellucid"'
_DIGEST = re.compile(rf'<{NUMBERS} value="([0-9a-f]{{64}})" />'.encode())


def write(model: Saved | Classifier, metadata: Mapping[str, str]) -> dict[str, bytes]:
    """See Format.write. The resizing is in pairs of float32, because OpenVINO has no float64 on a CPU."""
    if not openvino_models.installed():
        raise ExportError("OpenVINO is not installed: pip install 'pellucid[openvino]'")
    graph, numbers = openvino_models.converted(pipeline.model(model, {}, Pair), metadata, NUMBERS)
    return {ENDING: graph, BESIDE: numbers}


def made_here(path: Path) -> bool:
    """See Format.made_here: a .bin file is ours if the .xml file states its hash."""
    beside = path.with_suffix(BESIDE)
    if not path.is_file():
        return False
    content = path.read_bytes()
    if not content.startswith(MARK):
        return False
    return not beside.exists() or files.sha256(beside).encode() in _DIGEST.findall(content)
