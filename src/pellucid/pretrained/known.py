"""Known weights: numbers for one of our networks, and the preprocessing they were trained with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network.network import Network
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form


@dataclass(frozen=True, eq=False)
class Known:
    """Known weights.

    * name: of the network, "efficientnet_lite0"
    * source: where the weights come from, exactly enough to fetch the same again
    * network: its last layer is `dense`, which takes its units from the number of classes
    * tensors: of every layer, by the names and in the shapes of the network's state dict; the head's bias may be
      missing
    * form, standardise: the preprocessing that the weights were trained with
    * seen: what they had seen before, in words for the model card
    * classes: the names of the head's rows, if known
    * folder: of a Pellucid model, which remembers the pictures that it has seen
    """

    name: str
    source: str
    network: Network
    tensors: Mapping[str, NDArray[Any]]
    form: Form
    standardise: Standardise
    seen: str
    classes: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def head(self) -> str:
        """The name of the last layer, "dense1", the prefix of its tensors."""
        return list(self.tensors)[-1].rsplit(".", 1)[0]

    @property
    def backbone_digest(self) -> str:
        """SHA-256, hexadecimal, over the network's text and all tensors but the head's: these decide the features."""
        digest = hashlib.sha256(str(self.network).encode())
        for name, array in self.tensors.items():
            if not name.startswith(f"{self.head}."):
                digest.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
