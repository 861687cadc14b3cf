"""A trace as one HTML file that works from anywhere: style, modules, document and arrays inside, nothing fetched.

Modules import each other by relative names, which mean nothing inside a file. They are renamed (`./recipe.js` becomes
`pellucid/recipe.js`), and an import map leads each name to a data: URL. The Content-Security-Policy lets only scripts
and styles with the page's nonce run, and modules that they import (HTML standard, "descendant script fetch options").
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import posixpath
import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox import rebuild
from pellucid.glassbox.document import Document

if TYPE_CHECKING:
    from pellucid.glassbox.trace import Trace

WEB = Path(__file__).parent.parent / "web"
"""index.html, style.css and the modules, as the served page has them."""
LARGEST = 150_000_000
"""Bytes of a file that a browser still opens without trouble; `pellucid open` shows larger models."""
LARGEST_FRAME = 30_000_000
"""Bytes in a notebook, which keeps every output."""
LEVEL = 6
"""Of gzip: a page is 0.4% smaller at 9 and takes four times as long."""
SAMPLE = 1 << 16
"""Numbers of an array by which it is told how far it compresses."""
_IMPORT = re.compile(r"""(\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.\.?/[\w./-]+\.js)\2""")
_STYLE = re.compile(r"""<link\b[^>]*\bhref=["']\./([\w-]+\.css)["'][^>]*>""")
_SCRIPT = re.compile(r"""<script\b[^>]*\bsrc=["']\./main\.js["'][^>]*>\s*</script>""")


def offline(trace: Trace, name: str = "", *, web: Path | None = None, largest: int | None = None) -> str:
    """The page of a trace, ASCII. `name`: what the model is called. `web`: another folder to make the page from.

    Raises TraceError where the file would be larger than `largest` bytes.
    """
    document = Document(trace, name)
    content, packed = pack(document, LARGEST if largest is None else largest)
    return _assembled(content, packed, web or WEB)


def framed(trace: Trace) -> str:
    """The page in a frame of its own, as notebooks show it; where it is too large, what to do instead."""
    try:
        page = offline(trace, largest=LARGEST_FRAME)
    except TraceError as error:
        return f"<p>{html.escape(str(error))}</p>"
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts" title="The network, opened" '
        'style="width: 100%; height: 720px; border: 0"></iframe>'
    )


def pack(document: Document, largest: int = LARGEST) -> tuple[dict[str, Any], dict[str, str]]:
    """(the document of an offline page, its arrays by name as base64 of gzip of their bytes, shuffled).

    An array whose numbers follow from others, but for rounding, is stored as the difference (see rebuild.py); its entry
    says so by "rebuilt". "bytes" is the length of the arrays' text in the page: a page with fewer was cut off.
    Raises TraceError where that is more than `largest`.
    """
    entries: dict[str, dict[str, Any]] = {**document.content["arrays"]}
    packed: dict[str, str] = {}
    if _weights_alone(document) > largest:
        raise TraceError(_too_large(document, largest))
    total = 0
    for name, array in document.arrays.items():
        if name in document.same:
            continue
        kind, stored = _stored(document.trace, name, array)
        if kind is not None:
            entries[name] = {**entries[name], "rebuilt": kind}
        packed[name] = b64encode(stored).decode("ascii")
        total += len(packed[name])
        if total > largest:
            raise TraceError(_too_large(document, largest))
    content = {**document.content, "arrays": entries, "bytes": len(_json(packed))}
    return content, packed


