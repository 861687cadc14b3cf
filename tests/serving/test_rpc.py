"""Open Inference Protocol v2 over gRPC, asked by an unmodified tritonclient and by hand."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import numpy as np
import pytest
from tests.patience import PATIENCE
from tests.serving.conftest import SMALL, Running, running
from tests.serving.test_metrics import values
from tests.serving.test_open_inference import rows
from tests.serving.test_workers import wait_until
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2
from tritonclient.utils import InferenceServerException

import pellucid
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.backend import Logits
from pellucid.errors import StorageError
from pellucid.pictures.decode import decode
from pellucid.serving import bodies
from pellucid.serving.entrance import Access
from pellucid.serving.limits import Limits
from pellucid.serving.messages import MESSAGES, SERVICE
from pellucid.serving.rpc import Rpc
from pellucid.serving.running import listening, place_of, reserved

Png = Callable[[int], bytes]
Code = grpc.StatusCode


@pytest.fixture
def client(served: Running) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(str(served.rpc)) as opened:
        yield opened


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return pellucid.load(trained)


def files(contents: list[bytes]) -> InferInput:
    tensor = InferInput("pictures", [len(contents)], "BYTES")
    tensor.set_data_from_numpy(np.array(contents, object))
    return tensor


def call(served: Running, method: str, message: Any, token: str | None = None, seconds: float | None = None) -> Any:
    """One request by hand; `message`: a message, or its bytes. Raises grpc.RpcError."""
    sent = message if isinstance(message, bytes) else message.SerializeToString()
    answer = MESSAGES[f"{method}Response"]
    with grpc.insecure_channel(str(served.rpc)) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/{method}", response_deserializer=answer.FromString)
        return ask(sent, timeout=seconds, metadata=() if token is None else (("authorization", token),))


def refusal(*words: Any, **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*words, **options)
    return caught.value


def test_the_messages_are_those_of_the_protocol() -> None:
    """Field by field as in the messages that a client brings."""
    for name, message in MESSAGES.items():
        theirs = {
            "TensorMetadata": service_pb2.ModelMetadataResponse.TensorMetadata,
            "InferTensor": service_pb2.ModelInferRequest.InferInputTensor,
            "InferRequestedOutputTensor": service_pb2.ModelInferRequest.InferRequestedOutputTensor,
        }.get(name) or getattr(service_pb2, name)
        told = [
            [(field.name, field.number, field.type, field.is_repeated) for field in each.DESCRIPTOR.fields]
            for each in (message, theirs)
        ]
        assert told[0] == told[1], name


def test_a_client_learns_of_the_server_and_its_model(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata(as_json=True)["name"] == "pellucid"
    model = client.get_model_metadata("small", as_json=True)
    (version,) = model["versions"]
    assert {each["name"]: each["shape"] for each in model["outputs"]}["probabilities"] == ["-1", "2"]
    assert client.is_model_ready("small", version)
    assert not client.is_model_ready("small", "1")
    assert not client.is_model_ready("other")
    with pytest.raises(InferenceServerException, match="no model 'other'") as caught:
        client.get_model_metadata("other")
    assert caught.value.status() == str(Code.NOT_FOUND)


def test_files_and_images_give_what_predict_gives(
    client: InferenceServerClient, classifier: Classifier, png: Png
) -> None:
    contents = [png(number) for number in range(3)]
    truth, images = rows(classifier, contents), np.stack([decode(each) for each in contents])
    result = client.infer("small", [files(contents)], request_id="seven")
    assert result.get_response().id == "seven"
    assert result.get_response().model_name == "small"
    assert np.allclose(result.as_numpy("probabilities"), truth, rtol=0, atol=1e-6)
    assert [each.decode() for each in result.as_numpy("label")] == [each.label for each in classifier.predict(contents)]
    for datatype, pixels in {"UINT8": images, "FP32": images.astype(np.float32) / 255}.items():
        tensor = InferInput("anything", list(pixels.shape), datatype)
        tensor.set_data_from_numpy(pixels)
        result = client.infer("small", [tensor], outputs=[InferRequestedOutput("probabilities")])
        assert np.allclose(result.as_numpy("probabilities"), truth, rtol=0, atol=1e-6)
        assert [each.name for each in result.get_response().outputs] == ["probabilities"]


def test_the_classification_extension_names_the_best_class(
    client: InferenceServerClient, classifier: Classifier, png: Png
) -> None:
    wanted = InferRequestedOutput("probabilities", class_count=1)
    (answer,) = client.infer("small", [files([png(0)])], outputs=[wanted]).as_numpy("probabilities")[0]
    assert answer.decode().split(":")[2] == classifier.predict(png(0)).label


def infer(raw: list[bytes] | None = None, **tensor: Any) -> Any:
    contents = tensor.pop("contents", {})
    described = {"name": "pictures", "datatype": "BYTES", "shape": [1], **tensor, "contents": contents}
    return MESSAGES["ModelInferRequest"](model_name="small", inputs=[described], raw_input_contents=raw or [])


def test_typed_contents_are_answered_in_typed_contents(served: Running, classifier: Classifier, png: Png) -> None:
    image, truth = decode(png(0)), rows(classifier, [png(0)])
    pixels, shape = image.reshape(-1), [1, *image.shape]
    for message in (
        infer(contents={"bytes_contents": [png(0)]}),
        infer(datatype="UINT8", shape=shape, contents={"uint_contents": pixels.tolist()}),
        infer(datatype="FP32", shape=shape, contents={"fp32_contents": (pixels / 255).tolist()}),
    ):
        answer = call(served, "ModelInfer", message)
        assert not answer.raw_output_contents
        contents = {each.name: each.contents for each in answer.outputs}
        assert np.allclose(contents["probabilities"].fp32_contents, truth, rtol=0, atol=1e-6)
        assert [each.decode() for each in contents["label"].bytes_contents] == [classifier.predict(png(0)).label]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (MESSAGES["ModelInferRequest"](), "no inputs"),
        (infer(), "has 0 elements"),
        (infer([b"", b""]), "1 inputs and 2 raw_input_contents"),
        (infer([b"\xff\xff\xff\xff!"]), "more bytes than there are"),
        (infer(datatype="FP64"), "'FP64'"),
        (infer(shape=[-1]), "list of sizes"),
        (infer(shape=[1] * 70), "70 axes"),
        (infer(datatype="UINT8", shape=[1, 1, 1, 3], contents={"uint_contents": [0, 0, 256]}), "255"),
        (infer(datatype="FP32", shape=[1, 1, 1, 3], contents={"fp32_contents": [0, 0, 255]}), "from 0 (black)"),
        (infer(contents={"bytes_contents": [b"no picture"]}), "cannot be used: not a picture"),
        (infer(shape=[9], contents={"bytes_contents": [b"x"] * 9}), "of at most 8"),
        (b"\xff\xff", "no ModelInferRequest"),
        (b"\x0a\x01\xff", "no ModelInferRequest"),
        (b"\xff" * 100, "no ModelInferRequest"),
        (b"\x2a\x00" * 1001, "more than 1,000 fields"),
    ],
)
def test_a_wrong_request_is_told_in_one_sentence(served: Running, message: Any, says: str) -> None:
    error = refusal(served, "ModelInfer", message)
    assert error.code() == Code.INVALID_ARGUMENT
    assert says in error.details()


def test_very_many_typed_values_are_refused_before_they_are_read(
    served: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "VALUES", 11)
    for datatype, contents in (("UINT8", "uint_contents"), ("FP32", "fp32_contents")):
        error = refusal(
            served, "ModelInfer", infer(datatype=datatype, shape=[1, 2, 2, 3], contents={contents: [0] * 12})
        )
        assert error.code() == Code.INVALID_ARGUMENT
        assert "12 values. More than 11 go into raw_input_contents" in error.details()


def test_a_message_over_the_limit_and_an_unknown_method_are_refused(served: Running) -> None:
    error = refusal(served, "ModelInfer", infer([bytes(SMALL.body + 65_537)]))
    assert error.code() == Code.RESOURCE_EXHAUSTED
    with grpc.insecure_channel(str(served.rpc)) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelStatistics")(b"")
    assert caught.value.code() == Code.UNIMPLEMENTED


def test_a_port_that_another_program_has_is_named() -> None:
    with listening("127.0.0.1", 0) as other:
        place = place_of(other)
        handler = SimpleNamespace(limits=SMALL)

        def start() -> None:
            asyncio.run(Rpc(cast(Any, handler), Access(), place).start())

        with (  # on a thread of its own, because the browser's loop may run on this one
            ThreadPoolExecutor(1) as thread,
            pytest.raises(StorageError, match=f"cannot listen at {place}. Choose another --grpc-port"),
        ):
            thread.submit(start).result()
        with pytest.raises(StorageError, match="Choose another --grpc-port"):
            reserved("127.0.0.1", other.getsockname()[1], "--grpc-port")


def test_the_token_is_needed_but_for_health(trained: Path) -> None:
    with running({"small": trained}, token="a long random text", rpc=True) as served:
        empty = MESSAGES["ServerMetadataRequest"]()
        for token in (None, "Bearer wrong", "Basic a long random text"):
            error = refusal(served, "ServerMetadata", empty, token=token)
            assert error.code() == Code.UNAUTHENTICATED
        assert call(served, "ServerMetadata", empty, token="Bearer a long random text").name == "pellucid"
        assert call(served, "ServerReady", empty).ready


def test_a_full_queue_a_deadline_and_a_fault_have_their_codes(trained: Path, png: Png) -> None:
    """The network waits while one request fills the queue; then it fails."""
    go, message = threading.Event(), infer(contents={"bytes_contents": [png(0)]})

    def around(logits: Logits) -> Logits:
        def waiting(images: Any) -> Any:
            assert go.wait(PATIENCE)
            raise ValueError("secret")

        return waiting

    with running({"small": trained}, Limits(pictures=1, queue=1), around=around, rpc=True) as served:
        handler = served.server.application.handler
        error = refusal(served, "ModelInfer", message, seconds=0.5)
        assert error.code() == Code.DEADLINE_EXCEEDED
        wait_until(lambda: handler.gate.pictures == 0)
        first = threading.Thread(target=refusal, args=(served, "ModelInfer", message))
        first.start()
        wait_until(lambda: handler.gate.pictures == 1)
        error = refusal(served, "ModelInfer", message)
        assert error.code() == Code.RESOURCE_EXHAUSTED
        assert dict(error.trailing_metadata())["retry-after"] == "1"
        go.set()
        first.join()
        error = refusal(served, "ModelInfer", message)
        assert error.code() == Code.INTERNAL
        assert "ValueError" in error.details()
        assert "secret" not in error.details()
    assert handler.gate.bytes == 0
    counted = values(handler.metrics.text()[0])
    assert counted["pellucid_requests_total{code=429,dialect=open_inference_grpc}"] == 1
    assert counted["pellucid_requests_total{code=500,dialect=open_inference_grpc}"] == 2


def test_a_port_that_is_taken_names_its_flag(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pellucid.app.cli import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(trained), "--port", "0", "--grpc-port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pellucid: Port {port} of 127.0.0.1 cannot be used: ")
    assert line.endswith(". Choose another --grpc-port, or 0 for any.")
