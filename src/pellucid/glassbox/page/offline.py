"""Traces as one HTML file that works from anywhere: style, modules, documents and arrays inside, nothing fetched.

Modules import each other by relative names, which do not work inside a file. They are renamed (`./trace.js` becomes
`pellucid/trace.js`), and an import map maps each name to a data: URL. The Content-Security-Policy allows only scripts
and styles with the page's nonce, and modules that they import (HTML standard, "descendant script fetch options").

The first of several pictures is stored like a single one. Each further one has its own element, which is read on
demand: its compressed document, and those of its arrays that differ from the first picture's.
"""

from __future__ import annotations

import gzip
import html
import zlib
from base64 import b64encode
from collections.abc import Container, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.page import rebuild
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.page.one_file import WEB, as_json, assembled
from pellucid.glassbox.trace.naming import PICTURE
from pellucid.steps import result_of

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Trace

LARGEST = 150_000_000
"""Bytes of a file that a browser still opens easily; `pellucid open` shows larger models."""
LARGEST_FRAME = 30_000_000
"""Bytes in a notebook, which stores every output."""
LEVEL = 6
"""For gzip: at 9, a page is 0.4% smaller and takes four times as long."""
THREADS = 2
"""For packing arrays: compression and NumPy's loops release Python's lock."""
SAMPLE = 1 << 16
"""Numbers of an array in the sample that predicts how, and how far, it compresses."""
BESIDE = "other"
"""What a file calls its second model in an address."""
THUMBNAIL = 64
"""Pixels of the longer side."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One picture through two models. `name`: of the second one.

    `comparison`: of the two runs, JSON types, as debugging/parting.py describes it.
    """

    trace: Trace
    other: Trace
    name: str
    comparison: Mapping[str, Any]


def offline(
    traces: Trace | Iterable[Trace], name: str = "", *, web: Path | None = None, largest: int | None = None
) -> str:
    """The page of a trace, or of several, as one HTML file in ASCII.

    `name`: the model's name. `web`: another source folder of the page.

    Several traces are of one model on several pictures, and the page switches between them. They are read one by one
    and not kept: an iterator that makes them needs little memory. Equal parts are stored once. Raises TraceError if the
    file would be larger than `largest` bytes, or if there is no trace.
    """
    return result_of(paging(traces, name, web=web, largest=largest))


def paging(
    traces: Trace | Iterable[Trace | Pair],
    name: str = "",
    *,
    web: Path | None = None,
    largest: int | None = None,
    extra: Mapping[str, Any] | None = None,
    elements: Mapping[str, str] | None = None,
) -> Generator[tuple[int, int], None, str]:
    """As `offline`. Yields how many bytes of a picture's numbers are packed, and of how many.

    `extra`: more of the document, JSON types. "opens": the view that a file opens with, if its address names no place.
    "beside": another page in the same folder, {"title", "href"}, to which this one links.

    `elements`: more elements, JSON by id; see `element`.

    A Pair has the run of a second model beside its own, and the page compares the two.
    """
    several = traces if isinstance(traces, Iterable) else [traces]
    inside = yield from _elements(several, name, LARGEST if largest is None else largest, extra or {})
    return assembled({**inside, **(elements or {})}, web or WEB)


def framed(trace: Trace) -> str:
    """The page in an iframe, for notebooks; if it is too large, what to do instead."""
    try:
        page = offline(trace, largest=LARGEST_FRAME)
    except TraceError as error:
        return f"<p>{html.escape(str(error))}</p>"
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts" title="The network, opened" '
        'style="width: 100%; height: 720px; border: 0"></iframe>'
    )


