"""`pellucid train --processes 2`: what people see, a killed process, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.forked import run

from pellucid.app.commands.train import without

SETTINGS = ("--size", "12", "--batch", "8", "--validation", "0.25", "--test", "0.25", "--device", "cpu")
WORDS = ("--model", "conv(4, 3) relu maxpool(2) flatten dense", "--precision", "float32", *SETTINGS)


class Launched:
    """The command as people type it, and the processes that it starts."""

    def __init__(self, *words: object) -> None:
        command = [sys.executable, "-P", "-m", "pellucid", "train", *map(str, words), "--processes", "2"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def started(self) -> list[int]:
        """The numbers of the processes that train."""
        path = Path(f"/proc/{self.process.pid}/task")
        children = [child for task in path.iterdir() for child in (task / "children").read_text().split()]
        return [int(child) for child in children if b"train" in Path(f"/proc/{child}/cmdline").read_bytes()]

    def ended(self) -> tuple[int, str, str]:
        out, errors = self.process.communicate(timeout=120)
        return self.process.returncode, out, errors


def until(condition: object) -> None:
    end = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="NOT TESTED: --processes with a kill; there is no /proc here")
def test_a_killed_process_costs_some_steps_and_ctrl_c_saves(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    launched = Launched(photos, *WORDS, "--epochs", 4000, "--cache", tmp_path / "cache", "--out", out)
    until(lambda: list((out / "checkpoint").glob("*.safetensors")))
    killed = launched.started()
    assert len(killed) == 2
    os.kill(killed[1], signal.SIGKILL)
    until(lambda: len(new := set(launched.started()) - set(killed)) == 2 and _is_locked_by(out, new))
    time.sleep(0.5)
    launched.process.send_signal(signal.SIGINT)
    status, text, errors = launched.ended()
    assert status == 130, errors
    assert "process 1 was killed by SIGKILL; continuing from the last checkpoint" in errors
    assert "Traceback" not in errors
    assert f"continue with --out {out} --resume" in text


def _is_locked_by(out: Path, processes: set[int]) -> bool:
    try:
        return any(f'"process": {process},' in (out / ".pellucid.lock").read_text() for process in processes)
    except OSError:
        return False


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        ("photos --processes 2 --out model --epochs 3", "photos --epochs 3"),
        ("--processes=2 photos --resume --out=a --size 8", "photos --size 8"),
    ],
)
def test_the_processes_get_all_other_words(words: str, rest: str) -> None:
    flags = {"--processes": True, "--out": True, "--resume": False}
    assert without(words.split(), flags) == rest.split()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--processes", "0"), "processes is 0; it must be 1 or more."),
        (("--processes", "100000"), "processes is 100000; it must be at most 4 for each core, here "),
        (("--processes", "2", "--folds", "3"), "--folds trains in one process."),
        (("--processes", "2", "--open"), "--open shows a training in one process."),
        (("--processes", "many"), "--processes is 'many'; it must be a whole number."),
    ],
)
def test_what_cannot_work_is_refused_at_once(photos: Path, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    result = run("train", photos, "--out", tmp_path / "model", *words)
    assert result.returncode in (1, 2)
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()
