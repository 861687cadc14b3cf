"""`pellucid evaluate`: the reported figure, and figures on other folders."""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import api

pytestmark = pytest.mark.usefixtures("undrawn")


def test_it_repeats_the_reported_figure(pellucid: Callable, trained: Path) -> None:
    stated = json.loads((trained / "metrics.json").read_text())["test"]
    result = pellucid("evaluate", trained)
    low, high = stated["interval"]
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert (
        lines[0]
        == f"test: {stated['accuracy']:.1%} of {stated['pictures']} pictures, 95% interval {low:.1%} to {high:.1%}"
    )
    balanced = f"balanced accuracy {stated['balanced_accuracy']:.1%}, 95% interval "
    assert lines[1].startswith(balanced)
    assert "; recall blue " in lines[1]
    assert lines[3].split() == ["class", "pictures", "precision", "recall", "F1"]
    for line, item in zip(lines[4:6], stated["classes"], strict=True):
        figures = (item[key] for key in ("precision", "recall", "f1"))
        assert line.split() == [item["name"], str(item["pictures"]), *(f"{figure:.1%}" for figure in figures)]
    wrong = sorted(
        count for t, row in enumerate(stated["confusion"]) for c, count in enumerate(row) if t != c and count
    )
    assert sorted(int(line.split(" x ")[0]) for line in lines[6:]) == wrong != []


def test_json_is_the_same(pellucid: Callable, trained: Path) -> None:
    stated = json.loads((trained / "metrics.json").read_text())["test"]
    result = pellucid("evaluate", trained, "--json")
    content = json.loads(result.out)
    assert content["unusable"] == []
    for key in ("side", "pictures", "correct", "accuracy", "interval", "confusion"):
        assert content[key] == stated[key]


def test_a_folder_with_pictures_that_cannot_be_used(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "data")
    for number in range(7):
        (tmp_path / "data" / "red" / f"bad [i]{number}.png").write_bytes(b"bad")
    result = pellucid("evaluate", trained, tmp_path / "data")
    assert result.status == 3
    assert result.out.startswith(f"{tmp_path}/data: ")
    assert " of 32 pictures, " in result.out
    assert result.out.count(f"not used: {tmp_path}/data/red/bad [i]") == 5
    assert result.out.endswith("… 7 in all were not used; --json lists them\n")
    content = json.loads(pellucid("evaluate", trained, tmp_path / "data", "--json").out)
    assert [Path(bad["picture"]).name for bad in content["unusable"]] == [f"bad [i]{number}.png" for number in range(7)]


def test_errors_are_one_line(pellucid: Callable, trained: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "red", tmp_path / "data" / "rouge")
    for arguments, message in (
        ((trained, tmp_path / "data"), "has a class 'rouge' that the model does not know; it knows blue, red.\n"),
        ((trained, tmp_path / "nowhere"), "nowhere does not exist. Name a folder that holds one folder"),
        ((tmp_path,), "is not a model folder: it has no config.json.\n"),
    ):
        result = pellucid("evaluate", *arguments)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert message in result.err


def test_folders_that_are_the_models_classes_in_another_form(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path
) -> None:
    """The model has café in one Unicode form, the folder in the other, and a model folder is beside the classes."""
    model, data = tmp_path / "data" / "model", tmp_path / "data"
    shutil.copytree(trained, model)
    config = json.loads((model / "config.json").read_text())
    config["classes"] = ["cafe\u0301", "red"]
    (model / "config.json").write_text(json.dumps(config))
    shutil.copytree(photos / "blue", data / "caf\u00e9")
    shutil.copytree(photos / "red", data / "red")
    content = json.loads(pellucid("evaluate", model, data, "--json").out)
    assert [(each["name"], each["pictures"]) for each in content["classes"]] == [("cafe\u0301", 16), ("red", 16)]
    assert content["notes"] == [f"left out: {model} (a model folder)"]
    assert f"left out: {model} (a model folder)\n" in pellucid("evaluate", model, data).out
    explained = json.loads(pellucid("explain", model, photos / "red/0.png", "--label", "caf\u00e9", "--json").out)
    assert explained["label"] == "cafe\u0301"


