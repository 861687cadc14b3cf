"""Cross-validation: which of its trainings a training is, and the joint result of the folds.

Each picture is tested once, by a training on the other folds that has not seen it. docs/why/folds.md measures how good
the interval is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, CatalogError, RecipeError
from pellucid.network import scores
from pellucid.pictures import iterative
from pellucid.pictures import split as splits
from pellucid.training import evaluate, several, targets
from pellucid.training.evaluate import Metrics
from pellucid.training.targets import Fitted, Targets

if TYPE_CHECKING:
    from pellucid.pictures.catalog import Catalog
    from pellucid.pictures.store import Store
    from pellucid.training.data import Data
    from pellucid.training.recipe import Recipe

SIDE = "cross-validated"  # of the metrics
FOLDER, PLAN = "folds", "plan.json"  # in the model folder, until everything is done
OTHER = 2**32  # added to a recipe's seed, it gives no other recipe's seed
USUAL, FEW = 5, 500  # suggested number of folds, for at most this many pictures
# Student's t, 97.5 %, for 1 to 19 degrees of freedom
T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
T += (2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930)


@dataclass(frozen=True)
class FoldPosition:
    """Which training of a cross-validation this is. `place` is the model folder that they all end in.

    `number`: the fold that is tested, from 1 to `count`; 0 for the last training, on all pictures. `alike`: for all but
    the first training, the first one's choices "threads", "fused", "kernels" and "class_weights", the "fingerprint"
    of its pictures, and the `fingerprint` of their "groups".
    """

    number: int
    count: int
    place: Path
    alike: Mapping[str, Any] = field(default_factory=dict)

    def check(self, catalog: Catalog) -> None:
        """Raises RecipeError if the folders or the table give the sides: then the test pictures are chosen already."""
        sides = sorted(splits.SIDES[side] for side in np.unique(catalog.pictures.sides) if side >= 0)
        if sides:
            raise RecipeError(
                f"folds is {self.count}, and {catalog.place} gives sides of its own ({', '.join(sides)}): the test "
                "pictures are chosen already. Remove --folds, or name a folder or a table without sides."
            )

    def sides(self, store: Store, labels: Targets, groups: NDArray[np.int64], recipe: Recipe) -> NDArray[np.int8]:
        """The sides of the pictures in this training, (N,) as in `split`: its fold is the test side.

        Of the rest (of all pictures in the last training), the fraction `recipe.validation` is the validation side.
        Raises CatalogError, and ArtefactError if the pictures or their groups differ from those of the first training.
        """
        if self.alike.get("fingerprint", store.fingerprint) != store.fingerprint:
            raise ArtefactError(
                f"The pictures in {store.catalog.place} have changed since the folds in {self.place} were begun, and "
                "all must see the same ones. Put them back, or train again with another --out."
            )
        if self.alike.get("groups", fingerprint(groups)) != fingerprint(groups):
            raise ArtefactError(
                f"The groups of {store.catalog.place} have changed since the folds in {self.place} were begun, and "
                "other groups give other folds. Put them back, or train again with another --out."
            )
        if whole := splits.indivisible(labels, groups):
            count = targets.counts(labels, len(store.catalog.classes))[whole[0]]
            name, what = store.catalog.classes[whole[0]], "label" if labels.ndim == 2 else "class"
            raise CatalogError(
                f"The {count:,} pictures of {what} {name} stay together (near-duplicates, or one group), so no "
                "training can learn it and be tested on it. Add pictures of it, or remove --folds."
            )
        dealt = iterative if labels.ndim == 2 else splits
        sides = np.full(len(labels), splits.TEST, np.int8)
        rest = np.arange(len(labels))
        if self.number:
            rest = rest[dealt.folds(labels, store.digests, groups, self.count, recipe.seed) != self.number - 1]
        digests, free = [store.digests[row] for row in rest.tolist()], np.full(len(rest), -1, np.int8)
        order = recipe.seed + self.number * OTHER  # otherwise all folds would choose by the same pictures
        sides[rest] = dealt.split(labels[rest], digests, groups[rest], free, recipe.validation, 0.0, order)
        return sides


@dataclass(frozen=True)
class Fold:
    """One fold: the pictures that its training learned from and chose by, and its result on the fold's pictures."""

    number: int  # from 1
    train: int
    validation: int
    pictures: int  # tested
    correct: int
    accuracy: float
    loss: float  # mean cross-entropy in nats, after its own temperature scaling
    temperature: float
    epoch: int  # whose weights were saved
    seconds: float  # training and evaluation
    macro_f1: float | None = None
    """With several labels a picture, under the fold's thresholds; None if no picture has a label or gets one."""
    thresholds: tuple[float, ...] | None = None
    """With several labels a picture: the threshold of each label, chosen on the fold's validation pictures."""

    def as_json(self) -> dict[str, Any]:
        content = asdict(self)
        return content if self.thresholds is not None else {name: content[name] for name in _PLAIN}


_PLAIN = ("number", "train", "validation", "pictures", "correct", "accuracy", "loss", "temperature", "epoch", "seconds")


