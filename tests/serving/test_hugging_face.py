"""Hugging Face's request, asked by an unmodified InferenceClient."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tests.serving.conftest import Running, base64_of

import pellucid
from pellucid.classifier.predict.prediction import Prediction

Png = Callable[[int], bytes]


@pytest.fixture(scope="module")
def truth(trained: Path, png: Png) -> Prediction:
    return pellucid.load(trained).predict(png(1))


@pytest.mark.parametrize("path", ["", "/", "/models/small"])
@pytest.mark.parametrize("as_file", [False, True])
def test_a_client_gets_labels_and_scores(
    served: Running, png: Png, truth: Prediction, tmp_path: Path, path: str, as_file: bool
) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(1))
    client = InferenceClient(model=served.address + path)
    found = client.image_classification(str(picture) if as_file else png(1))
    assert [each.label for each in found] == [name for name, _ in truth.top(5)]
    assert np.allclose([each.score for each in found], [p for _, p in truth.top(5)], rtol=0, atol=1e-6)


def test_base_url_is_an_address_too(served: Running, png: Png, truth: Prediction) -> None:
    client = InferenceClient(base_url=served.address)
    assert client.image_classification(png(1))[0].label == truth.label


def test_parameters_choose_how_many_and_which_function(
    served: Running, trained: Path, png: Png, truth: Prediction
) -> None:
    client, logits = InferenceClient(model=served.address), np.array(truth.logits)
    classifier = pellucid.load(trained)

    def scores(function: str | None) -> dict[str, float]:
        found = client.image_classification(png(1), top_k=2, function_to_apply=function)  # type: ignore[arg-type]
        return {each.label: each.score for each in found}

    scaled = logits / classifier.temperature
    for function, right in {
        None: truth.probabilities or {},
        "softmax": truth.probabilities or {},
        "sigmoid": dict(zip(classifier.classes, 1 / (1 + np.exp(-scaled)), strict=True)),
        "none": dict(zip(classifier.classes, logits, strict=True)),
    }.items():
        found = scores(function)
        assert found.keys() == right.keys()
        assert np.allclose([found[name] for name in right], list(right.values()), rtol=1e-5, atol=1e-6), function
    assert [each.label for each in client.image_classification(png(1), top_k=1)] == [truth.label]


def test_json_without_parameters_and_without_a_type_is_understood(served: Running, png: Png, truth: Prediction) -> None:
    body = {"inputs": base64_of(png(1))}
    assert served.ask("POST", "/", body).json[0]["label"] == truth.label
    text = b'{"inputs": "' + base64_of(png(1)).encode() + b'"}'
    assert served.ask("POST", "/", text).json[0]["label"] == truth.label


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no picture"),
        (b"no picture", "not a picture"),
        (b"{}", "not a picture"),
        ({}, '"inputs"'),
        ({"inputs": 5}, "base64"),
        ({"inputs": "", "parameters": []}, None),
        ({"inputs": "", "parameters": "x"}, "must be an object"),
        ({"inputs": "", "parameters": {"top_k": 0}}, "top_k"),
        ({"inputs": "", "parameters": {"function_to_apply": "tanh"}}, "softmax, sigmoid, none"),
    ],
)
def test_what_is_wrong_is_said(served: Running, body: object, says: str | None) -> None:
    answer = served.ask("POST", "/", body)
    assert answer.status == 400
    assert answer.json.keys() == {"error"}
    assert (says or "cannot be used") in answer.json["error"]


def test_a_client_is_told_of_a_model_that_is_not_there(served: Running, png: Png) -> None:
    with pytest.raises(HfHubHTTPError, match="404"):
        InferenceClient(model=served.address + "/models/other").image_classification(png(1))
