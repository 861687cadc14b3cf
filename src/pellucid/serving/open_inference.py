"""Open Inference Protocol v2, which Triton, KServe, MLServer and their clients speak.

An input is one tensor of pictures: BYTES, each element a file (in JSON as base64), or images that are decoded already,
UINT8 from 0 to 255 or FP32 from 0 to 1, (n, height, width, 3) or (n, height, width, 1), upright RGB of any size. Images
are brought to the network's size as files are. Outputs: probabilities, logits and label.
Source: "Open Inference Protocol", "Classification Extension", "Binary Tensor Data Extension", in the documentation of
KServe and of Triton Inference Server.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from pellucid import __version__
from pellucid.classifier.predict.prediction import Prediction
from pellucid.serving import bodies, explain, openapi, tensors
from pellucid.serving.handler import Handler, Picture
from pellucid.serving.refusal import wrong
from pellucid.serving.served import Served
from pellucid.serving.tensors import Tensor
from pellucid.serving.wire import as_json, encoded

HEADER = "Inference-Header-Content-Length"
INPUT = "pictures"
OUTPUTS = ("probabilities", "logits", "label")
CLASSIFIED = ("probabilities", "logits")  # outputs that have a number a class
EXTENSIONS = ["classification", "binary_tensor_data"]


def router(handler: Handler) -> APIRouter:
    """The addresses of this dialect."""
    routes = APIRouter(tags=["Open Inference Protocol v2"])
    models = handler.models

    @routes.get("/v2", summary="The server")
    async def server() -> Response:
        return as_json({"name": "pellucid", "version": __version__, "extensions": EXTENSIONS})

    @routes.get("/v2/health/live", summary="Whether the server runs")
    async def live() -> Response:
        return as_json({"live": True})

    @routes.get("/v2/health/ready", summary="Whether all models answer")
    async def ready() -> Response:
        return as_json({"ready": True})

    @routes.get("/v2/models/{name}", summary="A model: its inputs and outputs")
    @routes.get("/v2/models/{name}/versions/{version}", summary="A version of a model")
    async def model(name: str, version: str = "") -> Response:
        return as_json(metadata(models.now(name, version)))

    @routes.get("/v2/models/{name}/ready", summary="Whether a model answers")
    @routes.get("/v2/models/{name}/versions/{version}/ready", summary="Whether a version of a model answers")
    async def model_ready(name: str, version: str = "") -> Response:
        return as_json({"name": models.now(name, version).name, "ready": True})

    @routes.post("/v2/models/{name}/infer", summary="Classify pictures", openapi_extra=openapi.INFER)
    @routes.post("/v2/models/{name}/versions/{version}/infer", summary="Classify pictures", openapi_extra=openapi.INFER)
    async def infer(request: Request, name: str, version: str = "") -> Response:
        with models.using(name, version) as served:
            async with bodies.body(request, handler.limits, handler.gate) as content:
                inference, pictures = await bodies.aside(content, partial(_read, request, content))
                made = await inferred(handler, served, inference, pictures)
                return _answer(served, inference, [(tensor, _binary(inference, output)) for tensor, output in made])

    @routes.post("/v2/models/{name}/explain", summary="Follow a picture", openapi_extra=openapi.INFER)
    @routes.post(
        "/v2/models/{name}/versions/{version}/explain", summary="Follow a picture", openapi_extra=openapi.INFER
    )
    async def explain_picture(request: Request, name: str, version: str = "") -> Response:
        """The parameters of the request are the options of /v1/explain; the output is its JSON, as BYTES."""
        with models.using(name, version) as served:
            async with bodies.body(request, handler.limits, handler.gate) as content:
                inference, pictures = await bodies.aside(content, partial(_read, request, content))
                if len(pictures) != 1:
                    raise wrong(f"There are {len(pictures)} pictures in the request; explain takes one.")
                question = explain.question(_options(inference))
                (picture,) = pictures
                explanation = await handler.explainer.explain(served, picture.name, picture.content, question)
                output = Tensor("explanation", "BYTES", (1,), [encoded(explanation)])
                return _answer(served, inference, [(output, _binary(inference, {}))])

    return routes


async def inferred(
    handler: Handler, served: Served, inference: dict[str, Any], pictures: Sequence[Picture]
) -> list[tuple[Tensor, dict[str, Any]]]:
    """The outputs that a request names, in order, each with how the request names it; all where it names none.

    `inference`: the request as in JSON, of which `outputs` and their parameters count. Raises Refusal.
    """
    outputs = _outputs(inference)
    predictions = await handler.predict(served, pictures)
    for number, prediction in enumerate(predictions):
        if prediction.error is not None:
            raise wrong(f"Picture {number} cannot be used: {prediction.error}.")
    return [(_output(served, predictions, output), output) for output in outputs]


def metadata(served: Served) -> dict[str, Any]:
    """A model as the protocol describes it. -1 is any number of pictures."""
    classes = len(served.predictor.classes)
    shapes = {"probabilities": ("FP32", [-1, classes]), "logits": ("FP32", [-1, classes]), "label": ("BYTES", [-1])}
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "pellucid",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in shapes.items()],
    }


def pictures_of(inputs: Sequence[Tensor]) -> list[Picture]:
    """The pictures of a request, which has one input tensor. Raises Refusal."""
    if len(inputs) != 1:
        raise wrong(f"There are {len(inputs)} inputs; a model takes one, with all pictures.")
    return images(inputs[0])


def images(tensor: Tensor) -> list[Picture]:
    """The pictures in an input tensor. Raises Refusal."""
    names = [f"picture {number}" for number in range(tensor.shape[0] if tensor.shape else 0)]
    if isinstance(tensor.values, list):
        if any(axis != 1 for axis in tensor.shape[1:]) or not tensor.shape:
            raise wrong(f"The input {tensor.name!r} has the shape {list(tensor.shape)}; of n pictures it is [n].")
        return [
            Picture(name, each if isinstance(each, bytes) else bodies.picture(each, name))
            for name, each in zip(names, tensor.values, strict=True)
        ]
    if len(tensor.shape) != 4 or tensor.shape[3] not in (1, 3) or 0 in tensor.shape:
        raise wrong(
            f"The input {tensor.name!r} has the shape {list(tensor.shape)}; images are [n, height, width, 3] or "
            "[n, height, width, 1]."
        )
    values = tensor.values
    if tensor.datatype == "FP32":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise wrong(
                f"The input {tensor.name!r} is FP32 and must be from 0 (black) to 1 (white); its values are from "
                f"{float(values.min()):g} to {float(values.max()):g}. From 0 to 255 is UINT8."
            )
        values = np.rint(values * 255).astype(np.uint8)
    colours = np.broadcast_to(values, (*tensor.shape[:3], 3))
    return [Picture(name, _whole(image)) for name, image in zip(names, colours, strict=True)]


def _whole(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image)


def _read(request: Request, content: bytes) -> tuple[dict[str, Any], list[Picture]]:
    text, binary = tensors.split(content, request.headers.get(HEADER))
    inference = bodies.parsed(text)
    return inference, pictures_of(tensors.read(inference.get("inputs"), binary))


def _outputs(inference: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs that a request names, checked; all of them where it names none. Raises Refusal."""
    named = inference.get("outputs") or [{"name": name} for name in OUTPUTS]
    if not isinstance(named, list) or not all(isinstance(each, dict) for each in named):
        raise wrong("outputs is not a list of objects with a name.")
    for each in named:
        if each.get("name") not in OUTPUTS:
            raise wrong(f"There is no output {bodies.short(each.get('name'))}; the outputs are {', '.join(OUTPUTS)}.")
        if not isinstance(each.get("parameters") or {}, dict):
            raise wrong(f"The parameters of the output {each['name']} are not an object.")
    if len({each["name"] for each in named}) < len(named):
        raise wrong("An output is named twice. Name each output once.")
    return named


