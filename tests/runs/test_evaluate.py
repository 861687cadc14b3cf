"""A model evaluated on a folder with pictures that it has seen: recognised by the files and by their copies."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.errors import CatalogError
from pellucid.pictures import familiar
from pellucid.runs.evaluate import evaluating
from pellucid.runs.made_from import memory

pytestmark = pytest.mark.usefixtures("undrawn")

TINY = {"model": "conv(2, 3) relu globalavgpool dense", "size": 16, "epochs": 2, "device": "cpu"}


def draw(path: Path, seed: int) -> Path:
    """A smooth picture, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8))
    coarse.resize((72, 60), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(pictures, model): twenty pictures per class, and a model made from them. Tests must not change them."""
    root = tmp_path_factory.mktemp("made")
    for label, name in enumerate("ab"):
        for number in range(20):
            draw(root / "photos" / name / f"{number:02}.png", 100 * label + number)
    pellucid.train(root / "photos", root / "model", cache=root / "cache", **TINY)
    return root / "photos", root / "model"


def on_side(model: Path, side: str) -> list[str]:
    with (model / "split.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file) if row["side"] == side]


def copied(made: tuple[Path, Path], paths: list[str], to: Path) -> Path:
    for path in paths:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made[0] / path, to / path)
    return to


def test_the_folder_that_it_was_trained_on(made: tuple[Path, Path]) -> None:
    pictures, model = made
    result = pellucid.evaluate(model, pictures)
    assert result.metrics.pictures == 40
    names = [str(pictures / path) for path in on_side(model, "train")]
    assert [seen.picture for seen in result.trained_on] == names
    assert all(seen.same_file and seen.side == "train" for seen in result.trained_on)
    assert [seen.of for seen in result.chosen_on] == on_side(model, "val")
    assert result.without_trained_on is not None
    assert result.without_trained_on.pictures == 40 - len(names)
    own = pellucid.evaluate(model)
    assert result.unseen is not None
    assert (result.unseen.pictures, result.unseen.correct) == (own.metrics.pictures, own.metrics.correct)
    assert result.honest == result.unseen
    assert (result.quotable, own.quotable, result.untold) == (False, True, None)
    content = result.as_json()
    assert (content["trained_on"], content["chosen_on"], content["quotable"]) == (
        len(names),
        len(result.chosen_on),
        False,
    )
    assert content["unseen"]["accuracy"] == own.metrics.accuracy
    assert len(content["seen"]) == len(names) + len(result.chosen_on)
    assert json.loads(json.dumps(content, allow_nan=False))["unseen"]["pictures"] == own.metrics.pictures


def test_only_training_pictures_have_no_honest_figure(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copied(made, on_side(made[1], "train"), tmp_path / "in")
    result = pellucid.evaluate(made[1], folder)
    assert len(result.trained_on) == result.metrics.pictures
    assert (result.without_trained_on, result.unseen, result.honest, result.quotable) == (None, None, None, False)
    content = result.as_json()
    assert (content["without_trained_on"], content["unseen"]) == (None, None)


def test_only_validation_pictures_have_none_either(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder = copied(made, on_side(made[1], "val"), tmp_path / "in")
    result = pellucid.evaluate(made[1], folder)
    assert result.trained_on == ()
    assert result.without_trained_on == result.metrics
    assert (result.unseen, result.quotable) == (None, False)


def test_copies_and_new_pictures_mixed_are_told_apart_without_the_originals(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(made[1], tmp_path / "model")  # beside none of its pictures
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["data"]["root"] = str(tmp_path / "gone")
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    trained = on_side(made[1], "train")[::3]
    changed = {
        "recompressed.jpg": lambda p: p,
        "smaller.png": lambda p: p.resize((54, 45)),
        "larger.png": lambda p: p.resize((144, 120)),
        "mirrored.jpg": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "grey.png": lambda p: p.convert("L"),
    }
    expected = {}
    for (name, change), path in zip(changed.items(), trained, strict=False):
        place = tmp_path / "in" / path[0] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        change(Image.open(made[0] / path)).save(place, quality=80)
        expected[str(place)] = path
    for label, name in enumerate("ab"):
        for number in range(4):
            draw(tmp_path / "in" / name / f"new {number}.png", 1000 + 10 * label + number)
    result = pellucid.evaluate(tmp_path / "model", tmp_path / "in")
    assert {seen.picture: seen.of for seen in result.trained_on} == expected
    assert not any(seen.same_file for seen in result.trained_on)
    assert result.unseen is not None
    assert (result.metrics.pictures, result.unseen.pictures) == (13, 8)
    assert result.honest == result.unseen


def test_pictures_that_it_has_not_seen_are_quotable(made: tuple[Path, Path], tmp_path: Path) -> None:
    for label, name in enumerate("ab"):
        for number in range(3):
            draw(tmp_path / "in" / name / f"{number}.png", 2000 + 10 * label + number)
    result = pellucid.evaluate(made[1], tmp_path / "in")
    assert result.quotable
    assert result.honest == result.metrics
    assert "seen" not in result.as_json()
    shutil.rmtree(tmp_path / "in" / "a")
    result = pellucid.evaluate(made[1], tmp_path / "in")
    assert (result.quotable, result.honest, result.as_json()["lacking"]) == (False, None, ["a"])


def test_the_sides_of_a_split_folder_are_not_pooled(tmp_path: Path) -> None:
    for side, start, count in (("train", 0, 8), ("val", 100, 4), ("test", 200, 5)):
        for label, name in enumerate("ab"):
            for number in range(count):
                draw(tmp_path / "in" / side / name / f"{number}.png", start + 20 * label + number)
    pellucid.train(tmp_path / "in", tmp_path / "model", cache=tmp_path / "cache", **TINY)
    (tmp_path / "in" / "train" / "a" / "bad.png").write_bytes(b"bad")
    result = pellucid.evaluate(tmp_path / "model", tmp_path / "in")
    assert [each.side for each in result.sides] == ["test", "validation", "train"]
    assert [each.metrics.pictures for each in result.sides] == [10, 8, 16]
    assert [each.quotable for each in result.sides] == [True, False, False]
    assert [len(each.trained_on) for each in result.sides] == [0, 0, 16]
    assert [len(each.chosen_on) for each in result.sides] == [0, 8, 0]
    assert result.metrics == result.sides[0].metrics
    assert result.metrics.correct == pellucid.evaluate(tmp_path / "model").metrics.correct
    assert result.quotable
    assert [Path(path).name for path, _ in result.unusable] == ["bad.png"]
    content = result.as_json()
    assert content["accuracy"] == content["sides"]["test"]["accuracy"]
    assert [content["sides"][side]["pictures"] for side in ("train", "validation", "test")] == [16, 8, 10]
    assert (content["sides"]["train"]["unseen"], content["sides"]["validation"]["quotable"]) == (None, False)


def without_known(model: Path, *names: str) -> None:
    """In the form of an older Pellucid."""
    config = json.loads((model / "config.json").read_text())
    for name in names:
        (model / name).unlink()
        del config["files"][name]
    (model / "config.json").write_text(json.dumps(config))


def test_an_old_model_says_that_copies_cannot_be_told(made: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(made[1], tmp_path / "model")
    without_known(tmp_path / "model", "known.safetensors")
    result = pellucid.evaluate(tmp_path / "model", made[0])
    assert [seen.of for seen in result.trained_on] == on_side(made[1], "train")
    assert result.untold is not None
    assert "older Pellucid without known.safetensors, so copies" in result.untold
    assert (result.honest, result.quotable, result.as_json()["untold"]) == (None, False, result.untold)
    without_known(tmp_path / "model", "split.csv")
    result = pellucid.evaluate(tmp_path / "model", made[0])
    assert result.trained_on == ()
    assert result.untold is not None
    assert "is unknown which of these pictures the model has seen" in result.untold
    assert result.quotable is False


@pytest.mark.parametrize("name", ["known.safetensors", "split.csv"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * 99)])
def test_what_is_gone_or_damaged_does_not_stop_an_evaluation(
    made: tuple[Path, Path], tmp_path: Path, name: str, damage: object
) -> None:
    shutil.copytree(made[1], tmp_path / "model")
    damage(tmp_path / "model" / name)  # type: ignore[operator]
    result = pellucid.evaluate(tmp_path / "model", made[0])
    assert result.metrics.pictures == 40
    assert result.untold is not None
    assert name in result.untold
    assert result.quotable is False


def test_a_picture_that_cannot_be_used_is_told_beside_those_that_are_seen(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = copied(made, on_side(made[1], "train")[:3], tmp_path / "in")
    (folder / "a" / "00 bad.png").write_bytes(b"bad")
    result = pellucid.evaluate(made[1], folder)
    assert (result.metrics.pictures, len(result.trained_on)) == (3, 3)
    assert [Path(path).name for path, _ in result.unusable] == ["00 bad.png"]
    for path in folder.rglob("*.png"):
        path.write_bytes(b"bad")
    with pytest.raises(CatalogError, match="None of the 4 pictures"):
        pellucid.evaluate(made[1], folder)


def test_what_is_kept_is_small(made: tuple[Path, Path]) -> None:
    seen = len(on_side(made[1], "train")) + len(on_side(made[1], "val"))
    assert familiar.COARSE == 289
    assert (made[1] / "known.safetensors").stat().st_size < 289 * seen + 400
    known = memory(made[1])
    assert {side: known.copies[side][0] for side in known.copies} == {
        "train": on_side(made[1], "train"),
        "validation": on_side(made[1], "val"),
    }


def test_a_model_without_sides_but_train_knows_its_pictures(made: tuple[Path, Path], tmp_path: Path) -> None:
    pellucid.train(made[0], tmp_path / "model", cache=tmp_path / "cache", **TINY, validation=0, test=0)
    result = pellucid.evaluate(tmp_path / "model", made[0])
    assert len(result.trained_on) == 40
    assert result.honest is None


def test_progress_names_the_side(made: tuple[Path, Path]) -> None:
    steps = list(evaluating(made[1], made[0]))
    assert len(steps) == 40
    assert {step.side for step in steps} == {str(made[0])}


def test_two_models_that_each_started_from_the_other_are_read_once(tmp_path: Path) -> None:
    """Trained again on the same pictures, a head has equal weights: either may have come first."""
    for name, other in (("one", "other"), ("other", "one")):
        (tmp_path / name).mkdir()
        config = {
            "format": 2,
            "files": {"model.safetensors": {"sha256": "ab" * 32}},
            "pretrained": {"knew": {}, "source": f"{other} (SHA-256 {'ab' * 6})", "folder": str(tmp_path / other)},
        }
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    known = memory(tmp_path / "one")
    assert known.before is not None
    assert known.before[0] == "other"
    assert known.before[1].before is None
