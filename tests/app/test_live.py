"""`pellucid train --open`: the page learns what happens, and the training does not change."""

import http.client
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import forked
from tests.patience import PATIENCE

from pellucid import api
from pellucid.app.page import live, server
from pellucid.app.page.live import Live
from pellucid.errors import TrainingError
from pellucid.pictures.store import Decoding
from pellucid.runs.events import Event
from pellucid.runs.run import Run
from pellucid.training.loop import Step

pytestmark = pytest.mark.usefixtures("undrawn")

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"
SETTINGS = {"model": NETWORK, "size": 12, "batch": 4, "device": "cpu", "replay": True}


def begun(photos: Path, tmp_path: Path, name: str, epochs: int = 3) -> Run:
    return api.start(photos, tmp_path / name, cache=tmp_path / "cache", epochs=epochs, **SETTINGS)


def ask(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(server.HOST, port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if answer.headers["Content-Type"] == "application/json" else body
    finally:
        connection.close()


def test_the_weights_are_those_of_a_training_that_nobody_watched(photos: Path, tmp_path: Path) -> None:
    plain = begun(photos, tmp_path, "plain")
    for _ in plain:
        pass
    api.finish(plain)
    watched = Live(begun(photos, tmp_path, "watched"))
    heard: list[str] = []
    over = threading.Event()

    def look(port: int) -> None:
        while not over.is_set():
            status, content = ask(port, "/api/training")
            assert status == 200
            heard.append(content["live"]["state"])
            for frame in (content["replay"] or {"frames": []})["frames"][-1:]:
                assert ask(port, f"/api/training/frame?step={frame['step']}")[0] == 200

    with server.listening(watched) as listening, live._answering(listening, watched):
        page = threading.Thread(target=look, args=(listening.server_port,))
        page.start()
        for _ in watched:
            pass
        for _ in watched.finish():
            pass
        over.set()
        page.join()
    assert "training" in heard
    for name in ("model.safetensors", "optimizer.safetensors", "replay/frame-00000018.safetensors"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "watched" / name).read_bytes(), name


def test_the_news_follow_the_events(photos: Path, tmp_path: Path) -> None:
    run = begun(photos, tmp_path, "m", epochs=2)
    watched = Live(run)
    assert watched.news["state"] == "preparing"
    seen = []
    for event in watched:
        seen.append((type(event).__name__, watched.news["state"]))
        if isinstance(event, Step):
            assert (watched.news["step"], watched.news["steps"]) == (event.step, event.steps)
    assert seen[0] == ("Decoding", "preparing")
    assert ("Started", "training") in seen
    content = json.loads(watched.get("/api/training", {}).body)
    assert [epoch["epoch"] for epoch in content["epochs"]] == [1, 2]
    assert content["replay"]["frames"][-1]["step"] == content["live"]["step"]
    for _ in watched.finish():
        assert watched.news["state"] == "evaluating"
    assert json.loads(watched.get("/api/document", {}).body) == {"version": 1, "training": "m"}


def test_what_only_a_trained_network_can_answer_is_refused(photos: Path, tmp_path: Path) -> None:
    watched = Live(begun(photos, tmp_path, "m"))
    with server.listening(watched) as listening, live._answering(listening, watched):
        port = listening.server_port
        for path, method in (("/api/array?name=x", "GET"), ("/api/picture", "POST"), ("/api/label?class=x", "POST")):
            status, content = ask(port, path, method)
            assert (status, content["error"]) == (409, "The training is still running. Wait until it is done.")
        assert ask(port, "/api/nothing")[0] == 404
        assert ask(port, "/")[0] == 200


class Failing:
    """A run that fails after its first event, and one that a person stops before the first step."""

    def __init__(self, out: Path, error: BaseException) -> None:
        self.out, self.error, self.worth_finishing = out, error, False

    def __iter__(self) -> Iterator[Event]:
        yield Decoding(1, 2, 0)
        raise self.error


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (TrainingError("The loss is nan."), "failed", "The training has failed. The loss is nan."),
        (
            ZeroDivisionError("x"),
            "failed",
            "The training has failed (ZeroDivisionError); see the terminal for details.",
        ),
        (KeyboardInterrupt(), "stopped", "The training was stopped by Ctrl-C."),
    ],
)
def test_the_page_hears_how_it_failed(
    tmp_path: Path, error: BaseException, state: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []
    listening = server.listening

    def listened(watched: Live, port: int = 0) -> server.Server:
        made = listening(watched, port)

        def look() -> None:
            while not heard or heard[-1]["state"] == "preparing":
                heard.append(ask(made.server_port, "/api/training")[1]["live"])

        page = threading.Thread(target=look)
        watched.get("/api/training", {})  # a page is open
        page.start()
        return made

    monkeypatch.setattr(server, "listening", listened)
    with pytest.raises(type(error)):
        live.train(Failing(tmp_path, error), False)  # type: ignore[arg-type]
    deadline = time.monotonic() + PATIENCE
    while heard[-1]["state"] == "preparing" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (heard[-1]["state"], heard[-1]["message"]) == (state, message)


def start(photos: Path, out: Path, epochs: int) -> tuple[forked.Command, int]:
    flags = ["--out", out, "--cache", out.parent / "cache", "--epochs", epochs, "--model", NETWORK, "--size", 12]
    process = forked.Command("train", photos, *flags, "--device", "cpu", "--open", "--no-browser")
    line = process.stdout.readline()
    address = re.search(r"Watch the training at http://127\.0\.0\.1:(\d+)/", line)
    assert address is not None, line + process.communicate()[1]
    return process, int(address[1])


def wait(port: int, until: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not until(content := ask(port, "/api/training")[1]):
        assert time.monotonic() < deadline, content["live"]
        time.sleep(0.02)
    return content


def test_when_it_is_done_the_network_is_there(photos: Path, tmp_path: Path) -> None:
    process, port = start(photos, tmp_path / "m", 2)
    try:
        content = wait(port, lambda content: content["live"] is None)
        status, document = ask(port, "/api/document")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    finally:
        process.kill()
    assert len(content["replay"]["frames"]) == content["replay"]["steps"] + 1
    assert len(content["epochs"]) == 2
    assert status == 200
    assert "training" in document["offers"]
    assert document["model"]["name"] == "m"
    assert out.splitlines()[-1] == f"{tmp_path / 'm'} is open at http://127.0.0.1:{port}/ (Ctrl-C ends it)."
    assert (process.returncode, err) == (130, "\npellucid: stopped.\n")


def test_ctrl_c_stops_after_the_step_and_saves(photos: Path, tmp_path: Path) -> None:
    process, port = start(photos, tmp_path / "m", 5000)
    try:
        wait(port, lambda content: content["live"].get("epoch", 0) > 1)
        process.send_signal(signal.SIGINT)
        content = wait(port, lambda content: content["live"]["state"] == "stopped")
        out, err = process.communicate()
    finally:
        process.kill()
    assert content["live"]["message"].startswith("The training was stopped by Ctrl-C. The work so far is saved")
    assert process.returncode == 130
    assert out.splitlines()[-1] == f"Stopped by Ctrl-C; continue with --out {tmp_path / 'm'} --resume."
    assert err == "\nstopping after this step; press Ctrl-C again to stop immediately\n"
    assert (tmp_path / "m" / "config.json").exists()


def test_flags_that_do_not_go_together(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    place = ["train", photos, "--out", tmp_path / "m"]
    (tmp_path / "recipe.toml").write_text("replay = true")
    for flags, message in (
        (["--no-browser"], "--no-browser requires --open."),
        (["--recipe", tmp_path / "recipe.toml", "--no-replay", "--open"], "Remove --no-replay."),
    ):
        result = pellucid(*place, *flags)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert message in result.err


def test_a_run_without_a_replay_cannot_be_resumed_under_the_page(
    pellucid: Callable, photos: Path, tmp_path: Path
) -> None:
    run = api.start(photos, tmp_path / "m", cache=tmp_path / "cache", epochs=2, **{**SETTINGS, "replay": False})
    next(event for event in run if isinstance(event, Step))
    result = pellucid("train", photos, "--out", tmp_path / "m", "--resume", "--open", "--no-browser")
    assert (result.status, result.out) == (1, "")
    assert "records no replay, which --open needs. Continue without --open." in result.err
