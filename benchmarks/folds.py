"""How often the interval of a cross-validation covers the truth, on synthetic data with a known truth.

    python benchmarks/folds.py [--runs 1000]

Gaussian classes, a linear classifier (ridge regression), five folds: the accuracy of the classifier that was trained on
all pictures follows from its weights. For each setting: how often each interval contains it, and how wide it is. The
table is in docs/why/folds.md. It takes seventeen seconds of a core for 2,000 runs per setting.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pellucid.training import evaluate, folds

FOLDS = 5
Interval = tuple[float, float]


@dataclass(frozen=True)
class Setting:
    """`pictures` in two classes, `distance` deviations from their middle, in `dimensions`.

    A fraction of them, `alike`, is in groups of `copies` pictures with a correlation of `likeness`.
    """

    words: str
    pictures: int
    dimensions: int
    distance: float
    alike: float = 0.0
    copies: int = 1
    likeness: float = 1.0


SETTINGS = (
    Setting("245 pictures, 20 features", 245, 20, 1.5),
    Setting("100 pictures, 20 features", 100, 20, 1.2),
    Setting("600 pictures, 50 features", 600, 50, 1.3),
    Setting("100 pictures, 50 features", 100, 50, 1.2),
    Setting("245 pictures, 100 features", 245, 100, 2.0),
    Setting("245, a third of them in fours, equal", 245, 20, 1.5, 0.33, 4),
    Setting("245, two thirds in tens, equal", 245, 20, 1.2, 0.67, 10),
    Setting("245, two thirds in tens, correlation 0.5", 245, 20, 1.2, 0.67, 10, 0.5),
)


def made(setting: Setting, random: np.random.Generator) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Images (n, d), labels, groups and folds, each (n,)."""
    grouped = round(setting.pictures * setting.alike / setting.copies)
    single = setting.pictures - grouped * setting.copies
    sizes = random.permutation([setting.copies] * grouped + [1] * single)
    count = len(sizes)
    labels, fold = np.arange(count) % 2, np.arange(count) // 2 % FOLDS
    own = random.normal(size=(count, setting.dimensions))
    groups = np.repeat(np.arange(count), sizes)
    images = sqrt(setting.likeness) * own[groups]
    images += sqrt(1 - setting.likeness) * random.normal(size=images.shape)
    images[:, 0] += setting.distance * (2 * labels[groups] - 1)
    return images, labels[groups], groups, fold[groups]


def fitted(images: NDArray, labels: NDArray) -> NDArray:
    """The weights (d,) of a ridge regression on -1 and 1."""
    return np.linalg.solve(images.T @ images + np.eye(images.shape[1]), images.T @ (2.0 * labels - 1))


def truth(weights: NDArray, setting: Setting) -> float:
    """The accuracy on all possible pictures."""
    return NormalDist().cdf(setting.distance * float(weights[0]) / float(np.linalg.norm(weights)))


def intervals(right: NDArray, groups: NDArray, fold: NDArray) -> dict[str, Interval]:
    """The intervals by name; right, groups, fold: (n,)."""
    accuracy, units = float(right.mean()), folds.units(groups)
    each = [float(right[fold == number].mean()) for number in range(FOLDS)]
    half = folds.T[FOLDS - 2] * float(np.std(each, ddof=1)) / sqrt(FOLDS)
    return {
        "Wilson, pictures": evaluate.interval(int(right.sum()), len(right)),
        "Wilson, units": evaluate.interval(accuracy * units, units),
        "Student, folds": (accuracy - half, accuracy + half),
        "ours": folds.interval(accuracy, units, each),
    }


def measure(setting: Setting, runs: int) -> dict[str, tuple[float, float]]:
    """For each interval, how often it covers the truth, and its mean width; "one split" is Wilson's for one fold."""
    random = np.random.default_rng(0)
    covered, width = defaultdict(int), defaultdict(float)
    for _ in range(runs):
        images, labels, groups, fold = made(setting, random)
        right = np.empty(len(labels), bool)
        for number in range(FOLDS):
            tested = fold == number
            weights = fitted(images[~tested], labels[~tested])
            right[tested] = (images[tested] @ weights > 0) == (labels[tested] == 1)
            if number == 0:
                lone = evaluate.interval(int(right[tested].sum()), int(tested.sum())), truth(weights, setting)
        true = truth(fitted(images, labels), setting)
        measured = {name: (one, true) for name, one in intervals(right, groups, fold).items()} | {"one split": lone}
        for name, ((low, high), accuracy) in measured.items():
            covered[name] += low <= accuracy <= high
            width[name] += high - low
    return {name: (covered[name] / runs, width[name] / runs) for name in covered}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    names = ("one split", "Wilson, pictures", "Wilson, units", "Student, folds", "ours")
    print(f"| synthetic data | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for setting in SETTINGS:
        measured = measure(setting, runs)
        cells = [f"{measured[name][0]:.1%}, {measured[name][1]:.3f}" for name in names]
        print(f"| {setting.words} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
