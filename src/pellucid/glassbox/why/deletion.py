"""Whether a map of where a network looked can be trusted: remove what it marks, and watch the probability.

The deletion metric of Petsiuk, Das, Saenko 2018, "RISE: Randomized input sampling for explanation of black-box models",
section 4.2: pixels are removed, those with the most evidence first, while the class's probability is recorded. Theirs
has no measure of chance; ours is the same map moved elsewhere on the picture (docs/why/captum.md).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network.scores import tensor_probabilities
from pellucid.steps import result_of

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 20
ORDERS = 16  # random orders for comparison
SEED = 0
BATCH = 32


@dataclass(frozen=True)
class Deletion:
    """How the probability of a class falls as pixels are removed in a map's order, and in random orders.

    A random order comes from the same map, randomly mirrored and moved, where what leaves at one edge comes in at the
    other. Its holes have the same shapes in other places: removing a patch has another effect than removing as many
    scattered pixels, and a map must not gain from that.

    This proves that the network's answer depends on the marked places more than on others. It does not prove that they
    look important to a person, or that the network is right. A picture with holes is unlike any training picture, and
    the network may treat it differently from a whole one. The verdict's margin is two deviations of the random orders;
    a meaningless map passes it now and then.
    """

    shares: tuple[float, ...]
    """Fraction of the pixels removed, 0 to 1."""
    probabilities: tuple[float, ...]
    """The class's probability at each share, with pixels removed in the map's order."""
    area: float
    """Area under the probabilities over the shares (trapezoid rule), 0 to 1: low if the map marks what matters."""
    random_area: float
    """Mean area of random orders."""
    random_deviation: float
    """Standard deviation of the random orders' areas."""

    @property
    def trust(self) -> float:
        """`random_area - area`: positive if the map marks what matters better than chance."""
        return self.random_area - self.area

    @property
    def verdict(self) -> str:
        """One sentence for the reader of the map."""
        if self.trust > 2 * self.random_deviation:
            return (
                "Removing the pixels that this map marks lowers the probability faster than chance: it can be trusted."
            )
        if self.trust < -2 * self.random_deviation:
            return (
                "Removing the pixels that this map marks lowers the probability more slowly than chance: "
                "do not trust this map."
            )
        return "Removing the pixels that this map marks does no better than chance: do not trust this map."

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "trust": self.trust, "verdict": self.verdict}


def deletion(
    scores: Callable[[Tensor], Tensor],
    sample: Tensor,
    target: int,
    heat: NDArray[np.float32],
    temperature: float = 1.0,
    several: bool = False,
) -> Deletion:
    """Score `heat`, float (H, W), for class `target` of `sample`, float32 (1, C, H, W).

    The pixels with the largest values go first and are replaced by 0, the mean colour, in 20 steps; the probability is
    softmax(logits / temperature)[target], or a sigmoid with `several` labels a picture. Equal values go in random
    order, so a constant map gets the figures of chance. `scores`: pictures (n, C, H, W) -> (n, classes), as the network
    computes them in evaluation mode.
    """
    return result_of(deleting(scores, sample, target, heat, temperature, several))


def deleting(
    scores: Callable[[Tensor], Tensor],
    sample: Tensor,
    target: int,
    heat: NDArray[np.float32],
    temperature: float = 1.0,
    several: bool = False,
) -> Generator[tuple[int, int], None, Deletion]:
    """As `deletion`. Yields how many pictures the network has computed, and of how many."""
    random = np.random.default_rng(SEED)
    shares = np.linspace(0, 1, STEPS + 1)
    removed = np.rint(shares * heat.size).astype(int)
    orders = [_order(_elsewhere(heat, random), random) for _ in range(ORDERS)]
    if ranks := heat.min() != heat.max():
        orders.append(_order(heat, random))
    curves = yield from _curves(scores, sample, target, orders, removed, temperature, several)
    chance = curves[:ORDERS]
    areas = [float(np.trapezoid(curve, shares)) for curve in chance]
    curve = curves[ORDERS] if ranks else np.mean(chance, axis=0)
    return Deletion(
        shares=tuple(shares.tolist()),
        probabilities=tuple(curve.tolist()),
        area=float(np.trapezoid(curve, shares)),
        random_area=float(np.mean(areas)),
        random_deviation=float(np.std(areas, ddof=1)),
    )


def _elsewhere(heat: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    flips = tuple(axis for axis in (0, 1) if random.random() < 0.5)
    return np.roll(np.flip(heat, flips), tuple(random.integers(heat.shape)), (0, 1))


def _order(heat: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.int64]:
    """Pixel numbers, most evidence first; equal values in random order."""
    return np.lexsort((random.permutation(heat.size), -heat.ravel()))


def _curves(
    scores: Callable[[Tensor], Tensor],
    sample: Tensor,
    target: int,
    orders: Sequence[NDArray[np.int64]],
    removed: NDArray[np.int64],
    temperature: float,
    several: bool,
) -> Generator[tuple[int, int], None, NDArray[np.float64]]:
    """The probability after each number of removed pixels in each order, float64 (orders, steps).

    With no or all pixels removed, the picture is the same in every order and is computed once.
    """
    import torch

    ranks = torch.from_numpy(np.stack([_ranks(order) for order in orders])).to(sample.device)
    ranks = ranks.view(-1, 1, *sample.shape[2:])
    every = [(0, int(removed[0])), (0, int(removed[-1]))]
    every += [(number, int(count)) for number in range(len(orders)) for count in removed[1:-1]]
    curves = []
    for start in range(0, len(every), BATCH):
        yield start, len(every)
        with torch.inference_mode():
            which, counts = torch.tensor(every[start : start + BATCH], device=sample.device).T
            logits = scores(sample * (ranks[which] >= counts.view(-1, 1, 1, 1)))
            curves.append(tensor_probabilities(logits, temperature, several)[:, target].cpu().numpy())
    whole = np.concatenate(curves)
    first, last = (np.full((len(orders), 1), end) for end in whole[:2])
    return np.concatenate([first, whole[2:].reshape(len(orders), -1), last], axis=1)


def _ranks(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The step at which each pixel is removed, from 0."""
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks
