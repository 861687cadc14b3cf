"""Confusion matrices in JSON: whole if small, their counts above 0 if large, and readable in either form."""

import json
from pathlib import Path

import numpy as np
import pytest

from pellucid.classifier import card, matrix, store
from pellucid.runs.evaluation import Evaluation
from pellucid.training.evaluate import Metrics, measure


def measured(classes: int, each: int, side: str = "test") -> Metrics:
    """Of a classifier that is right about half of the time."""
    labels = np.repeat(np.arange(classes), each)
    logits = np.random.default_rng(classes).normal(0, 1, (len(labels), classes)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 3
    return measure(side, logits, labels, tuple(f"class number {number}" for number in range(classes)), 1.5)


@pytest.mark.parametrize("classes", [1, 2, matrix.WHOLE, matrix.WHOLE + 1, 300])
def test_what_is_stored_is_read_again(classes: int) -> None:
    whole = [list(row) for row in measured(classes, 4).confusion]
    content = json.loads(json.dumps(matrix.stored(whole)))
    assert isinstance(content, list) == (classes <= matrix.WHOLE)
    assert matrix.rows(content) == whole
    assert matrix.rows(whole) == whole  # as an older Pellucid wrote it


def test_a_large_matrix_by_hand() -> None:
    whole = np.eye(101, dtype=int) * 3
    whole[100, [0, 7]] = 2, 1
    content = matrix.stored(whole.tolist())
    assert content["classes"] == 101
    assert (content["called"][99:], content["times"][99:]) == ([[99], [0, 7, 100]], [[3], [2, 1, 3]])
    assert matrix.mistakes(content) == [(2, 100, 0), (1, 100, 7)]


def test_mistakes_most_frequent_first() -> None:
    assert matrix.mistakes([[5, 1, 0], [2, 5, 1], [0, 0, 5]]) == [(2, 1, 0), (1, 0, 1), (1, 1, 2)]


@pytest.mark.parametrize(
    "content", [{"classes": 2}, {"classes": 2, "called": [[0]], "times": [[1]]}, "x", None,
                {"classes": 1, "called": [[5]], "times": [[1]]}, {"classes": 1, "called": [[0]], "times": [[]]}]
)  # fmt: skip
def test_what_is_no_matrix_is_an_error(content: object) -> None:
    with pytest.raises(ValueError, match="a confusion matrix is a list of rows"):
        matrix.rows(content)


def test_the_figures_of_a_thousand_classes_are_below_a_megabyte(model: Path) -> None:
    sides = {side: measured(1000, 6, side) for side in ("validation", "test")}
    content = {
        side: {**metrics.as_json(), "confusion": matrix.stored(metrics.confusion)} for side, metrics in sides.items()
    }
    stated = {"reported": "test", "quotable": True, "chosen": True, **content, "mistakes": []}
    store.write_json(model / "metrics.json", stated)
    assert (model / "metrics.json").stat().st_size < 1_000_000
    again = json.loads((model / "metrics.json").read_text())
    assert matrix.rows(again["test"]["confusion"]) == [list(row) for row in sides["test"].confusion]
    assert len(again["test"]["classes"]) == 1000

    config = json.loads((model / "config.json").read_text())
    config["classes"] = [item["name"] for item in again["test"]["classes"]]
    (model / "config.json").write_text(json.dumps(config))
    card.write(model)
    text = (model / "README.md").read_text()
    assert len(text) < 20_000
    assert max(path.stat().st_size for path in model.glob("*.png")) < 1_000_000
    assert "Of 1,000 classes, the 20 with the lowest recall" in text
    worst = min(again["test"]["classes"], key=lambda item: item["recall"])
    number = config["classes"].index(worst["name"]) + 1
    assert f"| {number:,} | {worst['name']} | 6 | " in text
    count, true, called = matrix.mistakes(again["test"]["confusion"])[0]
    assert f"| class number {true} | class number {called} | {count} |" in text
    result = Evaluation(sides["test"], (), held_out=True, side="test").as_json()
    assert result["confusion"] == again["test"]["confusion"]


def test_json_is_written_a_line_for_what_fits_on_one(tmp_path: Path) -> None:
    content = {
        "few": [1, 2.5, None],
        "many": list(range(200)),
        "rows": [[1, 0], [0, 1]],
        "text": 'two\nlines, "quoted", [1, 2]',
        "nested": {"name": "ä" * 100, "inside": [{"a": "x" * 60}, {"b": "y" * 60}]},
        "empty": {},
        "truth": [True, False],
    }
    store.write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert '\n  "few": [1, 2.5, null],\n' in text
    assert '\n  "rows": [[1, 0], [0, 1]],\n' in text
    assert text.count("\n") == 15
