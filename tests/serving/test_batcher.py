"""The batcher: every answer reaches its caller, groups fill while others come, nobody waits for those that do not."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.patience import PATIENCE

from pellucid.serving.batcher import Batcher


def put(batcher: Batcher[int, int], item: int) -> Future[int]:
    future: Future[int] = Future()
    batcher.expect()
    batcher.submit(item, future)
    return future


def test_every_answer_reaches_its_caller() -> None:
    sizes: list[int] = []
    batcher: Batcher[int, int] = Batcher(lambda items: [item * item for item in items], 3, 4, 0.001, sizes.append)
    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda item: put(batcher, item).result(PATIENCE), range(500)))
    batcher.close()
    assert results == [item * item for item in range(500)]
    assert sum(sizes) == 500
    assert max(sizes) <= 4


def test_what_comes_together_is_computed_together() -> None:
    groups: list[list[int]] = []
    batcher: Batcher[int, int] = Batcher(lambda items: groups.append(items) or items, 1, 16, PATIENCE)
    batcher.expect(3)
    futures: list[Future[int]] = [Future() for _ in range(3)]
    for item, future in enumerate(futures):
        batcher.submit(item, future)
    assert [future.result(PATIENCE) for future in futures] == [0, 1, 2]
    batcher.close()
    assert groups == [[0, 1, 2]]


def test_a_picture_does_not_wait_for_one_that_was_taken_back() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: items, 1, 16, PATIENCE * 10)
    batcher.expect()
    future = put(batcher, 7)
    batcher.expect(-1)
    assert future.result(PATIENCE) == 7
    batcher.close()


def test_a_fault_reaches_its_own_callers_and_the_next_group_is_answered() -> None:
    def work(items: list[int]) -> list[int]:
        if 0 in items:
            raise ZeroDivisionError
        return items

    batcher: Batcher[int, int] = Batcher(work, 1, 1, 0)
    bad, good = put(batcher, 0), put(batcher, 1)
    with pytest.raises(ZeroDivisionError):
        bad.result(PATIENCE)
    assert good.result(PATIENCE) == 1
    batcher.close()


def test_what_nobody_waits_for_any_more_is_not_computed_and_closing_answers_the_rest() -> None:
    computed: list[int] = []
    busy, go = threading.Event(), threading.Event()

    def work(items: list[int]) -> list[int]:
        busy.set()
        go.wait(PATIENCE)
        computed.extend(items)
        return items

    batcher: Batcher[int, int] = Batcher(work, 1, 1, 0)
    first = put(batcher, 1)
    assert busy.wait(PATIENCE)
    gone, last = put(batcher, 2), put(batcher, 3)
    assert gone.cancel()
    go.set()
    batcher.close()
    assert (first.result(0), last.result(0)) == (1, 3)
    assert computed == [1, 3]
    assert batcher.seconds_each > 0
