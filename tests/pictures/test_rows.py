"""Rows of a file, by position."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.patience import PATIENCE

from pellucid.errors import StorageError
from pellucid.pictures.rows import RowFile

NUMBERS = np.random.default_rng(0).integers(0, 256, (7, 2, 5), np.uint8)


@pytest.fixture
def rows(tmp_path: Path) -> RowFile:
    NUMBERS.tofile(tmp_path / "x.raw")
    return RowFile(tmp_path / "x.raw", NUMBERS.shape)


@pytest.mark.parametrize("some", [[], [3], [0, 1, 2], [2, 3, 4, 5, 6], [6, 0, 0, 3], [2, 1, 0], [0, 2, 2]])
def test_they_are_those_of_the_array(rows: RowFile, some: list[int]) -> None:
    wanted = np.array(some, np.int64)
    result = rows[wanted]
    np.testing.assert_array_equal(result, NUMBERS[wanted])
    result[:] = 0
    np.testing.assert_array_equal(rows[wanted], NUMBERS[wanted])  # it was a copy
    np.testing.assert_array_equal(rows.mapped, NUMBERS)
    assert len(rows) == len(NUMBERS)


@pytest.mark.parametrize("outside", [[-1], [7], [0, 7], [3, -1]])
def test_a_row_that_is_not_there(rows: RowFile, outside: list[int]) -> None:
    with pytest.raises(IndexError, match=r"x\.raw, which has 0 to 6"):
        rows[np.array(outside)]


def test_nothing_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.raw").touch()
    empty = RowFile(tmp_path / "x.raw", (0, 4))
    assert empty[np.array([], np.int64)].shape == empty.mapped.shape == (0, 4)
    with pytest.raises(IndexError):
        empty[np.array([0])]


def test_another_file_of_the_name_changes_nothing(rows: RowFile) -> None:
    rows.path.rename(rows.path.with_name("old"))
    rows.path.write_bytes(bytes(NUMBERS.nbytes))
    np.testing.assert_array_equal(rows[np.arange(7)], NUMBERS)


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="read through a map where the system has no preadv")
def test_reads_that_bring_less_go_on(rows: RowFile, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Callable[..., int] = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, into, at: whole(file, [into[0][:3]], at))
    np.testing.assert_array_equal(rows[np.arange(7)], NUMBERS)
    np.testing.assert_array_equal(rows[np.array([6, 1])], NUMBERS[[6, 1]])


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="read through a map where the system has no preadv")
def test_a_file_that_was_cut_off(rows: RowFile) -> None:
    os.truncate(rows.path, NUMBERS.nbytes - 3)
    np.testing.assert_array_equal(rows[np.arange(6)], NUMBERS[:6])
    with pytest.raises(StorageError, match=r"x\.raw is too short: run again to rebuild it\.$"):
        rows[np.array([6])]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Reading every row of 200 MB in batches, in order and not, adds far less than that to the process."""
    script = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from pellucid.pictures.rows import RowFile\n"
        "n, path = 2000, Path(sys.argv[1])\n"
        "with path.open('wb') as file: file.truncate(n * 100_000)\n"
        "rows, mixed = RowFile(path, (n, 100, 1000)), np.random.default_rng(0).permutation(n)\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows[np.arange(50)]; rows[mixed[:50]]; before = peak()\n"
        "orders = np.arange(n), mixed\n"
        "total = sum(int(rows[order[at : at + 50]].sum()) for order in orders for at in range(0, n, 50))\n"
        "print(peak() - before, total)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "x.raw")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    grown, total = map(int, done.stdout.split())
    assert total == 0
    assert grown < 30_000  # KiB; the file has 195,000
