"""The pictures that a model keeps for its reported figure, classified once more: what was taken for what, and which."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any

from pellucid.app.page import pictures
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Refused, Reply
from pellucid.runs.evaluate import evaluating
from pellucid.runs.evaluation import Answer, Evaluation, LabelsAnswer
from pellucid.steps import Steps
from pellucid.texts import LABELS_BETWEEN

Asked = Mapping[str, str]
KINDS = ("right", "missed", "wrong")
"""Of several labels: a picture has the label and is called so; has it and is not; is called so and does not have it."""


def mistakes(glass: Glass, _asked: Asked) -> Reply:
    """How far the evaluation is; once it is done the confusion matrix, [true][predicted], and the accuracy.

    Of several labels a picture the matrix is empty, and `labels` counts for each label the pictures of each of KINDS.
    """
    progress = glass.jobs.ask("mistakes", lambda: _classify(glass.model))
    content = progress.as_json()
    if progress.result is not None:
        found: Evaluation = progress.result
        metrics = found.metrics
        content |= {
            "side": metrics.side,
            "pictures": metrics.pictures,
            "correct": metrics.correct,
            "accuracy": metrics.accuracy,
            "interval": list(metrics.interval),
            "confusion": [list(row) for row in metrics.confusion],
            "several": metrics.several,
            "macro_f1": metrics.macro_f1,
            "labels": [
                {"right": each.pictures - each.missed, "missed": each.missed, "wrong": each.wrong}
                for each in metrics.classes
                if each.missed is not None
            ],
            "unusable": [{"picture": path, "reason": reason} for path, reason in found.unusable],
        }
    return replies.as_json(content)


def cell(glass: Glass, asked: Asked) -> Reply:
    """The pictures of class ?label= that were taken for ?predicted=, by number, worst first.

    Worst is where the true class is least probable, then where the one that was predicted is most probable. Of several
    labels: the pictures of ?label= that are of ?kind=, see KINDS, those with the probability furthest off first.
    """
    found = _found(glass)
    count = len(glass.classifier.classes)
    if found.metrics.several:
        return replies.as_json({"pictures": _of_label(found, pictures.whole(asked, "label", count), asked)})
    wanted = pictures.whole(asked, "label", count), pictures.whole(asked, "predicted", count)
    inside = [
        (number, answer) for number, answer in enumerate(found.answers) if (answer.label, answer.predicted) == wanted
    ]
    inside.sort(key=lambda each: (each[1].label_probability, -each[1].predicted_probability, each[0]))
    return replies.as_json({"pictures": [_described(number, answer) for number, answer in inside]})


def picture(glass: Glass, asked: Asked) -> Reply:
    """One picture as the network gets it, by its number."""
    return pictures.png(pictures.prepared(glass, _answer(glass, asked).picture))


def opened(glass: Glass, asked: Asked, _body: bytes) -> Reply:
    """Show a picture, by its number, against its true class, or against all its labels."""
    answer, classes = _answer(glass, asked), glass.classifier.classes
    labels = answer.labels if isinstance(answer, LabelsAnswer) else (answer.label,)
    return pictures.show(glass, answer.picture, LABELS_BETWEEN.join(classes[label] for label in labels))


def _classify(model: Path) -> Generator[tuple[int, int], None, Evaluation]:
    """By a classifier of its own, loaded here."""
    steps = Steps(evaluating(model))
    for step in steps:
        yield step.done, step.total
    return steps.result


def _found(glass: Glass) -> Evaluation:
    progress = glass.jobs.ask("mistakes", lambda: _classify(glass.model))
    if progress.error is not None:
        raise Refused(HTTPStatus.CONFLICT, progress.error)
    if progress.result is None:
        raise Refused(HTTPStatus.CONFLICT, "The pictures are still being classified. Wait a moment, then try again.")
    return progress.result


def _answer(glass: Glass, asked: Asked) -> Answer | LabelsAnswer:
    found = _found(glass)
    answers = found.labelled if found.metrics.several else found.answers
    return answers[pictures.whole(asked, "number", len(answers))]


def _described(number: int, answer: Answer) -> dict[str, Any]:
    return {
        "number": number,
        "name": PurePath(answer.picture).name,
        "label_probability": answer.label_probability,
        "predicted_probability": answer.predicted_probability,
    }


def _of_label(found: Evaluation, label: int, asked: Asked) -> list[dict[str, Any]]:
    """The pictures of one label and one of KINDS. Raises Refused."""
    kind = asked.get("kind", "")
    if kind not in KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    wanted = kind != "wrong", kind != "missed"  # has it, is called so
    inside = [
        (number, answer)
        for number, answer in enumerate(found.labelled)
        if (label in answer.labels, label in answer.called) == wanted
    ]
    sign = 1 if kind == "wrong" else -1
    inside.sort(key=lambda each: (-sign * float(each[1].probabilities[label]), each[0]))
    return [
        {
            "number": number,
            "name": PurePath(answer.picture).name,
            "probability": float(answer.probabilities[label]),
            "labels": list(answer.labels),
            "called": list(answer.called),
        }
        for number, answer in inside
    ]
