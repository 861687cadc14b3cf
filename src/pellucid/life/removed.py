"""What if some pictures had not been there: the training, made again without them.

Every other picture keeps its place in the order, and all random choices stay as they were (Task.left_out). The steps
before the first one that used a picture are the same, bit for bit, and so are number of steps, learning rates,
preprocessing and the weights of the classes. What differs in the end follows from the pictures alone.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.classifier.classifier import Classifier
from pellucid.debugging.comparing import comparing
from pellucid.debugging.comparison import Comparison
from pellucid.debugging.variant import Variant
from pellucid.life import again as repeat
from pellucid.life.again import Again, Drift, differs
from pellucid.life.material import Material
from pellucid.runs.made_from import remembers
from pellucid.training.features import Extracting
from pellucid.training.head import Fitting

if TYPE_CHECKING:
    from torch import nn

Progress = tuple[int, int]


@dataclass(frozen=True)
class Made:
    """A training, made without some pictures. `first`: the first step that used one, counted from 1; 0 for none."""

    again: Again
    first: int


@dataclass(frozen=True)
class Moved:
    """A layer's weights: how far they are apart, the largest difference and the mean."""

    layer: str
    weights: int
    largest: float
    mean: float


@dataclass(frozen=True)
class LeftOut:
    """A picture that was left out, and the probability of its label with and without it in the training, 0 to 1.

    Of several labels the mean; None for a picture without any.
    """

    path: str
    label: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Removal:
    """A model, and the one that the same training makes without some pictures.

    * first: the first step that used one of them, counted from 1; 0 if none did, as for a head on frozen features
    * losses: the mean cross-entropy of the pictures that the model keeps for its figure, with and without; in nats
    * comparison: on those pictures, "first" with and "second" without; None if the model kept none
    * drift: how far the training, made again with all pictures, is from the saved weights; the comparison is then with
      the network as it was made again here
    """

    model: str
    pictures: tuple[LeftOut, ...]
    first: int
    steps: int
    layers: tuple[Moved, ...]
    losses: tuple[float, float] | None
    comparison: Comparison | None
    drift: Drift | None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "model": self.model,
            "left_out": [{**asdict(each), "class": each.label} for each in self.pictures],
            "first_step": self.first,
            "steps": self.steps,
            "layers": [asdict(each) for each in self.layers],
            "loss": None if self.losses is None else dict(zip(("before", "after"), self.losses, strict=True)),
            "comparison": None if self.comparison is None else self.comparison.as_json(),
            "drift": None if self.drift is None else asdict(self.drift),
            "notes": list(self.notes),
        }


def first_use(again: Again, rows: frozenset[int]) -> int:
    """The first step, counted from 1, that uses one of these rows; 0 if none up to the saved weights does."""
    for step in range(1, again.last + 1):
        if not rows.isdisjoint(again.rows(step).tolist()):
            return step
    return 0


def branch(again: Again, left_out: frozenset[int]) -> Again:
    """The training from here on, on a copy of its state, without some rows."""
    return Again(again.material, replace(again.task, left_out=left_out), copy.deepcopy(again.state))


def made_without(
    material: Material, left_out: frozenset[int]
) -> Generator[Progress | Extracting | Fitting, None, Made]:
    """The whole training without some rows. Yields progress: (done, total) in steps."""
    again = yield from repeat.start(material, left_out)
    for made in again.steps():
        yield made.step, again.last
    return Made(again, first_use(again, left_out))


def removing(material: Material, rows: Sequence[int]) -> Generator[Progress | Extracting | Fitting, None, Removal]:
    """Train again with and without some training pictures, by row, and compare the two networks. Yields progress.

    Raises CatalogError if no training picture is left.
    """
    left_out, last = frozenset(rows), material.last
    repeat.check_left(material, left_out)
    again = yield from repeat.start(material)
    first = first_use(again, left_out)
    total = last + (last - first + 1 if first else 0)
    other: Again | None = None
    for step in again.steps(first - 1 if first else None):
        yield step.step, total
    if first:
        other = branch(again, left_out)
        for step in again.steps():
            yield step.step, total
        for step in other.steps():
            yield last + step.step - first + 1, total
    elif not last:
        other = yield from repeat.start(material, left_out)
    drift = again.drift()
    classifier = material.classifier
    one = classifier if drift is None else _classifier(classifier, again.state.module)
    two = one if other is None else _classifier(classifier, other.state.module)
    notes = [] if drift is None else [f"{differs(material.model, drift)} Both networks were made here."]
    if not first and last:
        notes.append(f"None of them was used in the {last:,} steps up to the saved weights: nothing changes.")
    comparison = None
    if remembers(material.model):
        names = (f"{material.model}, with all pictures", f"without {_spoken(len(left_out))}")
        first_variant, second_variant = (
            Variant(name, material.model, each) for name, each in zip(names, (one, two), strict=True)
        )
        comparison = yield from comparing(first_variant, second_variant)
    else:
        notes.append(f"{material.model} kept no pictures, or they are gone: accuracies cannot be compared.")
    return Removal(
        str(material.model),
        tuple(_left(material, row, one, two) for row in rows),
        first,
        last,
        _moved(again.state.module, (other or again).state.module),
        None if comparison is None else _losses(comparison),
        comparison,
        drift,
        tuple(notes),
    )


def _classifier(classifier: Classifier, module: nn.Module) -> Classifier:
    """The classifier with other weights; temperature and thresholds stay."""
    return replace(classifier, module=module.cpu().eval())


def _left(material: Material, row: int, one: Classifier, two: Classifier) -> LeftOut:
    images = material.data.store.batch(np.array([row]))
    picture = material.data.catalog.pictures[row]
    labels = [number for number in (picture.label, *picture.also) if number >= 0]
    if not labels:
        return LeftOut(picture.path, "", None, None)
    before, after = (each.probabilities(each.logits(images))[0, labels] for each in (one, two))
    return LeftOut(picture.path, material.label(row), float(before.mean()), float(after.mean()))


def _moved(one: nn.Module, two: nn.Module) -> tuple[Moved, ...]:
    """Of each layer with weights, in order."""
    layers: dict[str, list[tuple[int, float, float]]] = {}
    others = dict(two.named_parameters())
    for name, parameter in one.named_parameters():
        away = (parameter.detach().cpu().double() - others[name].detach().cpu().double()).abs()
        layers.setdefault(name.rpartition(".")[0], []).append((away.numel(), float(away.max()), float(away.sum())))
    return tuple(
        Moved(name, sum(count for count, *_ in some), max(most for _, most, _ in some), _mean(some))
        for name, some in layers.items()
    )


def _mean(some: list[tuple[int, float, float]]) -> float:
    return sum(away for *_, away in some) / sum(count for count, *_ in some)


def _losses(comparison: Comparison) -> tuple[float, float] | None:
    """The mean cross-entropy of both on the labelled pictures; with several labels the mean over the classes."""
    losses = []
    for each in comparison.pictures:
        if each.labels is None:
            continue
        pair = []
        for p in (np.array(each.first_probabilities), np.array(each.second_probabilities)):
            right = np.isin(np.arange(len(p)), each.labels)
            chosen = np.where(right, p, 1 - p) if comparison.several else p[right]
            pair.append(float(-np.log(np.maximum(chosen, 1e-300)).mean()))
        losses.append(pair)
    if not losses:
        return None
    before, after = np.mean(losses, axis=0).tolist()
    return before, after


def _spoken(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"
