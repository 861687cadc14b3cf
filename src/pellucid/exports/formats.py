"""The export formats. To add one, add a line here and a file with its two functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pellucid.classifier.predict import exported
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.saved import Saved
from pellucid.exports import page, pipeline


@dataclass(frozen=True)
class Format:
    """How to write a classifier as a file, and how to predict with that file.

    * write: (classifier, model card) -> the file's bytes
    * open: path of such a file -> a predictor that uses only this file
    * ending: the ending of the file's name, with its dot
    * mark: the first bytes of every such file
    * bound: the largest difference allowed between a probability of the file and of the classifier
    """

    write: Callable[[Saved, str], bytes]
    open: Callable[[Path], Predictor]
    ending: str
    mark: bytes
    bound: float


FORMATS = {
    "onnx": Format(pipeline.model, exported.opened, exported.ENDING, pipeline.MARK, 1e-4),
    "html": Format(page.page, page.opened, page.ENDING, page.MARK, 1e-4),
}
