"""A classifier as one HTML page that classifies pictures in a browser, without any connection.

The page holds ONNX Runtime for browsers, the network with its weights, the class names, the model card, and the code
that decodes and resizes pictures (web/classify/). It also holds three made pictures with the logits that the model
gives them. On opening, the page computes these itself and shows a warning if they differ.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid import __version__
from pellucid.classifier.predict.exported import AsItIs, ExportedBackend, ExportedFile
from pellucid.classifier.predict.exported_readers import CARD, LOGITS, OUTPUTS, PROBABILITIES
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError, ExportError
from pellucid.exports import browser_runtime, pipeline
from pellucid.glassbox.page.one_file import WEB, as_json, assembled, modules
from pellucid.network import as_onnx
from pellucid.network.onnx_graph import GraphWriter, Value
from pellucid.pictures import png
from pellucid.pictures.decode import Form, Ranges
from pellucid.runtime import sessions

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

ENDING = ".html"
MARK = b"<!doctype html>\n<!-- A classifier, exported by Pellucid. -->\n"
FORMAT = 1
CAVEAT = "The page compares itself with the model when it opens in a browser."
PAGE, WORKER = "classify.html", "classify/worker.js"
POLICY = {"script-src": "blob: 'wasm-unsafe-eval'", "worker-src": "blob:"}
"""The worker's modules are blobs that the page makes; WebAssembly has to be compiled. Nothing allows a connection."""
LEVEL = 6  # for gzip; at 9 the runtime is 0.4% smaller and takes twice as long
LARGEST = 500_000_000  # characters of an element; Chromium's longest text has 2^29 - 24
_ELEMENT = r'<script type="application/json" id="{}">(.*?)</script>'


def write(model: Saved | Classifier, metadata: Mapping[str, str]) -> dict[str, bytes]:
    """See Format.write. Also raises the errors of `page`."""
    if not isinstance(model, Saved):
        raise ExportError("it holds a Python module as a program. A page takes networks in Pellucid's notation only.")
    return {ENDING: page(model, metadata[CARD])}


def page(saved: Saved, card: str) -> bytes:
    """The bytes of the page. `card`: the model card in Markdown.

    Raises ArtefactError if the runtime is neither in the cache nor can be fetched, StorageError if there is no cache,
    and ExportError for a network too large for a browser.
    """
    runtime = browser_runtime.read(browser_runtime.default_cache())
    elements = {
        "about": as_json(_about(saved, card)),
        "model": as_json(_packed(graph(saved))),
        "loader": as_json(_packed(runtime.module)),
        "program": as_json(_packed(runtime.program)),
        "worker": as_json(modules(WORKER, WEB)),
    }
    if len(elements["model"]) > LARGEST:
        size = f"{len(elements['model']) / 1e6:,.0f} MB, more than the {LARGEST / 1e6:,.0f} MB that a browser reads"
        raise ExportError(f"the packed weights take {size}. Export it as onnx, or serve it: pellucid serve.")
    text = assembled(elements, WEB, PAGE, POLICY)
    return MARK + text.encode("ascii").removeprefix(b"<!doctype html>\n")


def graph(saved: Saved) -> bytes:
    """The ONNX graph. It takes prepared images, uint8 (n, height, width, channels).

    Its outputs are logits and calibrated probabilities, each float32 (n, classes). The page resizes by itself
    (web/classify/resize.js): matrices, as in the file for other programs, would take seconds for a large photograph.
    """
    writer = GraphWriter()
    x = as_onnx.standardised(writer, saved.standardise, as_onnx.pixels(writer, "images"))
    steps = saved.network.shapes(saved.input_shape, len(saved.classes))
    rows = writer.add("Identity", [as_onnx.network(writer, steps, saved.weights, x)], LOGITS)
    writer.add("Identity", [pipeline.calibrated(writer, saved, rows)], PROBABILITIES)
    outputs = [Value(name, "float32", ("n", len(saved.classes))) for name in (LOGITS, PROBABILITIES)]
    return writer.model([Value("images", "uint8", ("n", *saved.form.shape))], outputs, {})


