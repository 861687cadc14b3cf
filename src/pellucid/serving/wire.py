"""Answers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON types without NaN and infinity; names in UTF-8."""
    return Response(encoded(content), status, dict(headers or {}), "application/json")


def encoded(content: Any) -> bytes:
    """The same as bytes; a byte of a name that is no UTF-8 stays JSON's own \\udc80."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def fault(error: Exception) -> Response:
    """500: a fault of ours. The caller gets a sentence; the trace is in the log alone."""
    return refused(fault_sentence(error), 500)


def fault_sentence(error: Exception) -> str:
    """What the caller reads of a fault of ours."""
    return f"Pellucid has a fault here ({type(error).__name__}). Please report it, with its line in the server's log."


def refused(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """One clear sentence, in the form that all dialects use."""
    return as_json({"error": sentence}, status, headers)
