"""A model folder's network as an ONNX graph, graph.onnx, and what a comparison with PyTorch found.

The graph holds no weights: it names their places in model.safetensors beside it, as ONNX allows, and any runtime can
open the two. It takes prepared images and gives logits. It is written anew for each use, which takes milliseconds, and
the file counts only where it begins with the very bytes that are written now. What follows them is the comparison. It
holds for the same weights, the same release of ONNX Runtime and the same kind of processor.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import StorageError
from pellucid.network import as_onnx
from pellucid.network.onnx_graph import GraphWriter, Place, Value, described
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise
from pellucid.runtime import sessions

GRAPH = "graph.onnx"
CACHED = "graphs"  # a folder in the cache
KEY = "compared with PyTorch"
BOUND = 1e-4  # of the largest logit, or of 1: float32 sums in another order differ by a hundredth of that


@dataclass(frozen=True)
class Weights:
    """The file of the weights: its folder, its hash, and where each tensor is in it, by its name in the state dict."""

    folder: Path
    sha256: str
    places: Mapping[str, Place]


@dataclass(frozen=True)
class Compared:
    """How far ONNX Runtime's logits were from PyTorch's.

    `difference`: the largest, as a share of the largest logit, or of 1 where that is less. `weights`: the hash of
    model.safetensors.
    """

    weights: str
    runtime: str
    pictures: int
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether ONNX Runtime may predict."""
        return self.difference <= BOUND


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph's bytes, without weights; these by their names in it; and the file that they come from."""

    content: bytes
    constants: dict[str, NDArray[Any]]
    source: Weights

    def opened(self) -> sessions.Run:
        """What computes logits, float32 (n, classes), of uint8 (n, H, W, C). Raises ExportError."""
        return sessions.opened(self.content, self.constants)

    def compare(self, theirs: NDArray[np.float32], ours: NDArray[np.float32]) -> Compared:
        """PyTorch's logits and ONNX Runtime's of the same pictures, float32 (n, classes), compared and remembered."""
        scale = max(1.0, float(np.abs(theirs).max()))
        difference = float(np.abs(theirs.astype(np.float64) - ours).max()) / scale
        # where either is not finite nothing was compared, and PyTorch predicts
        difference = difference if np.isfinite(difference) else float(np.finfo(np.float64).max)
        compared = Compared(self.source.sha256, _runtime(), len(theirs), difference)
        self._remember(compared)
        return compared

    def compared(self) -> Compared | None:
        """What is remembered of these weights with this runtime; None where it has to be compared again."""
        for path in self._paths():
            with suppress(OSError, ValueError, TypeError, KeyError):
                content = path.read_bytes()
                if content.startswith(self.content):
                    compared = Compared(**json.loads(content[content.index(b"{", len(self.content)) :]))
                    if (compared.weights, compared.runtime) == (self.source.sha256, _runtime()):
                        return compared
        return None

    def _remember(self, compared: Compared) -> None:
        """Beside the weights, or in the user's cache where that folder cannot be written, or nowhere."""
        content = self.content + described({KEY: json.dumps(asdict(compared))})
        for path in self._paths():
            with suppress(StorageError, OSError):
                if path.parent != self.source.folder:
                    path.parent.mkdir(parents=True, exist_ok=True)
                files.write(path, content)
                return

    def _paths(self) -> list[Path]:
        beside = [self.source.folder / GRAPH]
        key = hashlib.sha256(self.source.sha256.encode() + self.content).hexdigest()
        with suppress(RuntimeError, KeyError, OSError):  # the user has no home
            beside.append(cache() / f"{key}.onnx")
        return beside


def cache() -> Path:
    """Where the graphs of model folders are that cannot be written, in the user's cache. Raises RuntimeError."""
    import platformdirs

    return platformdirs.user_cache_path("pellucid", appauthor=False) / "stores" / CACHED


def clear(cache: Path) -> int:
    """Remove them from the folder of the cache; returns the bytes freed. Raises StorageError."""
    freed, folder = 0, cache / CACHED
    with files.storage_errors(folder):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix == ".onnx" or files.is_part(path):
                freed += path.stat().st_size
                path.unlink()
        with suppress(OSError):  # not empty: there is something of somebody else's
            folder.rmdir()
    return freed


def graph(steps: Sequence[PlacedLayer], weights: as_onnx.Weights, standardise: Standardise, source: Weights) -> Graph:
    """The graph of a network's layers. `weights`: by the names of the state dict."""
    writer = GraphWriter(source.places.__getitem__)
    channels, height, width = steps[0].input
    x = as_onnx.standardised(writer, standardise, as_onnx.pixels(writer, "images"))
    writer.add("Identity", [as_onnx.network(writer, steps, weights, x)], "logits")
    content = writer.model(
        [Value("images", "uint8", ("n", height, width, channels))],
        [Value("logits", "float32", ("n", *steps[-1].output))],
    )
    return Graph(content, writer.weights, source)


def _runtime() -> str:
    return f"ONNX Runtime {sessions.version()}, {platform.machine()}"
