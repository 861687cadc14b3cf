"""Run torch.export programs, each run on the calling thread. PyTorch is imported on first use."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ExportError
from pellucid.runtime import quiet
from pellucid.runtime.sessions import Outputs


def opened(content: bytes, outputs: Sequence[str]) -> Outputs:
    """A function from an image to the named values of the dict that a program returns. Several threads may call it.

    This may run code from the program. Raises ExportError if PyTorch cannot open it, or if it takes no image.
    """
    import torch

    from pellucid.runtime.threads import work_alone

    try:
        with quiet.silent():
            program = torch.export.load(io.BytesIO(content)).module()
    except Exception as error:  # of any type, from a damaged file or another version of PyTorch
        raise ExportError(f"PyTorch {torch.__version__} cannot open it: {quiet.first_line(error)}.") from error

    def run(image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        work_alone()
        with torch.inference_mode():
            results = program(torch.from_numpy(np.require(image, requirements=("C", "W"))))
        return [results[name].numpy() for name in outputs]

    return run