def _elements(
    traces: Iterable[Trace | Pair], name: str, largest: int, extra: Mapping[str, Any]
) -> Generator[tuple[int, int], None, dict[str, str]]:
    """The page's data by the id of its element: "document" and "arrays" of the first, "picture-1", "picture-2", ...

    With several, the first document's "pictures" describes each before it is opened. "beside-0", "beside-1", ... are
    the same pictures in the second model, if there is one.
    """
    first: dict[str, Any] = {}
    known: Mapping[str, str] = {}
    other_known: Mapping[str, str] = {}
    elements: dict[str, str] = {}
    pictures: list[dict[str, Any]] = []
    left = largest
    for number, each in enumerate(traces):
        pair = each if isinstance(each, Pair) else None
        trace = pair.trace if pair is not None else each
        assert not isinstance(trace, Pair)
        document = Document(trace, name)
        try:
            content, packed = yield from _packing(document, left, known)
            if pair is not None:
                second = Document(pair.other, pair.name)
                # the first pair shares the first model's arrays, each later one those of the first pair
                room = left - len(as_json(packed))
                other = yield from _packing(second, room, other_known or known or document.digests)
                elements[f"beside-{number}"] = _element({**other[0], "comparison": pair.comparison}, other[1])
                other_known = other_known or second.digests
        except TraceError as error:
            if number:
                raise TraceError(_too_many(number, largest)) from error
            raise
        content |= extra
        if pair is not None:
            offers = [*content.get("offers", []), "compare"]
            content |= {"offers": offers, "compared": [{"id": BESIDE, "title": pair.name}]}
        if number:
            elements[f"picture-{number}"] = _element(content, packed)
        else:
            first, known = content, document.digests
            elements["arrays"] = as_json(packed)
        pictures.append(_picture_summary(trace, content))
        left = largest - sum(map(len, elements.values()))
    if not first:
        raise TraceError("A page needs the trace of at least one picture.")
    if len(pictures) > 1:
        first["pictures"] = pictures
    return {"document": as_json(first), **elements}


def element(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """An element that is read on demand: a document with "arrays" added, which describes them, and the arrays.

    `arrays`: float32, float64 or uint32 by name.
    """
    entries = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in arrays.items()}
    packed = {name: b64encode(_compressed(array)).decode("ascii") for name, array in arrays.items()}
    return _element({**content, "arrays": entries}, packed)


def _element(content: Mapping[str, Any], packed: Mapping[str, str]) -> str:
    """A run that is read on demand: its document as base64 of gzip, and its arrays."""
    text = b64encode(gzip.compress(as_json(content).encode(), LEVEL, mtime=0)).decode("ascii")
    return as_json({"document": text, "arrays": packed})