def opened(path: Path) -> ExportedFile:
    """A page, ready to predict: Pellucid's decoding and resizing, and ONNX Runtime on the page's graph.

    Raises ArtefactError if Pellucid did not export the page, or if it is damaged.
    """
    text = path.read_bytes().decode("ascii", "replace")
    try:
        about, model = (json.loads(_element(text, name)) for name in ("about", "model"))
        form = Form(**about["form"])
        names, ranges = tuple(about["classes"]), Ranges.from_json(about["ranges"])
        thresholds = None if about["thresholds"] is None else tuple(about["thresholds"])
        run, _ = sessions.with_metadata(gzip.decompress(b64decode(model)), OUTPUTS)
    except (ValueError, KeyError, TypeError, EOFError, OSError, ExportError, zlib.error) as error:
        raise ArtefactError(f"{path} is damaged, or not a page that Pellucid exported: {error}") from error

    def answers(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return [rows[0] for rows in run(form.apply(image)[None])]

    whole = AsItIs(form.height, form.width, form.channels, form.fit)
    backend = ExportedBackend(answers)
    predictor = Predictor(names, whole, about["temperature"], about["pixel_limit"], ranges, thresholds, backend)
    return ExportedFile(predictor, answers)


def _element(text: str, name: str) -> str:
    match = re.search(_ELEMENT.format(name), text)
    if match is None:
        raise ValueError(f"it has no element {name!r}")
    return match[1]


def _packed(content: bytes) -> str:
    return b64encode(gzip.compress(content, LEVEL, mtime=0)).decode("ascii")


def _about(saved: Saved, card: str) -> dict[str, Any]:
    form = saved.form
    return {
        "version": FORMAT,
        "made_by": f"Pellucid {__version__}",
        "classes": list(saved.classes),
        "form": asdict(form),
        "mean": list(saved.standardise.mean),
        "temperature": saved.temperature,
        "thresholds": None if saved.thresholds is None else list(saved.thresholds),
        "pixel_limit": saved.pixel_limit,
        "ranges": saved.ranges.as_json(),
        "weights": None if saved.source is None else saved.source.sha256,
        "card": card,
        "runtime": {
            "name": browser_runtime.NAME,
            "version": browser_runtime.VERSION,
            "licence": browser_runtime.LICENCE,
        },
        "checks": _checks(saved),
    }


def _checks(saved: Saved) -> list[dict[str, Any]]:
    """The made pictures as PNG in base64, with the model's logits and probabilities."""
    contents = [png.encode(image) for image in made(saved.form)]
    answers = saved.classifier().predict(contents)
    checks = []
    for content, answer in zip(contents, answers, strict=True):
        if answer.logits is None or not np.isfinite(answer.logits).all():
            raise ExportError("the network's outputs are not finite, so a page could not check itself.")
        expected = {
            LOGITS: [float(each) for each in answer.logits],
            PROBABILITIES: list((answer.probabilities or {}).values()),
        }
        checks.append({"png": b64encode(content).decode("ascii"), **expected})
    return checks


def made(form: Form) -> list[NDArray[np.uint8]]:
    """Three pictures, uint8 (H, W, 3): smooth colours, edges, and noise, in other sizes than the network's input.

    They are not the user's: whoever exports a page has not agreed to publish the pictures that a model learned from.
    """
    sizes = (
        (form.height * 2 + 3, form.width * 3 + 1),
        (form.height + 5, form.width * 2),
        (form.width + 1, form.height),
    )
    pictures = []
    for number, (height, width) in enumerate(sizes):
        y, x = np.mgrid[:height, :width] / max(height, width)
        if number == 0:
            values = np.stack([np.cos(5 * x + channel) * np.cos(4 * y - channel) for channel in range(3)], axis=-1)
        elif number == 1:
            values = np.stack(
                [np.sign(np.sin((9 + 4 * channel) * (x + (channel - 1) * y))) for channel in range(3)], -1
            )
        else:
            values = np.random.default_rng(0).uniform(-1, 1, (height, width, 3))
        pictures.append(np.rint(127.5 + 127.5 * values).astype(np.uint8))
    return pictures
