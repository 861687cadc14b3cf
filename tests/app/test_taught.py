"""`pellucid taught` and `pellucid without --picture`: tables, JSON, the sheet, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as library
from pellucid.app import taught_text
from pellucid.app.exits import Exit
from pellucid.life.influence import Taught, Teaching

SETTINGS = {"model": "conv(3, 3) relu maxpool(2) flatten dense", "size": 8, "epochs": 2, "batch": 8, "test": 0.25}


@pytest.fixture(scope="module")
def model(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, which tests must not change."""
    folder = tmp_path_factory.mktemp("taught")
    library.train(photos, folder / "model", cache=folder / "pellucid" / "stores", device="cpu", **SETTINGS)
    return folder / "model"


@pytest.fixture(autouse=True)
def _cache(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.app.repeating.default_cache", lambda: model.parent / "pellucid" / "stores")


def test_helpers_and_hurters_are_listed_verified_drawn_and_written(
    model: Path, photos: Path, tmp_path: Path, pellucid: Callable
) -> None:
    picture, out, plot = photos / "red" / "5.png", tmp_path / "out.json", tmp_path / "sheet.png"
    flags = ["--top", "2", "--verify", "--out", out, "--plot", plot]
    result = pellucid("taught", model, picture, *flags)
    assert result.status == Exit.OK
    whole = json.loads(out.read_text())
    assert len(whole["helped"]) + len(whole["hurt"]) == whole["trained_on"]
    assert len(whole["verified"]) == 2
    answer = f"{picture}: {whole['class']} ({whole['probability']:.1%})"
    assert f"{answer}; loss before calibration {whole['loss']:.4g}\n" in result.out
    for each in (*whole["helped"][:2], *whole["hurt"][:2]):
        row = next(line for line in result.out.splitlines() if line.rstrip().endswith(each["path"]))
        assert row.split()[:2] == [each["class"], f"{each['effect']:+.3g}".replace("-", "−", 1)]
    for each in whole["verified"]:
        who = "helpers" if each["expected"] > 0 else "hurters"
        moved = "rose" if each["after"] > each["before"] else "fell"
        assert f"trained again without 2 {who}: the loss {moved} from {each['before']:.4g}" in result.out
    with Image.open(plot) as sheet:
        assert sheet.size[0] > 2 * 128
        assert len(np.unique(np.array(sheet).reshape(-1, 3), axis=0)) > 20
    again = pellucid("taught", model, picture, "--out", out)
    assert again.status == Exit.ERROR
    assert "already exists" in again.err


def test_json_has_the_chosen_class_and_method(model: Path, photos: Path, pellucid: Callable) -> None:
    picture = photos / "red" / "5.png"
    result = pellucid("taught", model, picture, "--label", "blue", "--method", "tracin", "--top", "3", "--json")
    content = json.loads(result.out)
    assert (content["class"], content["method"], len(content["helped"])) == ("blue", "tracin", 3)
    assert "Pruthi" in content["source"]
    mine = library.taught(model, picture, "blue", method="tracin", cache=model.parent / "pellucid" / "stores")
    assert [each["path"] for each in content["helped"]] == [each.path for each in mine.helped(3)]


def test_suspects_are_listed_and_drawn(model: Path, tmp_path: Path, pellucid: Callable) -> None:
    result = pellucid("taught", model, "--suspects", "--top", "4", "--plot", tmp_path / "suspects.png")
    mine = library.suspects(model, cache=model.parent / "pellucid" / "stores")
    assert f"labels to look at first, of {len(mine.every)} training pictures" in result.out
    listed = [line.split()[-1] for line in result.out.splitlines() if line.rstrip().endswith(".png")]
    assert listed == [each.path for each in mine.every[:4]]
    assert (tmp_path / "suspects.png").is_file()


def test_what_does_not_go_together_is_refused(model: Path, photos: Path, pellucid: Callable) -> None:
    picture = photos / "red" / "5.png"
    assert "PICTURE is missing; or use --suspects" in pellucid("taught", model).err
    assert "--suspects takes no PICTURE" in pellucid("taught", model, picture, "--suspects").err
    assert "--verify is about the answer" in pellucid("taught", model, "--suspects", "--verify").err
    jpeg = pellucid("taught", model, "--suspects", "--plot", "sheet.jpg")
    assert "--plot is sheet.jpg; its name must end in .png." in jpeg.err
    both = pellucid("taught", model, picture, "--out", "x.png", "--plot", "x.png")
    assert "--out and --plot are both x.png" in both.err
    nowhere = pellucid("without", model, "--picture", picture, "--out", "no/x")
    assert nowhere.err == "pellucid: no/x could not be written: there is no folder no. Create it first.\n"
    assert "--top is 0; it must be 1 or more." in pellucid("taught", model, picture, "--top", "0").err
    assert (
        "--plot is sheet.jpg; its name must end in .png."
        in pellucid("taught", model, picture, "--plot", "sheet.jpg").err
    )
    assert (
        "--out and --plot are both a.png" in pellucid("taught", model, picture, "--plot", "a.png", "--out", "a.png").err
    )
    assert "There is no class 'redd'" in pellucid("taught", model, picture, "--label", "redd").err
    missing = pellucid("taught", model, photos / "red" / "none.png")
    assert missing.status == Exit.ERROR
    assert "none.png cannot be used: not found." in missing.err
    mixed = pellucid("without", model, photos, "--picture", "red/5.png")
    assert "goes with filters, and --picture trains again" in mixed.err


def test_without_a_picture(model: Path, photos: Path, tmp_path: Path, pellucid: Callable) -> None:
    path = library.suspects(model, cache=model.parent / "pellucid" / "stores").every[0].path
    out = tmp_path / "without.json"
    result = pellucid("without", model, "--picture", photos / path, "--out", out)
    content = json.loads(out.read_text())
    assert result.status == Exit.OK
    assert f"first used in step {content['first_step']} of {content['steps']}" in result.out
    (left_out,) = content["left_out"]
    assert left_out["path"] == path
    assert f"{left_out['before']:.1%}" in result.out
    for layer in content["layers"]:
        assert f"{layer['largest']:.3g}" in result.out
    assert content["comparison"]["pictures"] == 8
    assert "trained again without 1 picture" in result.out
    unknown = pellucid("without", model, "--picture", "red/none.png")
    assert unknown.status == Exit.ERROR
    assert "lists no picture of this name" in unknown.err


def test_figures_that_a_loss_cannot_reach_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """-log of a probability is 0 or more: a picture cannot raise it by more than there is."""
    for effect, marked in ((-0.4, False), (-0.6, True)):
        every = (Taught(0, "a.png", "cat", 0.2), Taught(1, "b.png", "cat", effect))
        taught_text.teaching(Teaching("x.png", "cat", 0.9, "derivative", 0.5, 6, every), 1)
        assert ("a loss cannot fall below 0" in capsys.readouterr().out) is marked


def test_a_picture_without_any_label_has_no_probability(
    tmp_path: Path, photos: Path, pellucid: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = sorted(photos.glob("*/*.png"))
    rows = [f"{each},{each.parent.name if number % 3 else ''}" for number, each in enumerate(pictures)]
    (tmp_path / "table.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    cache = tmp_path / "cache"
    library.train(tmp_path / "table.csv", tmp_path / "model", cache=cache, labels="several", device="cpu", **SETTINGS)
    monkeypatch.setattr("pellucid.app.repeating.default_cache", lambda: cache)
    split = (tmp_path / "model" / "split.csv").read_text().splitlines()
    bare = next(line.split(",")[0] for line in split if ",,train," in line)
    result = pellucid("without", tmp_path / "model", "--picture", bare, "--out", tmp_path / "out.json")
    assert (result.status, result.err) == (Exit.OK, "")
    (left_out,) = json.loads((tmp_path / "out.json").read_text())["left_out"]
    assert (left_out["before"], left_out["after"]) == (None, None)
    assert sum(line.split()[-2:] == ["–", "–"] for line in result.out.splitlines()) == 1
