"""What a request may cost, and how many may wait."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from pellucid.errors import RecipeError

BODIES = 8
"""How many of the largest bodies may be held in memory at the same time."""


@dataclass(frozen=True)
class Limits:
    """The limits of a server. Raises RecipeError where one is not above 0, or they contradict each other."""

    body: int = 32_000_000
    """Bytes of one request."""
    pixels: int = 50_000_000
    """Of one picture; a larger one is refused by its header, before memory is taken for it."""
    pictures: int = 64
    """In one request."""
    queue: int = 256
    """Pictures that may be worked on or wait at the same time; beyond, the answer is 429."""
    seconds: float = 30.0
    """From the first byte of a request to its answer."""
    explaining_seconds: float = 120.0
    """The same for an explanation, which is a thousand times a prediction's work."""
    explanations: int = 4
    """Explanations that may be worked on or wait at the same time. One is worked on at once."""
    wait: float = 0.002
    """Seconds that a picture waits at most for others that are being decoded, to go through the network with them."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isfinite(value) and (value > 0 or (field.name == "wait" and value == 0))):
                raise RecipeError(f"The limit {field.name} is {value}; it must be above 0, and finite.")
        if self.queue < self.pictures:
            raise RecipeError(
                f"The queue holds {self.queue} pictures and one request may have {self.pictures}: a full request "
                "would never be taken. Make the queue longer or the requests shorter."
            )

    @property
    def held(self) -> int:
        """Bytes of all bodies that may be in memory at the same time; beyond, the answer is 429."""
        return BODIES * self.body
