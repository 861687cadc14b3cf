"""One folder, one writer: two real processes, a kill, a resumed run that is still running, and the remains."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import forked

import pellucid
from pellucid import files
from pellucid.errors import ArtefactError, StorageError
from pellucid.runs.events import DataSummary
from pellucid.training.claim import NAME, Claim, inside, read

# Claims a folder, says so, and holds it until its standard input ends.
HOLDER = """
import sys
from pathlib import Path
from pellucid.runs.events import DataSummary
from pellucid.training.claim import Claim
claim = Claim(Path(sys.argv[1]))
claim.take()
print("holds", flush=True)
sys.stdin.read()
claim.release()
"""

Hold = Callable[[Path], subprocess.Popen]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """hold(folder) -> a process that holds it."""
    with ExitStack() as stack:

        def hold(folder: Path) -> subprocess.Popen:
            command = [sys.executable, "-c", HOLDER, str(folder)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "holds\n"
            return process

        yield hold


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve small pictures."""
    root = tmp_path_factory.mktemp("claim") / "photos"
    numbers = np.random.default_rng(4)
    for name in ("blue", "red"):
        (root / name).mkdir(parents=True)
        for number in range(12):
            coarse = Image.fromarray(numbers.integers(0, 256, (5, 5, 3), np.uint8))
            coarse.resize((24, 24), Image.Resampling.BICUBIC).save(root / name / f"{number}.png")
    return root


def test_a_folder_is_made_and_goes_with_the_claim_unless_something_stands_in_it(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "deep" / "out")
    claim.take()
    assert claim.held
    assert (tmp_path / "deep" / "out" / NAME).is_file()
    assert inside(tmp_path / "deep" / "out") == []
    claim.release()
    assert not claim.held
    assert list(tmp_path.iterdir()) == []
    claim.release()

    claim.take()
    (tmp_path / "deep" / "out" / "model").touch()
    claim.release()
    assert list((tmp_path / "deep" / "out").iterdir()) == [tmp_path / "deep" / "out" / "model"]


def test_the_holder_is_named(tmp_path: Path, hold: Hold) -> None:
    other = hold(tmp_path / "out")
    with pytest.raises(ArtefactError) as raised:
        Claim(tmp_path / "out").take()
    since = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    message = rf"Another process is writing to .*out \(process {other.pid}, since {since}: .*-c .*\)\. Wait"
    assert re.match(message, str(raised.value), re.DOTALL)
    holder = read(tmp_path / "out")
    assert holder is not None
    assert holder.process == other.pid
    # through a link it is the same folder
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(ArtefactError, match=f"process {other.pid}"):
        Claim(tmp_path / "link").take()


def test_a_kill_leaves_no_claim(tmp_path: Path, hold: Hold) -> None:
    other = hold(tmp_path / "out")
    other.kill()
    other.wait()
    assert (tmp_path / "out" / NAME).exists()
    claim = Claim(tmp_path / "out")
    claim.take()
    holder = read(tmp_path / "out")
    assert holder is not None
    assert holder.process == os.getpid()
    claim.release()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_forked_child_holds_nothing(tmp_path: Path, hold: Hold) -> None:
    """Otherwise a child that outlives its parent would keep others out."""
    claim = Claim(tmp_path / "out")
    claim.take()
    child = os.fork()
    if not child:
        del claim
        time.sleep(30)
        os._exit(0)
    try:
        assert (tmp_path / "out" / NAME).exists()
        claim.release()
        hold(tmp_path / "out")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_new_folder_must_not_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        Claim(tmp_path).take(new=True)
    claim = Claim(tmp_path / "a" / "b")
    claim.take(new=True)
    assert claim.held
    claim.release()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/out could not be written: Not a directory"):
        Claim(tmp_path / "file" / "out").take()


