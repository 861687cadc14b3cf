"""Killed at ten moments, or stopped by Ctrl-C, and resumed: the same bytes as never stopped.

Real processes and real kills. The killed ones are forked from a process that has only done a run's imports, because ten
imports would take longer than all the rest; the uninterrupted run has its own interpreter.
"""

import csv
import io
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import forked

import pellucid

# Every source of randomness and every kind of state: dropout, batch norm, filters kept channels-last, AdamW,
# a learning rate that moves, strong augmentation, a shuffled order; and a convolution with gradients of our own.
NETWORK = (
    "conv(16, 3, padding=1) batchnorm relu maxpool(2) conv(16, 5, padding=2, groups=16) conv(8, 3) relu flatten "
    "dense(16) relu dropout(0.3) dense"
)
SETTINGS = {"model": NETWORK, "size": 16, "epochs": 6, "batch": 8, "augment": "strong", "seed": 5, "replay": True}
STEPS = 6 * 5  # 38 training pictures in steps of 8

# Says on standard output what it is about to do or has done, a line each. Reads a line before each run: where it dies,
# as the first word of what it says there, the number of that, and the seconds that it computes from there on.
CHILD = f"""
import os, signal, sys
from pathlib import Path
from pellucid import files
from pellucid.classifier import card  # with everything that it imports
from pellucid.pictures import augment_cpu
from pellucid.runs.run import Run
from pellucid.training import recipe
import numba, torch, matplotlib.figure, matplotlib.backends.backend_agg
numba.njit(lambda: None)()  # the first loop of a process pays for Numba's own tables: a second for each run
directory, out, cache = map(Path, sys.argv[1:])

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def train(word, number, seconds):
    seen = 0

    def say_and_die(said, *which):
        nonlocal seen
        say(said, *which)
        if said == word:
            seen += 1
            if (which[0] if said == "Step" else seen) >= number and not any(signal.getitimer(signal.ITIMER_PROF)):
                signal.setitimer(signal.ITIMER_PROF, seconds)  # the kernel ends the process, as kill -9 does

    write = files.write
    files.write = lambda path, content: (say_and_die("writing", path.name), write(path, content))
    run = Run(directory, recipe.make(**{SETTINGS!r}), out, cache, resume=True, checkpoint_seconds=0.0)
    for event in run:
        say_and_die(type(event).__name__, getattr(event, "step", ""))
    say_and_die("trained")
    for event in run.finish():
        say_and_die(type(event).__name__)
    say("done")

for line in sys.stdin:
    word, number, seconds = line.split()
    child = os.fork()
    if not child:
        train(word, int(number), float(seconds))
        os._exit(0)
    say("began", child)
    say("ended", os.waitpid(child, 0)[1])
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 27 small pictures, smooth like photographs, red ones and blue ones."""
    root = tmp_path_factory.mktemp("resume") / "photos"
    random_numbers = np.random.default_rng(11)
    for label, name in enumerate(("blue", "red")):
        (root / name).mkdir(parents=True)
        for number in range(27):
            coarse = random_numbers.integers(0, 200, (5, 5, 3), np.uint8)
            coarse[..., 2 - 2 * label] //= 3
            Image.fromarray(coarse).resize((24, 20), Image.Resampling.BICUBIC).save(root / name / f"{number}.png")
    return root


