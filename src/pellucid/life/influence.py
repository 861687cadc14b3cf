"""Who taught an answer: the training pictures that lowered its loss, and those that raised it.

    work = Steps(teaching(again, answer_of(classifier, "cat.jpg"), "derivative"))

Three ways, each in a file of its own: back through the whole training (backward.py), TracIn's estimate (tracin.py), and
the closed form for a head on a frozen backbone (head_taught.py). All give nats: how much higher the loss of the answer
would be without the picture. All are to first order: `verifying` trains again without some pictures and measures it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import RecipeError
from pellucid.files import finite
from pellucid.life import answer as answers
from pellucid.life.again import Again, Drift, differs
from pellucid.life.answer import Answer
from pellucid.life.material import Material
from pellucid.life.removed import made_without
from pellucid.network.standardise import to_unit
from pellucid.training.features import Extracting
from pellucid.training.head import Fitting

Method = Literal["derivative", "tracin"]
SOURCES = {
    "derivative": "Hara, Nitanda & Maehara 2019, algorithm 2, through the optimizer's own numbers",
    "tracin": "Pruthi, Liu, Kale & Sundararajan 2020, eq. 1 (TracInCP)",
    "head": "Koh & Liang 2017, eq. 2; parts of the logit: Yeh, Kim, Yen & Ravikumar 2018, theorem 3.1",
}
HEAD = "The pictures also fitted the head from which its steps began; that is not counted."
Progress = tuple[int, int]


@dataclass(frozen=True)
class Taught:
    """A training picture and an answer.

    * effect: how much higher the answer's loss would be without the picture, in nats; below 0 the picture hurt
    * part: its term in the answer's logit; only for a head on a frozen backbone
    """

    row: int
    path: str
    label: str
    effect: float
    part: float | None = None


@dataclass(frozen=True)
class Verified:
    """The answer after training again without some pictures: the loss expected and measured, in nats."""

    pictures: tuple[str, ...]
    first: int
    expected: float
    before: float
    after: float

    @property
    def agrees(self) -> bool:
        """Whether the loss moved in the direction that was expected."""
        return (self.after - self.before) * self.expected > 0


@dataclass(frozen=True)
class Teaching:
    """Every training picture of an answer, by its effect, the strongest help first.

    * method: "derivative", "tracin" or "head"
    * loss: -log of the answer's probability before calibration, in the network as it was made again
    * rest: the terms of the logit that belong to no picture; only for a head
    * drift: how far the training, made again, is from the saved weights; None if it is the same to the last bit
    """

    picture: str
    label: str
    probability: float
    method: str
    loss: float
    steps: int
    every: tuple[Taught, ...]
    rest: float | None = None
    drift: Drift | None = None
    notes: tuple[str, ...] = ()
    verified: tuple[Verified, ...] = ()

    def helped(self, count: int) -> list[Taught]:
        """The pictures that helped most, the strongest first."""
        return [each for each in self.every[:count] if each.effect > 0]

    def hurt(self, count: int) -> list[Taught]:
        """The pictures that hurt most, the strongest first."""
        return [each for each in reversed(self.every[-count:]) if each.effect < 0] if count else []

    def as_json(self, count: int | None = None) -> dict[str, Any]:
        """All of it, with `count` pictures of each kind, or every one."""
        most = len(self.every) if count is None else count
        return {
            "picture": self.picture,
            "class": self.label,
            "probability": finite(self.probability),
            "loss": finite(self.loss),
            "method": self.method,
            "source": SOURCES[self.method],
            "estimate": True,
            "steps": self.steps,
            "trained_on": len(self.every),
            "helped": [_described(each) for each in self.helped(most)],
            "hurt": [_described(each) for each in self.hurt(most)],
            "rest": self.rest,
            "verified": [{**asdict(each), "agrees": each.agrees} for each in self.verified],
            "drift": None if self.drift is None else asdict(self.drift),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Suspects:
    """Every training picture by how much of its own loss its own steps took away, in nats, the most first.

    A picture with a wrong label finds no support in others. `effect`: of a head, the squared length of its gradient.
    """

    method: str
    every: tuple[Taught, ...]
    drift: Drift | None = None
    notes: tuple[str, ...] = ()

    def as_json(self, count: int | None = None) -> dict[str, Any]:
        """All of it, with `count` pictures, or every one."""
        shown = [_described(each, "own_effect") for each in self.every[:count]]
        drift = None if self.drift is None else asdict(self.drift)
        notes = list(self.notes)
        return {"method": self.method, "trained_on": len(self.every), "suspects": shown, "drift": drift, "notes": notes}


def teaching(
    again: Again, answer: Answer, method: Method = "derivative"
) -> Generator[Progress | Extracting, None, Teaching]:
    """Who taught an answer. `again` must be at its first step, and is at its last one afterwards. Yields progress.

    A head on a frozen backbone has no steps, and a closed form takes the place of both methods. Raises TraceError as
    backward.through_training.
    """
    from pellucid.life import backward, head_taught, tracin

    parts: NDArray[np.float64] | None = None
    rest = None
    if not again.last:
        by_head = yield from head_taught.of_answer(again, answer)
        effect, parts, rest = by_head.effect, by_head.parts, by_head.rest
    elif method == "derivative":
        (effect,) = yield from backward.through_training(again, [answer])
    elif method == "tracin":
        (effect,) = yield from tracin.estimate(again, [answer])
    else:
        raise RecipeError(f"method is {method!r}; it must be derivative or tracin.")
    loss = loss_of(again, answer)
    rows = again.task.train.tolist()
    every = [
        _taught(again.material, row, float(effect[at]), None if parts is None else float(parts[at]))
        for at, row in enumerate(rows)
    ]
    drift, notes = _drift(again)
    if again.last and again.material.config.get("pretrained"):
        notes.append(HEAD)
    return Teaching(
        answer.picture,
        again.material.classifier.classes[answer.label],
        answer.probability,
        method if again.last else "head",
        loss,
        again.last,
        tuple(sorted(every, key=lambda each: -each.effect)),
        rest,
        drift,
        tuple(notes),
    )


def verifying(
    material: Material, answer: Answer, result: Teaching, groups: Sequence[Sequence[Taught]]
) -> Generator[Progress | Extracting | Fitting, None, Teaching]:
    """Train again without each group of pictures, and add to `result` how the answer's loss moved. Yields progress."""
    verified = []
    for group in groups:
        made = yield from made_without(material, frozenset(each.row for each in group))
        expected = sum(each.effect for each in group)
        after = loss_of(made.again, answer)
        verified.append(Verified(tuple(each.path for each in group), made.first, expected, result.loss, after))
    return replace(result, verified=(*result.verified, *verified))


