"""Predict with an exported file as with a model folder.

The file resizes and standardises images itself. This code decodes the pictures and calibrates the logits, as for any
other model. exported_readers.py lists the kinds of files; only a .pt2 file needs torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.backend import Logits, Stage
from pellucid.classifier.predict.exported_readers import ABOUT, CARD, CLASSES, READERS
from pellucid.classifier.predict.predictor import Predictor
from pellucid.errors import ArtefactError, PellucidError, RecipeError
from pellucid.pictures.decode import Form, Ranges
from pellucid.runtime import sessions

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.saved import Saved

FORMAT = 1


def metadata(model: Saved | Classifier, weights: str | None, card: str) -> dict[str, str]:
    """What an exported file states besides its graph, as texts by key.

    `weights`: the SHA-256 of model.safetensors, or None. `card`: the model card in Markdown.
    """
    from pellucid.classifier.saved import Saved

    about = {
        "format": FORMAT,
        "temperature": model.temperature,
        "thresholds": None if model.thresholds is None else list(model.thresholds),
        "pixel_limit": model.pixel_limit,
        "ranges": model.ranges.as_json(),
        "input": [model.form.channels, model.form.height, model.form.width],
        "fit": model.form.fit,
        "weights": weights,
        "int8": model.int8.as_json() if isinstance(model, Saved) and model.int8 is not None else None,
    }
    return {CLASSES: json.dumps(list(model.classes)), ABOUT: json.dumps(about), CARD: card}


@dataclass(frozen=True)
class AsItIs(Form):
    """The form of pictures that stay at their own size, because the file resizes them."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same image, uint8 (H, W, 3), contiguous."""
        return np.ascontiguousarray(image)


@dataclass(frozen=True, eq=False)
class ExportedBackend:
    """A backend for images of any size, one at a time. `run`: an image -> OUTPUTS, each float32 (classes,)."""

    run: sessions.Outputs

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        return np.stack([self.run(image)[1] for image in images])

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend."""

        def load() -> Logits:
            return self.logits

        yield Stage(None, 1, load, load)


@dataclass(frozen=True, eq=False)
class ExportedFile:
    """An opened file: a predictor that calibrates its logits, and a function to its own outputs.

    `run`: an image, uint8 (H, W, 3) -> OUTPUTS, each float32 (classes,).
    """

    predictor: Predictor
    run: sessions.Outputs


def opened(path: Path, trust: bool = False, int8: bool = False) -> ExportedFile:
    """Open a file whose ending is in READERS. It predicts in its own precision.

    `trust`: also open one that may run code, a .pt2 file. Raises ArtefactError if Pellucid did not export the file, if
    it is damaged, or if a package is missing, and RecipeError if `int8` and the file is of float32.
    """
    run, texts = READERS[path.suffix.lower()](path, trust)
    if ABOUT not in texts or CLASSES not in texts:
        raise ArtefactError(f"{path} was not exported by Pellucid: its metadata does not name the classes.")
    try:
        if int8 and json.loads(texts[ABOUT]).get("int8") is None:
            raise RecipeError(
                f"{path} computes in float32. Leave out --precision int8, or export the model folder again with it."
            )
        return ExportedFile(_predictor(texts, run), run)
    except RecipeError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, PellucidError) as error:
        raise ArtefactError(f"{path} is damaged: {error}.") from error


def _predictor(texts: Mapping[str, str], run: sessions.Outputs) -> Predictor:
    about, classes = json.loads(texts[ABOUT]), json.loads(texts[CLASSES])
    if about["format"] != FORMAT:
        raise ValueError(f"its format is {about['format']!r}, but this Pellucid reads {FORMAT}")
    channels, height, width = about["input"]
    form, temperature = AsItIs(height, width, channels, about["fit"]), float(about["temperature"])
    thresholds = None if about["thresholds"] is None else tuple(float(each) for each in about["thresholds"])
    if not (math.isfinite(temperature) and temperature > 0) or len(thresholds or classes) != len(classes):
        raise ValueError("its temperature must be positive and finite, and it needs as many thresholds as classes")
    names, ranges = tuple(str(name) for name in classes), Ranges.from_json(about["ranges"])
    return Predictor(names, form, temperature, int(about["pixel_limit"]), ranges, thresholds, ExportedBackend(run))
