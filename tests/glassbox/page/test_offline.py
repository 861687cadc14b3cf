"""The offline page: one file that gives every number back, fetches nothing, and lets nothing break out."""

import base64
import gzip
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.errors import TraceError
from pellucid.glassbox.page import offline as pages
from pellucid.glassbox.page import rebuild
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.page.one_file import CUT
from pellucid.glassbox.trace import recording
from pellucid.glassbox.trace.trace import Trace
from pellucid.network import text

NETWORK = text.parse("conv(4, 3) relu maxpool(2) flatten dense")
INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Größe</title>
<link rel="stylesheet" href="./style.css">
<script type="module" src="./main.js"></script>
</head>
<body><p>reading</p></body>
</html>
"""
MAIN = """import { a } from "./a.js";
import * as b from './parts/b.js';
export { c } from "./a.js";
/** @type {import("./a.js").A} */
const late = import("./a.js");
const text = "from nowhere ./x.js – →";
"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    torch.manual_seed(0)
    module = NETWORK.module((3, 32, 30), 2).eval()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01)
    module(torch.randn(1, 3, 32, 30)).sum().backward()
    optimizer.step()
    return replace(recording.explain(module, torch.randn(3, 32, 30), optimizer=optimizer), network=NETWORK)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "index.html").write_text(INDEX, encoding="utf-8")
    (tmp_path / "style.css").write_text('p::before { content: "→" }', encoding="utf-8")
    (tmp_path / "main.js").write_text(MAIN, encoding="utf-8")
    (tmp_path / "a.js").write_text("export const a = 1, c = 2;", encoding="utf-8")
    (tmp_path / "parts" / "b.js").write_text('import { a } from "../a.js";', encoding="utf-8")
    return tmp_path


