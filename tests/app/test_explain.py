"""`pellucid explain` and `pellucid filters`: as a user runs them, with every wrong use."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import forked

import pellucid as package
from pellucid import api, files
from pellucid.classifier.classifier import Classifier
from pellucid.glassbox.trace import recording
from pellucid.glassbox.why import sheet
from pellucid.glassbox.why.attribution import METHODS
from pellucid.runs.made_from import trained_on

UNIT, WEIGHT = "conv1[1, 2, 3]", "conv1.weight[3, 1, 2, 0]"


@pytest.fixture
def picture(photos: Path) -> Path:
    return photos / "red" / "0.png"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_path_to_a_prediction(pellucid: Callable, trained: Path, picture: Path) -> None:
    result = pellucid("explain", trained, picture)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == f"{picture}: red"
    answer = api.load(trained).predict(picture)
    assert lines[1].split()[:2] == [f"{answer.probability:.2%}", "red"]
    assert lines[3].startswith("loss against red: 0.")
    layers = [line.split("  ")[0].strip() for line in lines[6:15]]
    assert layers == ["picture", "input", "conv1", "relu1", "maxpool1", "flatten1", "dense1", "probability", "loss"]
    assert re.search(r"^conv1 +convolution +4x10x10 ", result.out, re.MULTILINE)
    assert re.search(r"--unit 'conv1\[\d+, \d+, \d+\]' shows", lines[-1])
    assert len({line.index("x1") for line in lines if "x1" in line}) <= 2  # columns stand below each other

    suggested = re.findall(r"--unit '(.+)'", lines[-1])[0]
    assert pellucid("explain", trained, picture, "--unit", suggested).status == 0


def test_the_path_with_gradients_and_against_another_class(pellucid: Callable, trained: Path, picture: Path) -> None:
    result = pellucid("explain", trained, picture, "--backward", "--label", "blue")
    assert "loss against blue: " in result.out
    header, *rows = [line for line in result.out.splitlines() if "  " in line][2:]
    assert "gradient" in header
    assert re.search(r"±1 +\d", rows[-1])
    assert "none" in rows[-2], "nothing depends on the calibrated probabilities"


def test_units_one_below_the_other(pellucid: Callable, trained: Path, picture: Path) -> None:
    trace = api.load(trained).explain(picture)
    result = pellucid("explain", trained, picture, "--unit", UNIT, "--unit", "maxpool1[0, 1, 1]", "--unit", "loss")
    assert (result.status, result.err) == (0, "")
    assert [line.split("   ")[0] for line in result.out.splitlines() if re.match(r"\S+.*   [a-z]", line)] == [
        UNIT,
        "maxpool1[0, 1, 1]",
        "loss",
    ]
    assert "= sum of input * conv1.weight + conv1.bias" in result.out
    assert f"sum of the terms  {trace.unit(UNIT).total!r}\n" in result.out
    assert result.out.count("PyTorch computed") == 3
    assert f"PyTorch computed  {trace.loss!r}\n" in result.out


def test_a_given_number_is_not_said_to_be_computed(pellucid: Callable, trained: Path, picture: Path) -> None:
    result = pellucid("explain", trained, picture, "--unit", "picture[0, 1, 2]")
    pixel = api.load(trained).prepared(picture)[1, 2, 0]
    assert re.search(rf"^ +value  {float(pixel)!r}$", result.out, re.MULTILINE)
    assert "PyTorch" not in result.out


def test_backward_and_update(pellucid: Callable, trained: Path, picture: Path) -> None:
    trace = api.load(trained).explain(picture)
    result = pellucid("explain", trained, picture, "--backward", "--unit", UNIT, "--update", WEIGHT)
    assert f"gradient of the loss with respect to {UNIT}\n" in result.out
    assert f"PyTorch computed  {trace.gradient(UNIT).recorded!r}\n" in result.out
    assert f"update of {WEIGHT}   AdamW\n" in result.out
    assert f"new weight, computed here  {trace.update(WEIGHT).total!r}\n" in result.out
    assert re.search(r"learning_rate \S+, betas 0.9 and 0.999, epsilon 1e-08, .*step \d+, weight ", result.out)


def test_json_has_the_numbers_of_python(pellucid: Callable, trained: Path, picture: Path, here: Path) -> None:
    requested = ["--unit", UNIT, "--unit", "loss", "--update", WEIGHT, "--why-not", "blue", "--map", "grad_cam"]
    result = pellucid("explain", trained, picture, "--json", *requested)
    assert (result.status, result.err) == (0, "")
    reply = json.loads(result.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    classifier = api.load(trained)
    trace = classifier.explain(picture)

    def plain(content: object) -> object:
        return json.loads(json.dumps(content))

    assert {key: reply[key] for key in trace.as_json()} == plain(trace.as_json())
    assert reply["units"] == plain([trace.unit(UNIT).as_json(), trace.unit("loss").as_json()])
    assert reply["updates"] == plain([trace.update(WEIGHT).as_json()])
    difference = classifier.difference(picture, "red", "blue")
    assert reply["why_not"]["difference"] == difference.difference
    assert reply["why_not"]["written"] == "0-why-not-blue.png"
    assert reply["map"]["deletion"] == plain(classifier.attribute(picture).deletion.as_json())
    assert sorted(path.name for path in here.iterdir()) == ["0-grad_cam.png", "0-why-not-blue.png"]
    backward = json.loads(pellucid("explain", trained, picture, "--json", "--backward", "--unit", UNIT).out)
    assert backward["units"] == plain([trace.gradient(UNIT).as_json()])


def test_why_not(pellucid: Callable, trained: Path, picture: Path, here: Path) -> None:
    result = pellucid("explain", trained, picture, "--why-not", "blue", "--out", "why.png")
    assert (result.status, result.err) == (0, "")
    assert f"{picture}: why red and not blue\n" in result.out
    parts = re.findall(r"^ +(-?[\d.e-]+)  (?:from the pixels|\S+ adds by itself|in total)", result.out, re.MULTILINE)
    *summands, total = map(float, parts)
    assert sum(summands) == pytest.approx(total, abs=1e-4)
    assert result.out.endswith("picture of the pixels' part: why.png\n")
    with Image.open(here / "why.png") as image:
        assert image.size == (228, 228)  # 12 pixels, enlarged by a whole factor
    against = pellucid("explain", trained, picture, "--label", "blue", "--why-not", "red", "--out", "other.png")
    assert "why blue and not red" in against.out


@pytest.mark.parametrize("method", METHODS)
def test_maps(pellucid: Callable, trained: Path, picture: Path, here: Path, method: str) -> None:
    result = pellucid("explain", trained, picture, "--map", method, "--label", "blue")
    assert (result.status, result.err) == (0, "")
    assert re.match(rf"{method}( at relu1)? for blue: 0-{method}\.png\n", result.out)
    assert "deletion score" in result.out
    assert [path.name for path in here.iterdir()] == [f"0-{method}.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--unit", "conv[1, 2, 3]"], "There is no layer or weight 'conv'. Nearest: conv1"),
        (["--unit", "conv1[1, 2]"], "conv1 has channels 0 to 3, rows 0 to 9, columns 0 to 9, such as conv1[2, 5, 5]."),
        (["--unit", "conv1[1, 2, 10]"], "'conv1[1, 2, 10]' is not a unit"),
        (["--backward", "--unit", "probability[0]"], "The loss does not depend on probability"),
        (["--update", "conv1[1, 2, 3]"], "There is no weight 'conv1'."),
        (["--label", "redd"], "'redd' is not a class of this model. Did you mean 'red'? The classes are blue, red."),
        (["--why-not", "green"], "'green' is not a class of this model."),
        (["--why-not", "red"], "--why-not is 'red', which is predicted already; name another class."),
        (["--label", "blue", "--why-not", "blue"], "--why-not is 'blue', which --label is already"),
        (["--layer", "conv1"], "--layer requires --map."),
        (["--map", "grad_cam", "--layer", "conv9"], "There is no layer with feature maps 'conv9'."),
        (["--map", "occlusion", "--layer", "conv1"], "occlusion does not use a layer"),
        (["--out", "x.png"], "--out requires --map or --why-not."),
        (["--map", "grad_cam", "--why-not", "blue", "--out", "x.png"], "but --out names only one. Remove --out."),
        (["--map", "grad_cam", "--out", "."], ". is a folder; --out names the file to write."),
        (
            ["--map", "grad_cam", "--out", "no/x.png"],
            "no/x.png could not be written: there is no folder no. Create it first.",
        ),
    ],
)
def test_what_is_wrong_is_said_on_one_line_and_nothing_is_written(
    pellucid: Callable, trained: Path, picture: Path, here: Path, options: list[str], message: str
) -> None:
    result = pellucid("explain", trained, picture, *options)
    assert (result.status, result.out) == (1, "")
    assert message in result.err
    assert result.err.startswith("pellucid: ")
    assert result.err.count("\n") == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--unit", "conv[1, 2, 3]"],
        ["--unit", "conv1[1, 2, 3]", "--unit", "conv1[1, 2, 10]"],
        ["--unit", "3"],
        ["--backward", "--unit", "conv1.weight[4, 0, 0, 0]"],
        ["--update", "conv1.weight[0, 0, 0, 3]"],
        ["--update", "relu1[0, 0, 0]"],
        ["--label", "redd"],
        ["--label", "red", "--label", "blue"],
        ["--unit", UNIT, "--why-not", "green"],
        ["--json", "--map", "grad_cam", "--layer", "conv9"],
    ],
)
def test_what_is_not_there_is_told_before_the_picture_is_followed(
    pellucid: Callable, trained: Path, picture: Path, here: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "record", lambda *_, **__: pytest.fail("the picture was followed"))
    result = pellucid("explain", trained, picture, *options)
    assert (result.status, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_every_name_of_a_trace_is_known_before_it(trained: Path, picture: Path) -> None:
    classifier = api.load(trained)
    trace = classifier.explain(picture)
    names = [name for name in trace.values if trace.values[name].dtype.kind == "f"]
    assert {"picture", "input", "mean", "deviation", "conv1", "conv1.weight", "probability", "loss"} <= set(names)
    units = [f"{name}[{', '.join(['0'] * len(trace.shape(name)))}]" for name in names]
    classifier.expect((), None, units, (), None)


def test_a_map_takes_no_trace(
    pellucid: Callable, trained: Path, picture: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pellucid("explain", trained, picture, "--map", "occlusion", "--json")
    (here / f"{picture.stem}-occlusion.png").unlink()
    monkeypatch.setattr(recording, "record", lambda *_, **__: pytest.fail("the picture was followed"))
    result = pellucid("explain", trained, picture, "--map", "occlusion")
    assert (result.status, result.err) == (0, "")
    assert f"deletion score {json.loads(before.out)['map']['deletion']['area']:.3f}" in result.out


def test_pictures_and_models_that_are_none(pellucid: Callable, trained: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "config.json").write_text("{}")
    for name, message in (
        ("no.png", "no.png: not found"),
        ("", ": a folder"),
        ("broken.png", "broken.png: "),
        ("config.json", "config.json: not a picture"),
    ):
        result = pellucid("explain", trained, tmp_path / name)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert message in result.err
    result = pellucid("explain", tmp_path / "nowhere", picture)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "nowhere does not exist. A model folder is what `pellucid train` writes" in result.err


@pytest.mark.parametrize("options", [["--map", "nonsense"], ["--unit"], ["--frobnicate"]])
def test_wrong_usage(pellucid: Callable, trained: Path, picture: Path, options: list[str]) -> None:
    result = pellucid("explain", trained, picture, *options)
    assert (result.status, result.out) == (2, "")


def test_a_file_of_the_users_is_not_overwritten(pellucid: Callable, trained: Path, picture: Path, here: Path) -> None:
    mine = here / "0-grad_cam.png"
    mine.write_text("mine")
    for options in (["--map", "grad_cam"], ["--why-not", "blue", "--out", mine], ["--map", "occlusion", "--out", mine]):
        result = pellucid("explain", trained, picture, *options)
        assert (result.status, result.out) == (1, "")
        assert result.err.endswith("already exists, and nothing of yours is overwritten. Choose another --out.\n")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["[bold]x[bold].png", "[red]x[.png", "two\nlines.png", "\x1b[31mred.png", "猫 a.png"])
def test_odd_file_names(pellucid: Callable, trained: Path, picture: Path, here: Path, name: str) -> None:
    shutil.copy(picture, here / name)
    result = pellucid("explain", trained, here / name, "--map", "grad_cam")
    assert (result.status, result.err) == (0, "")
    assert result.out.count("\n") == 3
    path = pellucid("explain", trained, here / name)
    shown = name.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert path.out.startswith(f"{here / shown}: red\n")
    why = pellucid("explain", trained, here / name, "--why-not", "blue").out
    assert why.startswith(f"{here / shown}: why red and not blue\n")
    assert "\x1b" not in result.out + path.out + why


@pytest.fixture(scope="module")
def bold(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with class names that have a meaning for a terminal or for rich."""
    folder = tmp_path_factory.mktemp("bold") / "model"
    shutil.copytree(trained, folder)
    text = (folder / "config.json").read_text()
    assert '"blue"' in text
    config = json.loads(text)
    config["classes"] = ["[bold]blue", "[red]a\x1bb[/red]"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_odd_class_names(pellucid: Callable, bold: Path, picture: Path, here: Path) -> None:
    path = pellucid("explain", bold, picture)
    assert f"{picture}: [red]a\\x1bb[/red]\n" in path.out
    assert "  [bold]blue  (logit " in path.out
    for options in (["--why-not", "[bold]blue"], ["--map", "grad_cam", "--label", "[bold]blue"]):
        result = pellucid("explain", bold, picture, *options)
        assert (result.status, result.err) == (0, "")
        assert "[bold]blue" in result.out
        assert "\x1b" not in result.out
    assert (here / "0-why-not-bold-blue.png").is_file()
    assert json.loads(pellucid("explain", bold, picture, "--json").out)["predicted"] == "[red]a\x1bb[/red]"


def test_a_pipe_gets_plain_text_in_full_width(pellucid: Callable, trained: Path, picture: Path) -> None:
    words = ["explain", trained, picture, "--unit", UNIT]
    narrow = {**os.environ, "NO_COLOR": "1", "COLUMNS": "20"}
    result = forked.run(*words, env=narrow)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert result.stdout == pellucid(*words).out


def test_without_a_picture_it_says_so(pellucid: Callable, trained: Path) -> None:
    result = pellucid("explain", trained)
    assert (result.status, result.out) == (2, "")
    assert result.err == "pellucid explain: PICTURE is missing. See `pellucid explain --help`.\n"


def test_several_pictures_one_after_the_other(pellucid: Callable, trained: Path, photos: Path, picture: Path) -> None:
    other = photos / "blue" / "0.png"
    alone = [pellucid("explain", trained, each).out for each in (picture, other)]
    result = pellucid("explain", trained, picture, other)
    assert (result.status, result.err) == (0, "")
    assert result.out == "".join(alone)
    result = pellucid("explain", trained, picture, other, "--unit", UNIT)
    units = [pellucid("explain", trained, each, "--unit", UNIT).out for each in (picture, other)]
    assert result.out == f"{picture}: red\n{units[0]}{other}: blue\n{units[1]}"


def test_several_as_json_are_a_list(pellucid: Callable, trained: Path, photos: Path, picture: Path) -> None:
    other = photos / "blue" / "0.png"
    alone = [json.loads(pellucid("explain", trained, each, "--json").out) for each in (picture, other)]
    assert json.loads(pellucid("explain", trained, picture, other, "--json").out) == alone


def test_of_several_those_that_can_be_used_are_explained(
    pellucid: Callable, trained: Path, picture: Path, here: Path
) -> None:
    result = pellucid("explain", trained, "no.png", picture, "--json")
    assert (result.status, result.err) == (3, "not used: no.png: not found\n")
    missing, content = json.loads(result.out)
    assert missing == {"picture": "no.png", "error": "not found"}
    assert content["predicted"] == "red"
    result = pellucid("explain", trained, "no.png", "nor.png", "--html", "out.html")
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith("pellucid: None of the 2 pictures can be used.\n")
    assert list(here.iterdir()) == []


def test_of_several_one_that_is_predicted_as_the_other_class_is_reported(
    pellucid: Callable, trained: Path, photos: Path, picture: Path, here: Path
) -> None:
    other = photos / "blue" / "0.png"
    alone = pellucid("explain", trained, picture, "--why-not", "blue").out
    (here / "0-why-not-blue.png").unlink()
    same = here / "same.png"
    shutil.copy(other, same)
    message = f"not compared: {same}: --why-not is 'blue', which is predicted already\n"
    result = pellucid("explain", trained, same, picture, "--why-not", "blue")
    assert (result.status, result.out, result.err) == (3, alone, message)
    assert (here / "0-why-not-blue.png").is_file()
    (here / "0-why-not-blue.png").unlink()

    result = pellucid("explain", trained, same, picture, "--why-not", "blue", "--json")
    first, second = json.loads(result.out)
    assert (result.status, result.err) == (3, message)
    assert first["why_not"] == {"error": "--why-not is 'blue', which is predicted already"}
    assert first["predicted"] == "blue"
    assert second["why_not"]["written"] == "0-why-not-blue.png"
    (here / "0-why-not-blue.png").unlink()
    result = pellucid("explain", trained, same, other, "--why-not", "blue")
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith(
        "pellucid: --why-not is 'blue', which is predicted for each of these pictures already; name another class.\n"
    )
    result = pellucid("explain", trained, same, picture, "--why-not", "blue", "--label", "blue")
    assert (result.status, result.err) == (
        1,
        "pellucid: --why-not is 'blue', which --label is already; name another class.\n",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--map", "grad_cam", "--out", "x.png"], "--out names one file, but there are 2 pictures. Remove --out."),
        (
            ["--map", "grad_cam"],
            "0-grad_cam.png would be written for 2 pictures of the same name. Explain them one at a time.",
        ),
    ],
)
def test_several_that_would_be_one_file(
    pellucid: Callable, trained: Path, photos: Path, picture: Path, here: Path, options: list[str], message: str
) -> None:
    result = pellucid("explain", trained, picture, photos / "blue" / "0.png", *options)
    assert (result.status, result.out, result.err) == (1, "", f"pellucid: {message}\n")
    assert list(here.iterdir()) == []


