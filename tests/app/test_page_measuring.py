"""What is measured beside the page: without each filter, and what each layer knows."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

import pellucid
from pellucid import api
from pellucid.app.cli import main
from pellucid.app.page import measuring, routes
from pellucid.app.page.readers import Readers
from pellucid.app.page.shown import Glass
from pellucid.debugging import measured
from pellucid.glassbox.page.replies import Refused, Reply

LAYER = {"layer": "conv1"}


@pytest.fixture
def glass(model: Path, photos: Path) -> Iterator[Glass]:
    glass = Glass(api.load(model), model, photos / "red" / "1.png")
    yield glass
    glass.finish()


def content(reply: Reply) -> Any:
    return json.loads(reply.body)


def waited(ask: Callable[[], Reply]) -> Any:
    until = time.monotonic() + PATIENCE
    while (answer := content(ask()))["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    return answer


def test_only_a_post_starts_and_the_figures_are_those_of_the_verbs(glass: Glass, model: Path) -> None:
    assert content(measuring.without(glass, LAYER)) == {"state": "idle"}
    assert content(measuring.readout(glass, {})) == {"state": "idle"}
    measuring.start_without(glass, LAYER, b"")
    answer = waited(lambda: measuring.without(glass, LAYER))
    (layer,) = pellucid.without(model).layers
    assert (answer["state"], answer["side"], answer["pictures"], answer["zeroed_after"]) == ("done", "test", 8, "relu1")
    assert [each["filter"] for each in answer["filters"]] == [each.filter for each in layer.ranked]
    for shown, each in zip(answer["filters"], layer.ranked, strict=True):
        assert (shown["accuracy"], shown["only_with"]) == (each.right.second, each.right.only_first)
        worst = each.worst
        assert (shown["worst"] or {}).get("name") == (worst.name if worst else None)
    measuring.start_readout(glass, {}, b"")
    knows = waited(lambda: measuring.readout(glass, {}))
    result = pellucid.readout(model)
    assert [(each["layer"], each["accuracy"]) for each in knows["layers"]] == [
        (each.layer, each.accuracy) for each in result.layers
    ]
    # another start of the server has them at once
    again = Glass(api.load(model), model, glass.shown.picture)
    assert content(measuring.without(again, LAYER)) == answer
    assert content(measuring.readout(again, {}))["layers"] == knows["layers"]


def test_it_stops_and_starts_again(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: Any) -> Iterator[tuple[int, int]]:
        while True:
            yield 1, 2
            time.sleep(0.01)

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "remove", endless)
        assert content(measuring.start_without(glass, LAYER, b""))["state"] == "running"
        assert content(measuring.stop_without(glass, LAYER, b"")) == {"state": "idle"}
        patch.setattr(measuring, "know", endless)
        assert content(measuring.start_readout(glass, {}, b""))["state"] == "running"
        assert content(measuring.stop_readout(glass, {}, b"")) == {"state": "idle"}
    measuring.start_without(glass, LAYER, b"")
    assert waited(lambda: measuring.without(glass, LAYER))["state"] == "done"


def test_a_failure_is_a_sentence_and_can_be_tried_again(glass: Glass, model: Path) -> None:
    wrong = {"layer": "conv7"}
    measuring.start_without(glass, wrong, b"")
    answer = waited(lambda: measuring.without(glass, wrong))
    assert answer["state"] == "failed"
    assert "There is no layer 'conv7'" in answer["error"]
    first = glass.jobs.known("without conv7")
    measuring.start_without(glass, wrong, b"")
    assert glass.jobs.known("without conv7") is not first
    with pytest.raises(Refused, match="names no layer"):
        measuring.without(glass, {})


def test_they_start_only_by_a_page_of_this_server_and_not_for_many_readers() -> None:
    assert {"/api/without", "/api/readout"} <= routes.WORKS
    for path in ("/api/without", "/api/readout", "/api/without/stop", "/api/readout/stop"):
        reply = Readers().post(None, "reader", path, {}, b"")  # type: ignore[arg-type]
        assert reply is not None
        assert "does not measure" in content(reply)["error"]


def test_an_offline_file_has_what_is_stored(model: Path, photos: Path, tmp_path: Path) -> None:
    picture = str(photos / "red" / "1.png")
    measured.store_without(model, pellucid.without(model))
    assert main(["explain", str(model), picture, "--html", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    assert '"measured":{"without":{"conv1":{' in text
    assert '"readout":null' in text
