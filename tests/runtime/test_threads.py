"""Jobs divided among threads: each done once, with exceptions passed on. PyTorch limited to one thread."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from tests.patience import PATIENCE

from pellucid.runtime import threads as runtime_threads
from pellucid.runtime.threads import cores, share_out, share_out_with_torch, work_alone


@pytest.fixture
def two() -> Iterator[None]:
    """PyTorch on two threads, and afterwards on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


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


def test_each_worker_has_one_thread_and_the_caller_keeps_its_own(two: None) -> None:
    workers = runtime_threads._workers(3, -1)
    assert torch.get_num_threads() == 2
    assert list(workers.map(lambda _: torch.get_num_threads(), range(3))) == [1, 1, 1]
    assert not any(workers.map(lambda _: torch.is_grad_enabled(), range(3)))
    workers.shutdown()


def test_a_thread_that_works_alone_leaves_the_others_theirs(two: None) -> None:
    counts: list[int] = []

    def alone() -> None:
        work_alone()
        counts.append(torch.get_num_threads())

    for work in (alone, lambda: counts.append(torch.get_num_threads())):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert counts == [1, 2]
    assert torch.get_num_threads() == 2


def test_the_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cores() == 1
