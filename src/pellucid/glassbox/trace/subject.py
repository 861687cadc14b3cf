"""What a trace was made of, for questions that need another run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError, TraceError
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.trace.graph import Graph
from pellucid.glassbox.trace.running import first_line
from pellucid.glassbox.why import attribution, mechanism

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pellucid.glassbox.trace.trace import Trace
    from pellucid.glassbox.why.attribution import Attribution, Method
    from pellucid.glassbox.why.mechanism import Mechanism


@dataclass(frozen=True)
class Subject:
    """A module and the input that it was traced on."""

    module: torch.nn.Module
    graph: Graph
    input: Tensor
    """(1, ...)"""
    record: Callable[[int, Loss], Trace]
    """Trace it again, for another class and loss."""
    unchanged: Callable[[], bool]
    """Whether the module still has the traced weights."""

    def attribute(
        self, label: int, method: Method, layer: str | None, temperature: float, several: bool = False
    ) -> Attribution:
        """See attribution.attribute. Raises TraceError if the module has been trained since."""
        self._check()
        with _as_trace_error("The map cannot be made of this module"):
            return attribution.attribute(self.module, self.input, label, method, layer, temperature, several)

    def difference(self, first: int, second: int) -> Mechanism:
        """See mechanism.mechanism. Raises TraceError if the module has been trained since."""
        self._check()
        trace = self.record(first, Loss("difference", against=second))
        with _as_trace_error("The difference cannot be taken apart for this module"):
            return mechanism.mechanism(self.graph, trace, first, second)

    def _check(self) -> None:
        if not self.unchanged():
            raise TraceError("The module's weights have changed since this trace was made. Call explain() again.")


@contextmanager
def _as_trace_error(what: str) -> Iterator[None]:
    """Report errors of the module: even a traced one may refuse to be copied, or to take several inputs at once."""
    try:
        yield
    except PellucidError:
        raise
    except Exception as error:  # whatever the module's code raises
        raise TraceError(f"{what}: {type(error).__name__}: {first_line(error)}.") from error
