"""How often the intervals of a cross-validation with several labels a picture cover the truth, on synthetic data.

    python benchmarks/folds_several.py [--runs 1000]

Six or twenty labels that 8 to 40% of the pictures have, a ridge regression for each, five folds. Every training keeps
15% of its pictures to choose thresholds. The truth is the figure of a last training on all pictures, measured on 8,000
fresh ones. For macro F1 and exact match, prints how often each interval contains the truth, and how wide it is. The
tables are in docs/why/folds.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pellucid.network.scores import called, sigmoid
from pellucid.training import evaluate, folds, several

FOLDS, FRESH, VALIDATION = 5, 8000, 0.15
STEEP = 3.0  # logits for a unit of the regression's score
Interval = tuple[float, float]
Model = tuple[NDArray, tuple[float, ...]]  # weights (features + 1, labels), thresholds


@dataclass(frozen=True)
class Setting:
    """`shared`: the share of a label's noise that all labels of a picture have in common.

    `alike`, `copies`: see folds.py.
    """

    words: str
    pictures: int
    features: int
    labels: int
    shared: float = 0.5
    alike: float = 0.0
    copies: int = 1


SETTINGS = (
    Setting("245 pictures, 10 features, 6 labels", 245, 10, 6),
    Setting("the same, labels independent", 245, 10, 6, 0.0),
    Setting("100 pictures, 10 features, 6 labels", 100, 10, 6),
    Setting("600 pictures, 20 features, 20 labels", 600, 20, 20),
    Setting("245 pictures, 40 features, 6 labels", 245, 40, 6),
    Setting("245, a third of them in fours, equal", 245, 10, 6, 0.5, 0.33, 4),
)


class World:
    """The true relation between images and labels, drawn once a run."""

    def __init__(self, setting: Setting, random: np.random.Generator) -> None:
        self.setting, self.random = setting, random
        directions = random.normal(size=(setting.features, setting.labels))
        self.directions = directions / np.linalg.norm(directions, axis=0)
        shares = np.geomspace(0.08, 0.4, setting.labels)
        self.cuts = np.array([sqrt(2) * NormalDist().inv_cdf(1 - share) for share in shares])

    def pictures(self, count: int) -> tuple[NDArray, NDArray]:
        """Images, float64 (count, features), and labels, bool (count, labels)."""
        images, shared = self.random.normal(size=(count, self.setting.features)), self.setting.shared
        noise = sqrt(shared) * self.random.normal(size=(count, 1))
        noise = noise + sqrt(1 - shared) * self.random.normal(size=(count, self.setting.labels))
        return images, images @ self.directions + noise > self.cuts


def logits(weights: NDArray, images: NDArray) -> NDArray:
    return STEEP * (images @ weights[:-1] + weights[-1])


def trained(images: NDArray, labels: NDArray, random: np.random.Generator) -> Model:
    validation = random.random(len(images)) < VALIDATION
    some = np.c_[images[~validation], np.ones((~validation).sum())]
    weights = np.linalg.solve(some.T @ some + np.eye(some.shape[1]), some.T @ (2.0 * labels[~validation] - 1))
    return weights, several.thresholds(sigmoid(logits(weights, images[validation])), labels[validation])


def answers(model: Model, images: NDArray) -> NDArray:
    return called(sigmoid(logits(model[0], images)), model[1])


def figures(predicted: NDArray, labels: NDArray) -> dict[str, float]:
    hits, either = (predicted & labels).sum(axis=0), predicted.sum(axis=0) + labels.sum(axis=0)
    f1 = (2 * hits[either > 0] / either[either > 0]).mean()
    return {"macro F1": float(f1), "exact match": float((predicted == labels).all(axis=1).mean())}


def intervals(value: float, alone: Interval, each: list[float]) -> dict[str, Interval]:
    half = folds.interval_of_several(value, (value, value), each)
    return {
        "fixed thresholds": alone,
        "Student, folds": half,
        "union": (min(alone[0], half[0]), max(alone[1], half[1])),
        "ours": folds.interval_of_several(value, alone, each),
    }


def measure(setting: Setting, runs: int) -> dict[tuple[str, str], tuple[float, float]]:
    """For each figure and interval, the share of runs in which it contains the truth, and its mean width."""
    random = np.random.default_rng(0)
    covered, width = defaultdict(int), defaultdict(float)
    for _ in range(runs):
        world = World(setting, random)
        grouped = round(setting.pictures * setting.alike / setting.copies)
        sizes = random.permutation([setting.copies] * grouped + [1] * (setting.pictures - grouped * setting.copies))
        groups = np.repeat(np.arange(len(sizes)), sizes)
        images, labels = (every[groups] for every in world.pictures(len(sizes)))
        fold, predicted, each = groups % FOLDS, np.empty(labels.shape, bool), []
        for number in range(FOLDS):
            tested = fold == number
            predicted[tested] = answers(trained(images[~tested], labels[~tested], random), images[tested])
            each.append(figures(predicted[tested], labels[tested]))
        fresh, real = world.pictures(FRESH)
        true = figures(answers(trained(images, labels, random), fresh), real)
        units, pooled = folds.units(groups), figures(predicted, labels)
        alone = {
            "macro F1": several.macro_interval(predicted, labels, units),
            "exact match": evaluate.interval(pooled["exact match"] * units, units),
        }
        for figure, value in pooled.items():
            measured = intervals(value, alone[figure], [one[figure] for one in each])
            for name, (low, high) in measured.items():
                covered[figure, name] += low <= true[figure] <= high
                width[figure, name] += high - low
    return {key: (covered[key] / runs, width[key] / runs) for key in covered}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    names = ("fixed thresholds", "Student, folds", "union", "ours")
    for figure in ("macro F1", "exact match"):
        print(f"| synthetic data, {figure} | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
        for setting in SETTINGS:
            measured = measure(setting, runs)
            cells = [f"{measured[figure, name][0]:.1%}, {measured[figure, name][1]:.3f}" for name in names]
            print(f"| {setting.words} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
