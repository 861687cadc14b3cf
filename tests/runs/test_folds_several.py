"""A cross-validation of pictures with several labels: labels spread, twins together, figures of all folds in one."""

import contextlib
import csv
import io
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import api
from pellucid.app.cli import main
from pellucid.errors import CatalogError
from pellucid.runs.events import FoldDone
from pellucid.runs.folds import CrossValidation
from pellucid.training import recipe as recipes

pytestmark = pytest.mark.usefixtures("undrawn")

CLASSES = ("blue", "green", "red")
SETTINGS = {"model": "conv(6, 3) batchnorm relu globalavgpool dense", "size": 12, "epochs": 3, "batch": 8}
SETTINGS |= {"augment": "none", "labels": "several", "learning_rate": 0.02, "device": "cpu", "folds": 2}


def draw(path: Path, has: tuple[int, ...], seed: int) -> None:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 120, (9, 9, 3))
    for label in has:
        coarse[..., 2 - label] += 90
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse.astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-two pictures, each set of colours six times; the last two have twins."""
    root = tmp_path_factory.mktemp("several")
    sets = [some for count in (1, 2, 3) for some in itertools.combinations(range(3), count)]
    rows = []
    for number, has in enumerate(sets * 6):
        draw(root / f"{number:02}.png", has, number)
        rows.append((f"{number:02}.png", "|".join(CLASSES[label] for label in has)))
    for path, labels in rows[-2:]:
        with Image.open(root / path) as picture:
            picture.save(root / f"again-{path}.jpg", quality=92)
        rows.append((f"again-{path}.jpg", labels))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return root / "labels.csv"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(table: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The model folder, and what the command printed."""
    out, words = tmp_path_factory.mktemp("whole") / "out", [f"--{name}={value}" for name, value in SETTINGS.items()]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["pellucid", "train", str(table), "--out", str(out), "--cache", str(cache), *words])
        assert main() == 0
    return out, printed.getvalue()


def test_each_picture_is_tested_once_under_the_thresholds_of_its_fold(trained: tuple[Path, str]) -> None:
    out, printed = trained
    stated = json.loads((out / "metrics.json").read_text())
    stated_folds, each = stated["folds"], stated["folds"]["each"]
    assert (stated["reported"], stated["quotable"], stated_folds["several"]) == ("folds", True, True)
    assert (stated_folds["pictures"], sum(fold["pictures"] for fold in each)) == (44, 44)
    assert stated_folds["correct"] == sum(fold["correct"] for fold in each)
    assert stated_folds["units"] == pytest.approx(44**2 / (40 + 2 * 2**2))
    assert each[0]["thresholds"] != each[1]["thresholds"], "each fold has chosen its own"
    assert [item["threshold"] for item in stated_folds["classes"]] == [None] * 3
    for share, interval in (("accuracy", "interval"), ("macro_f1", "macro_interval")):
        low, high = stated_folds[interval]
        assert 0 <= low < stated_folds[share] < high <= 1
    assert len(stated["mistakes"]) == min(12, 44 - stated_folds["correct"])
    for mistake in stated["mistakes"]:
        assert set(mistake["called"]) != set(mistake["labels"])

    low, high = stated_folds["macro_interval"]
    card, macro = (out / "README.md").read_text(), f"{stated_folds['macro_f1']:.1%}"
    assert f"macro F1 {macro} (95% interval {low:.1%} to {high:.1%})" in printed
    assert f" and {macro} macro F1 ({low:.1%} to {high:.1%}), from 2-fold cross-validation" in card
    for fold in each:
        right = f"{fold['correct']} of {fold['pictures']} with exactly the right labels, {fold['accuracy']:.1%}"
        assert f"fold {fold['number']} of 2: {right}; macro F1 {fold['macro_f1']:.1%}" in printed
        assert f"| {fold['accuracy']:.1%} | {fold['macro_f1']:.1%} | {fold['loss']:.3f} |" in card


def begun(table: Path, out: Path, cache: Path, resume: bool = False) -> CrossValidation:
    return CrossValidation(table, recipes.make(**SETTINGS), out, cache, resume, checkpoint_seconds=0.0)


def test_stopped_after_a_fold_it_goes_on_with_the_same_figures(
    table: Path, cache: Path, tmp_path: Path, trained: tuple[Path, str]
) -> None:
    first = begun(table, tmp_path / "out", cache)
    next(event for event in first if isinstance(event, FoldDone))
    with (first.out / "folds" / "1" / "split.csv").open(newline="") as file:
        sides = {row["path"]: row["side"] for row in csv.DictReader(file)}
    assert set(sides.values()) == {"train", "val", "test"}
    assert all(sides[f"{number}.png"] == sides[f"again-{number}.png.jpg"] for number in (40, 41))
    first.close()

    again = begun(table, tmp_path / "out", cache, resume=True)
    assert all(event is not None for event in again)
    report = api.finish(again)
    whole = json.loads((trained[0] / "metrics.json").read_text())["folds"]
    assert report.folds is not None
    stated = json.loads(json.dumps(report.folds.as_json()))
    for figures in (whole, stated):
        for fold in figures["each"]:
            del fold["seconds"]
        del figures["confusion"]
    assert stated == whole


def test_a_label_whose_pictures_stay_together_is_refused(table: Path, cache: Path, tmp_path: Path) -> None:
    rare = table.with_name("rare.csv")
    rare.write_text(table.read_text().replace("40.png,", "40.png,odd|").replace("40.png.jpg,", "40.png.jpg,odd|"))
    with pytest.raises(CatalogError, match=r"The 2 pictures of label odd stay together .* remove --folds"):
        next(event for event in begun(rare, tmp_path / "out", cache) if isinstance(event, FoldDone))
    assert not (tmp_path / "out").exists()
