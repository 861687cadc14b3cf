"""An exported ONNX file that predicts as a model folder does, without torch.

The file resizes and standardises by itself. Here it gets decoded images, and its logits are calibrated as those of any
other model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.backend import Logits, Stage
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, ExportError, PellucidError
from pellucid.pictures.decode import Form, Ranges
from pellucid.runtime import sessions

ENDING = ".onnx"
CLASSES, ABOUT, CARD = "classes", "pellucid", "card"  # keys of the metadata
FORMAT = 1


def about(saved: Saved) -> dict[str, Any]:
    """What the file says of itself beside the graph, as JSON."""
    return {
        "format": FORMAT,
        "temperature": saved.temperature,
        "thresholds": None if saved.thresholds is None else list(saved.thresholds),
        "pixel_limit": saved.pixel_limit,
        "ranges": saved.ranges.as_json(),
        "input": [saved.form.channels, saved.form.height, saved.form.width],
        "fit": saved.form.fit,
        "weights": saved.source.sha256 if saved.source is not None else None,
    }


@dataclass(frozen=True)
class AsItIs(Form):
    """The form of pictures that the file itself brings to the network's size."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image, uint8 (H, W, 3), as it is."""
        return np.ascontiguousarray(image)


@dataclass(frozen=True, eq=False)
class ExportedBackend:
    """Images of any size, uint8 (1, H, W, 3), one at a time. See Backend."""

    run: sessions.Run

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        return np.stack([self.run(image) for image in images])

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend."""

        def load() -> Logits:
            return self.logits

        yield Stage(None, 1, load, load)


def opened(path: Path) -> Predictor:
    """What classifies by an exported file. Raises ArtefactError where it is no such file, or damaged."""
    if not sessions.installed():
        raise ArtefactError(f"{path} needs ONNX Runtime, which is not installed: pip install onnxruntime")
    try:
        content = path.read_bytes()
        run, metadata = sessions.with_metadata(content, "logits")
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ExportError as error:
        raise ArtefactError(f"{path} is damaged, or no ONNX file: {error}") from error
    if ABOUT not in metadata or CLASSES not in metadata:
        raise ArtefactError(f"{path} was not exported by Pellucid: it does not say what its outputs mean.")
    try:
        about, classes = json.loads(metadata[ABOUT]), json.loads(metadata[CLASSES])
        if about["format"] != FORMAT:
            raise ValueError(f"it is of format {about['format']!r}, and this Pellucid reads {FORMAT}")
        channels, height, width = about["input"]
        form, temperature = AsItIs(height, width, channels, about["fit"]), float(about["temperature"])
        thresholds = None if about["thresholds"] is None else tuple(float(each) for each in about["thresholds"])
        if not (math.isfinite(temperature) and temperature > 0) or len(thresholds or classes) != len(classes):
            raise ValueError("its temperature or its thresholds make no sense")
        names, ranges = tuple(str(name) for name in classes), Ranges.from_json(about["ranges"])
        return Predictor(names, form, temperature, int(about["pixel_limit"]), ranges, thresholds, ExportedBackend(run))
    except (KeyError, TypeError, ValueError, AttributeError, PellucidError) as error:
        raise ArtefactError(f"{path} is damaged: {error}.") from error
