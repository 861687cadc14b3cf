"""Answers on several threads: in order, the same for any number of threads, with nothing left behind."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import pellucid
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict import with_torch
from pellucid.classifier.predict import workers as worker
from pellucid.classifier.predict.workers import answered


@pytest.fixture(params=[1, 2, 5])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(worker, "cores", lambda: request.param)
    return request.param


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return pellucid.load(trained)


@pytest.fixture(scope="module")
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.png"))


def squares() -> Callable[[list[int]], list[int]]:
    return lambda group: [number * number for number in group]


def unevenly(group: list[int]) -> list[int]:
    time.sleep(0.002 * (group[0] % 3))
    return group


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9, 40])
def test_the_order_does_not_depend_on_the_time_taken(workers: int, count: int) -> None:
    assert list(answered(range(count), 4, unevenly, squares, squares)) == [n * n for n in range(count)]


def test_a_single_group_runs_on_the_callers_thread(workers: int) -> None:
    def here() -> Callable[[list[int]], list[str]]:
        return lambda group: [threading.current_thread().name] * len(group)

    names = list(answered(range(4), 4, unevenly, lambda: pytest.fail("not for one"), here))
    assert names == [threading.current_thread().name] * 4


def test_loaded_once_before_anything_is_decoded(workers: int) -> None:
    decoded: list[int] = []
    loads: list[int] = []

    def decode(group: list[int]) -> list[int]:
        decoded.extend(group)
        return group

    def load() -> Callable[[list[int]], list[int]]:
        loads.append(len(decoded))
        return list

    assert list(answered(range(100), 2, decode, load, load)) == list(range(100))
    assert loads == [0]
    assert sorted(decoded) == list(range(100))


@pytest.mark.parametrize("where", ["given", "decode", "load", "answer"])
def test_an_error_is_raised_and_no_thread_stays(workers: int, where: str) -> None:
    before = set(threading.enumerate())

    def failing(now: bool) -> None:
        if now:
            raise ZeroDivisionError

    def numbers() -> Iterator[int]:
        for number in range(50):
            failing(where == "given" and number == 30)
            yield number

    def decode(group: list[int]) -> list[int]:
        failing(where == "decode" and 30 in group)
        return group

    def load() -> Callable[[list[int]], list[int]]:
        failing(where == "load")

        def answer(group: list[int]) -> list[int]:
            failing(where == "answer" and 30 in group)
            return group

        return answer

    seen = []
    with pytest.raises(ZeroDivisionError):
        seen.extend(answered(numbers(), 3, decode, load, load))
    assert set(threading.enumerate()) == before


def test_stopping_early_stops_all_threads(workers: int) -> None:
    before, taken = set(threading.enumerate()), 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    numbers = answered(endless(), 2, unevenly, squares, squares)
    assert [next(numbers) for _ in range(7)] == [n * n for n in range(1, 8)]
    numbers.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) == before
    assert taken <= 7 + 2 * (2 * workers + 3)


@pytest.mark.parametrize("worth_fusing", [0, 10, 1000])
def test_an_unusable_picture_keeps_its_place(
    classifier: Classifier, files: list[Path], workers: int, worth_fusing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_torch, "WORTH_FUSING", worth_fusing)
    inputs = [*files[:17], b"no picture", *files[17:]]
    answers = list(classifier.stream(inputs, 4))
    assert [answer.source for answer in answers] == [str(f) if isinstance(f, Path) else "<bytes>" for f in inputs]
    assert [number for number, answer in enumerate(answers) if answer.error] == [17]
    for answer, picture in zip(answers, inputs, strict=True):
        alone = classifier.predict(picture)
        assert (answer.label, answer.error) == (alone.label, alone.error)
        assert answer.logits == pytest.approx(alone.logits, abs=1e-5)


def test_the_number_of_threads_does_not_change_a_bit(
    classifier: Classifier, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for number in (1, 2, 3):
        monkeypatch.setattr(worker, "cores", lambda number=number: number)
        results.append([answer.logits for answer in classifier.stream(files, 4)])
    assert results[0] == results[1] == results[2]


def test_the_callers_pytorch_threads_do_not_change(classifier: Classifier, files: list[Path]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        list(classifier.stream(files, 4))
        threads: list[int] = []
        thread = threading.Thread(target=lambda: threads.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (torch.get_num_threads(), threads) == (3, [3])
    finally:
        torch.set_num_threads(before)


def test_a_watched_module_runs_unchanged(classifier: Classifier, files: list[Path]) -> None:
    seen: list[tuple[int, ...]] = []
    first = next(classifier.module.children())
    handle = first.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    try:
        logits = classifier.backend.alone()(np.stack([classifier.prepared(path) for path in files[:3]]))
    finally:
        handle.remove()
    assert len(seen) == 1
    assert seen[0][0] == len(logits) == 3