class Parsed(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(page)
        self.close()

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", {}, ""))  # what follows is not the element's

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        tag, attributes, text = self.elements[-1] if self.elements else ("", {}, "")
        self.elements[-1:] = [(tag, attributes, text + data)]

    def one(self, tag: str, **wanted: str) -> tuple[dict[str, str | None], str]:
        results = [(a, t) for name, a, t in self.elements if name == tag and wanted.items() <= a.items()]
        assert len(results) == 1, (tag, wanted, len(results))
        return results[0]


def opened(packed: dict[str, str], name: str, entry: dict[str, Any]) -> np.ndarray:
    """The page's decoding: base64, gzip, shuffled bytes."""
    plain = np.frombuffer(gzip.decompress(base64.b64decode(packed[name])), np.uint8)
    dtype = np.dtype("<u4" if "rebuilt" in entry else {"float32": "<f4", "float64": "<f8"}[entry["dtype"]])
    planes = plain.reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(entry["shape"])


def test_every_number_comes_back_out_of_the_file(trace: Trace, web: Path) -> None:
    parsed = Parsed(pages.offline(trace, "cats", web=web))
    content = json.loads(parsed.one("script", id="document")[1])
    text = parsed.one("script", id="arrays")[1]
    packed = json.loads(text)
    assert content["bytes"] == len(text)
    assert content["model"]["name"] == "cats"
    whole = Document(trace)
    rebuilt_kinds = set()
    for name, array in whole.arrays.items():
        entry = content["arrays"][name]
        source = entry.get("same_as", name)
        entries = content["arrays"][source]
        result = opened(packed, source, {**entries, "shape": entry["shape"]})
        if "rebuilt" in entries:
            rebuilt_kinds.add(entries["rebuilt"])
            kind, rebuilt = pages._rebuilt(trace, source)
            assert kind == entries["rebuilt"]
            assert rebuilt is not None
            result = rebuild.restored(result, rebuilt.reshape(entry["shape"]))
        assert result.tobytes() == array.tobytes(), name
    assert rebuilt_kinds == {"value", "gradient", "update"}
    assert packed.keys() == {name for name, entry in content["arrays"].items() if "same_as" not in entry}


def test_what_follows_from_other_numbers_takes_little_room(trace: Trace) -> None:
    content, packed = pages.pack(Document(trace))
    assert content["arrays"]["value/relu1"]["rebuilt"] == "value"
    assert content["arrays"]["gradient/conv1"]["rebuilt"] == "gradient"
    assert content["arrays"]["value/conv1"]["rebuilt"] == "value"
    assert content["arrays"]["gradient/conv1.weight"]["rebuilt"] == "gradient"
    assert len(packed["value/relu1"]) < len(packed["value/conv1"]) / 4


def test_the_file_of_a_mobile_network_is_little_more_than_its_weights() -> None:
    """Blocks as in EfficientNet-Lite0: 1x1 and depthwise convolutions, batch norm, ReLU6, TensorFlow's padding."""
    torch.manual_seed(0)
    blocks = (
        "conv(8, 3, stride=2, padding=same, bias=false) batchnorm relu6 "
        "3*residual(conv(48, 1, bias=false) batchnorm relu6 conv(48, 5, padding=same, groups=48, bias=false) batchnorm "
        "relu6 conv(8, 1, bias=false) batchnorm) conv(64, 1, bias=false) batchnorm relu6 globalavgpool dense"
    )
    module = text.parse(blocks).module((3, 48, 48), 3).eval()
    whole = Document(recording.explain(module, torch.rand(3, 48, 48)))
    content, packed = pages.pack(whole)
    numbers = sum(array.size for name, array in whole.arrays.items() if name not in whole.same)
    weights = sum(parameter.numel() for parameter in module.parameters())
    assert weights < numbers / 50
    assert sum(map(len, packed.values())) < 0.6 * numbers
    kinds = {name.partition("/")[2]: entry.get("rebuilt") for name, entry in content["arrays"].items()}
    assert kinds["residual1.body.conv2"] == "gradient"


def test_modules_find_each_other_inside_the_file(trace: Trace, web: Path) -> None:
    parsed = Parsed(pages.offline(trace, web=web))
    imports = json.loads(parsed.one("script", type="importmap")[1])["imports"]
    assert imports.keys() == {"pellucid/main.js", "pellucid/a.js", "pellucid/parts/b.js"}
    code = {name: base64.b64decode(url.split("base64,")[1]).decode() for name, url in imports.items()}
    assert re.findall(r'from "(.*?)"|from \'(.*?)\'|import\("(.*?)"\)', code["pellucid/main.js"]) == [
        ("pellucid/a.js", "", ""),
        ("", "pellucid/parts/b.js", ""),
        ("pellucid/a.js", "", ""),
        ("", "", "pellucid/a.js"),
        ("", "", "pellucid/a.js"),
    ]
    assert "from nowhere ./x.js – →" in code["pellucid/main.js"]
    assert code["pellucid/parts/b.js"] == 'import { a } from "pellucid/a.js";'
    assert parsed.one("script", type="module")[1] == 'import "pellucid/main.js";'


def test_only_what_the_page_brought_may_run(trace: Trace, web: Path) -> None:
    page = pages.offline(trace, web=web)
    parsed = Parsed(page)
    policy = parsed.one("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    running = [a for tag, a, _ in parsed.elements if tag == "script" and a.get("type") != "application/json"]
    assert [(a.get("type"), a.get("nonce")) for a in running] == [(t, nonce) for t in (None, "importmap", "module")]
    assert parsed.one("style")[0]["nonce"] == nonce
    assert page.index("Content-Security-Policy") < page.index("<script") < page.index("<style")
    assert not re.search(r'(src|href)=["\'](?!data:)', page)
    assert not re.search(r"https?://", page)


def test_nothing_breaks_out_of_the_file(trace: Trace, web: Path) -> None:
    nasty = "</script><script>alert(1)</script><!--"
    classes = (nasty, "Größe \udcff")
    page = pages.offline(replace(trace, classes=classes, source=f"x/{'<b>'}.jpg"), nasty, web=web)
    content = json.loads(Parsed(page).one("script", id="document")[1])
    assert content["model"]["classes"] == list(classes)
    assert content["model"]["name"] == nasty
    assert "alert(1)" not in re.sub(r"\\u003c.*?alert\(1\)", "", page)
    assert page.isascii(), "read alike under any encoding"
    assert "Größe" in html.unescape(page)
    assert r'content: "\2192 "' in page


def test_nothing_is_rebuilt_from_what_the_page_is_not_told() -> None:
    module = torch.nn.Sequential(torch.nn.Hardtanh(0.0, float("inf")), torch.nn.Flatten(), torch.nn.Linear(300, 2))
    content, _ = pages.pack(Document(recording.explain(module, torch.randn(3, 10, 10))))
    assert {node["name"]: node["op"] for node in content["nodes"]}["0"] is None
    assert "rebuilt" not in content["arrays"]["value/0"]
    assert "rebuilt" not in content["arrays"]["gradient/input"]
    assert content["arrays"]["gradient/1"]["rebuilt"] == "gradient"


def test_the_same_trace_gives_the_same_file(trace: Trace, web: Path) -> None:
    assert pages.offline(trace, web=web) == pages.offline(trace, web=web)


def test_too_large_a_file_is_refused_with_advice(trace: Trace, web: Path) -> None:
    with pytest.raises(TraceError, match=r"larger than 0 MB.*pellucid open MODEL PICTURE"):
        pages.offline(trace, web=web, largest=10_000)


def test_what_is_equal_between_pictures_is_stored_once(trace: Trace, web: Path) -> None:
    torch.manual_seed(0)
    module = NETWORK.module((3, 32, 30), 2).eval()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01)
    module(torch.randn(1, 3, 32, 30)).sum().backward()
    optimizer.step()
    images = torch.randn(2, 3, 32, 30)
    several = [replace(recording.explain(module, image, optimizer=optimizer), network=NETWORK) for image in images]
    parsed = Parsed(pages.offline(iter(several), "cats", web=web))
    first = json.loads(parsed.one("script", id="document")[1])
    stored = json.loads(parsed.one("script", id="arrays")[1])
    other = json.loads(parsed.one("script", id="picture-1")[1])
    content = json.loads(gzip.decompress(base64.b64decode(other["document"])))
    saved = {name for name in content["arrays"] if name.startswith("remembered/")}
    saved |= {f"value/{name}" for name in several[0].parameters} | {"gradient/loss"}  # which is 1
    assert {name for name, entry in content["arrays"].items() if "shared" in entry} == saved
    for name, array in Document(several[1]).arrays.items():
        entry = content["arrays"][name]
        if "shared" in entry:
            assert name not in other["arrays"]
            source, packed, entries = first["arrays"][name].get("same_as", name), stored, first["arrays"]
        else:
            source, packed, entries = entry.get("same_as", name), other["arrays"], content["arrays"]
        result = opened(packed, source, {**entries[source], "shape": entry["shape"]})
        if "rebuilt" in entries[source]:
            _, rebuilt = pages._rebuilt(several["shared" not in entry], source)
            assert rebuilt is not None
            result = rebuild.restored(result, rebuilt.reshape(entry["shape"]))
        assert result.tobytes() == array.tobytes(), name
    report = [(each["picture"], each["predicted"], each["probability"]) for each in first["pictures"]]
    assert report == [("", each.predicted, float(each.probabilities[each.predicted])) for each in several]
    assert "pictures" not in content


def test_a_thumbnail_is_the_picture_small() -> None:
    image = np.zeros((1, 1, 100, 200))
    image[..., :100] = 255
    trace = recording.explain(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)), torch.randn(3, 2, 2))
    assert pages._thumbnail(trace) is None, "made from numbers, not from a picture"
    url = pages._thumbnail(replace(trace, values={**trace.values, "picture": image}))
    assert url is not None
    small = np.array(Image.open(BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))))
    assert small.shape == (32, 64, 3)
    assert (small[:, 2].tolist(), small[:, -2].tolist()) == ([[255] * 3] * 32, [[0] * 3] * 32)


