"""A class missing on a side of the split: named in output, card and JSON; no figure to quote, and no choice by it."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import api
from pellucid.runs.events import DataSummary
from pellucid.training.history import Epoch

pytestmark = pytest.mark.usefixtures("undrawn")

NETWORK = "conv(2, 3) relu globalavgpool dense"
TINY = ["--model", NETWORK, "--size", "16", "--epochs", "2", "--batch", "16", "--device", "cpu"]


def draw(path: Path, seed: int) -> None:
    """A smooth picture, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8))
    coarse.resize((48, 40), Image.Resampling.BICUBIC).save(path)


def fixed_camera(folder: Path, count: int, scene: int) -> None:
    """`count` shots of the same scene, each with its own noise."""
    folder.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(scene).integers(40, 216, (6, 6, 3), np.uint8))
    base = np.asarray(coarse.resize((48, 40), Image.Resampling.BICUBIC), float)
    for number in range(count):
        noise = np.random.default_rng(1000 * scene + number).normal(0, 2, base.shape)
        Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")


def different(folder: Path, count: int, seed: int) -> None:
    for number in range(count):
        draw(folder / f"{number:02}.png", seed + number)


@pytest.fixture
def train(
    pellucid: Callable, tmp_path: Path
) -> Callable[..., tuple[str, dict[str, Any], str, Counter[tuple[str, str]]]]:
    """train(flag, ...) trains on tmp_path/in -> (output, metrics.json, card, count of each class on each side)."""

    def train(*flags: str) -> tuple[str, dict[str, Any], str, Counter[tuple[str, str]]]:
        result = pellucid(
            "train", tmp_path / "in", *TINY, "--out", tmp_path / "m", "--cache", tmp_path / "cache", *flags
        )
        assert (result.status, result.err) == (0, "")
        with (tmp_path / "m" / "split.csv").open(newline="") as file:
            counts = Counter((row["class"], row["side"]) for row in csv.DictReader(file))
        metrics = json.loads((tmp_path / "m" / "metrics.json").read_text())
        return result.out, metrics, (tmp_path / "m" / "README.md").read_text(), counts

    return train


def test_a_class_that_one_group_swallows(train: Callable, pellucid: Callable, tmp_path: Path) -> None:
    fixed_camera(tmp_path / "in" / "good", 12, 7)
    different(tmp_path / "in" / "bad", 20, 100)
    out, metrics, card, counts = train()
    assert counts["good", "train"] == 12
    assert counts["good", "val"] == counts["good", "test"] == 0
    assert "class good: 12 of its 12 pictures are nearly identical" in out
    assert "validation has no picture of class good" in out
    assert "test has no picture of class good" in out
    assert "no figure to quote: none of these pictures shows class good" in out
    assert "this is the figure to quote" not in out
    assert "best so far" not in out
    assert "weights of epoch 2" in out
    assert (metrics["reported"], metrics["quotable"], metrics["chosen"]) == ("test", False, False)
    assert metrics["test"]["lacking"] == metrics["validation"]["lacking"] == ["good"]
    assert "**No figure to quote: no test picture shows class good. " in card
    assert "> No test picture shows class good." in card
    assert "> No validation picture shows class good. These pictures chose neither" in card
    assert "> 12 of the 12 pictures of class good are nearly the same picture" in card
    assert "the reported figure" not in card
    assert "best on the validation" not in card
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["temperature"] == 1.0
    assert config["training"]["best_epoch"] == 2
    assert config["data"]["lacking"] == {"validation": ["good"], "test": ["good"]}
    assert config["data"]["swallowed"] == [{"class": "good", "alike": 12, "pictures": 12}]
    assert config["data"]["validation"] == counts["bad", "val"] > 0
    again = json.loads(pellucid("evaluate", tmp_path / "m", "--json").out)
    assert (again["lacking"], again["quotable"]) == (["good"], False)
    assert "no figure to quote: none of these pictures shows class good" in pellucid("evaluate", tmp_path / "m").out


def test_two_classes_that_one_group_each_swallows_leave_nothing_to_test_on(train: Callable, tmp_path: Path) -> None:
    fixed_camera(tmp_path / "in" / "a", 10, 3)
    fixed_camera(tmp_path / "in" / "b", 10, 4)
    out, metrics, card, counts = train()
    assert counts == {("a", "train"): 10, ("b", "train"): 10}
    assert "no pictures are left to test on" in out
    assert out.count("nearly identical") == 2
    assert "not a measure of how good the model is" in out
    assert (metrics["reported"], metrics["quotable"]) == ("train", False)
    assert card.count("are nearly the same picture") == 2


