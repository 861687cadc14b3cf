"""The gate: a row of layers that computes how much of each channel passes."""

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, ClassVar

from pellucid.errors import NetworkError
from pellucid.network.layer import FLOAT, Cost
from pellucid.network.residual import Before, Branched, Item, PlacedLayer, itemised, modules, peak_bytes
from pellucid.network.window import Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Gate(Branched):
    """`gate(globalavgpool dense(8) relu dense(32) sigmoid)`: each channel times the body's number for it.

    Squeeze-and-excitation (Hu, Shen, Sun 2018, "Squeeze-and-excitation networks", eq. 2 to 4).
    """

    word: ClassVar[str] = "gate"
    rows: ClassVar[tuple[str, ...]] = ("body",)
    joining: ClassVar[str] = "multiplication"
    example: ClassVar[str] = "gate(globalavgpool dense(8) relu dense(32) sigmoid)"

    def output(self, shape: Shape, path: str | None = None) -> Shape:
        body = self.branches(shape, path)[0][-1].output
        if body != shape[:1]:
            raise NetworkError(
                f"{path or self.word}: the body gives {list(body)}, and the input {list(shape)} needs a number for "
                f"each channel, [{shape[0]}]; end the body with dense({shape[0]}) and sigmoid"
            )
        return shape

    def output_formula(self, shape: Shape) -> str:
        return f"{list(shape)} * body"

    def itemised(
        self, step: PlacedLayer, before: Before, at: str, waiting: int, plain: bool
    ) -> tuple[list[Item], Before]:
        incoming, row = FLOAT * prod(step.input), FLOAT * step.input[0]
        learns = before.learns or self.parameters(step.input) > 0
        # the multiplication keeps both factors; backward, the input's gradient waits for the body
        body, after = itemised(
            self.body, step.input, replace(before, keeps=before.keeps or learns), f"{at}.body.", waiting + incoming
        )
        stored = incoming if learns and not before.keeps else 0
        stored += row if before.learns and not after.keeps else 0
        # backward: a product and a sum for the body, a product for the input, and its two gradients added
        flops = (2 * prod(step.input) if learns else 0) + (2 * prod(step.input) if before.learns else 0)
        cost = Cost(prod(step.input), flops, incoming, stored)
        sees = None if after.sees is None or before.sees is None else max(before.sees, after.sees)
        item = Item(at, step, cost, waiting + (3 if before.learns else 2) * incoming + row, sees)
        return [*body, item], Before(learns, False, sees, before.step)

    def keeps_the_input(self, shape: Shape, learns: bool) -> bool:
        return learns or self.parameters(shape) > 0

    def peak_bytes(self, shape: Shape) -> int:
        body = peak_bytes(self.body, shape, input_waits=True)
        return max(body, FLOAT * (2 * prod(shape) + shape[0]))

    def module(self, shape: Shape) -> "nn.Module":
        from pellucid.network.branches import Gated

        return Gated(modules(self.branches(shape)[0]))
