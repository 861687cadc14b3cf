"""The ONNX graph of a model folder's network, graph.onnx, and the result of its comparison with PyTorch.

The graph turns prepared images into logits. It holds no weights, but refers to their places in model.safetensors beside
it, as ONNX allows; any runtime can open the two. Each use writes the graph anew, which takes milliseconds. The file
counts only if it begins with exactly these bytes. The result of the comparison follows them. It is valid for the same
weights, the same release of ONNX Runtime and the same kind of processor.

One picture does not wait for the layers that write the graph: `ready` returns the stored bytes if the same config and
the same code wrote them.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import StorageError
from pellucid.runtime import sessions

if TYPE_CHECKING:
    from pellucid.network import as_onnx
    from pellucid.network.onnx_graph import Place
    from pellucid.network.residual import PlacedLayer
    from pellucid.network.standardise import Standardise

GRAPH = "graph.onnx"
CACHED = "graphs"  # the folder in the cache
KEY = "compared with PyTorch"
_BEGIN, _WRITTEN = b'{"weights": ', "written"  # of the record: its first bytes, and the key of what wrote the graph
BOUND = 1e-4  # as a share of the largest logit, or of 1; float32 sums in another order differ by a hundredth of this


@dataclass(frozen=True)
class Weights:
    """The file of the weights: its folder, its SHA-256, and each tensor's place by its name in the state dict.

    `config`: the digest of the config that describes the network.
    """

    folder: Path
    sha256: str
    places: Mapping[str, Place]
    config: str = ""

    @property
    def linked(self) -> bool:
        """Whether its folder holds links. They lead into a cache, such as a hub's, whose folders are not ours."""
        return any((self.folder / place.file).is_symlink() for place in self.places.values())


@dataclass(frozen=True)
class Compared:
    """How far ONNX Runtime's logits were from PyTorch's.

    * weights: the SHA-256 of model.safetensors
    * runtime: the release of ONNX Runtime and the kind of processor
    * pictures: how many were compared
    * difference: the largest, as a share of the largest logit, or of 1 if all logits are smaller
    * plain: the same for a session that does not optimise the graph, on the first pictures
    """

    weights: str
    runtime: str
    pictures: int
    difference: float
    plain: float

    @property
    def agrees(self) -> bool:
        """Whether ONNX Runtime may predict."""
        return self.difference <= BOUND


@dataclass(frozen=True)
class Written:
    """What wrote the stored graph: the digest of what decides it in the config (store.digest), and that of the code.

    size, sha256: the graph's own
    """

    config: str
    code: str
    size: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph's bytes, without weights; the weights, by their names in the graph; and the file they come from."""

    content: bytes
    constants: dict[str, NDArray[Any]]
    source: Weights

    def opened(self, optimised: bool = True) -> sessions.Run:
        """A function from prepared images, uint8 (n, H, W, C), to logits, float32 (n, classes). Raises ExportError.

        `optimised`: see sessions.opened.
        """
        return sessions.opened(self.content, self.constants, optimised)

    def compare(self, theirs: NDArray[np.float32], ours: NDArray[np.float32], plain: NDArray[np.float32]) -> Compared:
        """Compare PyTorch's and ONNX Runtime's logits of the same pictures, float32 (n, classes). Store the result.

        `plain`: without optimisation, for the first of the pictures.
        """
        further = _difference(theirs[: len(plain)], plain)
        compared = Compared(self.source.sha256, runtime(), len(theirs), _difference(theirs, ours), further)
        self._remember(compared)
        return compared

    def compared(self) -> Compared | None:
        """The stored result for these weights and this runtime; None if there is none."""
        for path in self._paths():
            with suppress(OSError, ValueError, TypeError, KeyError):
                content = path.read_bytes()
                if content.startswith(self.content):
                    compared, written = _record(content)
                    if (compared.weights, compared.runtime) == (self.source.sha256, runtime()):
                        if written != self._written:
                            self._remember(compared)
                        return compared
        return None

    @cached_property
    def _written(self) -> Written:
        return Written(self.source.config, _code(), len(self.content), hashlib.sha256(self.content).hexdigest())

    def _remember(self, compared: Compared) -> None:
        """Store beside the weights, or in the user's cache if that folder cannot be written or holds links."""
        from pellucid.network.onnx_graph import described

        record = {**asdict(compared), _WRITTEN: asdict(self._written)}
        content = self.content + described({KEY: json.dumps(record)})
        for path in islice(self._paths(), self.source.linked, None):
            with suppress(StorageError, OSError):
                if path.parent != self.source.folder:
                    path.parent.mkdir(parents=True, exist_ok=True)
                files.write(path, content)
                return

    def _paths(self) -> Iterator[Path]:
        yield self.source.folder / GRAPH
        key = hashlib.sha256(self.source.sha256.encode() + self.content).hexdigest()
        with suppress(StorageError):  # the user has no home
            yield cache() / f"{key}.onnx"


