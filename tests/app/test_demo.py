"""`pellucid demo`: its pictures, its folder, and its output, on a short training."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pellucid import api
from pellucid.app import digits, teaching
from pellucid.app.commands import demo
from pellucid.classifier.predict.prediction import Prediction
from pellucid.runs.run import Run

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_digits_become_files(tmp_path: Path) -> None:
    assert digits.write(tmp_path / "digits") == 1797
    paths = sorted((tmp_path / "digits").rglob("*.png"))
    assert len(paths) == 1797
    assert sorted({path.parent.name for path in paths}) == list("0123456789")
    pixels, labels = load_digits(return_X_y=True)
    for number in (0, 100, 1796):
        (path,) = (tmp_path / "digits").rglob(f"{number:04}.png")
        assert int(path.parent.name) == labels[number]
        image = np.array(Image.open(path))
        assert np.abs(image / 255 * 16 - pixels[number].reshape(8, 8)).max() < 0.05


def test_it_ends_by_saying_what_lies_where(pellucid: Callable, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    start = api.start

    def short(*arguments: object, **settings: object) -> Run:
        tiny = {"model": "conv(4, 3) relu globalavgpool dense", "size": 8, "epochs": 1, "batch": 256, "device": "cpu"}
        return start(*arguments, **{**settings, **tiny})  # type: ignore[arg-type]

    monkeypatch.setattr(api, "start", short)
    result = pellucid("demo", "--out", "my [demo]")
    assert (result.status, result.err) == (0, "")
    place = "'my [demo]/{}'"
    assert "1. Pictures. 1,797 handwritten digits are now files in " in result.out
    assert f"pellucid train {place.format('digits')} --out {place.format('model')}" in result.out
    assert len(re.findall(r"   my \[demo\]/digits/\d/\d{4}\.png  is  \d   \(\d \d+\.\d%  ", result.out)) == demo.SHOWN
    named = {path.name for path in (tmp_path / "my [demo]").iterdir()}
    assert named >= {"digits", "teaching", "model", "cache", "teaching.html", "glass-box.html"}
    first, second = (tmp_path / "my [demo]" / name for name in ("teaching.html", "glass-box.html"))
    assert result.out.index(f"   my [demo]/{first.name}   (") < result.out.index(f"   my [demo]/{second.name}   (")
    assert f"({first.stat().st_size / 1e6:.1f} MB; any browser opens it, also offline)" in result.out
    assert [beside(each) for each in (first, second)] == [second.name, first.name]
    assert f"pellucid open {place.format('teaching')}   " in result.out
    accuracies = re.findall(r"test: \d+\.\d% of 269 pictures, 95% interval", result.out)
    assert len(accuracies) == 2, "each network's, on the same pictures"
    page = tmp_path / "my [demo]" / "glass-box.html"
    size = f"{page.stat().st_size / 1e6:.0f} MB; any browser opens it, also offline"
    assert f"   my [demo]/glass-box.html   ({size})\n" in result.out
    document = document_of(page)
    mistake = document["pictures"][-1]
    assert demo.SHOWN <= len(document["pictures"]) <= demo.SHOWN + 1, "it may be one of the eight"
    assert len({each["picture"] for each in document["pictures"]}) == len(document["pictures"])
    assert (
        f"It includes a {mistake['against'][0]} from the test pictures that the network mistakes for a " in result.out
    )
    assert f"takes for a {mistake['predicted']}" in result.out
    assert mistake["against"][0] != mistake["predicted"]
    assert result.out.count("pellucid predict 'my [demo]/model' 'my [demo]/digits'/7 --top 2\n") == 1
    again = pellucid("demo", "--out", "my [demo]")
    assert (again.status, again.out) == (1, "")
    assert "my [demo] is not empty, and nothing of yours is overwritten." in again.err


def document_of(page: Path) -> dict[str, Any]:
    return json.loads(re.findall(r'id="document">(.*?)</script>', page.read_text(encoding="ascii"))[0])


def beside(page: Path) -> str:
    """The file that a page links to."""
    return document_of(page)["beside"]["href"]


def test_a_place_that_is_a_file(pellucid: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = pellucid("demo", "--out", tmp_path / "file")
    assert (result.status, result.out) == (1, "")
    assert f"{tmp_path}/file is a file, and nothing of yours is overwritten." in result.err
    result = pellucid("demo", "--out", tmp_path / "file" / "below")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert (tmp_path / "file").read_text() == "mine"


def test_without_scikit_learn_it_says_what_to_install(pellucid: Callable, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    for words in (["demo", "--out", tmp_path / "demo"], ["lessons", "--html", tmp_path / "demo"]):
        result = pellucid(*words)
        assert result.status == 1
        assert "scikit-learn for its pictures: pip install 'pellucid[demo]'" in result.err
        assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("digit", range(3))
def test_shown_pictures_are_of_different_digits(digit: int, tmp_path: Path, monkeypatch) -> None:
    listed = [(Path(f"{label}/{number}.png"), str(label)) for label in (2, 0, 1) for number in range(3)]
    monkeypatch.setattr(demo, "remembered", lambda model: listed)
    monkeypatch.setattr(api, "predict", lambda model, paths: iter(paths))
    shown = demo.never_seen(tmp_path, tmp_path)
    assert shown[digit][0] == Path(f"{digit}/0.png")
    assert len(shown) == 3


def test_the_worst_mistake_is_the_most_certain_one(tmp_path: Path, monkeypatch) -> None:
    listed = [(Path(f"{number}.png"), label) for number, label in enumerate("0123")]
    probabilities = [{"0": 0.9, "1": 0.1}, {"0": 0.6, "1": 0.4}, {"2": 0.3, "5": 0.7}, {"3": 1.0}]
    answers = [Prediction(str(path), probabilities=each) for (path, _), each in zip(listed, probabilities, strict=True)]
    monkeypatch.setattr(teaching, "remembered", lambda model: listed)
    monkeypatch.setattr(api, "predict", lambda model, paths: iter(answers))
    assert demo.worst_mistake(tmp_path) == teaching.Answered(Path("2.png"), "2", "5", 0.3, 0.7)
    monkeypatch.setattr(teaching, "remembered", lambda model: listed[:1])
    monkeypatch.setattr(api, "predict", lambda model, paths: iter(answers[:1]))
    assert demo.worst_mistake(tmp_path) is None
