"""What if, on a real server: the results are true, impossible changes give a sentence, and everything can be undone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.answering import answering
from tests.patience import PATIENCE

import pellucid
from pellucid.app.page import server as servers
from pellucid.app.page import shown
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page.document import Document
from pellucid.whatif import Pooling, Weight

WEIGHT = {"what": "weight", "name": "conv1.weight", "index": [1, 0, 2, 2], "value": 0.5}
STRIDE = {"what": "stride", "layer": "conv1", "value": [2, 2]}
AVERAGE = {"what": "pooling", "layer": "maxpool1", "value": "average"}
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def glass(trained: Path, photos: Path) -> Glass:
    return Glass(pellucid.load(trained), trained, photos / "red" / "1.png")


@pytest.fixture
def ask(glass: Glass) -> Iterator[Ask]:
    """ask(path, body) -> (status, JSON or bytes); a body is posted, a list is sent as changes."""
    with answering(servers.listening(glass)) as server:

        def ask(path: str, body: bytes | list[Any] | None = None) -> tuple[int, Any]:
            sent = json.dumps({"changes": body}).encode() if isinstance(body, list) else body
            connection = http.client.HTTPConnection(servers.HOST, server.server_port, timeout=PATIENCE)
            try:
                connection.request("GET" if body is None else "POST", path, sent)
                answer = connection.getresponse()
                content = answer.read()
                json_ = answer.headers["Content-Type"] == "application/json"
                return answer.status, json.loads(content) if json_ else content
            finally:
                connection.close()

        yield ask


def document(ask: Ask) -> dict[str, Any]:
    """The document, without the number of the run."""
    _, content = ask("/api/document")
    content.pop("run")
    return content


def test_nothing_is_changed_at_first(ask: Ask) -> None:
    what = document(ask)["what_if"]
    assert (what["changes"], what["painted"], what["aside"], what["before"]) == ([], 0, 0, None)
    assert [each["layer"] for each in what["settings"]] == ["conv1", "maxpool1"]
    assert what["settings"][1] == {
        "layer": "maxpool1",
        "kind": "max",
        "size": [2, 2],
        "stride": [2, 2],
        "padding": [0, 0],
        "most_stride": [4, 4],
        "most_padding": [1, 1],
    }


def test_what_follows_is_what_the_changed_classifier_says(ask: Ask, glass: Glass, photos: Path) -> None:
    first = document(ask)
    assert ask("/api/what-if", [WEIGHT, AVERAGE])[0] == 200
    other = glass.classifier.changed([Weight("conv1.weight", (1, 0, 2, 2), 0.5), Pooling("maxpool1", "average")])
    trace = other.explain(photos / "red" / "1.png", first["model"]["classes"][first["label"]])
    now = document(ask)
    assert now["probabilities"] == trace.probabilities.tolist()
    assert now["loss"] == trace.loss
    assert now["what_if"]["before"] == {name: first[name] for name in ("probabilities", "predicted", "loss")}
    was = glass.classifier.module.get_parameter("conv1.weight").detach()[1, 0, 2, 2].item()
    assert now["what_if"]["changes"] == [{**WEIGHT, "was": was}, {**AVERAGE, "was": "max"}]
    for name in ("value/conv1", "gradient/conv1.weight", "after/conv1.weight", "remembered/conv1.weight/mean"):
        _, content = ask(f"/api/array?name={name}")
        assert content == Document(trace).arrays[name].tobytes()
    # the optimizer's state stays
    name = "remembered/conv1.weight/mean"
    assert np.array_equal(glass.plain.document.arrays[name], glass.shown.document.arrays[name])


def test_it_is_put_back_and_made_again(ask: Ask) -> None:
    first = document(ask)
    ask("/api/what-if", [WEIGHT])
    changed = document(ask)
    assert changed["probabilities"] != first["probabilities"]
    ask("/api/what-if/flip", b"")
    back = document(ask)
    assert back.pop("what_if")["aside"] == 1
    assert back == {name: value for name, value in first.items() if name != "what_if"}
    ask("/api/what-if/flip", b"")
    assert document(ask) == changed
    ask("/api/what-if", [])
    assert document(ask) == first
    ask("/api/what-if/flip", b"")  # there is nothing to put back
    assert document(ask) == first


def test_what_changes_nothing_is_no_change(ask: Ask, glass: Glass) -> None:
    run = glass.shown.run
    was = glass.classifier.stored(Weight("conv1.weight", (1, 0, 2, 2), 0.0))
    ask("/api/what-if", [{**WEIGHT, "value": was}, {**STRIDE, "value": [1, 1]}])
    ask("/api/what-if/paint", glass.original_pixels.tobytes())
    assert glass.shown.run == run
    assert not glass.altered


def test_painted_pixels_arrive_bit_for_bit(ask: Ask, glass: Glass) -> None:
    first = document(ask)
    _, original = ask("/api/what-if/original")
    pixels = np.frombuffer(original, np.uint8).reshape(12, 12, 3).copy()
    pixels[2:4, 3:8] = (250, 3, 127)
    status, foreseen = ask("/api/what-if/foresee-paint?shape=12,12,3", pixels.tobytes())
    assert status == 200
    assert document(ask) == first
    assert ask("/api/what-if/paint?shape=12,12,3&picture=0", pixels.tobytes())[0] == 200
    _, shown = ask("/api/array?name=value/picture")
    assert np.array_equal(np.frombuffer(shown, np.float32).reshape(3, 12, 12), pixels.transpose(2, 0, 1))
    now = document(ask)
    assert now["what_if"]["painted"] == 10
    assert first["truth"] == [glass.classifier.classes.index("red")]
    assert now["truth"] is None, "a painted picture may be another class's"
    assert now["probabilities"] == pytest.approx(foreseen["probabilities"], abs=1e-6)
    assert ask("/api/what-if/original")[1] == original
    ask("/api/what-if/paint", b"")
    assert document(ask) == first


def test_another_picture_keeps_the_network_s_changes_and_not_the_paint(ask: Ask, glass: Glass, photos: Path) -> None:
    ask("/api/what-if", [WEIGHT])
    ask("/api/what-if/paint", bytes(12 * 12 * 3))
    assert document(ask)["what_if"]["painted"] > 100
    assert ask("/api/picture", (photos / "blue" / "2.png").read_bytes())[0] == 200
    now = document(ask)
    assert now["what_if"]["painted"] == 0
    assert [each["what"] for each in now["what_if"]["changes"]] == ["weight"]
    assert now["truth"] == [glass.classifier.classes.index("blue")], "a file of the model's own, whatever the weights"
    before = glass.classifier.predict(photos / "blue" / "2.png")
    assert now["what_if"]["before"]["probabilities"] == pytest.approx(list((before.probabilities or {}).values()))
    status, content = ask("/api/what-if/paint?picture=0", bytes(12 * 12 * 3))
    assert status == 409
    assert content["error"].startswith("Another window has opened a picture or changed something since. Reload")


def test_what_is_put_back_can_be_made_again_on_another_picture(ask: Ask, photos: Path) -> None:
    ask("/api/what-if", [WEIGHT])
    ask("/api/what-if/flip", b"")
    ask("/api/picture", (photos / "blue" / "2.png").read_bytes())
    plain = document(ask)
    assert (plain["what_if"]["aside"], plain["what_if"]["changes"]) == (1, [])
    ask("/api/what-if/flip", b"")
    now = document(ask)
    assert [each["what"] for each in now["what_if"]["changes"]] == ["weight"]
    assert now["what_if"]["before"]["probabilities"] == plain["probabilities"] != now["probabilities"]


def test_another_class_keeps_changes_and_compares_losses_against_it(ask: Ask) -> None:
    ask("/api/what-if", [WEIGHT])
    first = document(ask)
    other = first["model"]["classes"][1 - first["label"]]
    ask(f"/api/label?class={other}", b"")
    now = document(ask)
    assert now["what_if"]["changes"] == first["what_if"]["changes"]
    assert now["label"] == 1 - first["label"]
    assert now["what_if"]["before"]["loss"] != first["what_if"]["before"]["loss"]


def test_what_does_not_fit_is_not_added_and_what_would_is_named(ask: Ask) -> None:
    ask("/api/what-if", [WEIGHT])
    first = document(ask)
    sentence = (
        "With stride 2 in conv1, dense1 would get 16 numbers, but has weights for 100. "
        "It also fits with padding 1 in conv1 and stride 1 in maxpool1."
    )
    status, content = ask("/api/what-if", [WEIGHT, STRIDE])
    assert (status, content["error"]) == (400, sentence)
    assert document(ask) == first
    status, content = ask("/api/what-if/foresee", [WEIGHT, STRIDE])
    assert (status, content["fits"], content["why"]) == (200, False, sentence)
    status, content = ask("/api/what-if/foresee", [WEIGHT, STRIDE, *content["instead"]])
    assert content["fits"] is True
    assert document(ask) == first
    ask("/api/what-if", [WEIGHT, STRIDE, *ask("/api/what-if/foresee", [WEIGHT, STRIDE])[1]["instead"]])
    assert document(ask)["probabilities"] == pytest.approx(content["probabilities"], abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{**WEIGHT, "name": "conv9.weight"}], "There is no weight 'conv9.weight'. Did you mean conv1.weight"),
        ([{**WEIGHT, "index": [4, 0, 0, 0]}], "conv1.weight[4, 0, 0, 0] does not exist"),
        ([{**WEIGHT, "index": "0"}], "'0' is not a list of whole numbers"),
        ([{**WEIGHT, "index": [0, 0, 0, 0.5]}], "is not a list of whole numbers"),
        ([{**WEIGHT, "value": float("nan")}], "cannot be nan; it must be a finite float32"),
        ([{**WEIGHT, "value": 1e39}], "it must be a finite float32"),
        ([{**WEIGHT, "value": 10**400}], "a value is too large"),
        ([{**WEIGHT, "value": "1"}], "'1' is not a number"),
        ([{**STRIDE, "value": [2]}], "[2] is not a pair of numbers, for rows and columns"),
        ([{**STRIDE, "layer": "dense1"}], "dense1 `dense(2)` has no window"),
        ([{**STRIDE, "value": [0, 0]}], "stride of conv1 cannot be 0"),
        ([{**AVERAGE, "value": 3}], "maxpool1 cannot pool by 3"),
        ([{"what": "colour"}], "what is 'colour'; there are weight, stride, padding, pooling"),
        ([{"what": "weight"}], "'name' is missing"),
        ([7], "These changes are not understood"),
        ([WEIGHT] * 1001, "must be a list of at most 1,000"),
        (b"[]", "These changes are not understood"),
        (b"{", "These changes are not understood"),
        (b"", "These changes are not understood"),
        (b"[" * 100_000, "These changes are not understood"),
    ],
)
@pytest.mark.parametrize("path", ["/api/what-if", "/api/what-if/foresee"])
def test_nonsense_is_refused_in_a_sentence(ask: Ask, glass: Glass, path: str, changes: Any, message: str) -> None:
    run = glass.shown.run
    _, answer = ask(path, changes)
    assert message in answer.get("error", answer.get("why", ""))
    assert glass.shown.run == run
    assert not glass.altered


@pytest.mark.parametrize("path", ["/api/what-if/paint", "/api/what-if/foresee-paint"])
@pytest.mark.parametrize(("query", "size"), [("", 431), ("?shape=3,12,12", 432), ("?shape=12,12,3", 1)])
def test_pixels_of_another_size_are_refused(ask: Ask, glass: Glass, path: str, query: str, size: int) -> None:
    status, content = ask(path + query, bytes(size))
    assert status == 400
    assert "this network takes 12,12,3 (height, width, channels), which is 432." in content["error"]
    assert not glass.altered


def test_scores_that_are_no_numbers_are_refused_and_nothing_is_lost(ask: Ask, glass: Glass) -> None:
    ask("/api/what-if", [AVERAGE])
    huge = [AVERAGE, {**WEIGHT, "value": 3e38}, {**WEIGHT, "index": [1, 1, 2, 2], "value": 3e38}]
    status, content = ask("/api/what-if", huge)
    assert status == 400
    assert "are not finite numbers" in content["error"]
    assert "would not be finite" in ask("/api/what-if/foresee", huge)[1]["why"]
    assert [type(each).__name__ for each in glass.altered.changes] == ["Pooling"]


def test_large_pictures_are_remembered_only_while_they_are_small_together(
    glass: Glass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "MOST_BYTES", 4000)
    rng = np.random.default_rng(3)
    for height in (20, 21, 22, 90):  # 72 bytes a row; the shown one does not count
        glass.show(rng.integers(0, 256, (height, 24, 3), np.uint8))
    assert not glass.back(1), "three earlier ones would take 4,536 bytes"
    assert glass.back(2)
    assert glass.shown.document.trace.size == (21, 24)
    assert not glass.back(4), "6,480 bytes"
