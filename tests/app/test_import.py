"""The command `import`: its output, its files, and that the folder works like any other."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

STORED = Path(__file__).parent.parent / "keras" / "files" / "models.zip"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file that Keras wrote: the article's network for 16x16 pixels."""
    with zipfile.ZipFile(STORED) as archive:
        return Path(archive.extract("article.keras", tmp_path))


def test_it_tells_each_layer_and_what_to_know(pellucid: Callable, model: Path, tmp_path: Path) -> None:
    result = pellucid("import", model, tmp_path / "out", "--classes", "cat, dog", "--pixels", "0..1")

    assert result.status == 0
    assert f"{model}: saved by Keras 3.15.1" in result.out
    rows = [line.split() for line in result.out.splitlines()]
    assert [row[1] for row in rows[2:7]] == ["InputLayer", "Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    assert ["conv2d", "Conv2D", "conv(10,", "5)", "relu"] in rows
    assert f"{tmp_path / 'out'}: 1,482 parameters, 2 classes" in result.out
    assert f"Its accuracy is unknown. Measure it: pellucid evaluate {tmp_path / 'out'} photos/" in result.out
    assert json.loads((tmp_path / "out" / "config.json").read_text())["classes"] == ["cat", "dog"]


def test_json_has_all_of_it(pellucid: Callable, model: Path, tmp_path: Path) -> None:
    result = pellucid("import", model, tmp_path / "out", "--json")
    content = json.loads(result.out)

    assert result.status == 0
    assert content["network"] == "conv(10, 5) relu maxpool(2) flatten dense"
    assert content["layers"][1] == {"name": "conv2d", "kind": "Conv2D", "became": "conv(10, 5) relu"}
    assert content["classes"] == ["class 0", "class 1"]
    assert content["input"] == [3, 16, 16]
    assert content["parameters"] == 1482
    assert any("it sees 0..255" in note for note in content["notes"])


def test_the_folder_is_a_model_like_any_other(pellucid: Callable, model: Path, photos: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "out", photos / "red" / "0.png"
    assert pellucid("import", model, out, "--classes", "blue,red").status == 0
    predicted = pellucid("predict", out, picture, "--format", "jsonl")
    evaluated = pellucid("evaluate", out, photos)
    explained = pellucid("explain", out, picture, "--unit", "conv1[3, 0, 0]")

    assert predicted.status == evaluated.status == explained.status == 0
    assert json.loads(predicted.out)["label"] in ("blue", "red")
    assert "was imported, so it is unknown which of these pictures the model has seen." in evaluated.out
    assert "conv1[3, 0, 0]" in explained.out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ("open",),
            "the pictures that it was made from are not known; give a folder. Or name a picture: pellucid open",
        ),
        (("filters",), "the pictures that it was made from are not known; name others."),
        (("evaluate",), "the pictures that it was made from are not known; give a folder."),
    ],
)
def test_what_needs_pictures_says_so(
    command: tuple[str, ...],
    message: str,
    pellucid: Callable,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    pellucid("import", model, "out")
    result = pellucid(*command, "out")

    assert result.status == 1
    assert f"pellucid: out was imported, and {message}" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--pixels", "0-1"), "--pixels is '0-1'; write the values of black and white, such as 0..1."),
        (("--pixels", "1..0"), "pixels is 1..0; the first number must be below the second, such as 0..1."),
        (("--size", "big"), "--size is 'big'; write 150, or height and width, 150x200."),
        (("--size", "20"), "The model takes pictures of 16x16, and size says 20x20. Remove size."),
        (("--classes", "cat"), "The model distinguishes 2 classes, but classes has 1: cat."),
    ],
)
def test_a_wrong_flag_is_one_line(
    flags: tuple[str, ...], message: str, pellucid: Callable, model: Path, tmp_path: Path
) -> None:
    result = pellucid("import", model, tmp_path / "out", *flags)

    assert (result.status, result.err, result.out) == (1, f"pellucid: {message}\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["article.keras"]


def test_pixels_may_be_below_zero(pellucid: Callable, model: Path, tmp_path: Path) -> None:
    result = pellucid("import", model, tmp_path / "out", "--pixels=-1..1", "--json")
    prepared = json.loads(result.out)["preprocessing"]

    assert prepared == {"fit": "stretch", "mean": [0.5] * 3, "deviation": [0.5] * 3}


def test_a_command_that_needs_the_folder_says_how_to_make_it(pellucid: Callable, model: Path) -> None:
    result = pellucid("predict", model, "picture.jpg")

    message = f"{model} is not a model folder. `pellucid import {model} OUT` makes one of a Keras model."
    assert (result.status, result.err) == (1, f"pellucid: {message}\n")


def test_a_file_that_is_no_model(pellucid: Callable, tmp_path: Path) -> None:
    (tmp_path / "words.keras").write_text("words")
    result = pellucid("import", tmp_path / "words.keras", tmp_path / "out")

    assert result.status == 1
    assert result.err.startswith(f"pellucid: {tmp_path / 'words.keras'} is neither a .keras file (a zip) nor an HDF5")
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
