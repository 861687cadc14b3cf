"""The true class of a picture, from a model's list of pictures or from the picture's folder."""

import shutil
from pathlib import Path

import pytest

from pellucid import api
from pellucid.classifier import class_names
from pellucid.runs import made_from
from pellucid.runs.truth import Truths


def truths(model: Path) -> Truths:
    return Truths(model, api.load(model))


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("photos/cat/1.png", 0),
        ("/any/dog/2.jpg", 1),
        ("cafe\N{COMBINING ACUTE ACCENT}/1.png", 2),  # macOS writes the accent as a character of its own
        ("cat/more/1.png", None),
        ("photos/cats/1.png", None),
        ("1.png", None),
    ],
)
def test_a_labelled_folder_names_the_class(path: str, number: int | None) -> None:
    classes = ("cat", "dog", "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert class_names.of_folder(Path(path), classes) == number


def test_a_trace_knows_the_class_of_its_folder_and_nothing_of_bytes(trained: Path, photos: Path) -> None:
    classifier = api.load(trained)
    picture = photos / "red" / "0.png"  # a blue picture under the wrong label: its label is what is stated
    assert classifier.explain(picture, "blue").truth == (classifier.classes.index("red"),)
    assert classifier.explain(picture.read_bytes(), "red").truth is None


def test_a_models_own_picture_is_recognised_by_its_bytes(trained: Path, tmp_path: Path) -> None:
    known = truths(trained)
    picture, label = next(made_from.remembered(trained))
    number = known.classifier.classes.index(label)
    elsewhere = tmp_path / "unsorted.png"
    shutil.copy(picture, elsewhere)
    assert known.of(elsewhere, None) == (number,)
    assert known.of(picture.read_bytes(), None) == (number,)
    assert known.of(picture, (number,)) == (number,)
    assert known.of(picture, (1 - number,)) is None, "list and folder disagree"


def test_what_no_list_states_is_left_to_the_folder(trained: Path, tmp_path: Path) -> None:
    known = truths(trained)
    assert known.of(b"no picture of the model", None) is None
    assert known.of(b"no picture of the model", (1,)) == (1,)
    assert known.of(tmp_path / "gone.png", (0,)) == (0,)
    assert made_from.labels(tmp_path) == {}, "no model"


def test_all_labels_of_a_picture_are_the_truth(tagged: Path) -> None:
    known, photos = truths(tagged), tagged.parent / "photos"
    both = known.of(photos / "3.png", None)  # 3 is 11 in binary: blue and red
    assert both is not None
    assert sorted(both) == [0, 1]
    assert known.of(photos / "4.png", None) == (), "a picture without a label has a truth too"
    assert known.classifier.explain(photos / "3.png").truth is None, "a folder cannot name several labels"
