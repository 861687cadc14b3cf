"""A model is replaced while it answers: no request is dropped, and each answer is by the version that it names."""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.patience import PATIENCE
from tests.serving.conftest import Running, base64_of, multipart, running

import pellucid
from pellucid.serving import models
from pellucid.serving.served import version_of

Png = Callable[[int], bytes]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LOOK", 0.02)


def warmer(model: Path) -> None:
    """Another version in the folder: its probabilities are less sure."""
    config = json.loads((model / "config.json").read_text())
    config["temperature"] *= 2
    other = model / "config.json.new"
    other.write_text(json.dumps(config))
    other.replace(model / "config.json")


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_each_of_many_callers_gets_the_answer_to_its_own_picture_by_the_version_that_it_names(
    model: Path, png: Png
) -> None:
    pictures = [png(number) for number in range(12)]
    truth: dict[str, list[dict[str, float]]] = {}

    def learn() -> None:
        truth[version_of(model)] = [each.probabilities or {} for each in pellucid.load(model).predict(pictures)]

    learn()
    with running({"small": model}) as served:
        callers = [lambda n=n: _ask(served, pictures, n) for n in range(150)]
        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(caller) for caller in callers[:75]]
            warmer(model)
            learn()
            wait_until(lambda: served.ask("GET", "/v1/models").json["models"][0]["version"] == version_of(model))
            answers += [pool.submit(caller) for caller in callers[75:]]
            found = [each.result() for each in answers]
    versions = set()
    for version, numbers, rows in found:
        versions.add(version)
        for number, row in zip(numbers, rows, strict=True):
            right = truth[version][number]
            assert np.allclose([row[name] for name in right], list(right.values()), rtol=0, atol=1e-6)
    assert versions == truth.keys()


def _ask(served: Running, pictures: list[bytes], number: int) -> tuple[str, list[int], list[dict[str, float]]]:
    """One request, each third in another form: the version, and for each picture its number and probabilities."""
    first, others = number % len(pictures), [(number * 5 + place) % len(pictures) for place in range(3)]
    if number % 3 == 0:
        body, headers = multipart([(str(each), pictures[each]) for each in others])
        answer = served.ask("POST", "/v1/predict", body, headers).json
        return answer["version"], others, [each["probabilities"] for each in answer["predictions"]]
    if number % 3 == 1:
        answer = served.ask("POST", "/v1/predict", pictures[first]).json
        return answer["version"], [first], [answer["predictions"][0]["probabilities"]]
    tensor = {"name": "p", "datatype": "BYTES", "shape": [3], "data": [base64_of(pictures[each]) for each in others]}
    wanted = {"inputs": [tensor], "outputs": [{"name": "probabilities"}]}
    answer = served.ask("POST", "/v2/models/small/infer", wanted).json
    rows = np.reshape(answer["outputs"][0]["data"], (3, 2))
    return answer["model_version"], others, [dict(zip(("blue", "red"), row, strict=True)) for row in rows.tolist()]


@pytest.mark.parametrize("damage", ["cut", "not json", "gone", "other weights"])
def test_a_new_version_that_cannot_be_used_does_not_take_the_place_of_the_old(
    model: Path, png: Png, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = version_of(model)
    with running({"small": model}) as served:
        config = (model / "config.json").read_text()
        if damage == "not json":
            (model / "config.json").write_text(config[:-20])
        elif damage == "cut":
            (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-4])
            (model / "config.json").write_text(config + "\n")
        elif damage == "other weights":
            (model / "config.json").write_text(config.replace("conv(4, 3)", "conv(5, 3)"))
        else:
            shutil.rmtree(model)
        if damage != "gone":
            wait_until(lambda: b'pellucid_reloads_total{model="small",outcome="refused"} 1.0' in metrics(served))
            assert "model refused" in capsys.readouterr().err
        answer = served.ask("POST", "/v1/predict", png(0))
        assert (answer.status, answer.json["version"]) == (200, before)


def test_a_version_whose_weights_come_after_its_config_is_tried_again(model: Path, png: Png, tmp_path: Path) -> None:
    """`cp -r` copies config.json before model.safetensors."""
    other = Path(shutil.copytree(model, tmp_path / "other"))
    warmer(other)
    weights = (other / "model.safetensors").read_bytes()
    with running({"small": model}) as served:
        (model / "model.safetensors").write_bytes(weights[:-4])
        (model / "config.json").write_bytes((other / "config.json").read_bytes())
        wait_until(lambda: b'pellucid_reloads_total{model="small",outcome="refused"} 1.0' in metrics(served))
        (model / "model.safetensors").write_bytes(weights)
        wait_until(lambda: served.ask("POST", "/v1/predict", png(0)).json["version"] == version_of(other))


def metrics(served: Running) -> bytes:
    return served.ask("GET", "/metrics").content


def test_a_version_that_is_not_there_any_more_is_said(model: Path, png: Png) -> None:
    before = version_of(model)
    with running({"small": model}) as served:
        warmer(model)
        wait_until(lambda: served.ask("GET", f"/v2/models/small/versions/{before}").status == 404)
        answer = served.ask("GET", f"/v2/models/small/versions/{before}/ready")
        assert version_of(model) in answer.json["error"]
        assert b'pellucid_reloads_total{model="small",outcome="replaced"} 1.0' in metrics(served)


def test_the_memory_of_a_version_that_has_ended_is_returned(
    model: Path, png: Png, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each reload by another thread takes as much again."""
    returned: list[bool] = []
    monkeypatch.setattr(models, "SOON", 0)
    with running({"small": model}) as served:
        before = served.ask("POST", "/v1/predict", png(0)).json["version"]
        monkeypatch.setattr(models, "give_back_memory", lambda: returned.append(True))
        warmer(model)
        wait_until(lambda: served.ask("POST", "/v1/predict", png(0)).json["version"] != before)
        wait_until(lambda: bool(returned))
