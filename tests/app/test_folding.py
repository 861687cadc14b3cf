"""`pellucid train --folds`: the output for each fold and for all, the card, Ctrl-C, the live page."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid import api
from pellucid.app.page.live import Live
from pellucid.runs import folds
from pellucid.runs.events import FoldBegun, FoldStep
from pellucid.training.history import Epoch
from pellucid.training.loop import Step

pytestmark = pytest.mark.usefixtures("undrawn")

TINY = ["--model", "conv(4, 3) relu globalavgpool dense", "--size", "12", "--epochs", "2", "--batch", "8"]
FLAGS = [*TINY, "--device", "cpu", "--folds", "3"]


def test_a_cross_validation_says_how_each_fold_did_and_the_card_repeats_it(
    pellucid: Callable, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    result = pellucid("train", photos, "--out", out, "--cache", tmp_path / "cache", *FLAGS)
    assert result.status == 0
    stated = json.loads((out / "metrics.json").read_text())
    crossed = stated["folds"]
    assert result.out.startswith("32 pictures in ")
    assert "3 folds: each of the 32 pictures is tested once, by a model trained on the other folds" in result.out
    for each in crossed["each"]:
        sizes = f"{each['train']} to train, {each['validation']} for choices, {each['pictures']} to test"
        assert f"fold {each['number']} of 3: {sizes}\n" in result.out
        right = f"{each['correct']} of {each['pictures']} right, {each['accuracy']:.1%}"
        assert f"fold {each['number']} of 3: {right}\n" in result.out
    assert re.search(r"on all pictures: \d+ to train, \d+ for choices\n", result.out)
    low, high = crossed["interval"]
    assert (
        f"cross-validated: {crossed['accuracy']:.1%} of 32 pictures, 95% interval {low:.1%} to {high:.1%}" in result.out
    )
    assert "this is the figure to quote" in result.out
    assert "split:" not in result.out
    assert "--folds 5 would" not in result.out

    card = (out / "README.md").read_text()
    message = (
        f"**{crossed['accuracy']:.1%} accuracy (95% interval {low:.1%} to {high:.1%}), from 3-fold cross-validation of "
        "the same recipe: each picture predicted by a model that had not seen it**"
    )
    assert message in card
    for each in crossed["each"]:
        sizes = f"{each['train']} | {each['validation']} | {each['pictures']}"
        assert f"| {each['number']} | {sizes} | {each['accuracy']:.1%} | {each['loss']:.3f} |" in card
    assert f"| cross-validation | the reported figure | 32 | {crossed['accuracy']:.1%} |" in card
    assert f"{len(stated['mistakes'])} of {32 - crossed['correct']}, the least probable labels first" in card
    assert "all of them tested in the folds" in card
    assert sum(map(sum, crossed["confusion"])) == 32
    assert pellucid("predict", out, photos / "red" / "0.png").status == 0
    assert "epoch and temperature were chosen on these" in pellucid("evaluate", out).out


def test_ctrl_c_in_a_fold_keeps_what_is_done(
    pellucid: Callable, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = [photos, "--out", tmp_path / "m", "--cache", tmp_path / "cache"]
    step = folds.CrossValidation._step

    def interrupting(self: folds.CrossValidation, event: Step, number: int) -> FoldStep:
        if (number, event.step) == (2, 2):
            signal.raise_signal(signal.SIGINT)
        return step(self, event, number)

    monkeypatch.setattr(folds.CrossValidation, "_step", interrupting)
    result = pellucid("train", *place, *FLAGS)
    monkeypatch.undo()
    assert result.status == 130
    assert "Stopped before there was a model to save; continue with --out" in result.out
    assert "fold 1 of 3: " in result.out
    assert not (tmp_path / "m" / "config.json").exists()
    refused = pellucid("predict", tmp_path / "m", photos)
    assert refused.status == 1
    assert "The training in" in refused.err
    assert "has not finished" in refused.err

    result = pellucid("train", *place, "--resume")
    assert result.status == 0
    assert "resumed at step 2" in result.out
    assert next(line for line in result.out.splitlines() if " to test" in line).startswith("fold 2 of 3")
    assert re.search(r"fold 1 of 3: \d+ of \d+ right", result.out)
    assert (tmp_path / "m" / "config.json").exists()


def test_the_page_that_watches_has_the_curves_of_the_training_on_its_way(photos: Path, tmp_path: Path) -> None:
    settings = {"model": TINY[1], "size": 12, "epochs": 2, "batch": 8, "device": "cpu", "replay": True, "folds": 2}
    live = Live(api.start(photos, tmp_path / "m", cache=tmp_path / "cache", **settings))
    seen = []
    for event in live:
        if isinstance(event, FoldBegun):
            seen.append(live.news["message"])
            assert live._epochs == []
        if isinstance(event, Epoch):
            assert live._epochs[-1]["epoch"] == event.epoch
            assert len(live._epochs) == event.epoch
    assert seen == ["Fold 1 of 2.", "Fold 2 of 2.", "Final training on all pictures."]
    for _ in live.finish():
        pass
    assert (tmp_path / "m" / "replay" / "replay.json").is_file()