def test_filters_of_what_it_was_trained_on(pellucid: Callable, trained: Path, here: Path) -> None:
    result = pellucid("filters", trained)
    assert result.status == 0
    assert result.out == "conv1: 4 filters, each unit sees 3x3 pixels: model-filters/conv1.png\n"
    assert sorted(path.name for path in (here / "model-filters").iterdir()) == ["conv1.png", "filters.json"]
    content = json.loads((here / "model-filters" / "filters.json").read_text())
    assert (content["pictures"], [layer["layer"] for layer in content["layers"]]) == (16, ["conv1"])
    rows = content["layers"][0]["filters"]
    assert [len(row) for row in rows] == [9] * 4
    assert {exemplar["source"] for row in rows for exemplar in row} <= set(trained_on(trained))
    assert all(row == sorted(row, key=lambda each: -each["activation"]) for row in rows)
    with Image.open(here / "model-filters" / "conv1.png") as image:
        assert np.array(image).std() > 0

    again = pellucid("filters", trained)
    assert (again.status, again.out) == (1, "")
    assert again.err.endswith(
        "model-filters is not empty, and nothing of yours is overwritten. Choose another --out.\n"
    )


def test_filters_of_one_file_that_is_no_picture(pellucid: Callable, trained: Path, here: Path) -> None:
    (here / "bad.png").write_bytes(b"no picture")
    result = pellucid("filters", trained, "bad.png")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("pellucid: The only picture cannot be used: bad.png: ")
    assert result.err.count("\n") == 1
    (here / "worse.png").write_bytes(b"")
    result = pellucid("filters", trained, "bad.png", "worse.png")
    assert result.err.startswith("pellucid: None of the 2 pictures can be used; the first is bad.png: ")