@dataclass(frozen=True)
class Folds:
    """The joint result of all folds. `metrics` are pooled over all N pictures, each judged by the model of its fold.

    `accuracy` of `metrics` is the mean over pictures; its `interval` comes from `interval`, or with several labels a
    picture from `interval_of_several`. `spread`: the standard deviation of the folds' accuracies. `units`: the
    effective number of independent pictures. `logits`: float32 (N, classes), each divided by the temperature of its
    fold, in the order of the catalog. `chosen`: temperature 1 and each picture's thresholds, which judge the logits.
    """

    each: tuple[Fold, ...]
    metrics: Metrics
    spread: float
    units: float
    logits: NDArray[np.float32] = field(repr=False)
    chosen: Fitted = field(repr=False)
    macro_spread: float | None = None
    """The standard deviation of the folds' macro F1, with several labels a picture."""

    def as_json(self) -> dict[str, Any]:
        """The pooled metrics, and `count`, `spread`, `units`, `each`; without the logits."""
        about: dict[str, Any] = {"count": len(self.each), "spread": self.spread, "units": self.units}
        about |= {} if self.macro_spread is None else {"macro_spread": self.macro_spread}
        return {**self.metrics.as_json(), **about, "each": [fold.as_json() for fold in self.each]}


def fingerprint(groups: NDArray[np.int64]) -> str:
    """SHA-256, hexadecimal, of the groups (N,) that stay together: the folds are dealt by them."""
    return hashlib.sha256(groups.astype("<i8").tobytes()).hexdigest()


def begun(out: Path) -> bool:
    """Whether a folder holds an unfinished cross-validation."""
    return (out / FOLDER / PLAN).is_file()


def pooled(
    each: Sequence[Fold],
    rows: Sequence[NDArray[np.int64]],
    logits: Sequence[NDArray[np.float32]],
    labels: Targets,
    groups: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Folds:
    """Pool the folds' answers. For each fold: its rows (n,) and their raw logits (n, classes).

    labels: for all pictures, int64 (N,), or for several labels bool (N, classes); groups (N,). Raises CatalogError
    unless the rows contain each picture once.
    """
    order = np.concatenate(list(rows))
    if not np.array_equal(np.sort(order), np.arange(len(labels))):
        raise CatalogError(f"The folds tested {len(order):,} pictures, not each of {len(labels):,} once.")
    raw = np.empty((len(labels), len(classes)), np.float32)
    scaled = np.empty_like(raw)
    thresholds = np.empty(raw.shape) if labels.ndim == 2 else None
    for fold, some, outputs in zip(each, rows, logits, strict=True):
        raw[some], scaled[some] = outputs, outputs / np.float32(fold.temperature)
        if thresholds is not None:
            thresholds[some] = fold.thresholds
    chosen = Fitted(1.0, thresholds)
    before = targets.measure(SIDE, raw, labels, classes, chosen)
    after = targets.measure(SIDE, scaled, labels, classes, chosen)
    metrics = replace(after, loss_uncalibrated=before.loss, calibration_before=before.calibration)
    independent, accuracies = units(groups), [fold.accuracy for fold in each]
    spread = float(np.std(accuracies, ddof=1))
    if thresholds is None:
        metrics = replace(metrics, interval=interval(after.accuracy, independent, accuracies))
        return Folds(tuple(each), metrics, spread, independent, scaled, chosen)
    wilson = evaluate.interval(after.accuracy * independent, independent)
    metrics = replace(metrics, interval=interval_of_several(after.accuracy, wilson, accuracies))
    macro = [fold.macro_f1 for fold in each if fold.macro_f1 is not None]
    if after.macro_f1 is None or len(macro) < 2:
        return Folds(tuple(each), metrics, spread, independent, scaled, chosen)
    called = scores.called(several.probabilities(scaled, 1.0), thresholds)
    alone = several.macro_interval(called, labels, independent)
    metrics = replace(metrics, macro_interval=interval_of_several(after.macro_f1, alone, macro))
    return Folds(tuple(each), metrics, spread, independent, scaled, chosen, float(np.std(macro, ddof=1)))


def units(groups: NDArray[np.int64]) -> float:
    """The effective number of independent pictures among N, if the members of a group are right or wrong together.

    N² over the sum of the squared sizes of the groups (Kish 1965, section 8.2); groups (N,).
    """
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def interval(accuracy: float, independent: float, each: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a cross-validated accuracy: the union of Wilson's interval and Student's over the folds.

    Wilson's, for `independent` pictures, accounts for the number of test pictures; Student's, accuracy +- t * deviation
    / sqrt(folds), also for the differences between models. Neither covers alone (docs/why/folds.md): no estimate of the
    variance from one cross-validation is unbiased (Bengio & Grandvalet 2004, theorem 1).
    """
    low, high = evaluate.interval(accuracy * independent, independent)
    half = _students(each)
    return max(0.0, min(low, accuracy - half)), min(1.0, max(high, accuracy + half))


def interval_of_several(value: float, alone: tuple[float, float], each: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a cross-validated figure from 0 to 1, with several labels a picture.

    `alone`: its interval from the number of pictures, under fixed thresholds; `each`: the figure of each fold. The
    half-widths of that interval and of Student's over the folds are added in quadrature. The union of the two would be
    too narrow, because each training chooses its thresholds on other pictures (docs/why/folds.md).
    """
    half = _students(each)
    return max(0.0, value - math.hypot(half, value - alone[0])), min(1.0, value + math.hypot(half, alone[1] - value))


def _students(each: Sequence[float]) -> float:
    """Half the width of Student's interval over the folds."""
    return T[len(each) - 2] * float(np.std(each, ddof=1)) / math.sqrt(len(each))


def suggestion(data: Data, recipe: Recipe) -> tuple[str, ...]:
    """A sentence if a cross-validation would tell much more than the few test pictures, else ()."""
    count, test, groups = len(data.labels), len(data.rows("test")), data.groups
    if recipe.folds is not None or not test or count > FEW or len(np.unique(groups)) < 2 * USUAL:
        return ()
    if (data.catalog.pictures.sides >= 0).any() or splits.indivisible(data.labels, groups):
        return ()
    pictures = "1 picture" if test == 1 else f"{test} pictures"
    return (f"{pictures} to test on: --folds {USUAL} would test on all {count}",)
