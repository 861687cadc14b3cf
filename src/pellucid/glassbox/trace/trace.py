"""One picture's recorded run through a network: every value, every gradient, and the update that one step would make.

The numbers are those that PyTorch computed (recording.py). Their terms are computed on demand from the declarations
(working.py).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.files import finite
from pellucid.glassbox.arithmetic.declaration import Op, Shape
from pellucid.glassbox.trace import working
from pellucid.glassbox.trace.naming import LOSS, PROBABILITY, ROLES
from pellucid.glassbox.trace.update import Update
from pellucid.glassbox.trace.working import Working

if TYPE_CHECKING:
    from pellucid.glassbox.trace.subject import Subject
    from pellucid.glassbox.trace.verify import Agreement
    from pellucid.glassbox.why.attribution import Attribution, Method, Mode
    from pellucid.glassbox.why.mechanism import Mechanism
    from pellucid.network.network import Network

STRONGEST = 5


@dataclass(frozen=True)
class Node:
    """One array of the run and the op that made it."""

    name: str
    kind: str
    """Its op in everyday words, or PyTorch's name if there is no declaration."""
    op: Op | None
    """None if it came from outside, or if its arithmetic is not supported."""
    reads: Mapping[str, str]
    """The op's name of each input -> the node or parameter."""
    source: str = ""
    graded: bool = True
    """False if it was computed under torch.no_grad(): no gradient passes."""
    hooked: str = ""
    """The module's hook that every gradient through this node passes, if there is one: its arithmetic is unknown."""

    @property
    def written(self) -> bool:
        return self.op is not None or not self.reads


