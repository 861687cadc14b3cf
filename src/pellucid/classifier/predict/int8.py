"""Predictions with 8-bit integers: what was measured when they were made, int8.json, and the backend.

The file holds the range of each map, the accuracy before and after, and a hash of both. It lies beside the weights, or
in the user's cache if the model folder cannot be written or holds links. Each use rounds the weights anew, which takes
milliseconds. The file is valid for the same weights and the same graph.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.classifier.predict import graph as graphs
from pellucid.classifier.predict.backend import Logits, Stage
from pellucid.classifier.predict.graph import Weights
from pellucid.classifier.predict.predictor import MANY
from pellucid.classifier.predict.with_onnxruntime import PIXELS
from pellucid.errors import ArtefactError, ExportError, StorageError
from pellucid.network import as_int8
from pellucid.network.int8_writer import Range
from pellucid.pictures.decode import expect_many
from pellucid.runtime import sessions
from pellucid.runtime.memory import keep_memory

if TYPE_CHECKING:
    from pellucid.classifier.saved import Saved

FILE = "int8.json"
FORMAT = 1  # of the file and of the graph; a larger number makes all older files invalid
ALLOWED = 0.005  # the most that the figure may fall


@dataclass(frozen=True)
class Int8:
    """How a network becomes 8-bit integers, and what this costs.

    * network: SHA-256 of the float32 graph and of the weights' hash: what the ranges belong to
    * ranges: of each map that becomes bytes
    * shift: added to the logits; without it, those of the pictures that gave the ranges are off by this on average
    * calibrated: the number of pictures that ranges and shift were measured on
    * measured: the number of other pictures that the figure was measured on
    * side: which pictures these were: "validation", or the name of a folder or table
    * figure: "accuracy", or "macro F1" with several labels
    * before, after: the figure in float32 and in int8, 0 to 1
    * changed: how many of these pictures get another answer
    * runtime: the release of ONNX Runtime and the kind of processor that measured it
    """

    network: str
    ranges: tuple[Range, ...]
    shift: tuple[float, ...]
    calibrated: int
    measured: int
    side: str
    figure: str
    before: float
    after: float
    changed: int
    runtime: str

    @property
    def allowed(self) -> bool:
        """Whether the figure falls by at most ALLOWED."""
        return self.before - self.after <= ALLOWED + 1e-9

    @property
    def unseen(self) -> float:
        """A fall of the accuracy that these pictures can miss: 3 / n, the "rule of three" for 95% (Hanley 1983)."""
        return min(1.0, 3 / self.measured)

    def as_json(self) -> dict[str, Any]:
        """What was measured, without the ranges, as plain values for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in ("network", "ranges", "shift")}

    def sentences(self) -> list[str]:
        """What was measured, as lines for people."""
        pictures = f"{self.measured:,} {self.side} picture{'s' if self.measured > 1 else ''}"
        lines = [
            f"int8: {self.figure} {self.after:.1%} on {pictures}, {self.before:.1%} in float32; {self.changed:,} "
            f"answer{'' if self.changed == 1 else 's'} changed"
        ]
        if self.unseen > ALLOWED:
            lines.append(
                f"{self.measured:,} pictures are few: they can miss a fall of up to {100 * self.unseen:.1f} points"
            )
        return lines


def key(saved: Saved, source: Weights) -> str:
    """See Int8.network."""
    steps = saved.network.shapes(saved.input_shape, len(saved.classes))
    graph = graphs.graph(steps, saved.weights, saved.standardise, source)
    return hashlib.sha256(f"{FORMAT} {source.sha256} {saved.form}".encode() + graph.content).hexdigest()


def stored(saved: Saved) -> Int8 | None:
    """What was measured for these weights; None if there is nothing, or if it is stale or damaged."""
    if saved.source is None:
        return None
    network = key(saved, saved.source)
    for path in _paths(saved.source, network):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            content = json.loads(path.read_text(encoding="utf-8"))
            stated = content.pop("sha256")
            if stated == _digest(content) and content["network"] == network:
                ranges = tuple((low, high) for low, high in content["ranges"])
                return Int8(**content | {"ranges": ranges, "shift": tuple(content["shift"])})
    return None


def remember(saved: Saved, int8: Int8) -> None:
    """Store beside the weights, or in the user's cache if that folder cannot be written or holds links, or not."""
    if saved.source is None:
        return
    content = asdict(int8)
    text = json.dumps(content | {"sha256": _digest(content)}) + "\n"
    for path in _paths(saved.source, int8.network)[saved.source.linked :]:
        with suppress(StorageError, OSError):
            if path.parent != saved.source.folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            files.write(path, text)
            return


def folded(saved: Saved) -> as_int8.Folded:
    """The network without its batch norms. See as_int8.folded."""
    steps = saved.network.shapes(saved.input_shape, len(saved.classes))
    return as_int8.folded(steps, saved.weights, saved.standardise)


@dataclass(frozen=True, eq=False)
class Int8Backend:
    """A network in 8-bit integers. See Backend. `expected`: the least number of pictures known to come."""

    saved: Saved
    int8: Int8
    expected: int = 0

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        parts = range(0, len(images), self._group)
        return np.concatenate([self._run(images[start : start + self._group]) for start in parts])

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend."""
        keep_memory()

        def load() -> Logits:
            if max(expected, self.expected) >= MANY:
                expect_many()
            return self._run

        yield Stage(None, min(batch, self._group), load, load)

    @property
    def _group(self) -> int:
        return max(1, PIXELS // (self.saved.form.height * self.saved.form.width))

    @cached_property
    def _run(self) -> sessions.Run:
        try:
            return sessions.opened(as_int8.model(folded(self.saved), self.int8.ranges, self.int8.shift))
        except ExportError as error:
            raise ArtefactError(f"The model does not run in int8: {error} Leave out --precision int8.") from error


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _paths(source: Weights, network: str) -> list[Path]:
    beside = [source.folder / FILE]
    with suppress(StorageError):  # the user has no home
        beside.append(graphs.cache() / f"{network}.json")
    return beside
