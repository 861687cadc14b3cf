"""One picture from a cold command: the stored graph, without the layers that write it and without optimisation.

Importing the layers and optimising the graph take longer than computing a picture or two (docs/why/cold.md). Any doubt
about the stored graph leads to the longer way through `store.read`, which also says what is wrong with a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import store
from pellucid.classifier.predict.backend import GROUP, Backend, Logits, Stage
from pellucid.classifier.predict.graph import ready
from pellucid.classifier.predict.predictor import Predictor
from pellucid.errors import PellucidError
from pellucid.runtime import sessions


@dataclass(frozen=True, eq=False)
class OneBackend:
    """Computes a first picture by `run`, and all others by the backend that `further` loads. See Backend."""

    run: Logits
    further: Callable[[], Backend]

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        return self.run(images) if len(images) == 1 else self._rest.logits(images)

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend."""
        yield Stage(1, 1, lambda: self.run, lambda: self.run)
        yield Stage(None, min(batch, GROUP), lambda: self._rest.logits, lambda: self._rest.logits)

    @cached_property
    def _rest(self) -> Backend:
        return self.further()


def opened(folder: Path) -> Predictor | None:
    """A predictor that is soon ready for one picture; None if the folder has no graph that is certain to be current.

    Raises ArtefactError if config.json cannot be read.
    """
    config = store.read_config(folder)
    if not sessions.installed() or (stored := ready(folder, store.digest(config))) is None:
        return None
    graph, compared = stored
    try:
        weights = (folder / store.WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != compared.weights:
            return None
        run = sessions.opened_beside(graph, store.WEIGHTS, weights)

        def further() -> Backend:
            from pellucid.classifier.saved import Saved

            read = store.read(folder)
            return read.backend() if isinstance(read, Saved) else read.backend

        return Predictor(*store.described(config), OneBackend(run, further))
    except (OSError, LookupError, TypeError, ValueError, AttributeError, OverflowError, PellucidError):
        return None