def _parameters(thing: dict[str, Any]) -> dict[str, Any]:
    parameters = thing.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise wrong("The parameters of the request are not an object.")
    return parameters


def _binary(inference: dict[str, Any], output: dict[str, Any]) -> bool:
    """Whether an output is wanted in the binary extension."""
    every = _parameters(inference).get("binary_data_output", False)
    return _parameters(output).get("binary_data", every) is True


def _options(inference: dict[str, Any]) -> dict[str, list[str]]:
    """A request's parameters as the options of an explanation. The protocol's values are text, numbers and booleans."""
    options = {}
    for name in explain.NAMES:
        value = _parameters(inference).get(name)
        if value is not None:
            options[name] = bodies.texts(value, name)
    return options


def _output(served: Served, predictions: Sequence[Prediction], output: dict[str, Any]) -> Tensor:
    name, classes = output["name"], served.predictor.classes
    best = _parameters(output).get("classification", 0)
    if best and name not in CLASSIFIED:
        raise wrong(f"The output {name} is no number a class; classification is for {' and '.join(CLASSIFIED)}.")
    if name == "label":
        return Tensor(name, "BYTES", (len(predictions),), [prediction.label or "" for prediction in predictions])
    rows = [
        prediction.logits if name == "logits" else [(prediction.probabilities or {})[each] for each in classes]
        for prediction in predictions
    ]
    values = np.array(rows, np.float32)
    if not best:
        return Tensor(name, "FP32", values.shape, values)
    count = min(bodies.whole_number(best, "classification"), len(classes))
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    texts = [f"{row[n]:f}:{n}:{classes[n]}" for row, ranked in zip(values, order, strict=True) for n in ranked]
    return Tensor(name, "BYTES", (len(predictions), count), texts)


def _answer(served: Served, inference: dict[str, Any], outputs: list[tuple[Tensor, bool]]) -> Response:
    """`outputs`: each tensor, and whether it is wanted as binary data."""
    described, parts = [], []
    for tensor, binary in outputs:
        if binary:
            stated, data = tensors.as_binary(tensor)
            described.append(stated)
            parts.append(data)
        else:
            described.append(tensors.as_json(tensor))
    answer = {"model_name": served.name, "model_version": served.version, "outputs": described}
    if isinstance(inference.get("id"), str):
        answer = {"id": inference["id"], **answer}
    if not parts:
        return as_json(answer)
    head = encoded(answer)
    return Response(b"".join([head, *parts]), 200, {HEADER: str(len(head))}, "application/octet-stream")
