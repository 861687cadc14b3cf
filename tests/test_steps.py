"""Work in steps: progress on the way, and the result at the end."""

from collections.abc import Generator

import pytest

from pellucid.steps import Steps, result_of


def count(to: int, closed: list[bool]) -> Generator[int, None, str]:
    try:
        yield from range(to)
    finally:
        closed.append(True)
    return f"counted to {to}"


def test_the_result_follows_the_progress() -> None:
    steps = Steps(count(3, []))
    assert list(steps) == [0, 1, 2]
    assert steps.result == "counted to 3"
    assert result_of(count(0, [])) == "counted to 0"


def test_work_that_is_left_has_no_result_and_is_closed() -> None:
    closed: list[bool] = []
    steps = Steps(count(3, closed))
    watching = iter(steps)
    assert next(watching) == 0
    watching.close()  # type: ignore[attr-defined]
    assert closed == [True]
    with pytest.raises(AttributeError):
        _ = steps.result


def test_an_error_passes_through() -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        result_of(broken())
