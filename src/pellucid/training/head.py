"""The head on a frozen backbone: multinomial logistic regression on its features, all pictures at once.

Minimised is C times the sum of the cross-entropies, plus half the squared distance of the weights from where they
start: 0, or the rows of known classes. It is convex: L-BFGS finds its one minimum in seconds, and finds it again. C is
chosen on validation (docs/why/transfer.md). Features are centred, and scaled to a mean square length of 1, so that one
grid of C serves every backbone; the weights that come out are for the features as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.uncompiled import uncompiled
from pellucid.errors import TrainingError
from pellucid.training import targets
from pellucid.training.evaluate import surely_less

if TYPE_CHECKING:
    import torch

USUAL = 144.0  # mean square length of EfficientNet-Lite0's centred features of photographs; the grid was measured there
GRID = tuple(c * USUAL for c in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0))  # of C, from the strongest pull to the weakest
DEFAULT = GRID[3]  # where nothing can choose
ITERATIONS, MEMORY = 400, 20  # of L-BFGS: at most, and steps remembered
COARSE, FLAT = 1e-2, 1e-7  # the gradient that ends it, as a share of the decay, and at least; FLAT for what is kept
WORSE = 2  # times in a row that a larger C has a larger loss on validation, after which none is tried
FEW = 100  # validation pictures, below which a difference may be chance
ALONE = 20_000_000  # products in one evaluation; with fewer, threads wait for one another more than they compute


@dataclass(frozen=True)
class Side:
    """Pictures by their features: float32 (n, D), and how much each counts, (n,) or None for 1.

    labels: int64 (n,); or bool (n, classes) where a picture may have several, each then a yes or no of its own.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class LinearHead:
    """A head: weight float32 (classes, D), bias float32 (classes,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, D) -> float32 (n, classes)."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class Fitted:
    """The head that was chosen.

    * c: as above, for the features as they are
    * decay: the weight decay with which gradient descent on those features' mean cross-entropy has its minimum here
    * step: a learning rate with which that gradient descent surely falls, 1 / (mean square length / 2 + decay)
      (Boehning 1992, "Multinomial logistic regression algorithm", the bound of the Hessian)
    * losses: of validation for every C tried, (C, cross-entropy)
    """

    rows: LinearHead
    c: float
    decay: float
    step: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    losses: tuple[tuple[float, float], ...]
    seconds: float


def fit(train: Side, validation: Side | None, start: LinearHead, grid: Sequence[float] = GRID) -> Fitted:
    """The head of the C in `grid` with the least cross-entropy on `validation`; of DEFAULT where there is none.

    Fewer than FEW validation pictures have to be sure: DEFAULT stays unless another C is better by more than a standard
    error of the difference. The weights of `validation` count in its cross-entropy.

    `start` has a row for each class. The same numbers give the same bits on the same number of threads. Raises
    TrainingError where a feature is not finite.
    """
    began = time.perf_counter()
    if not np.isfinite(train.features).all():
        raise TrainingError("The backbone's features are not finite. Try --precision float32, or other weights.")
    problem = _Problem(train, start)
    with _threads(train.features.size * len(start.bias)):
        c, tried = _chosen(problem, validation, grid) if validation is not None else (DEFAULT, ())
        rows = problem.minimum(c, FLAT)
    decay = problem.decay(c) * problem.scale**2
    step = 1 / (problem.mean_square / 2 + decay)
    held = (None, None) if validation is None else judged(rows, validation)
    tried = tuple((other / problem.scale**2, loss) for other, loss in tried)
    return Fitted(
        rows, c / problem.scale**2, decay, step, *judged(rows, train), *held, tried, time.perf_counter() - began
    )


def judged(rows: LinearHead, side: Side) -> tuple[float, float]:
    """The mean cross-entropy, each picture counting by its weight, and the accuracy, each counting the same."""
    return float(losses(rows, side).mean()), targets.accuracy(rows.logits(side.features), side.labels)


def losses(rows: LinearHead, side: Side) -> NDArray[np.float64]:
    """Cross-entropy of each picture times its weight, (n,), as `targets.weighted` has it."""
    return targets.weighted(targets.losses(rows.logits(side.features), side.labels), side.weights)


def _chosen(
    problem: _Problem, validation: Side, grid: Sequence[float]
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """The C with the least loss, and the losses of those that were tried."""
    tried: list[NDArray[np.float64]] = []
    best = 0
    for c in grid:
        rows = problem.minimum(c, max(FLAT, COARSE * problem.decay(c)))
        tried.append(losses(rows, validation))
        best = min(range(len(tried)), key=lambda at: tried[at].mean())
        if len(tried) - 1 - best >= WORSE and c >= DEFAULT:
            break
    tried_losses = tuple((c, float(each.mean())) for c, each in zip(grid, tried, strict=False))
    few = DEFAULT in grid and len(validation.labels) < FEW
    if few and not surely_less(tried[best], tried[grid.index(DEFAULT)]):
        return DEFAULT, tried_losses
    return grid[best], tried_losses


@contextmanager
def _threads(products: int) -> Iterator[None]:
    """One thread where the work is too little to be shared."""
    import torch

    before = torch.get_num_threads()
    if products < ALONE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Problem:
    """Scaled features, and the function to be minimised."""

    def __init__(self, train: Side, start: LinearHead) -> None:
        import torch

        self.mean = train.features.mean(axis=0, dtype=np.float64)
        centred = train.features - self.mean.astype(np.float32)
        self.scale = float(np.sqrt(np.einsum("nd,nd->n", centred, centred, dtype=np.float64).mean())) or 1.0
        centred /= np.float32(self.scale)
        self.mean_square = float(np.einsum("nd,nd->n", train.features, train.features, dtype=np.float64).mean()) + 1
        self.features = torch.from_numpy(centred)
        self.labels = torch.from_numpy(train.labels)
        counts = np.ones(len(train.labels)) if train.weights is None else train.weights
        self.count = float(counts.sum())
        self.shares = torch.from_numpy(counts / self.count)
        weight = start.weight.astype(np.float64) * self.scale
        bias = start.bias.astype(np.float64) + start.weight.astype(np.float64) @ self.mean
        self.start = torch.from_numpy(weight)
        self.at = torch.from_numpy(np.concatenate([weight, bias[:, None]], axis=1))

    def decay(self, c: float) -> float:
        """The pull as a share of the mean cross-entropy: 1 / (C n)."""
        return 1 / (c * self.count)

    def minimum(self, c: float, flat: float) -> LinearHead:
        """The head where no number of the gradient exceeds `flat`, sought from where the last search ended."""
        import torch

        point = self.at.clone().requires_grad_()
        search = uncompiled(torch.optim.LBFGS)(
            [point],
            max_iter=ITERATIONS,
            max_eval=2 * ITERATIONS,
            history_size=MEMORY,
            tolerance_grad=flat,
            tolerance_change=1e-12,
            line_search_fn="strong_wolfe",
        )
        decay = self.decay(c)

        def value() -> torch.Tensor:
            loss, point.grad = self._value(point.detach(), decay)
            return loss

        search.step(value)  # type: ignore[arg-type]
        self.at = point.detach()
        weight = self.at[:, :-1].numpy() / self.scale
        bias = self.at[:, -1].numpy() - weight @ self.mean
        return LinearHead(weight.astype(np.float32), bias.astype(np.float32))

    def _value(self, point: torch.Tensor, decay: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and gradient in float64; the two products with all features in float32."""
        import torch

        weight, bias = point[:, :-1], point[:, -1]
        logits = (self.features @ weight.float().T).double() + bias
        if self.labels.ndim == 2:  # the mean over the classes of a yes or no each
            right = self.labels.double()
            losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, right, reduction="none").mean(1)
            error = (logits.sigmoid() - right) * self.shares[:, None] / logits.shape[1]
        else:
            logs = torch.log_softmax(logits, 1)
            losses = -logs.gather(1, self.labels[:, None])[:, 0]
            error = logs.exp() * self.shares[:, None]
            error[torch.arange(len(self.labels)), self.labels] -= self.shares
        away = weight - self.start
        loss = (self.shares * losses).sum() + decay / 2 * (away * away).sum()
        slope = (error.float().T @ self.features).double() + decay * away
        return loss, torch.cat([slope, error.sum(0)[:, None]], 1)