def test_a_class_that_hardly_differs_from_the_models(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos / "red", tmp_path / "data" / "Red")
    assert pellucid("evaluate", trained, tmp_path / "data").err.endswith(
        "has a class 'Red' that the model does not know; it knows blue, red. "
        "Rename the folder to 'red' if that is meant.\n"
    )


def sides(model: Path) -> Counter[str]:
    with (model / "split.csv").open(newline="") as file:
        return Counter(row["side"] for row in csv.DictReader(file))


def test_it_says_which_pictures_it_was_trained_on(pellucid: Callable, trained: Path, photos: Path) -> None:
    count = sides(trained)
    result = pellucid("evaluate", trained, photos)
    lines = result.out.splitlines()
    assert lines[0].startswith(f"{photos}: ")
    assert lines[0].endswith("; no figure to quote")
    rest = 32 - count["train"]
    assert lines[1].startswith(f"the model was trained on {count['train']} of these 32 pictures; without them: ")
    assert f" of {rest} pictures, 95% interval " in lines[1]
    assert lines[2].startswith(f"{count['val']} of the others are its validation pictures, on which ")
    assert lines[2].endswith("; this is the figure to quote")
    own = pellucid("evaluate", trained).out.splitlines()
    assert own[0].removeprefix("test: ") in lines[2]
    assert lines[3] == f"figures below: the {count['test']} pictures that the model had not seen"
    assert lines[4:] == own[1:]


def test_of_training_pictures_alone_there_is_no_honest_figure(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path
) -> None:
    with (trained / "split.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["side"] == "train":
                (tmp_path / "in" / row["path"]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(photos / row["path"], tmp_path / "in" / row["path"])
    result = pellucid("evaluate", trained, tmp_path / "in")
    assert result.status == 0
    assert "\nthe model was trained on all of these pictures: there is no honest figure\n" in result.out
    assert "figure to quote\n" not in result.out.replace("no figure to quote\n", "")
    content = json.loads(pellucid("evaluate", trained, tmp_path / "in", "--json").out)
    assert (content["trained_on"], content["pictures"], content["unseen"]) == (16, 16, None)


def test_each_side_of_a_split_folder_has_its_figure(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path
) -> None:
    for side in ("train", "val", "test"):
        for name in ("red", "blue"):
            (tmp_path / "in" / side / name).mkdir(parents=True)
    with (trained / "split.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            shutil.copy(photos / row["path"], tmp_path / "in" / row["side"] / row["path"])
    out = pellucid("evaluate", trained, tmp_path / "in").out
    own = pellucid("evaluate", trained).out.splitlines()[0].removeprefix("test: ")
    assert f"{tmp_path}/in (test): {own}; the model has seen none of these: this is the figure to quote\n" in out
    assert f"{tmp_path}/in (validation): " in out
    assert f"{tmp_path}/in (train): " in out
    assert out.count("this is the figure to quote") == 1
    assert out.count("there is no honest figure") == 2
    assert f"figures below: {tmp_path}/in (test)\n" in out


def test_a_model_that_cannot_tell_says_so(pellucid: Callable, model: Path, photos: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    del config["files"]["known.safetensors"]
    (model / "config.json").write_text(json.dumps(config))
    out = pellucid("evaluate", model, photos).out
    assert "without known.safetensors, so copies of the pictures that it has seen are not recognised" in out
    assert "; this is the figure to quote" not in out


def test_validation_pictures_are_called_a_little_too_good(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    tiny = {"model": "conv(2, 3) relu globalavgpool dense", "size": 8, "epochs": 1, "device": "cpu", "test": 0.0}
    api.train(photos, tmp_path / "m", cache=tmp_path / "cache", **tiny)
    result = pellucid("evaluate", tmp_path / "m")
    assert result.out.splitlines()[0].startswith("validation: ")
    assert result.out.splitlines()[0].endswith("chosen on these, so the figure is slightly optimistic")
    assert json.loads(pellucid("evaluate", tmp_path / "m", "--json").out)["quotable"] is False
