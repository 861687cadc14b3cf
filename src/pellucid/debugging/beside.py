"""A second model for one picture: another folder, a checkpoint, fewer bits, or the same model with changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.debugging import variant
from pellucid.debugging.narrow import Kind, rounded
from pellucid.debugging.parting import Parting, parting
from pellucid.errors import RecipeError
from pellucid.glassbox.whatif import spelling
from pellucid.glassbox.whatif.change import written

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.pictures import Source
    from pellucid.glassbox.trace.trace import Trace

FEWER_BITS: dict[str, tuple[Kind, str]] = {
    "int8": (
        "int8",
        "int8: the weights are rounded as int8 predictions round them; the maps and sums stay in float32. "
        "“pellucid compare --precision int8” compares the int8 predictions themselves.",
    ),
    "bfloat16": ("bfloat16", "bfloat16: every weight is rounded to bfloat16; the maps and sums stay in float32."),
}
"""A precision -> its kind, and what it means for the maps."""
BETWEEN = ";"
"""Separates several changes."""
Locate = Callable[[str], Path]
"""The folder of a model that a user names. Raises ArtefactError."""


@dataclass(frozen=True, eq=False)
class Other:
    """A model beside another one. `name`: what the output calls it. `notes`: sentences about it."""

    name: str
    classifier: Classifier
    notes: tuple[str, ...] = ()


def first(model: Path, trust: bool = False) -> Classifier:
    """The classifier in a model folder or of a checkpoint (see variant.opened). Raises ArtefactError, RecipeError."""
    return _opened(model, str(model), trust).classifier


def other(classifier: Classifier, words: str, locate: Locate, trust: bool = False) -> Other:
    """The model that a user names as the second one; `classifier` is the first.

    `words`: a model folder, hf://OWNER/NAME, RUN/checkpoint or a file in it; "int8" or "bfloat16"; or changes to the
    first, such as "conv1.weight[3, 0, 2, 2] = 0.5; stride 2 in conv1". Raises RecipeError if it is none of these or an
    exported file, which has no layers to show; ArtefactError, TraceError and NetworkError.
    """
    if variant.is_model(words):
        return _opened(locate(words), words, trust)
    if words in FEWER_BITS:
        return fewer_bits(classifier, words)
    try:
        changes = tuple(map(spelling.read, filter(str.strip, words.split(BETWEEN))))
    except RecipeError as error:
        raise RecipeError(_none_of(words)) from error
    if not changes:
        raise RecipeError(_none_of(words))
    return Other(f"with {written(changes)}", classifier.changed(changes))


def fewer_bits(classifier: Classifier, precision: str) -> Other:
    """The same model with rounded weights. `precision`: one of FEWER_BITS."""
    kind, note = FEWER_BITS[precision]
    return Other(precision, rounded(classifier, kind), (note,))


def followed(other: Classifier, picture: Source, run: Trace) -> Trace:
    """The same picture through another model: against the same class if it has that, with the same truth.

    Raises PictureError and TraceError.
    """
    known = set(run.against) <= set(other.classes) and (run.thresholds is None) == (other.thresholds is None)
    several = other.thresholds is not None
    label = None if not known else list(run.against) if several else run.against[0]
    trace = other.explain(picture, label)
    truth = None if run.truth is None else tuple(run.classes[each] for each in run.truth)
    places = None if truth is None or not set(truth) <= set(other.classes) else tuple(map(other.classes.index, truth))
    return replace(trace, source=run.source, truth=places, size=run.size or trace.size)


def beside(run: Trace, name: str, second: Other, picture: Source) -> tuple[Trace, Parting]:
    """The run of the second model on the same picture, and where the two part. `name`: of the first model."""
    trace = followed(second.classifier, picture, run)
    return trace, parting(run, trace, (name, second.name), second.notes)


def _opened(model: Path, name: str, trust: bool) -> Other:
    from pellucid.runs.learning import with_learning

    opened = variant.opened(model, trust=trust)
    classifier = opened.classifier
    if variant.checkpoint_at(model) is None:
        classifier = with_learning(classifier, model)
    return Other(name, classifier, opened.notes)


def _none_of(words: str) -> str:
    bits = " or ".join(FEWER_BITS)
    return (
        f"The second model is {words!r}. Name a model (a folder that `pellucid train` wrote, RUN/checkpoint, or "
        f"hf://OWNER/NAME), or {bits}, or changes to the first model such as {spelling.FORMS}; separate several by "
        f"{BETWEEN!r}."
    )
