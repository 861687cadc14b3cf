"""Change and train live, beside a page: the requests, the one thread, and its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

import pellucid
from pellucid.app.page import live_requests, live_training, routes
from pellucid.app.page.shown import Glass
from pellucid.errors import NetworkError, RecipeError
from pellucid.glassbox.page.replies import Refused


@pytest.fixture
def glass(trained: Path, photos: Path) -> Iterator[Glass]:
    glass = Glass(pellucid.load(trained), trained, photos / "red" / "1.png")
    glass.live.cache = trained.parent / "cache"
    yield glass
    glass.finish()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def post(glass: Glass, path: str, content: Any = None, **query: str) -> dict[str, Any]:
    return json.loads(routes.POST[f"/api/live{path}"](glass, query, json.dumps(content).encode()).body)


def state(glass: Glass, **query: str) -> dict[str, Any]:
    return json.loads(routes.GET["/api/live"](glass, query).body)


def ready(glass: Glass) -> dict[str, Any]:
    post(glass, "")
    until(lambda: state(glass)["state"] == "ready")
    return state(glass)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "live"]


def test_nothing_begins_until_it_is_posted_with_the_servers_name(glass: Glass) -> None:
    assert "live" in json.loads(glass.shown.text)["offers"]
    assert state(glass) == {"state": "idle"}
    assert threads() == []
    with pytest.raises(Refused, match="has not begun"):
        post(glass, "/step")
    assert set(routes.LIVE) <= routes.WORKS


def test_a_run_pauses_is_undone_as_a_whole_and_keeps_up_with_edits(glass: Glass) -> None:
    first = ready(glass)
    assert (first["running"], first["step"], first["undo"]) == (False, 0, None)
    post(glass, "/run")
    until(lambda: state(glass)["step"] > 3)
    post(glass, "/edit", {"learning_rate": 0.02})
    assert state(glass)["running"]
    until(lambda: state(glass)["undo"].endswith("steps"))
    for wrong, error in (({"model": "rely"}, NetworkError), ({"batch": -1}, RecipeError)):
        with pytest.raises(error):
            post(glass, "/edit", wrong)
        assert not post(glass, "/check", wrong)["fits"]
    assert post(glass, "/check", {"model": "flatten dense"}) == {"fits": True}
    assert state(glass)["running"]
    paused = post(glass, "/pause")
    assert not paused["running"]
    assert state(glass, revision=paused["revision"])["same"]
    assert state(glass)["step"] == paused["step"]
    assert post(glass, "/undo")["undo"].startswith("learning rate")
    post(glass, "/undo")
    back = post(glass, "/undo")
    assert (back["step"], back["layers"]) == (0, first["layers"])
    again = [post(glass, "/redo") for _ in range(3)][-1]
    assert again["step"] == paused["step"]
    assert post(glass, "/reset")["step"] == 0
    stepped = post(glass, "/step")
    assert (stepped["step"], stepped["undo"]) == (1, "1 step")


def test_speed_is_steps_a_second(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(glass)
    post(glass, "/run", speed="0.001")
    until(lambda: state(glass)["step"] == 1)  # the next one is due in 1,000 seconds
    assert state(glass)["speed"] == 0.001
    for wrong in ("fast", "0", "-1", "nan", "1e9"):
        with pytest.raises(Refused, match="it must be steps a second"):
            post(glass, "/run", speed=wrong)
    post(glass, "/run", speed="1000")
    until(lambda: state(glass)["step"] > 3)


def test_the_thread_ends_when_no_page_watches_and_another_goes_on(
    glass: Glass, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(glass)
    monkeypatch.setattr(live_training, "PATIENCE", 0.1)
    post(glass, "/run")
    until(lambda: threads() == [])
    back = state(glass)
    assert back["message"].startswith("Paused, because no page was watching.")
    assert not back["running"]
    assert back["step"] > 0
    assert post(glass, "/step")["step"] == back["step"] + 1
    glass.finish()
    assert threads() == []
    with pytest.raises(Refused, match="shutting down"):
        post(glass, "")


def test_a_loss_that_is_no_number_stops_the_run_and_says_so(glass: Glass) -> None:
    ready(glass)
    post(glass, "/edit", {"learning_rate": 1000, "optimizer": "sgd", "momentum": 0.99})
    post(glass, "/run")
    until(lambda: not state(glass)["running"])
    now = state(glass)
    assert "Undo, then choose a smaller learning rate." in now["trouble"]
    assert "trouble" in now
    assert now["undo"].endswith(("steps", "step", "0.99"))
    undone = post(glass, "/undo")
    assert undone["trouble"] is None


@pytest.mark.parametrize("where", ["step", "note"])
def test_an_error_in_a_run_pauses_it_and_the_page_is_still_answered(
    where: str, glass: Glass, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    ready(glass)
    session = glass.live._session
    with monkeypatch.context() as patched:
        patched.setattr(session, where, full)
        post(glass, "/run")
        until(lambda: glass.live._running is None)
    assert len(threads()) == 1, "a request would wait for ever"
    assert "Paused by an error (MemoryError)" in state(glass)["message"]
    assert post(glass, "/step")["message"] == ""


def test_an_error_while_nobody_watches_leaves_no_dead_thread(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    ready(glass)
    post(glass, "/run", speed="0.001")
    with monkeypatch.context() as patched:
        patched.setattr(glass.live._session, "close", full)
        patched.setattr(live_training, "PATIENCE", 0.1)
        until(lambda: threads() == [])
    assert glass.live._thread is None
    assert "Paused by an error (MemoryError)" in state(glass)["message"]


def test_a_model_whose_pictures_are_gone_says_so(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    (model / "split.csv").unlink()
    glass = Glass(pellucid.load(model), model, photos / "red" / "1.png")
    assert "live" not in json.loads(glass.shown.text)["offers"]
    post(glass, "")
    until(lambda: state(glass)["state"] == "failed")
    assert "split.csv is missing" in state(glass)["error"]
    glass.finish()


def test_a_model_of_the_hub_is_kept_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cached = tmp_path / "hub" / "models--anna--cats" / "snapshots" / "0123"
    cached.mkdir(parents=True)
    assert live_requests._beside(cached) == tmp_path / "cats"
    assert live_requests._beside(tmp_path / "own") == tmp_path / "own"


def test_settings_that_are_no_object_are_refused(glass: Glass) -> None:
    for body in (b"", b"[]", b"3", b"{", b"[" * 100_000):
        with pytest.raises(Refused, match="settings"):
            routes.POST["/api/live/edit"](glass, {}, body)
