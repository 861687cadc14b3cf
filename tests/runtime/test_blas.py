"""One thread during multiplications, and the earlier number afterwards."""

import threading

import numpy as np
import pytest
from tests.patience import PATIENCE

from pellucid.runtime import blas


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers that a BLAS of six threads is set to."""
    count = [6]
    monkeypatch.setattr(blas, "_openblas", lambda: (lambda: count[-1], count.append))
    return count


def test_one_inside_and_six_again_outside(threads: list[int]) -> None:
    with blas.one_thread():
        assert threads == [6, 1]
        with blas.one_thread():
            assert threads == [6, 1]
        assert threads == [6, 1]
    assert threads == [6, 1, 6]


def test_an_error_inside_sets_it_back(threads: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), blas.one_thread():
        raise ZeroDivisionError
    assert threads == [6, 1, 6]


def test_the_last_to_leave_sets_it_back(threads: list[int]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with blas.one_thread():
            entered.set()
            leave.wait(PATIENCE)

    worker = threading.Thread(target=other)
    worker.start()
    assert entered.wait(PATIENCE)
    with blas.one_thread():
        pass
    assert threads == [6, 1]
    leave.set()
    worker.join()
    assert threads == [6, 1, 6]


def test_with_numpys_own_blas_the_products_stay() -> None:
    a = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    number, _ = blas._openblas()
    before = number()
    with blas.one_thread():
        assert number() == 1
        product = a @ a
    assert number() == before
    assert np.allclose(product, a @ a, atol=1e-4)
