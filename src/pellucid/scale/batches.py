"""A classifier as a callable for Ray Data's `map_batches`: a batch of columns in, the same batch with answers out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.prediction import Described, Prediction
from pellucid.errors import PictureError, RecipeError
from pellucid.scale import carried
from pellucid.scale.carried import Carried
from pellucid.texts import LABELS_BETWEEN

INPUTS = ("image", "bytes", "path")  # columns that hold pictures; the first that is there counts


class Predictor:
    """Classifies the pictures of a batch. Each actor of Ray Data makes one and so opens the model once.

    `model`: a model folder or an exported file that every machine can read, or the result of `packed`, which travels
    with the job. `features`: also return the input of the network's last dense layer. `batch`: the most pictures that
    go through the network at once. `trust`: also open a program, which may run code. One actor uses one core.

    Raises ArtefactError if the model cannot be opened, and NetworkError if it has no features.
    """

    def __init__(
        self, model: str | Path | Carried, features: bool = False, batch: int = 32, trust: bool = False
    ) -> None:
        if batch < 1:
            raise RecipeError(f"batch is {batch}; it must be 1 or more.")
        if isinstance(model, Carried):
            with model.unpacked() as folder:
                self._model = carried.opened(folder, batch, features, trust)
        else:
            self._model = carried.opened(Path(model), batch, features, trust)
        self.classes = self._model.predictor.classes

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Classify a batch of n pictures.

        Its pictures are in the column `image` (uint8 arrays (H, W, 3), upright RGB), `bytes` (files) or `path` (names
        that the machine can read). The result has all columns except image and bytes, and these:

        * label: the most probable class; None for an unusable picture
        * probability: of that class, float64, 0 to 1; NaN for an unusable picture
        * probabilities: of every class in the order of `classes`, float64 (n, classes)
        * labels: only if pictures have several labels; those that reach their thresholds, joined by |
        * features: only on request; float32 (n, F), NaN for an unusable picture
        * error: why the picture is unusable; None for others

        Raises RecipeError if there is no column of pictures.
        """
        name = next((each for each in INPUTS if each in batch), None)
        if name is None:
            columns = ", ".join(map(str, batch)) or "none"
            raise RecipeError(f"The batch has no column of pictures: {' or '.join(INPUTS)}. Its columns: {columns}.")
        cells = [_picture(each) for each in batch[name]]
        rest = self._model.answers([each for each in cells if not isinstance(each, PictureError)])
        answers = [_refused(each) if isinstance(each, PictureError) else next(rest) for each in cells]
        predictions = [each.prediction for each in answers]
        result = {each: values for each, values in batch.items() if each not in ("image", "bytes")}
        result["label"] = _texts([each.label for each in predictions])
        result["probability"] = np.array([_or_nan(each.probability) for each in predictions], np.float64)
        blank = [np.nan] * len(self.classes)
        every = [[*each.probabilities.values()] if each.probabilities else blank for each in predictions]
        result["probabilities"] = np.array(every, np.float64).reshape(len(answers), len(self.classes))
        if self._model.predictor.thresholds is not None:
            result["labels"] = _texts(
                [None if each.labels is None else LABELS_BETWEEN.join(each.labels) for each in predictions]
            )
        if self._model.classifier is not None:
            width = self._model.classifier.backbone.width
            rows = [np.full(width, np.nan) if each.features is None else each.features for each in answers]
            result["features"] = np.array(rows, np.float32).reshape(len(answers), width)
        result["error"] = _texts([each.error for each in predictions])
        return result


def _picture(value: Any) -> Source | PictureError:
    """A cell as a picture, or why it is none. Parquet files of other programs have a pair of bytes and path."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return PictureError("its cell is empty")
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str | Path | bytes | np.ndarray):
        return PictureError(f"its cell is of type {type(value).__name__}; it must hold a path, bytes or an array")
    return str(value) if isinstance(value, np.str_) else value


def _refused(error: PictureError) -> Described:
    return Described(Prediction("", error=error.reason), None)


def _texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    result = np.empty(len(values), object)
    result[:] = values
    return result


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
