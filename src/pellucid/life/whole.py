"""All weights of some parameters through a training that is made again: a network so small that memory holds them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.life import parts
from pellucid.life.again import threads

if TYPE_CHECKING:
    from pellucid.life.again import Again


@dataclass(frozen=True)
class Whole:
    """W weights through T steps; those of each parameter in C order, one parameter after the other.

    * names, shapes: of the parameters
    * values: float32 (W, T + 1), before the first step and after each
    * gradients: float32 (W, T)
    * rates: float64 (T,)
    * rows: for each step, the rows of its n pictures, int64 (n,)
    * shares: for each step, each picture's part in each gradient, float32 (n, W)
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    values: NDArray[np.float32]
    gradients: NDArray[np.float32]
    rates: NDArray[np.float64]
    rows: tuple[NDArray[np.int64], ...]
    shares: tuple[NDArray[np.float32], ...]

    def largest(self, count: int) -> NDArray[np.int64]:
        """The steps with the largest updates of each weight, counted from 1, the largest first: (W, count)."""
        return np.argsort(-np.abs(np.diff(self.values, axis=1)), axis=1, kind="stable")[:, :count] + 1


def through(again: Again, names: Sequence[str]) -> Generator[tuple[int, int], None, Whole]:
    """Make a training again from its start to its saved weights; yields (steps made, steps in all).

    `names`: of parameters of convolutions without groups and of dense layers. Memory: 4 bytes for each picture of each
    step and each weight. Raises ArtefactError if the training does not end in the saved weights, to the last bit.
    """
    module = again.state.module
    chosen = [module.get_parameter(name) for name in names]
    split = [parts.split(name, module) for name in names]

    def now() -> NDArray[np.float32]:
        return np.concatenate([each.detach().cpu().numpy().ravel() for each in chosen]).astype(np.float32)

    values, gradients, rates, rows, shares = [now()], [], [], [], []
    with parts.watching(again, {layer for layer, _ in split}) as watch, threads(again.task.engine.threads):
        while again.state.step < again.last:
            made = again.make()
            runs = watch.take()
            values.append(now())
            gradients.append(
                np.concatenate(
                    [np.zeros(p.numel()) if p.grad is None else p.grad.cpu().numpy().ravel() for p in chosen]
                )
            )
            rates.append(made.rate)
            rows.append(made.rows)
            each = [parts.of_layer(runs[layer], own).reshape(len(made.rows), -1) for layer, own in split]
            shares.append(np.concatenate(each, axis=1).astype(np.float32))
            yield made.step, again.last
    again.check()
    return Whole(
        tuple(names),
        tuple(tuple(each.shape) for each in chosen),
        np.stack(values, axis=1),
        np.stack(gradients, axis=1).astype(np.float32),
        np.array(rates),
        tuple(rows),
        tuple(shares),
    )