def test_the_sheets_of_all_layers_decode_a_picture_once(
    pellucid: Callable, trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    prepared = Classifier.prepared
    monkeypatch.setattr(sheet, "PICTURES_KEPT", 1)
    monkeypatch.setattr(
        Classifier, "prepared", lambda self, source: (decoded.append(str(source)), prepared(self, source))[1]
    )
    assert pellucid("filters", trained, "--count", "5").status == 0
    assert decoded
    assert len(decoded) == len(set(decoded))


def test_filters_of_named_pictures(pellucid: Callable, trained: Path, photos: Path, here: Path) -> None:
    (here / "empty").mkdir()
    named = [photos / "red", photos / "blue" / "1.png"]
    result = pellucid("filters", trained, *named, "--out", "empty", "--count", "2", "--layer", "conv1", "--json")
    assert result.status == 0
    content = json.loads(result.out)
    assert content == json.loads((here / "empty" / "filters.json").read_text())
    assert content["pictures"] == 17
    assert [len(row) for row in content["layers"][0]["filters"]] == [2] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "conv9"], "There is no convolution 'conv9'. Did you mean conv1? There are: conv1."),
        (["--count", "0"], "--count is 0; it must be 1 or more."),
        (["no.png"], "The only picture cannot be used: no.png: not found."),
        (["nothing"], "No pictures for"),
        (["--out", "file"], "file is a file, and nothing of yours is overwritten."),
        (["--out", "full"], "full is not empty, and nothing of yours is overwritten."),
        (["--out", "file/x"], "file/x could not be written: Not a directory."),
    ],
)
def test_filters_that_cannot_be_shown(
    pellucid: Callable, trained: Path, here: Path, arguments: list[str], message: str
) -> None:
    (here / "nothing").mkdir()
    (here / "full").mkdir()
    (here / "full" / "mine").write_text("mine")
    (here / "file").write_text("mine")
    before = sorted(here.rglob("*"))
    result = pellucid("filters", trained, *arguments)
    assert (result.status, result.out) == (1, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("command", [["explain", "--map", "grad_cam"], ["filters"]])
def test_ctrl_c_leaves_nothing_half_written(
    pellucid: Callable, trained: Path, picture: Path, here: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "sync", interrupted)  # in the middle of a write
    name, *options = command
    result = pellucid(name, trained, picture, *options)
    assert (result.status, result.err.splitlines()[-1]) == (130, "pellucid: stopped.")
    assert [path for path in here.rglob("*") if path.is_file()] == []


def test_python_says_the_same(trained: Path, picture: Path) -> None:
    assert package.load(trained).explain(picture).source == str(picture)
