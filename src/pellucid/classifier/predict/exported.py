"""Predict with an exported ONNX file as with a model folder, without torch.

The file resizes and standardises images itself. This code decodes the pictures and calibrates the logits, as for any
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
from pellucid.errors import ArtefactError, ExportError, PellucidError, RecipeError
from pellucid.pictures.decode import Form, Ranges
from pellucid.runtime import sessions

ENDING = ".onnx"
CLASSES, ABOUT, CARD = "classes", "pellucid", "card"  # keys of the metadata
FORMAT = 1


def about(saved: Saved) -> dict[str, Any]:
    """The metadata that `opened` reads, as plain values for JSON."""
    return {
        "format": FORMAT,
        "temperature": saved.temperature,
        "thresholds": None if saved.thresholds is None else list(saved.thresholds),
        "pixel_limit": saved.pixel_limit,
        "ranges": saved.ranges.as_json(),
        "input": [saved.form.channels, saved.form.height, saved.form.width],
        "fit": saved.form.fit,
        "weights": saved.source.sha256 if saved.source is not None else None,
        "int8": saved.int8.as_json() if saved.int8 is not None else None,
    }


@dataclass(frozen=True)
class AsItIs(Form):
    """The form of pictures that stay at their own size, because the file resizes them."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same image, uint8 (H, W, 3), contiguous."""
        return np.ascontiguousarray(image)


@dataclass(frozen=True, eq=False)
class ExportedBackend:
    """A backend for images of any size, one at a time. `run`: uint8 (H, W, 3) -> logits, float32 (classes,)."""

    run: sessions.Run

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        return np.stack([self.run(image) for image in images])

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend."""

        def load() -> Logits:
            return self.logits

        yield Stage(None, 1, load, load)


def opened(path: Path, int8: bool = False) -> Predictor:
    """The predictor of an exported file, in the file's own precision.

    Raises ArtefactError if Pellucid did not export the file or it is damaged, and RecipeError if `int8` and the file
    is of float32.
    """
    if not sessions.installed():
        raise ArtefactError(f"{path} needs ONNX Runtime, which is not installed: pip install onnxruntime")
    try:
        content = path.read_bytes()
        run, metadata = sessions.with_metadata(content, "logits")
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ExportError as error:
        raise ArtefactError(f"{path} is damaged, or not an ONNX file: {error}") from error
    if ABOUT not in metadata or CLASSES not in metadata:
        raise ArtefactError(f"{path} was not exported by Pellucid: its metadata does not name the classes.")
    try:
        about, classes = json.loads(metadata[ABOUT]), json.loads(metadata[CLASSES])
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}, but this Pellucid reads {FORMAT}")
        channels, height, width = about["input"]
        form, temperature = AsItIs(height, width, channels, about["fit"]), float(about["temperature"])
        thresholds = None if about["thresholds"] is None else tuple(float(each) for each in about["thresholds"])
        if not (math.isfinite(temperature) and temperature > 0) or len(thresholds or classes) != len(classes):
            raise ValueError("its temperature must be positive and finite, and it needs as many thresholds as classes")
        if int8 and about.get("int8") is None:
            raise RecipeError(
                f"{path} computes in float32. Leave out --precision int8, or export the model folder again with it."
            )
        names, ranges = tuple(str(name) for name in classes), Ranges.from_json(about["ranges"])
        return Predictor(names, form, temperature, int(about["pixel_limit"]), ranges, thresholds, ExportedBackend(run))
    except RecipeError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, PellucidError) as error:
        raise ArtefactError(f"{path} is damaged: {error}.") from error
