"""The page at /docs: what the server answers, from its OpenAPI description. No script, and nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff;overflow-wrap:anywhere}"
    "h2{margin-top:2.5rem}h3{margin:1.5rem 0 .2rem;font:600 1rem ui-monospace,monospace}p,ul{margin:.2rem 0}"
    "code{font:.9em ui-monospace,monospace}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}}"
)


def page(described: Mapping[str, Any]) -> str:
    """HTML. `described`: an OpenAPI document."""
    groups: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or [""])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation))
    info = described["info"]
    parts = "".join(f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))} "
        'For programs, the same as <a href="openapi.json">OpenAPI</a>.</p>'
        f"{parts}</main></body></html>"
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    words = [operation.get("summary", ""), operation.get("description", "")]
    lines = [f"<p>{_marked(text)}</p>" for text in words if text]
    if bodies := operation.get("requestBody", {}).get("content", {}):
        lines.append(f"<p>Body: {', '.join(f'<code>{escape(kind)}</code>' for kind in bodies)}</p>")
    parameters = [_parameter(each) for each in operation.get("parameters", ())]
    if parameters:
        lines.append(f"<ul>{''.join(parameters)}</ul>")
    return f"<section><h3>{method.upper()} {escape(path)}</h3>{''.join(lines)}</section>"


def _marked(text: str) -> str:
    """HTML of a text with `code`."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _parameter(parameter: Mapping[str, Any]) -> str:
    words = escape(parameter.get("description", f"in the {parameter['in']}"))
    return f"<li><code>{escape(parameter['name'])}</code> {words}</li>"
