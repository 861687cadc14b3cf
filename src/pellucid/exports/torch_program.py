"""Write a whole classifier as one torch.export program, from a picture's pixels to its probabilities.

Its only input and the values of the dict that it returns are those of the ONNX file (pipeline.py). The program needs
only PyTorch. Its extra files hold the metadata.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.classifier.predict.exported_readers import ABOUT, LOGITS, PROBABILITIES, program_texts
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, ExportError
from pellucid.exports.resizing import resize
from pellucid.network.own.program import in_plain_order, without_traces
from pellucid.runtime import quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pellucid.classifier.classifier import Classifier

ENDING = ".pt2"
_EXAMPLE = 31, 47, 3  # of a picture, with two different sides


def write(model: Saved | Classifier, metadata: Mapping[str, str]) -> dict[str, bytes]:
    """See Format.write."""
    import torch

    classifier = model.classifier() if isinstance(model, Saved) else model
    sides = torch.export.Dim("height", min=1), torch.export.Dim("width", min=1), torch.export.Dim.STATIC
    content = io.BytesIO()
    try:
        with quiet.silent(), torch.no_grad():
            whole, example = _whole(classifier), torch.zeros(_EXAMPLE, dtype=torch.uint8)
            program = torch.export.export(whole, (example,), dynamic_shapes=(dict(enumerate(sides)),))
            without_traces(program)
            torch.export.save(program, content, extra_files=dict(metadata))
    except Exception as error:  # torch.export raises any exception of a module's code, and some ten types of its own
        raise ExportError(f"torch.export cannot follow it: {quiet.first_line(error)}.") from error
    return {ENDING: content.getvalue()}


def made_here(path: Path) -> bool:
    """See Format.made_here."""
    try:
        return path.is_file() and ABOUT in program_texts(path, path.read_bytes())
    except ArtefactError:
        return False


def _whole(classifier: Classifier) -> torch.nn.Module:
    import torch

    from pellucid.exports.torch_numbers import TorchNumber

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = classifier.module

        def forward(self, image: Tensor) -> dict[str, Tensor]:
            pixels = TorchNumber(image)
            sizes = map(TorchNumber.exactly, TorchNumber.sizes(pixels))
            prepared = resize(classifier.form, pixels.cast("float32"), *sizes).tensor
            logits = self.network(in_plain_order(classifier.standardise(prepared / 255))).float()[0]
            scaled = logits / classifier.temperature
            several = classifier.thresholds is not None
            return {PROBABILITIES: scaled.sigmoid() if several else scaled.softmax(0), LOGITS: logits}

    return Whole().eval().requires_grad_(False)