class Nursery:
    """Starts runs and reports their output."""

    def __init__(self, *arguments: Path) -> None:
        command = [sys.executable, "-c", CHILD, *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def begin(self, word: str = "never", number: int = 1, seconds: float = 1.0) -> None:
        """Start a run that dies `seconds` of its own computing time after it has said `word` for the `number`th time.

        After that, Step stands for a step. Its own time counts, not the clock: it dies at the same place on a shared
        machine, where the watching process may come late.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word} {number} {seconds}\n")
        words = next(self.lines()).split()
        # the child may be faster than its parent
        self.early = [] if words[0] == "began" else [" ".join(words)]
        while words[0] != "began":
            words = next(self.lines()).split()
            self.early += [" ".join(words)] if words[0] != "began" else []

    def heard(self) -> Iterator[str]:
        """The run's output, up to and with `ended STATUS`."""
        yield from self.early
        for line in self.lines():
            yield line
            if line.startswith("ended"):
                return

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.strip()
        raise AssertionError("the process that starts the runs has died")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def runs(photos: Path, tmp_path: Path) -> Iterator[Nursery]:
    one = Nursery(photos, tmp_path / "out", tmp_path / "cache")
    yield one
    one.close()


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    nursery = Nursery(photos, folder / "out", folder / "cache")
    message = whole_run(nursery)
    nursery.close()
    assert sum(line.startswith("Step") for line in message) == STEPS
    left = without_times(folder / "out")
    assert {"model.safetensors", "metrics.json", "split.csv", "replay/replay.json"} <= left.keys()
    assert sum(name.startswith("replay/frame-") for name in left) == STEPS + 1
    return left


def whole_run(nursery: Nursery) -> list[str]:
    nursery.begin()
    message = list(nursery.heard())
    assert message[-2:] == ["done", "ended 0"]
    return message


def without_times(folder: Path) -> dict[str, bytes]:
    """The bytes of everything without a duration."""
    timed = {"config.json", "history.csv", "README.md", "curves.png"}
    content = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in timed
    }
    with io.StringIO((folder / "history.csv").read_text()) as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    return content | {"history": repr(rows).encode()}


def test_killed_at_ten_moments_it_ends_with_the_same_bytes(
    photos: Path, whole: dict[str, bytes], tmp_path: Path, runs: Nursery
) -> None:
    out = tmp_path / "out"
    seed = random.randrange(2**32)
    drawn = random.Random(seed)
    steps = sorted(drawn.sample(range(1, STEPS - 8), 6))
    moments = [
        ("Decoding", 1),
        ("writing", 1),  # the first checkpoint
        *[("Step", step) for step in steps],  # or the first after it: the kill before may have come late
        ("trained", 1),
        ("writing", drawn.randrange(3, 12)),  # the first five are lists and checkpoints, then the model folder
    ]
    assert len(moments) == 10
    for number, (word, count) in enumerate(moments):
        if number == 5:
            shutil.rmtree(tmp_path / "cache")  # what was decoded is decoded again
        # in the middle of the next work: a step, or the writing of a file
        runs.begin(word, count, drawn.uniform(0.0001, 0.008))
        where = f"seed {seed}, kill {number}, at {word} {count}"
        message = list(runs.heard())
        assert any(line.split()[0] == word for line in message), where
        assert message[-1] == f"ended {signal.SIGPROF:d}", where
        assert not (out / "config.json").exists() or number == 9, where
    whole_run(runs)

    result = without_times(out)
    assert result.keys() == whole.keys(), f"seed {seed}"
    assert [name for name in whole if result[name] != whole[name]] == [], f"seed {seed}"
    assert (out / "README.md").exists()
    with pytest.raises(pellucid.PellucidError, match="is complete; there is nothing to resume"):
        pellucid.start(photos, out, resume=True)


def test_ctrl_c_saves_a_model_and_the_run_goes_on_bit_for_bit(
    photos: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """The real command line."""
    out, cache = tmp_path / "out", tmp_path / "cache"
    flags = [
        flag for name, value in SETTINGS.items() for flag in (f"--{name}", *([] if value is True else [str(value)]))
    ]
    words = ["train", str(photos), "--out", str(out), "--cache", str(cache), *flags]
    command = [sys.executable, "-m", "pellucid", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        messages = []
        for line in process.stdout:
            messages.append(line)
            if line.startswith("epoch 2:"):
                process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "stopping after this step" in errors
    assert any(f"continue with --out {out} --resume" in line for line in messages)

    classifier = pellucid.load(out)
    assert classifier.predict(photos / "red" / "0.png").label in ("blue", "red")
    config = (out / "config.json").read_text()
    assert '"complete": false' in config
    assert (out / "checkpoint").is_dir()

    result = forked.run(*words, "--resume")
    assert result.returncode == 0, result.stderr
    assert "resumed at step" in result.stdout
    actual = without_times(out)
    assert actual.keys() == whole.keys()
    assert [name for name in whole if actual[name] != whole[name]] == []
    assert '"complete": true' in (out / "config.json").read_text()
    assert "stopped" not in (out / "README.md").read_text()
