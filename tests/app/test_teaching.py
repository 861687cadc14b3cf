"""The teaching model: its command line, the pictures that its page shows, and what `pellucid lessons` refuses."""

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid import api
from pellucid.app import teaching
from pellucid.app.teaching import Answered
from pellucid.errors import RecipeError
from pellucid.training import recipe as recipes


def answered(label: str, predicted: str, truth: float) -> Answered:
    sure = truth if label == predicted else 1 - truth
    return Answered(Path(f"{label}-{predicted}-{truth}.png"), label, predicted, truth, sure)


def test_the_printed_command_trains_the_same_model(
    pellucid: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, Any] = {}

    def start(*places: object, **settings: object) -> None:
        taken.update(settings, places=places)
        raise RecipeError("far enough")

    monkeypatch.setattr(api, "start", start)
    program, *words = shlex.split(teaching.command("'my digits'", "out"))
    assert (program, pellucid(*words).err) == ("pellucid", "pellucid: far enough\n")
    assert taken.pop("places") == ("my digits", Path("out"))
    settings = {name: value for name, value in taken.items() if name not in ("resume", "cache", "team")}
    assert recipes.make(**settings) == recipes.make(**teaching.SETTINGS)


def test_the_first_is_right_and_the_second_wrong_and_neither_is_hopeless() -> None:
    every = [
        *(answered("1", "1", truth) for truth in (0.9999, 0.91, 0.6)),
        *(answered("2", other, truth) for other, truth in (("7", 1e-9), ("3", 0.22), ("4", 0.48))),
        *(answered("3", "3", truth) for truth in (0.99, 0.89)),
        answered("4", "9", 0.1),
    ]
    shown = teaching.chosen(every)
    assert [(each.label, each.truth) for each in shown] == [("1", 0.91), ("2", 0.22), ("3", 0.89), ("4", 0.1)]


def test_without_a_mistake_the_second_is_the_least_certain_one() -> None:
    shown = teaching.chosen([answered("1", "1", truth) for truth in (0.99, 0.9, 0.55)])
    assert [each.truth for each in shown] == [0.9, 0.55]
    assert [each.truth for each in teaching.chosen([answered("1", "1", 0.9)])] == [0.9]
    assert [each.truth for each in teaching.chosen([answered("1", "2", 0.3), answered("2", "1", 0.1)])] == [0.3, 0.1]


def test_what_the_lessons_refuse_before_they_train(
    pellucid: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(api, "start")
    (mine := tmp_path / "mine.html").write_text("mine")
    refused = {
        ("--html", mine): "mine.html already exists, and nothing of yours is overwritten. Choose another --html.",
        ("--html", tmp_path): "is a folder; --html names the file to write.",
        ("--html", tmp_path / "no" / "x.html"): "there is no folder",
        ("--html", tmp_path / "x.html", "--port", 80): "--port is for a page that is served",
        ("--html", tmp_path / "x.html", "--no-browser"): "--no-browser is for a page that is served",
        ("--port", 70000): "--port is 70000; it must be from 0 (any free port) to 65535.",
    }
    for words, message in refused.items():
        result = pellucid("lessons", *words)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert message in result.err
    assert (mine.read_text(), [path.name for path in tmp_path.iterdir()]) == ("mine", ["mine.html"])


def test_a_signal_to_end_removes_what_the_lessons_have_written(
    pellucid: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Path] = []

    def train(pictures: Path, *_: object) -> None:
        seen.append(pictures.parent)
        assert len(list(pictures.iterdir())) == 10
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal has done nothing")

    monkeypatch.setattr(teaching, "train", train)
    result = pellucid("lessons", "--no-browser")
    assert (result.status, result.err) == (130, "\npellucid: stopped.\n")
    (folder,) = seen
    assert not folder.exists()
    assert signal.getsignal(signal.SIGTERM) is before