def pack(
    document: Document, largest: int = LARGEST, known: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """(the document of an offline page, its arrays by name as base64 of gzip of their bytes, shuffled).

    An array that follows from others up to rounding is stored as the difference (see rebuild.py); its entry has
    "rebuilt". An array that equals the first picture's of the same name, by the digests `known`, is not stored; its
    entry has "shared". "bytes" is the length of the arrays' text: a page with fewer was truncated. Raises TraceError if
    that is more than `largest`.
    """
    return result_of(_packing(document, largest, known))


def _packing(
    document: Document, largest: int, known: Mapping[str, str] | None
) -> Generator[tuple[int, int], None, tuple[dict[str, Any], dict[str, str]]]:
    """As `pack`. Yields how many bytes of numbers are packed, and of how many."""
    entries: dict[str, dict[str, Any]] = {**document.content["arrays"]}
    packed: dict[str, str] = {}
    shared = {name for name, digest in document.digests.items() if (known or {}).get(name) == digest}
    if _weights_alone(document, shared) > largest:
        raise TraceError(_too_large(document, largest))
    entries |= {name: {**entries[name], "shared": True} for name in shared}
    names = [name for name in document.arrays if name not in shared and name not in document.same]
    total, done, every = 0, 0, sum(document.arrays[name].nbytes for name in names)
    with ThreadPoolExecutor(THREADS) as threads:
        stored = threads.map(lambda name: _stored(document.trace, name, document.arrays[name]), names)
        for name, (kind, text) in zip(names, stored, strict=True):
            if kind is not None:
                entries[name] = {**entries[name], "rebuilt": kind}
            packed[name] = text
            done += document.arrays[name].nbytes
            yield done, every
            total += len(text)
            if total > largest:
                threads.shutdown(wait=False, cancel_futures=True)
                raise TraceError(_too_large(document, largest))
    content = {**document.content, "arrays": entries, "bytes": len(as_json(packed))}
    return content, packed


def _picture_summary(trace: Trace, content: Mapping[str, Any]) -> dict[str, Any]:
    """The page's description of a picture before its numbers are read."""
    known = {key: content[key] for key in ("picture", "against", "predicted", "called", "truth")}
    return {**known, "probability": content["probabilities"][content["predicted"]], "thumbnail": _thumbnail(trace)}


def _thumbnail(trace: Trace) -> str | None:
    """A small data: URL of the picture; None if the network's input was not a picture."""
    from PIL import Image

    values = trace.values.get(trace.roles[PICTURE])
    if values is None or values.ndim != 4 or values.shape[1] not in (1, 3):
        return None
    image = Image.fromarray(np.broadcast_to(values[0].transpose(1, 2, 0), (*values.shape[2:], 3)).astype(np.uint8))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def _weights_alone(document: Document, shared: Container[str]) -> int:
    """Approximate bytes of the weights, and of the optimizer's state of them, in the page: known at once."""
    total = 0.0
    for name, array in document.arrays.items():
        kind, _, of = name.partition("/")
        weight = kind == "remembered" or (kind == "value" and of in document.trace.parameters)
        if weight and name not in document.same and name not in shared:
            part = array.reshape(-1)[array.size // 2 :][:SAMPLE] if array.size > SAMPLE else array
            total += len(_compressed(part)) * array.size / max(part.size, 1)
    return round(total * 4 / 3)  # base64


def _too_large(document: Document, largest: int) -> str:
    numbers = sum(array.size for name, array in document.arrays.items() if name not in document.same)
    return (
        f"One file with all {numbers:,} numbers of this network would be larger than {largest / 1e6:,.0f} MB. "
        f"{_instead(document.trace)} shows it without a file and sends only what you look at."
    )


def _instead(trace: Trace) -> str:
    """The command or call that opens the page of a trace without a file."""
    return "`trace.open()`" if trace.network is None else "`pellucid open MODEL PICTURE`"


def _too_many(number: int, largest: int) -> str:
    first = "the first" if number == 1 else f"the first {number}"
    return (
        f"One file with all these pictures would be larger than {largest / 1e6:,.0f} MB; {first} would not. "
        "Name fewer, or see `pellucid open MODEL PICTURE`."
    )


def _stored(trace: Trace, name: str, array: NDArray[Any]) -> tuple[str | None, str]:
    """("value", "gradient", "update" or None; base64 of the bytes): the difference if it takes less than half."""
    if array.dtype == np.float32:
        kind, rebuilt = _rebuilt(trace, name)
        if rebuilt is not None:
            difference = _compressed(rebuild.difference(array, rebuilt.reshape(array.shape)))
            if 2 * len(difference) < array.nbytes:
                return kind, b64encode(difference).decode("ascii")
    return None, b64encode(_compressed(array)).decode("ascii")


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
        step = trace.updates[of]
        return "update", rebuild.update(step, step.gradient if step.gradient is not None else trace.gradients[of])
    return kind, None


def _compressed(array: NDArray[Any]) -> bytes:
    """gzip of all first bytes of the numbers (little-endian), then all second ones, ...: exponents lie together.

    Noise has runs but no repeated words. A search for words finds some by chance, which cost more than they save and
    take most of gzip's time. A sample shows which arrays do have words.
    """
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    bytes_of = plain.reshape(-1).view(np.uint8).reshape(-1, plain.itemsize)
    sample = bytes_of[:SAMPLE].T.tobytes()
    best = min((zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY), key=lambda strategy: len(_gzip(sample, strategy)))
    return _gzip(sample if len(bytes_of) <= SAMPLE else bytes_of.T.tobytes(), best)


def _gzip(data: bytes, strategy: int) -> bytes:
    packing = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return packing.compress(data) + packing.flush()