def test_in_one_process_a_later_claim_of_the_same_thread_takes_over(tmp_path: Path) -> None:
    first, second = Claim(tmp_path / "out"), Claim(tmp_path / "out")
    first.take()
    second.take()
    with pytest.raises(ArtefactError, match="was taken over by a later run"):
        first.check()
    first.release()
    second.check()
    with pytest.raises(ArtefactError, match=r"has ended\. Start it again with resume=True"):
        Claim(tmp_path / "out").check()

    errors: list[str] = []

    def other_thread() -> None:
        try:
            Claim(tmp_path / "out").take()
        except ArtefactError as error:
            errors.append(str(error))

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert "(thread MainThread of this program)" in errors[0]
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_create_a_file_one_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    files.create(place, "first")
    with pytest.raises(StorageError, match=r"page\.html was meanwhile written by another program"):
        files.create(place, "second")
    assert place.read_text() == "first"
    assert list(tmp_path.iterdir()) == [place]


# ---- the command line


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "pellucid", *map(str, words)]


def train(photos: Path, folder: Path, *words: object) -> list[object]:
    settings = ("--model", "conv(4, 3) relu globalavgpool dense", "--size", "16", "--cache", folder / "cache")
    return ["train", photos, *settings, *words]


def begun(line: list[str], folder: Path) -> subprocess.Popen:
    return subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_trainings_into_one_folder_leave_one_model_and_one_error(photos: Path, tmp_path: Path) -> None:
    lines = [train(photos, tmp_path, "--out", "one", "--epochs", 150, "--seed", seed) for seed in (1, 2)]
    processes = [forked.Command(*line, cwd=tmp_path) for line in lines]
    outputs = [process.communicate() for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 1], outputs
    won, lost = codes.index(0), codes.index(1)
    refusal = outputs[lost][1].strip().splitlines()[-1]
    # the later one met the other at work or done; nothing was overwritten
    assert "Another process is writing to one" in refusal or "one is not empty" in refusal
    assert f'"seed": {won + 1}' in (tmp_path / "one" / "config.json").read_text()
    assert not (tmp_path / "one" / NAME).exists()
    assert pellucid.load(tmp_path / "one").classes == ("blue", "red")


def test_a_run_that_goes_on_is_not_resumed_and_a_killed_one_is(photos: Path, tmp_path: Path) -> None:
    line = train(photos, tmp_path, "--out", "one", "--epochs", 5000)
    with begun(command(*line), tmp_path) as first:
        assert first.stdout is not None
        while not next(first.stdout).startswith("epoch"):
            pass
        for words in (["--resume"], []):
            refused = forked.run(*line, *words, cwd=tmp_path)
            assert refused.returncode == 1
            assert f"Another process is writing to one (process {first.pid}, since " in refused.stderr
            assert "-m pellucid train" in refused.stderr
        assert first.poll() is None
        first.kill()
    assert (tmp_path / "one" / NAME).exists()
    with forked.Command(*line, "--resume", cwd=tmp_path) as again:
        while not next(again.stdout).startswith("resumed at step"):
            pass
        again.send_signal(signal.SIGINT)
        errors = again.stderr.read()
    assert again.returncode == 130, errors
    assert not (tmp_path / "one" / NAME).exists()


def test_two_trainings_without_a_place_take_two(photos: Path, tmp_path: Path) -> None:
    processes = [forked.Command(*train(photos, tmp_path, "--epochs", 1), cwd=tmp_path) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "photos-model", "photos-model-2"]
    for name in ("photos-model", "photos-model-2"):
        assert (tmp_path / name / "config.json").exists()
        assert not (tmp_path / name / NAME).exists()


def test_the_demo_and_filters_want_their_folder_for_themselves(tmp_path: Path, hold: Hold) -> None:
    other = hold(tmp_path / "out")
    for words in (["demo", "--out", "out"], ["filters", "model", "--out", "out"]):
        refused = forked.run(*words, cwd=tmp_path)
        assert refused.returncode == 1
        assert f"Another process is writing to out (process {other.pid}" in refused.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]


def test_a_model_folder_among_the_pictures_is_no_class(photos: Path, tmp_path: Path) -> None:
    """It is made after the pictures were listed."""
    own = shutil.copytree(photos, tmp_path / "photos")
    run = pellucid.start(own, own / "model", cache=tmp_path / "cache", model="flatten dense", size=8, epochs=1)
    assert not (own / "model").exists()
    summary = next(event for event in run if isinstance(event, DataSummary))
    assert summary.classes == ("blue", "red")