@pytest.mark.parametrize(("few", "sides"), [(2, {"train", "test"}), (3, {"train", "val", "test"})])
def test_a_rare_class_is_trained_and_tested(few: int, sides: set[str], train: Callable, tmp_path: Path) -> None:
    different(tmp_path / "in" / "few", few, 500)
    different(tmp_path / "in" / "many", 40, 100)
    out, metrics, card, counts = train()
    assert {side for name, side in counts if name == "few"} == sides
    assert metrics["quotable"] is True
    assert metrics["test"]["lacking"] == []
    assert "this is the figure to quote" in out
    assert "No figure to quote" not in card
    assert metrics["chosen"] is (few == 3)
    assert ("validation has no picture of class few" in out) is (few == 2)
    assert ("No validation picture shows class few" in card) is (few == 2)


def test_folders_of_which_one_lacks_a_class(train: Callable, tmp_path: Path) -> None:
    for side, start in (("train", 0), ("val", 100), ("test", 200)):
        for label, name in enumerate("abc"):
            if (side, name) not in (("val", "a"), ("test", "b")):
                different(tmp_path / "in" / side / name, 6, start + 20 * label)
    out, metrics, card, _ = train()
    assert "validation has no picture of class a" in out
    assert "test has no picture of class b" in out
    assert (metrics["validation"]["lacking"], metrics["test"]["lacking"]) == (["a"], ["b"])
    assert (metrics["quotable"], metrics["chosen"]) == (False, False)
    assert "No test picture shows class b." in card
    assert "No validation picture shows class a." in card


def test_only_validation_and_it_lacks_a_class(train: Callable, tmp_path: Path) -> None:
    fixed_camera(tmp_path / "in" / "good", 8, 7)
    different(tmp_path / "in" / "bad", 12, 100)
    out, metrics, card, _ = train("--test", "0")
    assert (metrics["reported"], metrics["quotable"], metrics["chosen"]) == ("validation", False, False)
    assert "no figure to quote: none of these pictures shows class good" in out
    assert "slightly optimistic" not in out + card


def test_mirror_images_in_two_classes_are_no_wrong_labels(train: Callable, tmp_path: Path) -> None:
    def textured(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8)).resize(
            (72, 72), Image.Resampling.BICUBIC
        )
        return np.clip(np.asarray(coarse) + random.normal(0, 8, (72, 72, 3)), 0, 255).astype(np.uint8)

    for name, turned in (("left", slice(None)), ("right", slice(None, None, -1))):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(textured(number)[:, turned]).save(tmp_path / "in" / name / f"{number}.png")
    Image.fromarray(textured(3)).save(tmp_path / "in" / "right" / "planted.jpg", quality=70)
    out, _, card, _ = train()
    assert "near-duplicates in two classes, 1 pair; one of the two labels is probably wrong:" in out
    assert "  left/3.png ~ right/planted.jpg\n" in out
    assert out.count(" ~ ") == 1
    assert "similar pictures in two classes, without a sign of a wrong label: 10 mirrored" in out
    assert "(one label is probably wrong): 1. Other pairs in two classes: 10 mirror images." in card
    with (tmp_path / "m" / "twins.csv").open(newline="") as file:
        kinds = Counter(row["across"] for row in csv.DictReader(file) if row["same_class"] == "0")
    assert kinds == {"mirrored": 10, "copy": 1}


def test_the_same_file_in_two_classes_stands_in_the_card(train: Callable, tmp_path: Path) -> None:
    different(tmp_path / "in" / "good", 10, 100)
    different(tmp_path / "in" / "bad", 10, 200)
    (tmp_path / "in" / "bad" / "copy.png").write_bytes((tmp_path / "in" / "good" / "03.png").read_bytes())
    _, _, card, _ = train()
    message = "Quarantined files: 2 ([quarantine.csv](quarantine.csv)), 2 of them because the same file is in two"
    assert f"{message} classes." in card


def test_a_run_tells_it_in_python(tmp_path: Path) -> None:
    fixed_camera(tmp_path / "in" / "good", 8, 7)
    different(tmp_path / "in" / "bad", 12, 100)
    settings = {"model": NETWORK, "size": 16, "epochs": 1, "device": "cpu"}
    run = api.start(tmp_path / "in", tmp_path / "m", cache=tmp_path / "cache", **settings)
    summary = next(event for event in run if isinstance(event, DataSummary))
    assert summary.lacking == {"val": ("good",), "test": ("good",)}
    assert summary.swallowed == (("good", 8, 8),)
    epochs = [event for event in run if isinstance(event, Epoch)]
    assert epochs[-1].validation_accuracy is None
    report = api.finish(run)
    assert not report.quotable
    assert not report.chosen
    assert report.metrics["test"].lacking == ("good",)


def test_two_scenes_in_every_class_leave_no_validation(train: Callable, tmp_path: Path) -> None:
    for label, name in enumerate("ab"):
        fixed_camera(tmp_path / "in" / name, 6, 20 + label)
        fixed_camera(tmp_path / "in" / name / "later", 5, 30 + label)
    out, metrics, _, counts = train()
    assert counts == {("a", "train"): 6, ("a", "test"): 5, ("b", "train"): 6, ("b", "test"): 5}
    assert "the pictures are too few or too similar for a validation" in out
    assert (metrics["quotable"], metrics["chosen"]) == (True, False)
