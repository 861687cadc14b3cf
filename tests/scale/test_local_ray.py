"""A Ray that the command starts itself: it is stopped and killed, again and again, and leaves nothing behind.

Each start takes seconds, so only `--every 1` runs these (`make soak`).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pyarrow.parquet as pq
import pytest
from tests.patience import PATIENCE

KILLS = 5  # of one job


@pytest.fixture(autouse=True)
def only_if_requested(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--every") != 1:
        pytest.skip("NOT TESTED: a Ray that the command starts and that is killed; --every 1 tests it")


def started(model: Path, table: Path, out: Path) -> subprocess.Popen[bytes]:
    """`pellucid predict --ray` in a process of its own, with blocks of 10 pictures."""
    words = ["predict", str(model), str(table), "--ray", "--out", str(out)]
    code = f"import sys; from pellucid.app import cli; from pellucid.scale import listing; listing.LEAST = 10; sys.exit(cli.main({words}))"  # noqa: E501
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_parts(out: Path, count: int, driver: subprocess.Popen[bytes]) -> None:
    until = monotonic() + PATIENCE
    while len(list(out.glob("part-*"))) < count and driver.poll() is None and monotonic() < until:
        sleep(0.01)


def left_over(driver: int) -> list[str]:
    """The processes of the Ray that a driver started."""
    mark, lines = f"pellucid-ray-{driver}-".encode(), []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if mark in command:
            lines.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return lines


def wait_until_gone(driver: int) -> None:
    until = monotonic() + PATIENCE
    while left_over(driver) and monotonic() < until:
        sleep(0.1)
    assert left_over(driver) == []


def test_a_driver_killed_many_times_loses_and_doubles_nothing(trained: Path, slow: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for kill in range(1, KILLS + 1):
        driver = started(trained, slow, out)
        wait_for_parts(out, 5 * kill, driver)
        driver.kill()
        driver.communicate()
        wait_until_gone(driver.pid)
    driver = started(trained, slow, out)
    told, complaints = driver.communicate()
    assert (driver.returncode, complaints) == (0, b"")
    assert told.startswith(b"400 pictures: 40 files (")
    table = pq.read_table(out)
    assert [Path(name).name for name in table["picture"].to_pylist()] == [f"{number:04}.png" for number in range(400)]
    temporary = Path("/tmp").glob("pellucid-ray-*")
    assert [folder for folder in temporary if not Path("/proc", folder.name.split("-")[2]).exists()] == []


def test_ctrl_c_is_one_line_and_what_is_there_is_whole(trained: Path, slow: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = started(trained, slow, out)
    wait_for_parts(out, 3, driver)
    os.kill(driver.pid, signal.SIGINT)
    told, complaints = driver.communicate()
    assert (driver.returncode, told) == (130, b"")
    line = f"\npellucid: stopped. What is in {out} is whole; the same command continues.\n"
    assert complaints.decode() == line
    assert (
        sum(pq.read_metadata(path).num_rows == 10 for path in out.glob("part-*")) == len(list(out.glob("part-*"))) >= 3
    )
    wait_until_gone(driver.pid)