def ready(folder: Path, config: str) -> tuple[bytes, Compared] | None:
    """(the stored graph without weights, its comparison), if today's code would write the same graph for this config.

    None if the file is missing, stale, damaged or a link, or if either kind of session differed from PyTorch. `config`:
    the digest of config.json. The caller compares the weights with the ones of the comparison.
    """
    try:
        if (folder / GRAPH).is_symlink():  # from a hub: its author could state that a graph of another network is this
            return None
        content = (folder / GRAPH).read_bytes()
        compared, written = _record(content)
        graph = content[: written.size]
        wanted = Written(config, _code(), len(graph), hashlib.sha256(graph).hexdigest())
        usable = (
            written == wanted and compared.runtime == runtime() and max(compared.difference, compared.plain) <= BOUND
        )
        return (graph, compared) if usable else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _record(content: bytes) -> tuple[Compared, Written]:
    """The record behind a graph. If there is none, raises ValueError, TypeError, KeyError or AttributeError."""
    record = json.loads(content[content.rindex(_BEGIN) :])
    return Compared(**{name: each for name, each in record.items() if name != _WRITTEN}), Written(**record[_WRITTEN])


def _difference(theirs: NDArray[np.float32], ours: NDArray[np.float32]) -> float:
    scale = max(1.0, float(np.abs(theirs).max()))
    difference = float(np.abs(theirs.astype(np.float64) - ours).max()) / scale
    # a logit that is not finite compares with nothing, so PyTorch predicts
    return difference if np.isfinite(difference) else float(np.finfo(np.float64).max)


@lru_cache(1)
def _code() -> str:
    """A digest of the code that writes graphs: this file and the network's."""
    whole = hashlib.sha256()
    own = Path(__file__)
    for path in [own, *sorted((own.parents[2] / "network").glob("*.py"))]:
        whole.update(path.read_bytes())
    return whole.hexdigest()


def cache() -> Path:
    """The folder in the user's cache with the graphs of read-only model folders. Raises StorageError without a home."""
    return files.user_cache() / "stores" / CACHED


def clear(cache: Path) -> int:
    """Remove the graphs, and what int8 needs, from `cache`. Returns the bytes freed. Raises StorageError."""
    return files.clear(cache / CACHED, ".onnx", ".json")


def graph(steps: Sequence[PlacedLayer], weights: as_onnx.Weights, standardise: Standardise, source: Weights) -> Graph:
    """The graph of a network. `steps`: from Network.shapes. `weights`: arrays by their names in the state dict."""
    from pellucid.network import as_onnx
    from pellucid.network.onnx_graph import GraphWriter, Value

    writer = GraphWriter(source.places.__getitem__)
    channels, height, width = steps[0].input
    x = as_onnx.standardised(writer, standardise, as_onnx.pixels(writer, "images"))
    writer.add("Identity", [as_onnx.network(writer, steps, weights, x)], "logits")
    content = writer.model(
        [Value("images", "uint8", ("n", height, width, channels))],
        [Value("logits", "float32", ("n", *steps[-1].output))],
    )
    return Graph(content, writer.weights, source)


def runtime() -> str:
    """The release of ONNX Runtime and the kind of processor."""
    return f"ONNX Runtime {sessions.version()}, {platform.machine()}"
