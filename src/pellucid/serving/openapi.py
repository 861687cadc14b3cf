"""What OpenAPI says of the bodies that the dialects read themselves."""

from __future__ import annotations

from typing import Any

from pellucid.serving.explain import MAPS

_FILE = {"type": "string", "format": "binary"}
_BASE64 = {"type": "string", "format": "byte"}
_NAMED = {"type": "object", "properties": {"name": {"type": "string"}, "picture": _BASE64}, "required": ["picture"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"schema": {"type": "object", "properties": properties}}


def _query(name: str, words: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": kind, **more}}


def _body(**kinds: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": kinds}}


_MODEL = _query("model", "Its name. Default: the first model.")
_TOP = _query("top_k", "Classes to name, the most probable first. Default: all.", "integer", minimum=1)
_MANY = {"type": "array", "items": {"oneOf": [_BASE64, _NAMED]}}
_TEXTS = {"type": "array", "items": {"type": "string"}}

_PICTURES = {
    "image/*": {"schema": _FILE},
    "multipart/form-data": _object(pictures={"type": "array", "items": _FILE}),
    "application/json": _object(picture=_BASE64, pictures=_MANY, top_k={"type": "integer"}, model={"type": "string"}),
}

PREDICT = {**_body(**_PICTURES), "parameters": [_MODEL, _TOP]}

EXPLAIN = {
    **_body(
        **{
            "image/*": {"schema": _FILE},
            "multipart/form-data": _object(picture=_FILE),
            "application/json": _object(picture=_BASE64, unit=_TEXTS, backward={"type": "boolean"}, update=_TEXTS),
        }
    ),
    "parameters": [
        _MODEL,
        _query(
            "unit",
            "A number to work out, such as conv1[3, 10, 12]. May be repeated.",
            "array",
            items={"type": "string"},
        ),
        _query("backward", "The gradient of each unit, too.", "boolean"),
        _query(
            "update",
            "The optimizer's step for a weight, such as conv1.weight[3, 0, 2, 2].",
            "array",
            items={"type": "string"},
        ),
        _query("label", "The class that the loss is measured against. Default: the predicted one."),
        _query("map", "Where the network looked. Default: grad_cam.", enum=list(MAPS)),
        _query("layer", "With grad_cam: the layer. Default: chosen automatically."),
    ],
}

HUGGING_FACE = _body(
    **{
        "image/*": {"schema": _FILE},
        "application/json": _object(
            inputs=_BASE64,
            parameters={
                "type": "object",
                "properties": {
                    "top_k": {"type": "integer"},
                    "function_to_apply": {"enum": ["softmax", "sigmoid", "none"]},
                },
            },
        ),
    }
)

_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"enum": ["BYTES", "UINT8", "FP32"]},
        "parameters": {"type": "object"},
        "data": {"type": "array", "items": {}},
    },
}

INFER = _body(
    **{
        "application/json": _object(
            id={"type": "string"},
            inputs={"type": "array", "items": _TENSOR},
            outputs={"type": "array", "items": {"type": "object"}},
            parameters={"type": "object"},
        )
    }
)
