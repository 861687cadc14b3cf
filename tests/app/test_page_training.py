"""A training on the page: the curves, one frame at a time, and errors in them."""

import csv
import json
import math
import shutil
from pathlib import Path

import pytest

import pellucid
from pellucid.app.page import training
from pellucid.app.page.shown import Glass
from pellucid.errors import ArtefactError
from pellucid.glassbox.page.replies import Refused
from pellucid.training import replay

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a replay, which tests must not change."""
    folder = tmp_path_factory.mktemp("replayed")
    settings = {"size": 12, "epochs": 3, "batch": 8, "validation": 0.25, "test": 0.25, "device": "cpu"}
    pellucid.train(photos, folder / "m", cache=folder / "cache", model=NETWORK, replay=True, **settings)
    return folder / "m"


@pytest.fixture
def replayed(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "m"))


def test_the_overview_is_what_was_kept(whole: Path) -> None:
    content = json.loads(training.overview(whole).body)
    stored = replay.read(whole / "replay")
    assert content["live"] is None
    assert content["name"] == "m"
    result = content["replay"]
    assert (result["steps"], result["steps_per_epoch"]) == (stored.steps, stored.steps_per_epoch)
    assert result["classes"] == ["blue", "red"]
    assert [picture["class"] for picture in result["pictures"]] == ["blue", "red"]
    assert [layer["name"] for layer in result["layers"]] == [layer.name for layer in stored.layers]
    for entry, frame in zip(result["frames"], stored.frames, strict=True):
        assert entry["step"] == frame.step
        assert entry["loss"] == list(frame.loss)
        assert entry["train_loss"] == frame.train_loss
    with (whole / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in content["epochs"]] == [1, 2, 3]
    assert [row["validation_accuracy"] for row in content["epochs"]] == [
        float(row["validation_accuracy"]) for row in rows
    ]


def test_a_frame_and_a_picture_are_the_files_themselves(replayed: Path) -> None:
    folder = replayed / "replay"
    others = sorted(folder.glob("frame-*"))
    step = int(others[3].name.split("-")[1].split(".")[0])
    for path in others:
        if path != others[3]:
            path.unlink()  # and only the one that is asked for is read
    assert training.frame(replayed, {"step": str(step)}).body == others[3].read_bytes()
    assert training.picture(replayed, {"n": "1"}).body == (folder / "picture-2.png").read_bytes()
    assert training.picture(replayed, {"n": "1"}).kind == "image/png"
    with pytest.raises(ArtefactError, match="is missing"):
        training.frame(replayed, {"step": "0"})


@pytest.mark.parametrize("query", [{}, {"step": "999"}, {"step": "-1"}, {"step": "²"}, {"step": "9" * 5000}])
def test_a_frame_that_is_not_there(whole: Path, query: dict[str, str]) -> None:
    with pytest.raises(Refused, match="The replay has no frame of step") as refused:
        training.frame(whole, query)
    assert refused.value.status == 404


@pytest.mark.parametrize("number", ["2", "-1", "x", ""])
def test_a_picture_that_is_not_there(whole: Path, number: str) -> None:
    with pytest.raises(Refused, match="The replay has 2 pictures, counted from 0"):
        training.picture(whole, {"n": number})


def test_a_changed_frame_is_not_shown(replayed: Path) -> None:
    path = replayed / "replay" / "frame-00000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="is damaged: it does not have the hash"):
        training.frame(replayed, {"step": "1"})
    path.write_bytes(content[:-1])
    with pytest.raises(ArtefactError, match="it was cut or changed"):
        training.frame(replayed, {"step": "1"})


def test_an_index_cannot_lead_out_of_its_folder(replayed: Path) -> None:
    path = replayed / "replay" / "replay.json"
    index = json.loads(path.read_text())
    index["pictures"][0]["file"] = "../config.json"
    path.write_text(json.dumps(index))
    with pytest.raises(ArtefactError, match="is not the name of a file in it"):
        training.picture(replayed, {"n": "0"})


@pytest.mark.parametrize("damage", ["frames", "layers", "pictures"])
def test_a_damaged_index_is_told(replayed: Path, damage: str) -> None:
    path = replayed / "replay" / "replay.json"
    index = json.loads(path.read_text())
    del index[damage]
    path.write_text(json.dumps(index))
    with pytest.raises(ArtefactError, match=f"is damaged: it has no '{damage}'"):
        training.overview(replayed)


def test_without_a_replay_there_are_the_epochs(replayed: Path) -> None:
    shutil.rmtree(replayed / "replay")
    content = json.loads(training.overview(replayed).body)
    assert content["replay"] is None
    assert len(content["epochs"]) == 3
    assert training.has(replayed)
    with pytest.raises(ArtefactError, match="is not a replay"):
        training.frame(replayed, {"step": "0"})
    (replayed / "history.csv").write_text("epoch,steps\n1,x\n")
    with pytest.raises(ArtefactError, match=r"history\.csv is damaged"):
        training.overview(replayed)
    (replayed / "history.csv").unlink()
    assert not training.has(replayed)
    assert json.loads(training.overview(replayed).body)["epochs"] == []


def test_what_is_no_number_is_told_as_none() -> None:
    epoch = dict.fromkeys(training.EPOCH, 1.0) | {"validation_loss": math.nan, "validation_accuracy": None}
    content = json.loads(training.overview(Path("none"), [epoch]).body)["epochs"][0]
    assert (content["train_loss"], content["validation_loss"], content["validation_accuracy"]) == (1.0, None, None)


def test_the_view_is_offered_where_there_is_something_to_see(replayed: Path, photos: Path) -> None:
    def offers() -> list[str]:
        glass = Glass(pellucid.load(replayed), replayed, photos / "red" / "1.png")
        return json.loads(glass.shown.text)["offers"]

    assert "training" in offers()
    shutil.rmtree(replayed / "replay")
    (replayed / "history.csv").unlink()
    assert "training" not in offers()
