"""The bar of what takes long: how far it is, and how long it will take."""

import itertools
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

import pellucid as verbs
from pellucid.app import progress
from pellucid.app.bars import progress_bars
from pellucid.glassbox.page.offline import offline, paging
from pellucid.steps import result_of


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is put on the bar, update by update."""
    shown: list[dict[str, Any]] = []

    def recording() -> Any:
        bars = progress_bars()
        update = bars.update
        monkeypatch.setattr(bars, "update", lambda bar, **what: (shown.append(what), update(bar, **what)))
        return bars

    monkeypatch.setattr(progress, "progress_bars", recording)
    return shown


def test_the_time_left_follows_the_pace_since_the_first_step(
    monkeypatch: pytest.MonkeyPatch, shown: list[dict[str, Any]]
) -> None:
    clock = iter([100.0, 101.0, 104.0, 110.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))

    def work() -> Generator[tuple[int, int], None, str]:
        yield from ((0, 20), (2, 20), (8, 20), (20, 20))
        return "made"

    assert progress.timed(work(), "making it") == "made"
    assert [each.get("left") for each in shown] == [None, "", "", "6 s left", "0 s left"]
    assert [(each["completed"], each["total"]) for each in shown[1:]] == [(0, 20), (2, 20), (8, 20), (20, 20)]
    assert shown[0]["description"] == "making it"


def test_explain_says_how_far_each_part_is(
    pellucid: Callable,
    trained: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: list[dict[str, Any]],
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--map", "grad_cam", "--why-not", "blue", "--html", "page.html"]
    result = pellucid("explain", trained, photos / "red" / "0.png", *flags)
    assert (result.status, result.err) == (0, ""), "nothing of it where there is no terminal"
    parts = [each["description"] for each in shown if "description" in each]
    assert parts == [
        "splitting the difference between the classes",
        "computing the map, and how far to trust it",
        "writing the page",
    ]
    ends = [n for n, each in enumerate(shown) if "description" in each] + [len(shown)]
    for first, last in itertools.pairwise(ends):
        steps = [(each["completed"], each["total"]) for each in shown[first + 1 : last]]
        assert len(steps) > 1
        assert steps == sorted(steps)
        assert 0 < steps[-1][0] <= steps[-1][1]


def test_what_is_watched_has_the_same_result(trained: Path, photos: Path) -> None:
    classifier, picture = verbs.load(trained), photos / "red" / "0.png"
    assert result_of(classifier.attributing(picture)).as_json() == classifier.attribute(picture).as_json()
    parts = result_of(classifier.differing(picture, "red", "blue"))
    assert parts.as_json() == classifier.difference(picture, "red", "blue").as_json()
    trace = classifier.explain(picture)
    assert result_of(paging(trace, "m")) == offline(trace, "m")
