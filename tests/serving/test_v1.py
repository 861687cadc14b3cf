"""Pellucid's own dialect: each way to send pictures gives what `predict` gives."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.serving.conftest import Running, base64_of, multipart

import pellucid
from pellucid.serving import bodies

Png = Callable[[int], bytes]


@pytest.fixture(scope="module")
def truth(trained: Path, png: Png) -> list[dict[str, float]]:
    """The probabilities of pictures 0 to 3, without a server."""
    classifier = pellucid.load(trained)
    return [classifier.predict(png(number)).probabilities or {} for number in range(4)]


def same(answer: dict[str, float], truth: dict[str, float]) -> bool:
    return answer.keys() == truth.keys() and np.allclose(
        [answer[name] for name in truth], list(truth.values()), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", None])
def test_a_raw_body_is_one_picture(served: Running, png: Png, truth: list[dict[str, float]], kind: str | None) -> None:
    answer = served.ask("POST", "/v1/predict", png(0), {"Content-Type": kind} if kind else {})
    assert answer.status == 200
    assert answer.json["model"] == "small"
    assert len(answer.json["version"]) == 12
    (prediction,) = answer.json["predictions"]
    assert prediction["label"] == max(truth[0], key=truth[0].__getitem__)
    assert same(prediction["probabilities"], truth[0])


def test_several_pictures_in_a_form_are_answered_in_order_under_their_names(
    served: Running, png: Png, truth: list[dict[str, float]]
) -> None:
    body, headers = multipart([(f"{number}.png", png(number)) for number in range(4)], {"top_k": "1"})
    answer = served.ask("POST", "/v1/predict", body, headers)
    assert answer.status == 200
    assert [each["picture"] for each in answer.json["predictions"]] == ["0.png", "1.png", "2.png", "3.png"]
    for each, right in zip(answer.json["predictions"], truth, strict=True):
        label = max(right, key=right.__getitem__)
        assert list(each["probabilities"]) == [label]
        assert abs(each["probability"] - right[label]) < 1e-6


def test_json_takes_one_or_several_with_names_or_without(
    served: Running, png: Png, truth: list[dict[str, float]]
) -> None:
    first = served.ask("POST", "/v1/predict", {"picture": base64_of(png(0))})
    assert same(first.json["predictions"][0]["probabilities"], truth[0])
    mixed = [base64_of(png(1)), {"name": "two", "picture": "data:image/png;base64," + base64_of(png(2))}]
    several = served.ask("POST", "/v1/predict", {"pictures": mixed, "top_k": 2, "model": "small"})
    assert [each["picture"] for each in several.json["predictions"]] == ["picture 0", "two"]
    for each, right in zip(several.json["predictions"], truth[1:3], strict=True):
        assert same(each["probabilities"], right)


def test_one_picture_that_cannot_be_used_spoils_no_other(
    served: Running, png: Png, truth: list[dict[str, float]]
) -> None:
    body, headers = multipart([("good", png(0)), ("bad", b"no picture"), ("cut", png(1)[:200])])
    answer = served.ask("POST", "/v1/predict", body, headers)
    assert answer.status == 200
    good, bad, cut = answer.json["predictions"]
    assert same(good["probabilities"], truth[0])
    assert bad == {"picture": "bad", "error": "not a picture"}
    assert cut.keys() == {"picture", "error"}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/predict", b"", "no picture"),
        ("/v1/predict", b"no picture", "The picture cannot be used: not a picture."),
        ("/v1/predict?top_k=0", b"x", "top_k is '0'"),
        ("/v1/predict?top_k=-1", b"x", "top_k is '-1'"),
        ("/v1/predict?top_k=two", b"x", "top_k is 'two'"),
        ("/v1/predict", {}, "no picture"),
        ("/v1/predict", {"picture": 3}, "base64"),
        ("/v1/predict", {"picture": "%%%"}, "not base64"),
        ("/v1/predict", {"pictures": "x"}, "must be a list"),
        ("/v1/predict", {"pictures": [None]}, "base64"),
        ("/v1/predict", {"picture": "", "top_k": {}}, "top_k"),
        ("/v1/predict", {"picture": "", "model": "a" * 10_001}, "longer than 10,000"),
        ("/v1/predict", {"pictures": [{"name": 5, "picture": ""}]}, "must be text"),
        ("/v1/predict", [], "where an object belongs"),
        ("/v1/predict", {"pictures": ["AAAA", "BBBB"]}, "None of the 2 pictures"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(served: Running, path: str, body: object, says: str) -> None:
    answer = served.ask("POST", path, body)
    assert answer.status == 400
    assert answer.json.keys() == {"error"}
    assert says in answer.json["error"]


@pytest.mark.parametrize("path", ["/v1/predict", "/", "/v2/models/small/infer"])
@pytest.mark.parametrize("many", [b"[]," * 1000, b"0," * 1000, b"[" * 1000])
def test_json_of_very_many_values_is_refused_before_it_is_read(
    served: Running, path: str, many: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "VALUES", 1000)
    answer = served.ask("POST", path, b'{"inputs":[' + many, {"Content-Type": "application/json"})
    assert answer.status == 413
    assert "1,000 values" in answer.json["error"]
    assert "binary extension" in answer.json["error"]


@pytest.mark.parametrize(
    "place", ['"top_k":%s', '"model":%s', '"pictures":[{"name":%s}]', '"picture":%s', '"pictures":%s']
)
@pytest.mark.parametrize("depth", [50, 900, 940, 960, 980, 5000])
def test_what_a_sentence_quotes_is_cut_however_deep_it_is(served: Running, place: str, depth: int) -> None:
    """Python cannot write a value as text that is nested as deeply as its stack is."""
    content = "{" + place % ("[" * depth + "]" * depth) + "}"
    answer = served.ask("POST", "/v1/predict", content.encode(), {"Content-Type": "application/json"})
    assert answer.status == 400
    assert len(answer.json["error"]) < 200


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"picture": NaN}'])
def test_json_that_is_none_is_refused(served: Running, content: bytes) -> None:
    answer = served.ask("POST", "/v1/predict", content, {"Content-Type": "application/json"})
    assert answer.status == 400
    assert "Traceback" not in answer.json["error"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--e\r\n", "multipart/form-data; boundary=e"),
        (b"anything", "multipart/form-data"),
        (b"anything", "multipart/form-data; boundary="),
        (b"--e\r\nContent-Disposition: form-data\r\n\r\nx\r\n--e--\r\n", "multipart/form-data; boundary=e"),
        (
            b'--e\r\nContent-Disposition: form-data; name="\xff"; filename="\xff"\r\n\r\nx',
            "multipart/form-data; boundary=e",
        ),
        (b"\x00" * 50, "multipart/form-data; boundary=e; charset=nonsense"),
    ],
)
def test_a_damaged_form_is_refused(served: Running, content: bytes, kind: str) -> None:
    answer = served.ask("POST", "/v1/predict", content, {"Content-Type": kind})
    assert answer.status == 400
    assert answer.json.keys() == {"error"}


def test_a_model_that_is_not_there_is_named_with_the_one_that_was_meant(served: Running, png: Png) -> None:
    answer = served.ask("POST", "/v1/predict?model=smal", png(0))
    assert answer.status == 404
    assert "Did you mean 'small'?" in answer.json["error"]


def test_models_are_listed(served: Running) -> None:
    (model,) = served.ask("GET", "/v1/models").json["models"]
    assert model["classes"] == ["blue", "red"]
    assert model["input"] == {"height": 12, "width": 12, "channels": 3}
    assert served.ask("GET", "/").json["models"] == [model]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/v1/predict", 405), ("PUT", "/", 405)]
)
def test_an_address_that_is_none_points_to_the_list(served: Running, method: str, path: str, status: int) -> None:
    answer = served.ask(method, path)
    assert answer.status == status
    assert "/docs" in answer.json["error"]


def test_docs_need_nothing_from_elsewhere(served: Running) -> None:
    page = served.ask("GET", "/docs").content.decode()
    described = served.ask("GET", "/openapi.json").json
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="([^"]*)"|url\(', page) == ["openapi.json"]
    for path in described["paths"]:
        assert path in page
    assert {"/v1/predict", "/v1/explain", "/v2/models/{name}/infer", "/", "/metrics"} <= described["paths"].keys()
