"""Classify pictures in a Ray Data pipeline of your own. `pellucid predict --ray` needs none of this.

import ray
from pellucid.ray import Predictor, packed

pictures = ray.data.read_binary_files("s3://bucket/photos", include_paths=True)
answers = pictures.map_batches(Predictor, fn_constructor_args=[packed("model")], batch_size=256, concurrency=16)
answers.write_parquet("s3://bucket/answers")
"""

from pathlib import Path

from pellucid.scale import carried
from pellucid.scale.batches import Predictor
from pellucid.scale.carried import Carried

__all__ = ["Carried", "Predictor", "packed"]


def packed(model: str | Path, trust: bool = False) -> Carried:
    """A model folder or an exported file as bytes with their hashes, for machines that cannot read it.

    `trust`: also take a program along, which may run code. Raises ArtefactError if the model cannot be read.
    """
    return carried.packed(Path(model), trust)
