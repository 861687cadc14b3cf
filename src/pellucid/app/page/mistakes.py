"""Classify the pictures that a model keeps for its reported figure again: confusions, and the pictures behind them."""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any

from pellucid.app.page import pictures
from pellucid.app.page.job import IDLE
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.runs.evaluate import evaluating
from pellucid.runs.evaluation import Answer, Evaluation, LabelsAnswer
from pellucid.steps import Steps
from pellucid.texts import LABELS_BETWEEN

JOB = "mistakes"
KINDS = ("right", "missed", "wrong")
"""For several labels: the picture has the label and gets it; has it and does not get it; gets it without having it."""


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start the evaluation, if it has not started yet; then as `mistakes`."""
    glass.jobs.ask(JOB, lambda: _classify(glass.model))
    return mistakes(glass, query)


def mistakes(glass: Glass, _query: Query) -> Reply:
    """The progress of the evaluation; when it is done, the confusion matrix, [true][predicted], and the accuracy.

    "idle" if it has not been started.

    With several labels a picture the matrix is empty, and `labels` counts the pictures of each of KINDS for each label.
    """
    progress = glass.jobs.known(JOB)
    if progress is None:
        return replies.as_json(IDLE)
    content = progress.as_json()
    if progress.result is not None:
        evaluation: Evaluation = progress.result
        metrics = evaluation.metrics
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
            "unusable": [{"picture": path, "reason": reason} for path, reason in evaluation.unusable],
        }
    return replies.as_json(content)


def cell(glass: Glass, query: Query) -> Reply:
    """The pictures of class ?label= that were predicted as ?predicted=, by number, worst first.

    Worst means that the true class is least probable, then that the predicted one is most probable. With several
    labels: the pictures of ?label= that are of ?kind= (see KINDS), the probability furthest from the truth first.
    """
    evaluation = _evaluation(glass)
    count = len(glass.classifier.classes)
    if evaluation.metrics.several:
        return replies.as_json({"pictures": _of_label(evaluation, pictures.whole(query, "label", count), query)})
    wanted = pictures.whole(query, "label", count), pictures.whole(query, "predicted", count)
    inside = [
        (number, answer)
        for number, answer in enumerate(evaluation.answers)
        if (answer.label, answer.predicted) == wanted
    ]
    inside.sort(key=lambda each: (each[1].label_probability, -each[1].predicted_probability, each[0]))
    return replies.as_json({"pictures": [_described(number, answer) for number, answer in inside]})


def picture(glass: Glass, query: Query) -> Reply:
    """One picture as the network's input, by its number."""
    return pictures.png(pictures.prepared(glass, _answer(glass, query).picture))


def opened(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Show a picture, by its number, against its true class, or against all its labels."""
    answer, classes = _answer(glass, query), glass.classifier.classes
    labels = answer.labels if isinstance(answer, LabelsAnswer) else (answer.label,)
    return pictures.show(glass, answer.picture, LABELS_BETWEEN.join(classes[label] for label in labels))


def _classify(model: Path) -> Generator[tuple[int, int], None, Evaluation]:
    """With a separate classifier, loaded here."""
    steps = Steps(evaluating(model))
    for step in steps:
        yield step.done, step.total
    return steps.result


def _evaluation(glass: Glass) -> Evaluation:
    progress = glass.jobs.known(JOB)
    if progress is None:
        raise Refused(HTTPStatus.CONFLICT, "The pictures have not been classified yet. Open the page's mistakes first.")
    if progress.error is not None:
        raise Refused(HTTPStatus.CONFLICT, progress.error)
    if progress.result is None:
        raise Refused(HTTPStatus.CONFLICT, "The pictures are still being classified. Wait a moment, then try again.")
    return progress.result


def _answer(glass: Glass, query: Query) -> Answer | LabelsAnswer:
    evaluation = _evaluation(glass)
    answers = evaluation.labelled if evaluation.metrics.several else evaluation.answers
    return answers[pictures.whole(query, "number", len(answers))]


def _described(number: int, answer: Answer) -> dict[str, Any]:
    return {
        "number": number,
        "name": PurePath(answer.picture).name,
        "label_probability": answer.label_probability,
        "predicted_probability": answer.predicted_probability,
    }


def _of_label(evaluation: Evaluation, label: int, query: Query) -> list[dict[str, Any]]:
    """The pictures of one label and one of KINDS. Raises Refused."""
    kind = query.get("kind", "")
    if kind not in KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    wanted = kind != "wrong", kind != "missed"  # has it, gets it
    inside = [
        (number, answer)
        for number, answer in enumerate(evaluation.labelled)
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
