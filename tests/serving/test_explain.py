"""Explanations over HTTP say what `explain` says."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.patience import PATIENCE
from tests.serving.conftest import SMALL, Running, base64_of, running

import pellucid
from pellucid.serving import explain

Png = Callable[[int], bytes]
UNIT, WEIGHT = "conv1[3, 4, 5]", "conv1.weight[3, 0, 2, 2]"


@pytest.fixture(scope="module")
def truth(trained: Path, png: Png) -> Any:
    return pellucid.load(trained).explain(png(1))


def same(found: Any, truth: Any) -> None:
    """JSON types, numbers but for the rounding of a text."""
    assert json.loads(json.dumps(truth)) == found


def test_the_path_the_units_and_the_map_are_those_of_explain(
    served: Running, trained: Path, png: Png, truth: Any
) -> None:
    path = "/v1/explain?backward=true&unit=conv1[3,4,5]&unit=conv1%5B0,0,0%5D&update=conv1.weight[3,0,2,2]"
    answer = served.ask("POST", path, png(1))
    assert answer.status == 200, answer.content
    found = answer.json
    same(
        {key: found[key] for key in ("label", "predicted", "classes", "loss", "layers")},
        {key: truth.as_json()[key] for key in ("label", "predicted", "classes", "loss", "layers")},
    )
    same(found["units"], [truth.unit(UNIT).as_json(), truth.unit("conv1[0, 0, 0]").as_json()])
    same(found["gradients"][0], truth.gradient(UNIT).as_json())
    same(found["updates"], [truth.update(WEIGHT).as_json()])
    attributed = pellucid.load(trained).attribute(png(1))
    packed = found["map"]["map"]
    values = np.frombuffer(base64.b64decode(packed["base64"]), "<f4").reshape(packed["shape"])
    assert np.allclose(values, attributed.map, rtol=1e-5, atol=1e-6)
    with Image.open(io.BytesIO(base64.b64decode(found["map"]["png"]))) as image:
        assert image.format == "PNG"


def test_json_and_the_protocol_take_the_same_questions(served: Running, png: Png, truth: Any) -> None:
    options = {"unit": UNIT, "backward": True, "map": "none", "label": "red"}
    plain = served.ask("POST", "/v1/explain", {"picture": base64_of(png(1)), **options}).json
    assert plain["label"] == "red"
    assert "map" not in plain
    same(plain["units"], [truth.unit(UNIT).as_json()])
    tensor = {"name": "pictures", "shape": [1], "datatype": "BYTES", "data": [base64_of(png(1))]}
    body = {"id": "9", "inputs": [tensor], "parameters": options}
    answer = served.ask("POST", "/v2/models/small/explain", body).json
    (output,) = answer["outputs"]
    assert (answer["id"], output["datatype"], output["shape"]) == ("9", "BYTES", [1])
    assert json.loads(output["data"][0]) == {**plain, "picture": "picture 0"}


@pytest.mark.parametrize(
    "options", [{}, {"unit": UNIT}, {"backward": [], "unit": []}, {"backward": None, "label": "red"}]
)
def test_json_may_leave_out_any_option(served: Running, png: Png, options: dict[str, Any]) -> None:
    answer = served.ask("POST", "/v1/explain", {"picture": base64_of(png(1)), "map": "none", **options})
    assert answer.status == 200, answer.json
    assert "gradients" not in answer.json
    tensor = {"name": "pictures", "shape": [1], "datatype": "BYTES", "data": [base64_of(png(1))]}
    body = {"inputs": [tensor], "parameters": {"map": "none", **options}}
    assert served.ask("POST", "/v2/models/small/explain", body).status == 200


@pytest.mark.parametrize("value", [{}, [[]], [None], 0.5])
def test_an_option_of_the_wrong_type_is_refused_in_both_dialects(served: Running, png: Png, value: Any) -> None:
    answer = served.ask("POST", "/v1/explain", {"picture": base64_of(png(1)), "unit": value})
    assert (answer.status, "unit is" in answer.json["error"]) == (400, True)
    tensor = {"name": "pictures", "shape": [1], "datatype": "BYTES", "data": [base64_of(png(1))]}
    answer = served.ask("POST", "/v2/models/small/explain", {"inputs": [tensor], "parameters": {"unit": value}})
    assert (answer.status, "unit is" in answer.json["error"]) == (400, True)


@pytest.mark.parametrize(
    ("query", "body", "says"),
    [
        ("", b"no picture", "not a picture"),
        ("", b"", "0 pictures"),
        ("unit=conv9[0,0,0]", None, "conv9"),
        ("unit=conv1[99,0,0]", None, "conv1"),
        ("unit=conv1", None, "conv1"),
        ("label=green", None, "'green' is not a class"),
        ("map=xray", None, "grad_cam, integrated_gradients, occlusion, none"),
        ("map=grad_cam&layer=conv7", None, "conv7"),
        ("backward=perhaps", None, "true or false"),
        ("update=conv1.bias[9]", None, "conv1.bias"),
        ("&".join(["unit=conv1[0,0,0]"] * 21), None, "21 units"),
    ],
)
def test_what_is_wrong_is_said(served: Running, png: Png, query: str, body: bytes | None, says: str) -> None:
    answer = served.ask("POST", f"/v1/explain?{query}", png(1) if body is None else body)
    assert answer.status == 400
    assert says in answer.json["error"]


def test_one_is_worked_on_at_a_time_and_few_wait(trained: Path, png: Png, monkeypatch: pytest.MonkeyPatch) -> None:
    go, begun, at_once, most = threading.Event(), threading.Semaphore(0), [0], [0]

    def slow(*_: object) -> dict[str, Any]:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        begun.release()
        assert go.wait(PATIENCE)
        at_once[0] -= 1
        return {"done": True}

    monkeypatch.setattr(explain, "answer", slow)
    with running({"small": trained}, replace(SMALL, explanations=2)) as served, ThreadPoolExecutor(2) as callers:
        taken = [callers.submit(served.ask, "POST", "/v1/explain", png(1)) for _ in range(2)]
        assert begun.acquire(timeout=PATIENCE)
        while served.server.application.handler.explainer.waiting < 2:
            time.sleep(0.01)
        refused = served.ask("POST", "/v1/explain", png(1))
        assert refused.status == 429
        assert "retry-after" in refused.headers
        assert served.ask("POST", "/v1/predict", png(1)).status == 200, "predictions go on"
        go.set()
        assert [each.result().json for each in taken] == [{"done": True}] * 2
        assert most == [1]


def test_one_that_takes_too_long_is_given_up(trained: Path, png: Png, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(explain, "answer", lambda *_: {"done": go.wait(PATIENCE)})
    with running({"small": trained}, replace(SMALL, explaining_seconds=0.1)) as served:
        answer = served.ask("POST", "/v1/explain", png(1))
        assert answer.status == 504
        assert "map=none" in answer.json["error"]
        go.set()