@dataclass(frozen=True, repr=False)
class Trace:
    """The result of `explain`. Arrays by name, with PyTorch's batch axis of 1."""

    nodes: tuple[Node, ...]
    parameters: tuple[str, ...]
    values: Mapping[str, NDArray[Any]]
    """Those of every node, parameter and buffer."""
    gradients: Mapping[str, NDArray[Any]]
    """Those of the loss, for each of these that it depends on."""
    updates: Mapping[str, Update]
    classes: tuple[str, ...]
    label: int
    """The class of the loss."""
    labels: tuple[int, ...] | None = None
    """For several labels a picture, those of the loss; `label` is then the first of them, or the most probable class if
    there is none.
    """
    thresholds: tuple[float, ...] | None = None
    """For several labels a picture, the least probability at which each is assigned."""
    source: str = ""
    """The picture's name."""
    size: tuple[int, int] | None = None
    """The upright picture's height and width in pixels, before they became the network's; None if unknown."""
    truth: tuple[int, ...] | None = None
    """The picture's true class, or all its labels, by number; None where they are not known."""
    precision: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """For arrays that were computed in 16 bits: (unit of rounding, smallest number). The arrays here have 32 bits."""
    network: Network | None = None
    """The network, if the module was made from one of ours."""
    called: Mapping[str, str] = field(default_factory=dict)
    """A layer's name in the network's text -> its name here, if the two differ (whatif.py)."""
    temperature: float = 1.0
    """The divisor of the logits before the probabilities."""
    output: str = ""
    """The name of the scores."""
    roles: Mapping[str, str] = field(default_factory=lambda: {role: role for role in ROLES})
    """The names of the input, the picture, the probabilities and the loss: these words, unless the module uses one."""
    hooked: Mapping[str, str] = field(default_factory=dict)
    """Arrays whose gradient a hook changes after accumulation -> which hook."""
    frozen: tuple[str, ...] = ()
    """Parameters that require no gradient."""
    training: bool = False
    """Whether the module was in training mode."""
    agreement: Agreement | None = None
    """How the parameters' gradients compare with those of the module's own run; None if they were not compared."""
    subject: Subject | None = field(default=None, repr=False, compare=False)
    """The traced module and input, for questions beyond this run."""

    def __repr__(self) -> str:
        """One line: the arrays are too many and too large to show."""
        of = f" of {self.source}" if self.source else ""
        share = f"{self.classes[self.predicted]!r} {self.probabilities[self.predicted]:.1%}"
        return (
            f"<Trace{of}: {share}, loss {self.loss:.4g} for {self.classes[self.label]!r}, {len(self.nodes)} arrays, "
            f"{len(self.parameters)} parameters>"
        )

    @property
    def mode(self) -> Mode:
        """The module's mode when it was traced: "training" or "evaluation"."""
        return "training" if self.training else "evaluation"

    @property
    def logits(self) -> NDArray[Any]:
        """(classes,), or (1,) for a module with one score."""
        return self.values[self.output][0]

    @property
    def probabilities(self) -> NDArray[Any]:
        """(classes,), calibrated if the classifier is."""
        return self.values[self.roles[PROBABILITY]][0]

    @property
    def loss(self) -> float:
        return float(self.values[self.roles[LOSS]].reshape(()))

    def logit(self, label: int) -> float | None:
        """The logit of a class; None for the first of two classes that share one score."""
        if len(self.logits) == len(self.classes):
            return float(self.logits[label])
        return float(self.logits[0]) if label else None

    @property
    def predicted(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def predictions(self) -> tuple[int, ...]:
        """The predicted class, or the predicted labels, the most probable first."""
        if self.thresholds is None:
            return (self.predicted,)
        ranked = np.argsort(-self.probabilities, kind="stable").tolist()
        return tuple(n for n in ranked if self.probabilities[n] >= self.thresholds[n])

    @property
    def against(self) -> tuple[str, ...]:
        """The names of the loss's class or labels."""
        return tuple(self.classes[n] for n in ((self.label,) if self.labels is None else self.labels))

    def unit(self, unit: str) -> Working:
        """How a unit, "conv1[3, 10, 12]", came about: terms, their sum, PyTorch's result. Raises TraceError."""
        return working.value(self, unit)

    def gradient(self, unit: str) -> Working:
        """How the gradient of the loss with respect to a unit, or a weight, came about. Raises TraceError."""
        return working.gradient(self, unit)

    def update(self, weight: str) -> Working:
        """How one step of the optimizer would change a weight, "conv1.weight[3, 0, 2, 2]". Raises TraceError."""
        return working.update(self, weight)

    def attribute(
        self, label: int | str | None = None, method: Method = "grad_cam", layer: str | None = None
    ) -> Attribution:
        """Where the network looked for a class, by default the predicted one, and how far to trust the map.

        Maps are always made in eval mode, as in prediction: without dropout, with batch norm's running statistics, even
        if the trace was recorded in training mode. The result states both modes. `label`: by number or name; for a
        module with one score it is class 1. Raises TraceError if the class, method or layer does not exist, or if the
        input is not a picture.
        """
        if len(self.logits) == len(self.classes):
            target, several = self._class(label, self.predicted), self.thresholds is not None
            attribution = self._subject().attribute(target, method, layer, self.temperature, several)
            return replace(attribution, recorded=self.mode)
        if not self._class(label, 1):
            raise TraceError(
                f"The only score is for {self.classes[1]!r}. Name that class: evidence against it is negative there."
            )
        attribution = self._subject().attribute(0, method, layer, self.temperature)
        return replace(attribution, target=1, recorded=self.mode)

    def difference(self, label: int | str, against: int | str | None = None) -> Mechanism:
        """The units and numbers of the input behind the difference between two classes' logits.

        `against`: by default the predicted class, or the next most probable if `label` is the predicted one. Raises
        TraceError if a class does not exist, or both are the same.
        """
        first = self._class(label, self.predicted)
        order = np.argsort(-self.probabilities, kind="stable")
        second = self._class(against, int(next((each for each in order if each != first), first)))
        if first == second or len(self.logits) < 2:
            raise TraceError(f"{self.classes[first]!r} cannot be compared with itself; name two classes with scores.")
        return self._subject().difference(first, second)

    def _subject(self) -> Subject:
        if self.subject is None:
            raise TraceError("This trace has lost its module. Use the trace that explain() returned.")
        return self.subject

    def _class(self, label: int | str | None, otherwise: int) -> int:
        if label is None:
            return otherwise
        try:
            number = self.classes.index(label) if isinstance(label, str) else operator.index(label)
        except (TypeError, ValueError):
            number = -1
        if isinstance(label, bool) or not 0 <= number < len(self.classes):
            known = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
            raise TraceError(
                f"{label!r} is not a class; the {len(self.classes):,} classes are {known}, counted from 0."
            )
        return number

    def rounding(self, name: str) -> tuple[float, float]:
        """(unit of rounding, smallest number, if it matters) of an array's computation."""
        dtype = self.values[name].dtype
        return self.precision.get(name, (float(np.finfo(dtype).eps) / 2 if dtype.kind == "f" else 0.0, 0.0))

    def node(self, name: str) -> Node:
        """The node with this name, which must exist."""
        return next(node for node in self.nodes if node.name == name)

    def shape(self, name: str) -> Shape:
        """An array's shape as users index it: without the batch axis, except for parameters."""
        shape = self.values[name].shape
        return shape[1:] if self.batched(name) else shape

    def whole_index(self, name: str, index: tuple[int, ...]) -> tuple[int, ...]:
        """A user's index -> an index of the array."""
        return (0, *index) if self.batched(name) and len(index) < self.values[name].ndim else index

    def short_index(self, name: str, index: tuple[int, ...]) -> tuple[int, ...]:
        """An index of the array -> a user's index."""
        return index[1:] if self.batched(name) else index

    def batched(self, name: str) -> bool:
        """Whether an array has the batch axis of 1, which users do not write."""
        shape = self.values[name].shape
        return len(shape) > 1 and shape[0] == 1 and any(node.name == name for node in self.nodes)

    def strongest(self, name: str, count: int = STRONGEST) -> list[tuple[tuple[int, ...], float]]:
        """(index, value) of the units of a layer that are furthest from 0, furthest first."""
        values = self.values[name]
        flat = values.reshape(-1).astype(np.uint8) if values.dtype == np.bool_ else values.reshape(-1)
        count = min(count, flat.size)
        places = np.argpartition(-np.abs(flat), count - 1)[:count]
        places = places[np.argsort(-np.abs(flat[places]), kind="stable")]
        indices = [tuple(map(int, np.unravel_index(place, values.shape))) for place in places]
        return [(self.short_index(name, index), float(values[index])) for index in indices]

    def as_json(self) -> dict[str, Any]:
        """The path to the prediction: classes, loss, and each layer's shape, range and strongest units."""
        ranked = np.argsort(-self.probabilities, kind="stable")
        return {
            "picture": self.source,
            **self._labels_json(),
            "classes": [
                {
                    "class": self.classes[index],
                    "probability": float(self.probabilities[index]),
                    "logit": self.logit(index),
                }
                for index in ranked
            ],
            "loss": finite(self.loss),
            "layers": [self._layer(node) for node in self.nodes],
        }

    def open(self, port: int = 0, browser: bool = True) -> None:
        """Serve the page of this trace on this machine until Ctrl-C; a line on the terminal says where.

        `port`: 0 for any free one. `browser`: open it in a browser. Raises StorageError if the port is taken.
        """
        from pellucid.glassbox.page.opened import Opened

        name = type(self.subject.module).__name__ if self.subject is not None and self.network is None else ""
        with Opened(self, name, port) as server, suppress(KeyboardInterrupt):
            server.serve(self.source or name or "The trace", browser)

    def _repr_html_(self) -> str:
        """In a notebook a trace shows its page in an iframe."""
        from pellucid.glassbox.page import offline as page

        return page.framed(self)

    def _labels_json(self) -> dict[str, Any]:
        if self.labels is None:
            return {"label": self.classes[self.label], "predicted": self.classes[self.predicted]}
        return {"labels": list(self.against), "called": [self.classes[n] for n in self.predictions]}

    def _layer(self, node: Node) -> dict[str, Any]:
        values = self.values[node.name]
        strongest = [{"unit": list(index), "value": finite(value)} for index, value in self.strongest(node.name)]
        return {
            "name": node.name,
            "kind": node.kind,
            "shape": list(self.shape(node.name)),
            "minimum": finite(float(values.min())),
            "mean": finite(float(values.mean())),
            "maximum": finite(float(values.max())),
            "strongest": strongest,
            "arithmetic_written": node.written,
        }
