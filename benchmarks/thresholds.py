"""How far to draw a threshold towards that of all labels: test F1 on synthetic scores, for docs/why/labels.md.

    python benchmarks/thresholds.py

Twenty labels on 1 to 40% of the pictures. Scores are normal, two deviations apart on average, and each label's
probabilities are off by its own shift in logits. Thresholds are chosen on a few hundred pictures and judged on 20,000.
"""

from __future__ import annotations

import numpy as np

from pellucid.network.scores import sigmoid
from pellucid.training import several

LABELS, TESTED, REPEATS = 20, 20_000, 40
PULLS = (1e-6, 3.0, 10.0, 30.0, 1e9)


def made(generator: np.random.Generator, count: int, apart: np.ndarray, share: np.ndarray, shift: np.ndarray):
    """(probabilities, targets) of `count` pictures, both (count, labels)."""
    has = generator.random((count, LABELS)) < share
    score = generator.normal(size=has.shape) + has * apart
    logit = apart * score - apart**2 / 2 + np.log(share / (1 - share)) + shift
    return sigmoid(logit), has


def f1(p: np.ndarray, has: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    called = p >= np.asarray(thresholds)
    return 2 * (called & has).sum(0) / np.maximum(1, called.sum(0) + has.sum(0))


def main() -> None:
    print(f"{'validation':>10} {'pull':>6} {'macro F1':>9} {'under 10':>9} {'10 to 30':>9} {'more':>9}")
    for count in (100, 300, 1000):
        by_pull: dict[float, list[np.ndarray]] = {pull: [] for pull in PULLS}
        positives = []
        for repeat in range(REPEATS):
            generator = np.random.default_rng((count, repeat))
            apart, shift = generator.uniform(1.2, 2.8, LABELS), generator.normal(0, 0.5, LABELS)
            share = np.geomspace(0.01, 0.4, LABELS)
            p, has = made(generator, count, apart, share, shift)
            fresh = made(generator, TESTED, apart, share, shift)
            positives.append(has.sum(0))
            for pull in PULLS:
                several.PULL = pull
                by_pull[pull].append(f1(*fresh, several.thresholds(p, has)))
        number = np.array(positives)
        for pull, each in by_pull.items():
            values = np.array(each)
            parts = (number < 10, (number >= 10) & (number < 30), number >= 30)
            cells = " ".join(f"{values[part].mean():>9.3f}" if part.any() else f"{'–':>9}" for part in parts)
            print(f"{count:>10} {min(pull, 9999):>6.0f} {values.mean():>9.3f} {cells}")


if __name__ == "__main__":
    main()
