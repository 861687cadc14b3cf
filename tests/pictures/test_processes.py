"""Small pictures decoded by processes: the same as in this process, whoever dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.patience import PATIENCE

from pellucid.pictures import processes, store
from pellucid.pictures.catalog import scan
from pellucid.pictures.decode import Form
from pellucid.pictures.look import Looks, Way, look
from pellucid.pictures.processes import Processes
from pellucid.pictures.ranges import Ranges
from pellucid.steps import result_of

WAY = Way(Form(5, 4), 1000, Ranges(integer=(0, 40000)))
NAMES = ["a.png", "cut.png", "not there.png", "deep.png", "large.png", "empty", "text", "b.jpg"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., bytes]) -> Path:
    folder = tmp_path_factory.mktemp("small")
    numbers = np.random.default_rng(0)
    image = numbers.integers(0, 256, (9, 7, 3), np.uint8)
    (folder / "a.png").write_bytes(encode(image, "PNG"))
    (folder / "b.jpg").write_bytes(encode(image, "JPEG"))
    (folder / "cut.png").write_bytes(encode(image, "PNG")[:-30])
    (folder / "deep.png").write_bytes(encode(numbers.integers(0, 60000, (8, 8), np.uint16), "PNG"))
    (folder / "large.png").write_bytes(encode(np.zeros((40, 40), np.uint8), "PNG"))
    (folder / "empty").touch()
    (folder / "text").write_text("no picture " * 9)
    return folder


@pytest.fixture(scope="module")
def two(pictures: Path) -> Iterator[Processes]:
    with closing(Processes(2, str(pictures), WAY)) as started:
        yield started


def equal(one: Looks, other: Looks) -> bool:
    same = np.array_equal(one.records, other.records) and one.reasons == other.reasons
    return same and np.array_equal(one.images, other.images) and np.array_equal(one.descriptions, other.descriptions)


def test_a_process_answers_as_this_one_does(pictures: Path, two: Processes) -> None:
    here = look([pictures / name for name in NAMES], WAY)
    assert sorted(here.reasons) == [1, 2, 4, 5, 6]
    assert here.records["row"].tolist() == [0, -1, -1, 1, -1, -1, -1, 2]
    assert here.images.shape == (3, 5, 4, 3)
    assert equal(two.look(NAMES), here)
    assert equal(two.look(["a.png"]), look([pictures / "a.png"], WAY))
    assert two.look(["text"]).images.shape == (0, 5, 4, 3)


def test_the_work_of_a_process_that_died_is_done(pictures: Path) -> None:
    here = look([pictures / name for name in NAMES], WAY)
    with closing(Processes(2, str(pictures), WAY)) as dying:
        for process in dying.running:
            process.kill()
            process.wait()
            assert equal(dying.look(NAMES), here)
        assert equal(dying.look(NAMES), here)  # with none left


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_process_that_dies_at_its_work(pictures: Path) -> None:
    with closing(Processes(1, str(pictures), WAY)) as dying, ThreadPoolExecutor(1) as executor:
        process = dying.running[0]
        process.send_signal(signal.SIGSTOP)
        looks = executor.submit(dying.look, NAMES)
        with pytest.raises(TimeoutError):
            looks.result(0.2)  # it has the request, or its pipe has, and does not answer
        process.kill()
        assert equal(looks.result(PATIENCE), look([pictures / name for name in NAMES], WAY))


def test_what_cannot_be_started_is_done_here(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(pictures / "python"))
    with closing(Processes(1, str(pictures), WAY)) as none:
        assert none.running == []
        assert equal(none.look(NAMES), look([pictures / name for name in NAMES], WAY))


def test_a_fault_of_ours_is_raised_here(two: Processes) -> None:
    with pytest.raises(TypeError):
        two.look([None])  # type: ignore[list-item]


def test_closing_ends_them(pictures: Path) -> None:
    started = Processes(2, str(pictures), WAY)
    started.close()
    assert [process.returncode for process in started.running] == [-signal.SIGKILL] * 2


def test_when_they_pay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 2)
    assert processes.pay(10**6)
    assert not processes.pay(100)
    with monkeypatch.context() as frozen:
        frozen.setattr(sys, "executable", "/opt/photos")
        assert not processes.pay(10**6)
    monkeypatch.setattr(processes, "cores", lambda: 1)
    assert not processes.pay(10**6)


def test_they_import_only_what_decoding_needs() -> None:
    code = "import sys, pellucid.pictures.processes; print(*{name.split('.')[0] for name in sys.modules})"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "simplejpeg" in modules
    assert {"torch", "numba", "scipy", "pandas", "pyarrow", "fsspec"}.isdisjoint(modules)


# ------------------------------------------------------------------------------------------------ a whole store


@pytest.fixture
def many(tmp_path: Path, encode: Callable[..., bytes]) -> Path:
    """300 different pictures, one of them damaged, and one file in two classes."""
    numbers = np.random.default_rng(1)
    for number in range(300):
        path = tmp_path / "many" / f"class {number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(numbers.integers(0, 256, (6, 6, 3), np.uint8), "PNG"))
    (tmp_path / "many/class 0/3.png").write_bytes(b"damaged")
    (tmp_path / "many/class 1/again.png").write_bytes((tmp_path / "many/class 2/5.png").read_bytes())
    return tmp_path / "many"


def with_processes(patched: pytest.MonkeyPatch) -> list[Processes]:
    """Let two processes decode few pictures, too. Returns a list that collects them."""
    started: list[Processes] = []
    patched.setattr(processes, "_MANY", 1)
    patched.setattr(processes, "cores", lambda: 2)
    patched.setattr(store, "cores", lambda: 2)
    patched.setattr(store, "_GROUP", 7)
    patched.setattr(store, "Processes", lambda *more: started.append(Processes(*more)) or started[-1])
    return started


def test_the_store_has_the_same_bytes(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = result_of(store.build(scan(many), Form(4, 5), tmp_path / "one"))
    with monkeypatch.context() as patched:
        started = with_processes(patched)
        there = result_of(store.build(scan(many), Form(4, 5), tmp_path / "two"))
    assert len(started) == 1
    assert all(process.returncode is not None for process in started[0].running)
    for name in ("images.raw", "descriptions.raw", "files.npy", "paths.raw", "ends.npy", "reasons.json"):
        assert (here.folder / name).read_bytes() == (there.folder / name).read_bytes(), name
    assert here.fingerprint == there.fingerprint
    assert here.catalog == there.catalog
    assert len(there) == 298
    assert [bad.path for bad in there.catalog.quarantine] == ["class 0/3.png", "class 1/again.png", "class 2/5.png"]


_SCRIPT = """
import sys
from pathlib import Path
from pellucid.pictures import processes, store
from pellucid.pictures.catalog import scan
from pellucid.pictures.decode import Form
processes._MANY, processes.cores, store.cores, store._GROUP = 1, lambda: 2, lambda: 2, 2
steps = store.build(scan(Path(sys.argv[1])), Form(4, 5), Path(sys.argv[2]))
for progress in steps:
    if progress.done and progress.done < progress.total:
        print(progress.done, flush=True)
        sys.stdin.readline()
print("whole")
"""


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_a_script_that_is_stopped(many: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The script has no `if __name__ == "__main__"`."""
    file, cache = tmp_path / "script.py", tmp_path / "cache"
    file.write_text(_SCRIPT)
    command = [sys.executable, str(file), str(many), str(cache)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as script:
        assert script.stdout is not None
        assert int(script.stdout.readline()) < 301
        working = children(script.pid)
        assert len(working) == 2
        script.send_signal(number)
        error = script.communicate(timeout=PATIENCE)[1]
        assert script.returncode == -number
    end = time.monotonic() + PATIENCE
    while any(map(alive, working)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(alive, working))
    assert error.count("Traceback") == (number == signal.SIGINT)  # of the script; none of the processes prints one
    if number == signal.SIGINT:
        assert os.listdir(cache) == []
    assert len(result_of(store.build(scan(many), Form(4, 5), cache))) == 298
    assert len(os.listdir(cache)) == 1
