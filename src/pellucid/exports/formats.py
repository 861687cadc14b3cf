"""The export formats. To add one, add a line to FORMATS and a file with the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.classifier.predict import exported
from pellucid.classifier.predict.exported import ExportedFile
from pellucid.classifier.saved import Saved
from pellucid.exports import intermediate, page, pipeline, torch_program

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier


@dataclass(frozen=True)
class Format:
    """How to write a classifier for other programs, and how to predict with the result.

    * write: (classifier, metadata) -> the content of each file by its ending. A Classifier is a Python module that was
      saved as a program; any other network is a Saved. Raises ExportError.
    * open: path of such a file -> the file, ready to predict. The comparison with the model uses it.
    * ending: the ending of the file's name, with its dot
    * made_here: whether Pellucid wrote a file, and what lies beside it: only then may an export replace it
    * bound: the largest difference allowed between a probability of the file and of the classifier
    * beside: the endings of further files, with the same name
    * caveat: a sentence about the comparison, if `open` does not use the program that the format is for
    * int8: whether a network of 8-bit integers can be written
    """

    write: Callable[[Saved | Classifier, Mapping[str, str]], Mapping[str, bytes]]
    open: Callable[[Path], ExportedFile]
    ending: str
    made_here: Callable[[Path], bool]
    bound: float
    beside: tuple[str, ...] = ()
    caveat: str = ""
    int8: bool = True


def begins(mark: bytes) -> Callable[[Path], bool]:
    """For `made_here`: whether a file begins with these bytes."""
    return lambda path: path.is_file() and path.read_bytes().startswith(mark)


FORMATS = {
    "onnx": Format(pipeline.write, exported.opened, pipeline.ENDING, begins(pipeline.MARK), 1e-4),
    "openvino": Format(
        intermediate.write,
        exported.opened,
        intermediate.ENDING,
        intermediate.made_here,
        1e-4,
        (intermediate.BESIDE,),
        int8=False,  # OpenVINO rounds the bytes of inner maps in its own way
    ),
    "torch": Format(
        torch_program.write,
        partial(exported.opened, trust=True),
        torch_program.ENDING,
        torch_program.made_here,
        1e-4,
        int8=False,
    ),
    "html": Format(page.write, page.opened, page.ENDING, begins(page.MARK), 1e-4, caveat=page.CAVEAT, int8=False),
}
