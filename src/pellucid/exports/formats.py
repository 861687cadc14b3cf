"""The formats that a classifier can be exported as. A format more is a line here and a file with its two functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pellucid.classifier.predict import exported
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.saved import Saved
from pellucid.exports import pipeline


@dataclass(frozen=True)
class Format:
    """How a classifier becomes a file, and how that file is asked.

    `write`: the classifier and its model card -> the file's bytes. `open`: the path of such a file -> what predicts by
    it, as whoever gets the file would. `ending`: of the file's name. `mark`: bytes with which such a file begins.
    `bound`: by how much a probability may differ from the classifier's own.
    """

    write: Callable[[Saved, str], bytes]
    open: Callable[[Path], Predictor]
    ending: str
    mark: bytes
    bound: float


FORMATS = {
    "onnx": Format(pipeline.model, exported.opened, exported.ENDING, pipeline.MARK, 1e-4),
}
