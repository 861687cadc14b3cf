"""Hugging Face's image-classification request, as huggingface_hub's InferenceClient sends it.

The body is a picture's bytes, or, with parameters, JSON: {"inputs": base64, "parameters": {...}}. The parameters are
top_k and function_to_apply.
The answer is a list of {"label", "score"}, the best first.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from pellucid.classifier.predict.prediction import Prediction
from pellucid.network import scores
from pellucid.serving import bodies, openapi
from pellucid.serving.handler import Handler, Picture
from pellucid.serving.refusal import Refusal, wrong
from pellucid.serving.served import Served
from pellucid.serving.v1 import BODY, JSON
from pellucid.serving.wire import as_json

USUAL = 5  # classes, unless top_k says otherwise; Hugging Face's own number
FUNCTIONS = ("softmax", "sigmoid", "none")


def router(handler: Handler) -> APIRouter:
    """The addresses of this dialect."""
    routes = APIRouter(tags=["Hugging Face"])

    async def classify(request: Request, name: str | None) -> Response:
        async with bodies.body(request, handler.limits, handler.gate) as content:
            if not content:
                raise wrong("There is no picture in the request.")
            picture, parameters = await bodies.aside(content, partial(_read, request, content))
            top, function = _parameters(parameters)
            with handler.models.using(name) as served:
                (prediction,) = await handler.predict(served, [Picture(BODY, picture)])
                if prediction.error is not None:
                    raise wrong(f"The picture cannot be used: {prediction.error}.")
                return as_json(answer(served, prediction, top, function))

    @routes.post("/", summary="Classify a picture with the first model", openapi_extra=openapi.HUGGING_FACE)
    async def first(request: Request) -> Response:
        """What `InferenceClient(model="http://host:port").image_classification(picture)` sends."""
        return await classify(request, None)

    @routes.post("/models/{name:path}", summary="Classify a picture", openapi_extra=openapi.HUGGING_FACE)
    async def named(request: Request, name: str) -> Response:
        """What `InferenceClient(model="http://host:port/models/NAME").image_classification(picture)` sends."""
        return await classify(request, name)

    return routes


def answer(served: Served, prediction: Prediction, top: int, function: str | None) -> list[dict[str, Any]]:
    """The best classes with their scores: calibrated probabilities unless another `function` is named."""
    assert prediction.logits is not None
    of_class = applied(np.array([prediction.logits]), served, function)[0]
    ranked = np.argsort(-of_class, kind="stable")[:top]
    return [{"label": served.predictor.classes[n], "score": float(of_class[n])} for n in ranked]


def applied(logits: NDArray[np.floating], served: Served, function: str | None) -> NDArray[np.float64]:
    """(n, classes). softmax and sigmoid take logits / temperature, so they are calibrated; "none" is the logits.

    None is what the model was trained for: softmax, or sigmoid where a picture may have several labels.
    """
    predictor = served.predictor
    if function == "none":
        return logits.astype(np.float64)
    several = predictor.thresholds is not None if function is None else function == "sigmoid"
    return scores.probabilities(logits, predictor.temperature, several)


def _read(request: Request, content: bytes) -> tuple[bytes, dict[str, Any]]:
    """The picture, and the parameters where there are some."""
    if bodies.kind(request) != JSON and not _is_request(content):
        return content, {}
    request_json = bodies.parsed(content)
    if "inputs" not in request_json:
        raise wrong('The JSON has no "inputs" with a picture as base64.')
    parameters = request_json.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise wrong(f"parameters is of type {type(parameters).__name__}; it must be an object.")
    return bodies.picture(request_json["inputs"], "inputs"), parameters


def _is_request(content: bytes) -> bool:
    """Whether a body without a type is JSON with inputs: no picture begins so."""
    if content.lstrip()[:1] != b"{":
        return False
    try:
        return "inputs" in bodies.parsed(content)
    except Refusal:
        return False


def _parameters(parameters: dict[str, Any]) -> tuple[int, str | None]:
    top = parameters.get("top_k")
    function = parameters.get("function_to_apply")
    if function is not None and function not in FUNCTIONS:
        raise wrong(f"function_to_apply is {bodies.short(function)}; it must be one of {', '.join(FUNCTIONS)}.")
    return USUAL if top is None else bodies.whole_number(top, "top_k"), function
