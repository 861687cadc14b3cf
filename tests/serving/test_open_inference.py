"""Open Inference Protocol v2, asked by an unmodified tritonclient and by hand."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Answer, Running, base64_of
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

import pellucid
from pellucid.classifier.classifier import Classifier
from pellucid.pictures.decode import decode
from pellucid.serving.tensors import Tensor, as_binary

Png = Callable[[int], bytes]
INFER = "/v2/models/small/infer"


@pytest.fixture
def client(served: Running) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(f"127.0.0.1:{served.port}") as found:
        yield found


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return pellucid.load(trained)


def rows(classifier: Classifier, pictures: list[Any]) -> np.ndarray:
    """The probabilities without a server, float64 (n, classes)."""
    return np.array([list((each.probabilities or {}).values()) for each in classifier.predict(pictures)])


def test_a_client_finds_the_server_and_its_model(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("small")
    assert not client.is_model_ready("other")
    server, model = client.get_server_metadata(), client.get_model_metadata("small")
    assert server["name"] == "pellucid"
    assert {"classification", "binary_tensor_data"} <= set(server["extensions"])
    (version,) = model["versions"]
    assert client.is_model_ready("small", version)
    assert not client.is_model_ready("small", "1")
    assert client.get_model_metadata("small", version) == model
    assert {each["name"]: each["shape"] for each in model["outputs"]}["probabilities"] == [-1, 2]


def test_files_go_as_the_client_sends_them_by_default(
    client: InferenceServerClient, classifier: Classifier, png: Png
) -> None:
    files = [png(number) for number in range(5)]
    tensor = InferInput("pictures", [5], "BYTES")
    tensor.set_data_from_numpy(np.array(files, object))
    result = client.infer("small", [tensor], request_id="seven")
    answer = result.get_response()
    assert answer["id"] == "seven"
    assert answer["model_name"] == "small"
    assert np.allclose(result.as_numpy("probabilities"), rows(classifier, files), rtol=0, atol=1e-6)
    expected = [each.label for each in classifier.predict(files)]
    assert [label.decode() for label in result.as_numpy("label")] == expected
    logits = np.array([each.logits for each in classifier.predict(files)])
    assert np.allclose(result.as_numpy("logits"), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
def test_decoded_images_give_what_their_files_give(
    client: InferenceServerClient, classifier: Classifier, png: Png, datatype: str, binary: bool
) -> None:
    files = [png(number) for number in range(3)]
    images = np.stack([decode(file) for file in files])
    values = images if datatype == "UINT8" else images.astype(np.float32) / 255
    tensor = InferInput("anything", list(images.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    wanted = InferRequestedOutput("probabilities", binary_data=binary)
    result = client.infer("small", [tensor], outputs=[wanted])
    assert np.allclose(result.as_numpy("probabilities"), rows(classifier, files), rtol=0, atol=1e-6)
    assert [each["name"] for each in result.get_response()["outputs"]] == ["probabilities"]


def test_grey_images_are_three_equal_channels(client: InferenceServerClient, classifier: Classifier, png: Png) -> None:
    grey = decode(png(0))[None, :, :, :1].copy()
    tensor = InferInput("pictures", list(grey.shape), "UINT8")
    tensor.set_data_from_numpy(grey)
    result = client.infer("small", [tensor])
    truth = rows(classifier, [np.repeat(grey[0], 3, axis=2)])
    assert np.allclose(result.as_numpy("probabilities"), truth, rtol=0, atol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_the_classification_extension_names_the_best_classes(
    client: InferenceServerClient, classifier: Classifier, png: Png, binary: bool
) -> None:
    files = [png(0), png(1)]
    tensor = InferInput("pictures", [2, 1], "BYTES")
    tensor.set_data_from_numpy(np.array(files, object).reshape(2, 1))
    wanted = InferRequestedOutput("probabilities", binary_data=binary, class_count=9)
    found = client.infer("small", [tensor], outputs=[wanted]).as_numpy("probabilities")
    assert found.shape == (2, 2), "there are two classes"
    for line, truth in zip(found, rows(classifier, files), strict=True):
        for place, text in enumerate(line):
            value, number, label = (text.decode() if isinstance(text, bytes) else text).split(":")
            assert classifier.classes[int(number)] == label
            assert int(number) == np.argsort(-truth)[place]
            assert abs(float(value) - truth[int(number)]) < 2e-6


def test_json_has_files_as_base64(served: Running, classifier: Classifier, png: Png) -> None:
    tensor = {"name": "pictures", "shape": [2, 1], "datatype": "BYTES"}
    data = [[base64_of(png(0))], [base64_of(png(1))]]
    answer = served.ask("POST", INFER, {"inputs": [{**tensor, "data": data}], "outputs": [{"name": "probabilities"}]})
    (output,) = answer.json["outputs"]
    assert output["shape"] == [2, 2]
    assert np.allclose(np.reshape(output["data"], (2, 2)), rows(classifier, [png(0), png(1)]), rtol=0, atol=1e-6)


def test_a_client_is_told_what_is_wrong(client: InferenceServerClient, png: Png) -> None:
    tensor = InferInput("pictures", [2], "BYTES")
    tensor.set_data_from_numpy(np.array([png(0), b"no picture"], object))
    with pytest.raises(InferenceServerException, match=r"Picture 1 cannot be used: not a picture\."):
        client.infer("small", [tensor])
    with pytest.raises(InferenceServerException, match="no model 'tiny'"):
        client.infer("tiny", [tensor])


FILE = {"name": "pictures", "shape": [1], "datatype": "BYTES", "data": [""]}
PIXELS = {"name": "pictures", "shape": [1, 2, 2, 3], "datatype": "UINT8", "data": [0] * 12}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "no inputs"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": [1]}, "not an object"),
        ({"inputs": [FILE, FILE]}, "2 inputs"),
        ({"inputs": [{**FILE, "datatype": "FP64"}]}, "FP64"),
        ({"inputs": [{**FILE, "shape": [2]}]}, "has 1 elements"),
        ({"inputs": [{**FILE, "shape": "1"}]}, "list of sizes"),
        ({"inputs": [{**FILE, "shape": [-1]}]}, "list of sizes"),
        ({"inputs": [{**FILE, "shape": [1, 10**9]}]}, "list of sizes"),
        ({"inputs": [{**FILE, "data": [5]}]}, "strings"),
        ({"inputs": [{**FILE, "data": None}]}, "no data"),
        ({"inputs": [{**FILE, "data": ["!!"]}]}, "not base64"),
        ({"inputs": [{**FILE, "shape": [0], "data": []}]}, "no picture"),
        ({"inputs": [{**PIXELS, "data": [0] * 11}]}, "has 11 elements"),
        ({"inputs": [{**PIXELS, "data": [256] * 12}]}, "255"),
        ({"inputs": [{**PIXELS, "data": [0.5] * 12}]}, "whole numbers"),
        ({"inputs": [{**PIXELS, "data": [-1] * 12}]}, "whole numbers"),
        ({"inputs": [{**PIXELS, "data": [1e300] * 12}]}, "whole numbers"),
        ({"inputs": [{**PIXELS, "data": [10**400] * 12}]}, "tensor of numbers"),
        ({"inputs": [{**PIXELS, "data": [[0, 1], [2]]}]}, "tensor of numbers"),
        ({"inputs": [{**PIXELS, "data": ["1"] * 12}]}, "tensor of numbers"),
        ({"inputs": [{**PIXELS, "datatype": "FP32", "data": [None] * 12}]}, "tensor of numbers"),
        ({"inputs": [{**PIXELS, "datatype": "FP32", "data": [1e300] * 12}]}, "to inf"),
        ({"inputs": [{**PIXELS, "datatype": "FP32", "data": [float("nan")] * 12}]}, "from nan"),
        ({"inputs": [{**PIXELS, "shape": [1] * 70, "data": [0]}]}, "70 axes"),
        ({"inputs": [{**PIXELS, "shape": [1, 3, 2, 2]}]}, r"[n, height, width, 3]"),
        ({"inputs": [{**PIXELS, "datatype": "FP32", "data": [255] * 12}]}, "from 0 (black) to 1 (white)"),
        ({"inputs": [{**PIXELS, "parameters": {"binary_data_size": 12}}]}, "binary_data_size"),
        ({"inputs": [{**PIXELS, "parameters": {"binary_data_size": -1}}]}, "binary_data_size"),
        ({"inputs": [PIXELS], "outputs": [{"name": "x"}]}, "no output 'x'"),
        ({"inputs": [PIXELS], "outputs": [{"name": "logits"}, {"name": "label"}, {"name": "logits"}]}, "named twice"),
        ({"inputs": [PIXELS], "outputs": "x"}, "list of objects"),
        ({"inputs": [PIXELS], "outputs": [{"name": "label", "parameters": {"classification": 1}}]}, "classification"),
        (
            {"inputs": [PIXELS], "outputs": [{"name": "logits", "parameters": {"classification": -1}}]},
            "classification is -1",
        ),
    ],
)
def test_a_wrong_request_is_told_in_one_sentence(served: Running, body: dict[str, Any], says: str) -> None:
    answer = served.ask("POST", INFER, body)
    assert answer.status == 400
    assert answer.json.keys() == {"error"}
    assert says in answer.json["error"]


def binary(served: Running, inputs: list[dict[str, Any]], data: bytes, header: str | None = None) -> Answer:
    text = json.dumps({"inputs": inputs}).encode()
    return served.ask("POST", INFER, text + data, {"Inference-Header-Content-Length": header or str(len(text))})


@pytest.mark.parametrize(
    ("size", "data", "header", "says"),
    [
        (5, b"\xff\xff\xff\xff!", None, "more bytes than there are"),
        (3, b"abc", None, "more bytes than there are"),
        (99, b"abc", None, "binary_data_size"),
        (4, struct.pack("<I", 0) + b"left over", None, "belong to no input"),
        (4, struct.pack("<I", 0), "99999", "Inference-Header-Content-Length"),
        (4, struct.pack("<I", 0), "-1", "Inference-Header-Content-Length"),
        (4, struct.pack("<I", 0), "1", "not JSON"),
    ],
)
def test_binary_data_that_is_cut_or_too_long_is_told(
    served: Running, size: int, data: bytes, header: str | None, says: str
) -> None:
    tensor = {"name": "pictures", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    answer = binary(served, [tensor], data, header)
    assert answer.status == 400
    assert says in answer.json["error"]


def test_binary_numbers_with_too_many_axes_are_refused(served: Running) -> None:
    tensor = {"name": "pictures", "shape": [1] * 70, "datatype": "UINT8", "parameters": {"binary_data_size": 1}}
    answer = binary(served, [tensor], b"x")
    assert answer.status == 400
    assert "70 axes" in answer.json["error"]


def test_files_may_be_nested_as_deeply_as_json_may(served: Running, png: Png) -> None:
    """Among many others: a copy of the whole list for each level would take minutes."""
    data: list[Any] = [base64_of(png(0))]
    for _ in range(300):
        data = [data]
    answer = served.ask("POST", INFER, {"inputs": [{**FILE, "data": data}]})
    assert answer.status == 200
    answer = served.ask("POST", INFER, {"inputs": [{**FILE, "data": [""] * 40_000 + data}]})
    assert "has 40001 elements" in answer.json["error"]


def test_a_class_whose_name_is_no_utf_8_is_its_bytes_in_binary() -> None:
    described, data = as_binary(Tensor("label", "BYTES", (1,), ["caf\udce9"]))
    assert data == struct.pack("<I", 4) + b"caf\xe9"
    assert described["parameters"] == {"binary_data_size": 8}
