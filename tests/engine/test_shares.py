"""Jobs shared out among threads: each done once, and what a job raises comes back."""

import threading
import time

import pytest
from tests.patience import PATIENCE

from pellucid.engine.shares import share_out, share_out_with_torch


@pytest.mark.parametrize("share", [share_out, share_out_with_torch])
@pytest.mark.parametrize(("jobs", "threads"), [(0, 2), (1, 3), (7, 1), (7, 2), (50, 4)])
def test_each_job_is_done_once(share: object, jobs: int, threads: int) -> None:
    done: list[int] = []
    share(done.append, range(jobs), threads)  # type: ignore[operator]
    assert sorted(done) == list(range(jobs))


def test_the_caller_and_another_work_at_once() -> None:
    meeting, seen = threading.Barrier(2), set()

    def task(_: int) -> None:
        meeting.wait(timeout=PATIENCE)
        seen.add(threading.current_thread())

    share_out(task, range(2), 2)
    assert len(seen) == 2
    assert threading.current_thread() in seen


@pytest.mark.parametrize("share", [share_out, share_out_with_torch])
def test_what_a_job_raises(share: object) -> None:
    def task(job: int) -> None:
        time.sleep(0.001)
        if job == 5:
            raise ValueError("job 5")

    with pytest.raises(ValueError, match="job 5"):
        share(task, range(9), 2)  # type: ignore[operator]
