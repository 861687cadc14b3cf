"""The picture that a page opens on: right, but not certain; found within a moment."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pellucid
from pellucid.app.page import first as firsts
from pellucid.app.page.first import first
from pellucid.classifier.predict.prediction import Prediction
from pellucid.runs.made_from import remembered, sampled


def stub(monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[str, Prediction]]) -> tuple[Any, list[str]]:
    """A classifier with these answers, name -> (label, answer), and the names that it was asked about."""
    seen: list[str] = []

    def predict(path: Path) -> Prediction:
        seen.append(path.name)
        return answers[path.name][1]

    listed = [(Path(name), label) for name, (label, _) in answers.items()]
    monkeypatch.setattr(firsts, "sampled", lambda _: iter(listed))
    return SimpleNamespace(predict=predict), seen


def says(label: str, **probabilities: float) -> Prediction:
    return Prediction("", label, probabilities[label], probabilities)


def test_it_is_right_but_not_certain_and_the_search_ends_there(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "broken": ("cat", Prediction("", error="cannot be read")),
        "certain": ("cat", says("cat", cat=0.999994, dog=0.000006)),
        "wrong": ("dog", Prediction("", "cat", 0.9, {"cat": 0.1, "dog": 0.9})),  # at no distance, but wrong
        "near": ("dog", says("dog", cat=0.06, dog=0.94)),
        "later": ("dog", says("dog", cat=0.1, dog=0.9)),
    }
    classifier, seen = stub(monkeypatch, answers)
    assert first(classifier, Path("model")) == Path("near")
    assert seen == ["broken", "certain", "wrong", "near"]


def test_it_is_the_least_certain_where_all_are_and_the_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    sure = {str(at): ("cat", says("cat", cat=p, dog=1 - p)) for at, p in enumerate((0.9999, 0.99, 0.999999, 0.2))}
    classifier, seen = stub(monkeypatch, sure)
    assert first(classifier, Path("model")) == Path("1")
    assert len(seen) == 4
    monkeypatch.setattr(firsts, "SECONDS", -1)
    classifier, seen = stub(monkeypatch, sure)
    assert first(classifier, Path("model")) == Path("0")
    assert seen == ["0"], "one is always answered"
    classifier, _ = stub(monkeypatch, {})
    assert first(classifier, Path("model")) is None


def test_several_labels_are_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def tagged(labels: tuple[str, ...], **probabilities: float) -> Prediction:
        return Prediction("", labels[0] if labels else None, 0.9, probabilities, labels=labels)

    answers = {
        "certain": ("a|b", tagged(("a", "b"), a=1.0, b=1.0, c=0.0)),
        "one too few": ("a|b", tagged(("a",), a=0.9, b=0.9, c=0.0)),
        "near": ("a|b", tagged(("a", "b"), a=0.95, b=0.95, c=0.01)),
    }
    classifier, seen = stub(monkeypatch, answers)
    assert first(classifier, Path("model")) == Path("near")
    assert len(seen) == 3


def test_a_real_model_opens_on_one_of_its_held_out_pictures(trained: Path) -> None:
    held_out = list(remembered(trained))
    assert sorted(sampled(trained)) == sorted(held_out)
    labels = [label for _, label in sampled(trained)]
    assert labels[:2] in (["red", "blue"], ["blue", "red"]), "both classes come early"
    assert first(pellucid.load(trained), trained) in [path for path, _ in held_out]
