"""The teaching model: a network of 810 weights that reads 8x8 digits, small enough to follow every number of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import api
from pellucid.app import lives
from pellucid.glassbox.page.offline import paging
from pellucid.runs.made_from import remembered
from pellucid.runs.report import Report
from pellucid.steps import result_of

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

NAME = "teaching model"
SETTINGS: Mapping[str, Any] = {
    "model": "conv(8, 3) relu maxpool(2) flatten dense",
    "size": 8,
    "channels": 1,
    "validation": 0,  # nothing is chosen, so the temperature stays 1
    "epochs": 30,
    "batch": 64,
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "momentum": 0,
    "weight_decay": 0,
    "schedule": "constant",
    "warmup": 0,
    "label_smoothing": 0,
    "augment": "none",
    "replay": True,
}
"""The training, as settings of a recipe. docs/why/page.md says why these."""
SURE = 0.9
"""The probability of the right answer that the page opens on: sure, but not so sure that nothing is left to learn."""
UNSURE = 0.2
"""The probability of the truth in the mistake beside it."""


@dataclass(frozen=True)
class Answered:
    """A picture that the model was not trained on, and the answer to it."""

    path: Place
    label: str
    predicted: str
    truth: float
    """The probability of the picture's own class."""
    sure: float
    """The probability of the predicted class."""

    @property
    def right(self) -> bool:
        return self.predicted == self.label


def command(digits: str, out: str) -> str:
    """The command line that makes the same model. `digits`, `out`: two folders, quoted for a shell."""
    flags = (
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(str(value))}")
        for name, value in SETTINGS.items()
    )
    return f"pellucid train {digits} --out {out} {' '.join(flags)}"


def train(digits: Path, out: Path, cache: Path) -> Report:
    """Train the model on a folder of digits, without a display. Raises the errors of api.train."""
    with closing(api.start(digits, out, cache=cache, **SETTINGS)) as run:
        for _ in run:
            pass
        return api.finish(run)


def answered(model: Path) -> list[Answered]:
    """The model's test pictures with its answers, in the order of the model's list. Raises ArtefactError."""
    pictures = list(remembered(model))
    answers = api.predict(model, [path for path, _ in pictures])
    every = []
    for (path, label), answer in zip(pictures, answers, strict=True):
        predicted, sure = answer.top(1)[0]
        every.append(Answered(path, label, predicted, (answer.probabilities or {}).get(label, 0.0), sure))
    return every


def chosen(every: Sequence[Answered]) -> list[Answered]:
    """The pictures of a page: one that is right, a mistake or else the least certain one, then one of each other class.

    A loss needs something to say, and a gradient something to move. So the first two are neither certain nor hopeless.
    """
    right = [each for each in every if each.right]
    wrong = [each for each in every if not each.right]
    first = min(right or wrong, key=lambda each: abs(each.truth - SURE))
    others = [each for each in every if each is not first]
    mistakes = [each for each in wrong if each is not first]
    shown = [first]
    if mistakes:
        shown.append(min(mistakes, key=lambda each: abs(each.truth - UNSURE)))
    elif others:
        shown.append(min(others, key=lambda each: each.truth))
    return [*shown, *_of_other_classes(every, {each.label for each in shown})]


def _of_other_classes(every: Sequence[Answered], taken: set[str]) -> Iterator[Answered]:
    """For each class that is not taken, its right picture whose probability is nearest to SURE, in order."""
    for label in sorted({each.label for each in every} - taken):
        some = [each for each in every if each.label == label]
        yield min(some, key=lambda each: (not each.right, abs(each.truth - SURE)))


def page(model: Path, shown: Sequence[Answered], cache: Path, extra: Mapping[str, Any] | None = None) -> str:
    """The offline page of the model on these pictures, as HTML in ASCII, with the lives of its weights inside.

    `cache`: of the training. `extra`: more of the page's document; see glassbox/page/offline.py. Raises TraceError,
    ArtefactError.
    """
    classifier = api.load(model)
    traces = (classifier.explain(each.path, each.label) for each in shown)
    more = {**(extra or {}), "offers": ["life", "makers"]}
    elements = {lives.ELEMENT: result_of(lives.element(model, cache))}
    return result_of(paging(traces, NAME, extra=more, elements=elements))
