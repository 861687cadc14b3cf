"""The page of a model for several labels a picture: its mistakes, label by label, and its replay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.app.test_page_mistakes import content_of, waited

import pellucid
from pellucid import api, replay
from pellucid.app.cli import main
from pellucid.app.page import mistakes, training
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page.replies import Refused
from pellucid.runs.evaluation import Evaluation
from pellucid.runs.made_from import remembered


@pytest.fixture(scope="module")
def glass(tagged: Path) -> Iterator[Glass]:
    glass = Glass(api.load(tagged), tagged, tagged.parent / "photos" / "3.png")
    assert waited(lambda: content_of(mistakes.start(glass, {}, b"")))["state"] == "done"
    yield glass
    glass.finish()


@pytest.fixture(scope="module")
def evaluation(tagged: Path) -> Evaluation:
    return api.evaluate(tagged)


def test_the_evaluation_says_what_each_picture_was_called(tagged: Path, evaluation: Evaluation) -> None:
    classifier, kept = pellucid.load(tagged), list(remembered(tagged))
    assert evaluation.answers == ()
    assert len(evaluation.labelled) == len(kept) == evaluation.metrics.pictures
    for answer, (path, labels) in zip(evaluation.labelled, kept, strict=True):
        alone = classifier.predict(path)
        assert answer.picture == str(path)
        assert [classifier.classes[label] for label in answer.labels] == [name for name in labels.split("|") if name]
        assert {classifier.classes[label] for label in answer.called} == set(alone.labels or ())
        assert answer.probabilities == pytest.approx([alone.probabilities[name] for name in classifier.classes])
    exact = sum(answer.labels == answer.called for answer in evaluation.labelled)
    assert exact == evaluation.metrics.correct < evaluation.metrics.pictures


def test_each_label_counts_right_missed_and_wrong(glass: Glass, evaluation: Evaluation) -> None:
    content = content_of(mistakes.start(glass, {}, b""))
    assert "mistakes" in glass.shown.extra["offers"]
    assert (content["several"], content["confusion"]) == (True, [])
    assert content["macro_f1"] == evaluation.metrics.macro_f1
    for label, (counts, item) in enumerate(zip(content["labels"], evaluation.metrics.classes, strict=True)):
        has = [label in answer.labels for answer in evaluation.labelled]
        called = [label in answer.called for answer in evaluation.labelled]
        pairs = list(zip(has, called, strict=True))
        assert counts == {
            "right": pairs.count((True, True)),
            "missed": pairs.count((True, False)),
            "wrong": pairs.count((False, True)),
        }
        assert (item.missed, item.wrong) == (counts["missed"], counts["wrong"])
    assert sum(counts["missed"] + counts["wrong"] for counts in content["labels"]) > 0


def test_a_cell_has_its_pictures_worst_first(glass: Glass, evaluation: Evaluation) -> None:
    content = content_of(mistakes.start(glass, {}, b""))
    for label, counts in enumerate(content["labels"]):
        for kind, count in counts.items():
            listed = content_of(mistakes.cell(glass, {"label": str(label), "kind": kind}))["pictures"]
            assert len(listed) == count
            odds = [each["probability"] for each in listed]
            assert odds == sorted(odds, reverse=kind == "wrong")
            for each in listed:
                answer = evaluation.labelled[each["number"]]
                assert each["probability"] == pytest.approx(answer.probabilities[label])
                assert (tuple(each["labels"]), tuple(each["called"])) == (answer.labels, answer.called)
                assert (label in answer.labels, label in answer.called) == (kind != "wrong", kind != "missed")


@pytest.mark.parametrize(("label", "kind"), [("2", "right"), ("0", "2"), ("0", ""), ("-1", "missed")])
def test_a_cell_that_is_none_is_refused(glass: Glass, label: str, kind: str) -> None:
    with pytest.raises(Refused, match="must be"):
        mistakes.cell(glass, {"label": label, "kind": kind})


def test_a_picture_is_opened_against_all_its_labels(tagged: Path, evaluation: Evaluation) -> None:
    glass = Glass(api.load(tagged), tagged, tagged.parent / "photos" / "3.png")
    waited(lambda: content_of(mistakes.start(glass, {}, b"")))
    seen = set()
    for number, answer in enumerate(evaluation.labelled):
        if len(answer.labels) not in seen:
            seen.add(len(answer.labels))
            mistakes.opened(glass, {"number": str(number)}, b"")
            classes = glass.classifier.classes
            assert glass.shown.document.trace.against == tuple(classes[label] for label in answer.labels)
    assert seen == {0, 1, 2}, "no label, one, and both"
    glass.finish()


def test_the_command_lists_the_most_frequent(
    tagged: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pellucid", "evaluate", str(tagged)])
    assert main() == 0
    printed = capsys.readouterr().out.splitlines()
    for item in evaluation.metrics.classes:
        assert (f"{item.missed} x {item.name} missed" in printed) == bool(item.missed)
        assert (f"{item.wrong} x {item.name} called where it is not" in printed) == bool(item.wrong)
    monkeypatch.setattr("sys.argv", ["pellucid", "evaluate", str(tagged), "--json"])
    assert main() == 0
    stated: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["classes"]
    assert [each["missed"] for each in stated] == [item.missed for item in evaluation.metrics.classes]


# ---- the replay


def test_the_replay_follows_a_picture_for_each_label(tagged: Path) -> None:
    kept = replay.read(tagged / "replay")
    assert kept.several
    assert len(kept.pictures) == len({picture.path for picture in kept.pictures}) == 2
    sides = {str(path): labels for path, labels in _split(tagged)}
    for label, picture in zip(kept.classes, kept.pictures, strict=True):
        assert label in picture.labels
        assert picture.label == sides[picture.path] == "|".join(picture.labels)
    last = kept.frames[-1]
    assert last.probabilities == pytest.approx(1 / (1 + np.exp(-last.logits.astype(float))))
    for number, picture in enumerate(kept.pictures):
        has = np.array([name in picture.labels for name in kept.classes])
        logits = last.logits[number].astype(float)
        assert last.loss[number] == pytest.approx((np.logaddexp(0, logits) - logits * has).mean(), abs=1e-6)
    assert all(np.abs(numbers.numbers()).max() > 0 for numbers in last.gradients.values())


def test_the_page_is_told_all_labels(tagged: Path) -> None:
    content = json.loads(training.overview(tagged).body)["replay"]
    kept = replay.read(tagged / "replay")
    assert content["several"] is True
    assert [picture["labels"] for picture in content["pictures"]] == [list(each.labels) for each in kept.pictures]


def _split(model: Path) -> list[tuple[str, str]]:
    import csv

    with (model / "split.csv").open(newline="") as file:
        return [(row["path"], row["class"]) for row in csv.DictReader(file)]
