"""Jobs on PyTorch's own threads."""

import numpy as np
import pytest
import torch
from numba.np.numpy_support import carray

from pellucid.runtime import team
from pellucid.runtime.compiled import for_team

pytestmark = pytest.mark.skipif(not team.is_there(), reason="PyTorch's threads are not GNU's here")


@for_team
def count(address):
    """Adds 1 at the place of each job that a thread takes: numbers[2 + job]."""
    numbers = carray(address, 102, np.int64)
    job = team.next_job(numbers.ctypes.data)
    while job < numbers[1]:
        numbers[2 + job] += 1
        job = team.next_job(numbers.ctypes.data)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_each_job_is_done_once(threads: int) -> None:
    numbers = np.zeros(102, np.int64)
    numbers[1] = 100
    for times in (1, 2):  # the counter starts again
        team.run(count.address, numbers, threads)
        assert numbers[2:].tolist() == [times] * 100
    torch.ones(1 << 20).add_(1)  # PyTorch can still use the same threads


def test_other_systems_have_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    team._parallel.cache_clear()
    assert not team.is_there()
    monkeypatch.undo()
    team._parallel.cache_clear()
    assert team.is_there()
