"""Pellucid's own dialect: POST /v1/predict takes one picture or many, in whichever way a client finds easiest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from pellucid.classifier.predict.prediction import Prediction
from pellucid.serving import bodies, explain, forms, openapi
from pellucid.serving.handler import Handler, Picture
from pellucid.serving.refusal import wrong
from pellucid.serving.served import Served
from pellucid.serving.wire import as_json

JSON, FORM = "application/json", "multipart/form-data"
BODY = "request body"
"""What a picture is called that came without a name."""


@dataclass(frozen=True)
class Parsed:
    """The pictures of a request, and what it says beside them: each option with its values."""

    pictures: tuple[Picture, ...]
    options: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str | None:
        values = self.options.get(name)
        return values[-1] if values else None


def router(handler: Handler) -> APIRouter:
    """The addresses of this dialect."""
    routes = APIRouter(tags=["Pellucid"])

    @routes.post("/v1/predict", summary="Classify pictures", openapi_extra=openapi.PREDICT)
    async def predict(request: Request) -> Response:
        """Classify one picture or many. A picture that cannot be used has an error in its place."""
        async with bodies.body(request, handler.limits, handler.gate) as content:
            parsed = await bodies.aside(content, partial(read, request, content, handler))
            top = parsed.one("top_k")
            count = None if top is None else bodies.whole_number(top, "top_k")
            with handler.models.using(parsed.one("model")) as served:
                predictions = await handler.predict(served, parsed.pictures)
                return as_json(answer(served, predictions, count))

    @routes.post("/v1/explain", summary="Follow a picture through a model", openapi_extra=openapi.EXPLAIN)
    async def explain_picture(request: Request) -> Response:
        """The path to the prediction, a map of where the network looked, and the arithmetic of any unit or weight."""
        async with bodies.body(request, handler.limits, handler.gate) as content:
            parsed = await bodies.aside(content, partial(read, request, content, handler))
            if len(parsed.pictures) != 1:
                raise wrong(f"There are {len(parsed.pictures)} pictures in the request; explain takes one.")
            question = explain.question(parsed.options)
            picture = parsed.pictures[0]
            with handler.models.using(parsed.one("model")) as served:
                return as_json(await handler.explainer.explain(served, picture.name, picture.content, question))

    @routes.get("/v1/models", summary="The models that answer here")
    async def models() -> Response:
        return as_json({"models": [described(handler.models.now(name)) for name in handler.models.names]})

    return routes


def described(served: Served) -> dict[str, Any]:
    """A model, its version, its classes in order, and what its network takes."""
    form = served.predictor.form
    return {
        "model": served.name,
        "version": served.version,
        "classes": list(served.predictor.classes),
        "several_labels": served.predictor.thresholds is not None,
        "input": {"height": form.height, "width": form.width, "channels": form.channels},
    }


def answer(served: Served, predictions: Sequence[Prediction], top: int | None) -> dict[str, Any]:
    """The predictions, best class first. Raises Refusal (400) where no picture can be used."""
    if all(prediction.error is not None for prediction in predictions):
        reason = predictions[0].error
        if len(predictions) == 1:
            raise wrong(f"The picture cannot be used: {reason}.")
        raise wrong(f"None of the {len(predictions)} pictures can be used. The first: {reason}.")
    return {
        "model": served.name,
        "version": served.version,
        "predictions": [prediction.as_json(top) for prediction in predictions],
    }


def read(request: Request, content: bytes, handler: Handler) -> Parsed:
    """The pictures and options of a request. Options may stand in the address or in the body. Raises Refusal."""
    options: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        options.setdefault(name, []).append(value)
    kind = bodies.kind(request)
    if kind == FORM:
        form = forms.read(request.headers["content-type"], content, handler.limits)
        for name, values in form.fields.items():
            options.setdefault(name, []).extend(values)
        pictures = tuple(Picture(part.name, part.content) for part in form.files)
    elif kind == JSON:
        sent = bodies.parsed(content)
        pictures = _pictures(sent)
        for name in ("model", "top_k", *explain.NAMES):
            if sent.get(name) is not None:
                options.setdefault(name, []).extend(bodies.texts(sent[name], name))
    else:
        pictures = (Picture(BODY, content),) if content else ()
    return Parsed(pictures, options)


def _pictures(sent: Mapping[str, Any]) -> tuple[Picture, ...]:
    """Of a JSON body: {"picture": base64}, or {"pictures": [base64 or {"name": ..., "picture": base64}, ...]}."""
    several = sent.get("pictures", [])
    if not isinstance(several, list):
        raise wrong(f"pictures is of type {type(several).__name__}; it must be a list.")
    listed = [*([sent["picture"]] if "picture" in sent else []), *several]
    pictures = []
    for number, each in enumerate(listed):
        name, text = f"picture {number}", each
        if isinstance(each, dict):
            name, text = each.get("name", name), each.get("picture")
            if not isinstance(name, str):
                raise wrong(f"The name of picture {number} is {bodies.short(name)}; it must be text.")
        pictures.append(Picture(name, bodies.picture(text, name)))
    return tuple(pictures)
