"""How many pictures and bytes are being worked on: the rest is refused at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.serving.limits import Limits
from pellucid.serving.refusal import busy


class Gate:
    """Used on the event loop's thread alone, so plain numbers do."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.pictures = self.bytes = 0

    @contextmanager
    def holding(self, count: int, seconds_each: float) -> Iterator[None]:
        """While `count` pictures are worked on. `seconds_each`: how long one takes. Raises Refusal (429)."""
        most = self._limits.queue
        if self.pictures + count > most:
            raise busy(
                f"{self.pictures} pictures are being worked on, of at most {most}.", self.pictures * seconds_each
            )
        self.pictures += count
        try:
            yield
        finally:
            self.pictures -= count

    def take(self, count: int) -> None:
        """Hold `count` more bytes of bodies; `free` gives them back. Raises Refusal (429)."""
        if self.bytes + count > self._limits.held:
            raise busy(f"Requests of {self._limits.held / 1e6:,.0f} MB are being worked on already.", 1)
        self.bytes += count

    def free(self, count: int) -> None:
        self.bytes -= count
