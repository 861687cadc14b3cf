"""Whole trainings by two processes: the files of one, one voice, and what happens when a process is lost."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.forked import Command, run
from tests.training.team.members import free_port

SETTINGS = ("--size", "12", "--batch", "8", "--validation", "0.25", "--test", "0.25", "--learning-rate", "0.01")
NETWORK = "conv(4, 3, bias=false) batchnorm relu maxpool(2) flatten dropout(0.5) dense"
WORDS = ("--model", NETWORK, "--device", "cpu", "--precision", "float32", *SETTINGS)


@contextmanager
def team(world: int, *words: object, ranks: tuple[int, ...] | None = None, **more: str) -> Iterator[list[Command]]:
    """`pellucid train WORDS` in processes that a launcher would start; `more`: of its environment."""
    port = str(free_port())
    with ExitStack() as commands:
        yield [
            commands.enter_context(
                Command("train", *words, env={**os.environ, **_described(rank, world, port), **more})
            )
            for rank in (range(world) if ranks is None else ranks)
        ]


def _described(rank: int, world: int, port: str) -> dict[str, str]:
    about = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    return {name: str(value) for name, value in about.items()} | {"MASTER_ADDR": "127.0.0.1"}


def ended(commands: list[Command]) -> list[tuple[int | None, str, str]]:
    """Status, standard output and standard error of each, when all have ended."""
    texts = [(command.stdout.read(), command.stderr.read()) for command in commands]
    return [(command.wait(60), *text) for command, text in zip(commands, texts, strict=True)]


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that one process trained for four epochs."""
    folder = tmp_path_factory.mktemp("alone")
    result = run("train", photos, *WORDS, "--epochs", 4, "--out", folder / "model", "--cache", folder / "cache")
    assert result.returncode == 0, result.stderr
    return folder / "model"


def apart(one: Path, other: Path) -> float:
    first, second = (load_file(model / "model.safetensors") for model in (one, other))
    return max(float(np.abs(first[name].astype(float) - second[name]).max()) for name in first)


def test_two_processes_train_the_model_of_one(photos: Path, alone: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "model", tmp_path / "cache"
    with team(2, photos, *WORDS, "--epochs", 4, "--out", out, "--cache", cache) as commands:
        (status, text, errors), second = ended(commands)
    assert (status, errors) == (0, "")
    assert second == (0, "", "")
    assert "2 processes share each step" in text
    assert apart(alone, out) < 1e-4  # float32, after 12 steps of AdamW
    assert (out / "split.csv").read_bytes() == (alone / "split.csv").read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in alone.iterdir()}
    config = json.loads((out / "config.json").read_text())
    assert config["training"]["processes"] == 2
    assert "processes" not in json.loads((alone / "config.json").read_text())["training"]
    history, expected = ((folder / "history.csv").read_text().splitlines() for folder in (out, alone))
    assert len(history) == len(expected) == 5
    life = run("life", out, "conv1.weight[0, 0, 0, 0]", "--cache", cache)
    assert life.returncode == 1
    assert "It was trained by 2 processes, whose sums round differently from one's." in life.stderr


def test_a_killed_process_ends_all_and_any_number_continues(photos: Path, alone: Path, tmp_path: Path) -> None:
    """Two begin, one is killed, and one alone continues: the weights are those of a training without a kill."""
    out, cache = tmp_path / "model", tmp_path / "cache"
    words = (photos, *WORDS, "--epochs", 4, "--out", out, "--cache", cache)
    with team(2, *words) as commands:
        _until(lambda: list((out / "checkpoint").glob("*.safetensors")))
        os.kill(commands[1].pid, signal.SIGKILL)
        (status, _, errors), (killed, _, _) = ended(commands)
    assert killed == -signal.SIGKILL
    if status:  # else the last step was done before the signal
        assert status == 1
        assert errors == ("pellucid: Another process of the team has ended, and this one cannot go on without it.\n"), (
            errors
        )
        with team(1, *words, TORCHELASTIC_MAX_RESTARTS="3") as commands:  # a restarted worker needs no --resume
            ((status, text, errors),) = ended(commands)
        assert (status, errors) == (0, "")
        assert "resumed at step" in text
    assert apart(alone, out) < 1e-4


def _until(condition: object) -> None:
    end = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ((), ("--seed", "1"), "The setting seed is 1 in process 1 ("),
        (
            ("--batch", "1", "--model", "flatten dense"),
            ("--batch", "1", "--model", "flatten dense"),
            "2 processes share each step, but a step has 1 picture.",
        ),
        (("--folds", "3"), ("--folds", "3"), "--folds trains in one process."),
        (("--epochs", "0"), ("--epochs", "0"), "epochs is 0"),
    ],
)
def test_one_line_reports_what_is_wrong(
    photos: Path, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...], says: str
) -> None:
    out, port = tmp_path / "model", str(free_port())
    with ExitStack() as stack:
        commands = [
            stack.enter_context(
                Command(
                    *("train", photos, *WORDS, "--epochs", 1, "--out", out, "--cache", tmp_path / "cache", *more),
                    env={**os.environ, **_described(rank, 2, port)},
                )
            )
            for rank, more in enumerate((first, second))
        ]
        (status, _, errors), other = ended(commands)
    assert status == 1
    assert errors.startswith(f"pellucid: {says}"), errors
    assert errors.count("\n") == 1
    assert other == (1, "", "")


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_in_one_process_is_reported_once_by_the_first(photos: Path, tmp_path: Path, rank: int) -> None:
    """As on a machine whose cache cannot be written."""
    blocked, caches = tmp_path / "blocked", [tmp_path / "cache", tmp_path / "cache"]
    blocked.write_text("a file")
    caches[rank] = blocked
    out, port = tmp_path / "model", str(free_port())
    with ExitStack() as stack:
        commands = [
            stack.enter_context(
                Command(
                    *("train", photos, *WORDS, "--epochs", 1, "--out", out, "--cache", cache),
                    env={**os.environ, **_described(number, 2, port)},
                )
            )
            for number, cache in enumerate(caches)
        ]
        (status, _, errors), other = ended(commands)
    assert status == 1
    assert errors.startswith("pellucid: process 1 (" if rank else f"pellucid: {blocked}"), errors
    assert errors.count("\n") == 1
    assert other == (1, "", "")


def test_a_team_that_is_started_again_after_its_last_step_has_nothing_to_do(photos: Path, alone: Path) -> None:
    before = (alone / "config.json").read_bytes()
    words = (photos, *WORDS, "--epochs", 4, "--out", alone)
    with team(1, *words, TORCHELASTIC_RESTART_COUNT="1", TORCHELASTIC_MAX_RESTARTS="3") as commands:
        assert ended(commands) == [(0, "", "")]
    assert (alone / "config.json").read_bytes() == before


def test_a_module_of_the_user_s_with_a_replay(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef build(classes):\n"
        "    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.AdaptiveAvgPool2d(2))\n"
        "    return nn.Sequential(body, nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, classes))\n"
    )
    words = ("--model", f"{tmp_path / 'net.py'}:build", "--device", "cpu", *SETTINGS, "--replay", "--epochs", 2)
    with team(2, photos, *words, "--out", tmp_path / "model", "--cache", tmp_path / "cache") as commands:
        (status, text, errors), second = ended(commands)
    assert (status, errors, second) == (0, "", (0, "", ""))
    assert text.count("makes the network") == 1
    assert (tmp_path / "model" / "replay" / "replay.json").exists()
