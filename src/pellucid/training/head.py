"""The head on a frozen backbone: multinomial logistic regression on its features, all pictures at once.

It minimises C times the sum of the cross-entropies, plus half the squared distance of the weights from their start: 0,
or the rows of known classes. The problem is convex: L-BFGS reaches its one minimum in seconds, every time. Validation
chooses C (docs/why/transfer.md). Features are centred, and scaled to a mean square length of 1: one grid of C then fits
every backbone. The resulting weights are for the unscaled features.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.uncompiled import uncompiled
from pellucid.errors import TrainingError
from pellucid.steps import result_of
from pellucid.training import targets
from pellucid.training.evaluate import surely_less

if TYPE_CHECKING:
    import torch

USUAL = 144.0  # mean square length of EfficientNet-Lite0's centred features of photographs; they gave the grid
GRID = tuple(c * USUAL for c in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0))  # of C, from the strongest pull to the weakest
DEFAULT = GRID[3]  # if there is nothing to choose by
ITERATIONS, MEMORY = 400, 20  # of L-BFGS: most iterations, and steps remembered
COARSE, FLAT = 1e-2, 1e-7  # a search ends at a gradient of COARSE times the decay, or FLAT; FLAT for the returned head
WORSE = 2  # a search of C ends after this many larger losses on validation in a row
FEW = 100  # validation pictures; with fewer, a difference may be chance
ALONE = 20_000_000  # products in one evaluation; with fewer, threads wait for each other more than they compute


@dataclass(frozen=True)
class Side:
    """Pictures by their features: float32 (n, D), and how much each counts, (n,) or None for 1.

    labels: int64 (n,); or bool (n, classes) if a picture may have several, each then a separate yes or no.
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
class Fitting:
    """Progress: iterations of all searches so far, and the mean cross-entropy of the head they have reached."""

    iteration: int
    train_loss: float
    validation_loss: float | None


@dataclass(frozen=True)
class Fitted:
    """The chosen head.

    * c: as above, for the unscaled features
    * decay: the weight decay with which gradient descent on those features' mean cross-entropy has its minimum here
    * step: a learning rate with which that gradient descent is certain to fall, 1 / (mean square length / 2 + decay)
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
    """As `fitting`, without its progress."""
    return result_of(fitting(train, validation, start, grid))


def fitting(
    train: Side, validation: Side | None, start: LinearHead, grid: Sequence[float] = GRID
) -> Generator[Fitting, None, Fitted]:
    """The head for the C in `grid` with the least cross-entropy on `validation`; for DEFAULT without validation.

    With fewer than FEW validation pictures, DEFAULT stays unless another C is better by more than a standard error of
    the difference. The weights of `validation` count in its cross-entropy.

    `start` has a row for each class. Yields progress, more often at the start of a search, and returns the head. The
    same numbers give the same bits on the same number of threads. Raises TrainingError if a feature is not finite.
    """
    began = time.perf_counter()
    if not np.isfinite(train.features).all():
        raise TrainingError("The backbone's features are not finite. Try --precision float32, or other weights.")
    problem = _Problem(train, validation, start)
    with _threads(train.features.size * len(start.bias)):
        yield problem.progress(start)
        c, tried = (DEFAULT, ()) if validation is None else (yield from _chosen(problem, validation, grid))
        rows = yield from problem.minimum(c, FLAT)
    decay = problem.decay(c) * problem.scale**2
    step = 1 / (problem.mean_square / 2 + decay)
    held = (None, None) if validation is None else judged(rows, validation)
    tried = tuple((other / problem.scale**2, loss) for other, loss in tried)
    return Fitted(
        rows, c / problem.scale**2, decay, step, *judged(rows, train), *held, tried, time.perf_counter() - began
    )


def judged(rows: LinearHead, side: Side) -> tuple[float, float]:
    """The mean cross-entropy, each picture weighted, and the accuracy, unweighted."""
    return float(losses(rows, side).mean()), targets.accuracy(rows.logits(side.features), side.labels)


def losses(rows: LinearHead, side: Side) -> NDArray[np.float64]:
    """Cross-entropy of each picture times its weight, (n,), as in `targets.weighted`."""
    return targets.weighted(targets.losses(rows.logits(side.features), side.labels), side.weights)


def _chosen(
    problem: _Problem, validation: Side, grid: Sequence[float]
) -> Generator[Fitting, None, tuple[float, tuple[tuple[float, float], ...]]]:
    """The C with the least loss, and the losses of those tried."""
    tried: list[NDArray[np.float64]] = []
    best = 0
    for c in grid:
        rows = yield from problem.minimum(c, max(FLAT, COARSE * problem.decay(c)))
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
    """Use one thread if the work is too little to share."""
    import torch

    before = torch.get_num_threads()
    if products < ALONE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Problem:
    """Scaled features, and the function to minimise."""

    def __init__(self, train: Side, validation: Side | None, start: LinearHead) -> None:
        import torch

        self.sides, self.iterations = (train, validation), 0
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
        """The pull as a fraction of the mean cross-entropy: 1 / (C n)."""
        return 1 / (c * self.count)

    def progress(self, rows: LinearHead) -> Fitting:
        """How good a head is that a search has reached."""
        train, validation = (None if side is None else float(losses(rows, side).mean()) for side in self.sides)
        assert train is not None
        return Fitting(self.iterations, train, validation)

    def minimum(self, c: float, flat: float) -> Generator[Fitting, None, LinearHead]:
        """The head where no element of the gradient exceeds `flat`, searched from the end of the last search.

        The search goes on in spans of iterations, each twice as long, with progress between them.
        """
        import torch

        point = self.at.clone().requires_grad_()
        search = uncompiled(torch.optim.LBFGS)(
            [point],
            max_iter=1,
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

        done, span = 0, 1
        while done < ITERATIONS:
            search.param_groups[0]["max_iter"] = span = min(span, ITERATIONS - done)
            search.step(value)  # type: ignore[arg-type]
            made = search.state[point]["n_iter"] - done
            self.at, done, self.iterations = point.detach(), done + made, self.iterations + made
            if made < span:  # converged
                break
            yield self.progress(self._rows())
            span = 2 * done
        return self._rows()

    def _rows(self) -> LinearHead:
        """The head at the present point, for the unscaled features."""
        weight = self.at[:, :-1].numpy() / self.scale
        bias = self.at[:, -1].numpy() - weight @ self.mean
        return LinearHead(weight.astype(np.float32), bias.astype(np.float32))

    def _value(self, point: torch.Tensor, decay: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and gradient in float64; the two products with all features in float32."""
        import torch

        weight, bias = point[:, :-1], point[:, -1]
        logits = (self.features @ weight.float().T).double() + bias
        if self.labels.ndim == 2:  # the mean over the classes, each a yes or no
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