def _weights_alone(document: Document) -> int:
    """About how many bytes the weights, and what the optimizer knows of them, take in the page: known at once."""
    total = 0.0
    for name, array in document.arrays.items():
        kind, _, of = name.partition("/")
        weight = kind == "remembered" or (kind == "value" and of in document.trace.parameters)
        if weight and name not in document.same:
            part = array.reshape(-1)[array.size // 2 :][:SAMPLE] if array.size > SAMPLE else array
            total += len(_compressed(part)) * array.size / max(part.size, 1)
    return round(total * 4 / 3)  # base64


def _too_large(document: Document, largest: int) -> str:
    numbers = sum(array.size for name, array in document.arrays.items() if name not in document.same)
    return (
        f"One file with all {numbers:,} numbers of this network would be larger than {largest / 1e6:,.0f} MB. "
        "`pellucid open MODEL PICTURE` shows it without a file, sending what is looked at."
    )


def _stored(trace: Trace, name: str, array: NDArray[Any]) -> tuple[str | None, bytes]:
    """("value", "gradient", "update" or None; the bytes): the difference where it takes less than half."""
    if array.dtype == np.float32:
        kind, rebuilt = _rebuilt(trace, name)
        if rebuilt is not None:
            difference = _compressed(rebuild.difference(array, rebuilt.reshape(array.shape)))
            if 2 * len(difference) < array.nbytes:
                return kind, difference
    return None, _compressed(array)


def _rebuilt(trace: Trace, name: str) -> tuple[str, NDArray[np.float32] | None]:
    kind, _, of = name.partition("/")
    if kind == "value":
        node = next((node for node in trace.nodes if node.name == of), None)
        if node is None or node.op is None:
            return kind, None
        return kind, rebuild.value(node.op, {local: trace.values[source] for local, source in node.reads.items()})
    if kind == "gradient":
        return kind, rebuild.gradient(trace, of)
    if kind == "after":
        return "update", rebuild.update(trace.updates[of], trace.gradients[of])
    return kind, None


def _compressed(array: NDArray[Any]) -> bytes:
    """gzip of all first bytes of the numbers (little-endian), then all second ones, ...: exponents lie together."""
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    planes = plain.reshape(-1).view(np.uint8).reshape(-1, plain.itemsize).T
    return gzip.compress(planes.tobytes(), LEVEL, mtime=0)


def _assembled(content: Mapping[str, Any], packed: Mapping[str, str], web: Path) -> str:
    document, arrays = _json(content), _json(packed)
    modules = {path.relative_to(web).as_posix(): path.read_text(encoding="utf-8") for path in web.rglob("*.js")}
    nonce = b64encode(hashlib.sha256((document + arrays).encode()).digest()[:18]).decode()
    imports = {f"pellucid/{name}": _data_url(_renamed(code, name)) for name, code in sorted(modules.items())}

    def style(link: re.Match[str]) -> str:
        return f'<style nonce="{nonce}">\n{_escaped((web / link[1]).read_text(encoding="utf-8"))}\n</style>'

    script = (
        f'<script type="importmap" nonce="{nonce}">{_json({"imports": imports})}</script>\n'
        f'<script type="module" nonce="{nonce}">import "pellucid/main.js";</script>'
    )
    # behind the modules, which run when all has been read, so that they can tell a file that was cut off
    data = (
        f'<script type="application/json" id="document">{document}</script>\n'
        f'<script type="application/octet-stream" id="arrays">{arrays}</script>\n'
    )
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    page = (web / "index.html").read_text(encoding="utf-8")
    page = _STYLE.sub(style, page)
    page = _once(_SCRIPT, script, page, "./main.js")
    page = _once(re.compile(r"</body>"), f"{data}</body>", page, "</body>")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    page = _once(re.compile(r"<head\b[^>]*>"), f"<head>\n{meta}", page, "<head>")
    # whatever a mail program or a server says the file's encoding is, ASCII is read alike
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _once(pattern: re.Pattern[str], replacement: str, page: str, what: str) -> str:
    page, count = pattern.subn(lambda _: replacement, page)
    assert count == 1, f"index.html names {what} {count} times"
    return page


def _renamed(module: str, name: str) -> str:
    """A module's code with what it imports under the names of the import map."""

    def absolute(found: re.Match[str]) -> str:
        keyword, quote, target = found.groups()
        return (
            f"{keyword}{quote}{posixpath.normpath(posixpath.join('pellucid', posixpath.dirname(name), target))}{quote}"
        )

    return _IMPORT.sub(absolute, module)


def _escaped(style: str) -> str:
    """ASCII: a style has escapes of its own, and no character references."""
    return re.sub(r"[^\x00-\x7f]", lambda found: f"\\{ord(found[0]):x} ", style)


def _data_url(module: str) -> str:
    return f"data:text/javascript;charset=utf-8;base64,{b64encode(module.encode()).decode('ascii')}"


def _json(content: Any) -> str:
    """ASCII that ends no script element: < appears only as an escape."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