def suspecting(again: Again) -> Generator[Progress | Extracting, None, Suspects]:
    """The training pictures whose labels are most suspicious. As `teaching`."""
    from pellucid.life import head_taught, tracin

    if again.last:
        effect = yield from tracin.self_influence(again)
    else:
        effect = yield from head_taught.self_influence(again)
    drift, notes = _drift(again)
    every = [_taught(again.material, row, float(effect[at])) for at, row in enumerate(again.task.train.tolist())]
    ranked = tuple(sorted(every, key=lambda each: -each.effect))
    return Suspects("tracin" if again.last else "head", ranked, drift, tuple(notes))


def loss_of(again: Again, answer: Answer) -> float:
    """The loss of an answer in the network as it is now, in nats: -log of its probability before calibration."""
    import torch

    task, module = again.task, again.state.module.eval()
    with torch.inference_mode():
        logits = module(task.standardise(to_unit(answer.image[None], task.engine.device))).double()
        label = torch.tensor([answer.label], device=logits.device)
        return float(answers.losses(logits, label, answer.several))


def _drift(again: Again) -> tuple[Drift | None, list[str]]:
    drift = again.drift()
    if drift is None:
        return None, []
    return drift, [f"{differs(again.material.model, drift)} The figures are of the network as it was made again here."]


def _taught(material: Material, row: int, effect: float, part: float | None = None) -> Taught:
    return Taught(row, material.data.catalog.pictures[row].path, material.label(row), effect, part)


def _described(each: Taught, effect: str = "effect") -> dict[str, Any]:
    more = {} if each.part is None else {"part": each.part}
    return {"path": each.path, "class": each.label, effect: finite(each.effect), **more}