def test_too_many_pictures_are_refused_with_advice(trace: Trace, web: Path) -> None:
    alone = sum(len(text) for text in pages.pack(Document(trace))[1].values())
    more = replace(trace, values={**trace.values, "input": trace.values["input"] + 1})
    with pytest.raises(
        TraceError, match=r"these pictures would be larger than \d+ MB; the first would not. Name fewer"
    ):
        pages.offline([trace, more], web=web, largest=alone + 2000)
    with pytest.raises(TraceError, match="at least one picture"):
        pages.offline([], web=web)


def test_the_sentence_of_a_file_that_was_cut_off_is_the_same_everywhere() -> None:
    for module in ("host.js", "classify/main.js"):
        assert f'const CUT = "{CUT}";' in (pages.WEB / module).read_text(encoding="utf-8")


def test_in_a_notebook_the_page_stands_in_a_frame(trace: Trace, web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "WEB", web)
    shown = trace._repr_html_()
    attributes, _ = Parsed(shown).one("iframe")
    assert attributes["sandbox"] == "allow-scripts", "a page in a notebook may not touch the notebook"
    assert attributes["srcdoc"] == pages.offline(trace, web=web)
    monkeypatch.setattr(pages, "LARGEST_FRAME", 10_000)
    assert re.fullmatch(r"<p>.*`pellucid open MODEL PICTURE`.*</p>", trace._repr_html_())


def test_the_projects_own_page_goes_into_a_file(trace: Trace) -> None:
    parsed = Parsed(pages.offline(trace))
    imports = json.loads(parsed.one("script", type="importmap")[1])["imports"]
    every = (path.relative_to(pages.WEB) for path in pages.WEB.rglob("*.js"))
    # classify and teach are pages of their own
    modules = {f"pellucid/{path.as_posix()}" for path in every if path.parts[0] not in {"classify", "teach"}}
    assert imports.keys() == modules
    for url in imports.values():
        code = base64.b64decode(url.split("base64,")[1]).decode()
        named = re.findall(r'^(?:import|export)\b[^;]*?\bfrom\s*"([^"]+)"', code, re.MULTILINE)
        assert set(named) <= modules
