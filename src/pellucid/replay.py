"""A recorded training: filters, maps, gradients and predictions at its steps. `--replay` records it.

from pellucid import replay

kept = replay.read("model/replay") for frame in kept.frames:
    print(frame.step, frame.loss, frame.outputs["conv1"].numbers().shape)
"""

from pathlib import Path

from pellucid.training import replay as stored
from pellucid.training.replay import Frame, Layer, Picture, Quantised, Replay

__all__ = ["Frame", "Layer", "Picture", "Quantised", "Replay", "read"]


def read(folder: str | Path) -> Replay:
    """Read and verify the folder `replay` of a model. Raises ArtefactError if it is missing or damaged."""
    return stored.read(Path(folder))
