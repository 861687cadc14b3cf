"""The offline page's arrays in a real browser: the trace's bits, whether stored or computed again."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from pellucid.glassbox.page import offline as pages
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.trace import recording
from pellucid.network import text

NETWORKS = {
    "the article's layers": "conv(4, 5) relu maxpool(2) flatten dense",
    "windows that overlap, borders, branches": (
        "conv(3, 3, padding=1) batchnorm relu maxpool(3, stride=2, padding=1) "
        "residual(conv(4, 3, stride=2, padding=1) leaky_relu | conv(4, 1, stride=2)) avgpool(3, stride=2, padding=1) "
        "l2pool(2) hardswish flatten dense(7) dropout dense"
    ),
}
MOBILE = {
    "1x1 and depthwise convolutions, uneven zeros, ReLU6": (
        "conv(8, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) relu6 "
        "residual(conv(12, 1, bias=false) batchnorm relu6 conv(12, 5, padding=same, groups=12, bias=false) batchnorm "
        "relu6 conv(8, 1, bias=false) batchnorm) conv(6, 3x2, stride=1x2, padding=2x1, dilation=2x1, groups=2) "
        "globalavgpool dense(5) relu dense"
    ),
}
OPTIMIZERS = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, momentum=0.5),
}
OTHERS = {
    "amsgrad": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True, maximize=True),
    "nadam": lambda parameters: torch.optim.NAdam(parameters, lr=0.01),
    "rprop": lambda parameters: torch.optim.Rprop(parameters, lr=0.01),
    "asgd": lambda parameters: torch.optim.ASGD(parameters, lr=0.01, t0=1),
}
CASES = [*product(NETWORKS, OPTIMIZERS), *product(["the article's layers"], OTHERS), *product(MOBILE, ["sgd"])]

# a sum over the bits that depends on their places
SUMS = """async () => {
    const { findHost } = await import("pellucid/host.js");
    const host = findHost(document);
    const found = {};
    for (const name of Object.keys((await host.document()).arrays)) {
        const { data, shape } = await host.array(name);
        const bits = new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
        const sum = bits.reduce((sum, each, at) => (sum + Math.imul(each, (at % 65521) + 1)) | 0, 0);
        found[name] = [sum >>> 0, shape];
    }
    return found;
}"""


def bits(array: np.ndarray) -> int:
    each = np.ascontiguousarray(array).reshape(-1).view(np.uint32).astype(np.uint64)
    return int((each * (np.arange(each.size, dtype=np.uint64) % 65521 + 1) % 2**32).sum() % 2**32)


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(offline=True, bypass_csp=True)  # the page's own import would do without
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(("network", "optimizer"), CASES)
def test_every_array_has_the_traces_bits(network: str, optimizer: str, window: Page, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = text.parse((NETWORKS | MOBILE)[network]).module((3, 33, 29), 3).eval()
    steps = (OPTIMIZERS | OTHERS)[optimizer](module.parameters())
    for _ in range(2):
        module(torch.randn(1, 3, 33, 29)).logsumexp(1).sum().backward()
        steps.step()
    trace = recording.explain(module, torch.randn(3, 33, 29), optimizer=steps)
    whole = Document(trace)
    content, _ = pages.pack(whole)
    assert {"value", "gradient", "update"} == {e["rebuilt"] for e in content["arrays"].values() if "rebuilt" in e}
    file = tmp_path / "page.html"
    file.write_text(pages.offline(trace), encoding="ascii")
    window.goto(file.as_uri())
    result = window.evaluate(SUMS)
    assert result == {name: [bits(array), list(array.shape)] for name, array in whole.arrays.items()}
