"""The whole map: the window of every operator, its frames and lines, its clicks and keys, and a sweep that fills in."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from tests.web.placed import fits, settled
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

PHONE: Any = {"width": 360, "height": 740}


class Windows(nn.Module):
    """Each kind of window: padding, dilation, stride, one channel each, pooling, uneven windows, and transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 5, (5, 4), padding=(2, 1)), nn.SiLU()
        self.wide = nn.Conv2d(5, 6, 3, dilation=(2, 3), padding=2)
        self.deep = nn.Conv2d(6, 6, 3, stride=2, groups=6, padding=1)
        self.mean, self.up = nn.AvgPool2d(3, 2, padding=1), nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1)
        self.largest, self.long, self.some = nn.MaxPool2d(2, 1), nn.LPPool2d(2, 2, 1), nn.AdaptiveAvgPool2d((2, 3))
        self.flat, self.last = nn.Flatten(), nn.Linear(24, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.mean(self.deep(self.wide(self.act(self.conv(x)))))
        return self.last(self.flat(self.some(self.long(self.largest(self.up(x))))))


ORDER = ["input", "conv", "act", "wide", "deep", "mean", "up", "largest", "long", "some"]


@pytest.fixture(scope="module")
def module() -> Windows:
    torch.manual_seed(5)
    return Windows().eval()


@pytest.fixture(scope="module")
def trace(module: Windows) -> Trace:
    return explain(module, torch.randn(1, 3, 17, 20), 1, classes=("cat", "dog", "owl"))


@pytest.fixture(scope="module")
def window(browser: Browser, trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("whole") / "windows.html"
    Path(file).write_text(offline(trace, "windows"), encoding="ascii")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.locator("main h1").wait_for()
    yield page
    context.close()
    assert errors == []


def at(page: Page, place: str, title: str) -> Page:
    page.evaluate("(place) => { location.hash = place; }", place)
    expect(page.locator("main h1")).to_have_text(title)
    page.locator(".field canvas").first.wait_for()
    return page


SPANS = """async () => {
    const { findHost } = await import("pellucid/host.js");
    const { createTrace } = await import("pellucid/trace.js");
    const { reachesOf } = await import("pellucid/number/reach.js");
    const host = findHost(document);
    const trace = createTrace(await host.picture(0).document(), host.picture(0));
    const found = {};
    for (const name of [...trace.nodes.map((node) => node.name), "conv.weight", "deep.weight", "last.weight"]) {
        for (const backward of [false, true]) {
            const [first] = await reachesOf(trace, name, backward);
            const sizes = trace.shape(name).slice(-2);
            found[`${name}/${backward}`] = first && {
                source: first.source, prefix: first.prefix, ends: first.ends,
                spans: sizes.map((size, axis) => Array.from({ length: size }, (_, at) => first.spans[axis](at))),
            };
        }
    }
    return found;
}"""


def reads(layer: nn.Module, size: tuple[int, ...], row: int, column: int) -> list[list[int]]:
    """Rows and columns of a layer's input on which one place of its output depends, by PyTorch's own gradient."""
    image = (torch.rand(1, *size) + 0.5).requires_grad_()
    layer(image)[0, :, row, column].sum().backward()
    assert image.grad is not None
    used = image.grad.abs().sum(dim=(0, 1)) > 0
    return [used.any(1).nonzero().flatten().tolist(), used.any(0).nonzero().flatten().tolist()]


def test_the_window_of_every_operator_is_what_pytorch_reads(window: Page, module: Windows, trace: Trace) -> None:
    found = window.evaluate(SPANS)
    for before, name in pairwise(ORDER):
        reach, back = found[f"{name}/false"], found[f"{before}/true"]
        assert (reach["source"], reach["prefix"]) == (before, "value")
        assert (back["source"], back["prefix"]) == (name, "gradient")
        size, own = trace.shape(before), trace.shape(name)
        layer = module.get_submodule(name)
        if name == "largest":  # only the largest has a gradient
            layer = nn.AvgPool2d(2, 1)
        for row, column in ((0, 0), (own[1] // 2, own[2] // 3), (own[1] - 1, own[2] - 1)):
            spans = [reach["spans"][0][row], reach["spans"][1][column]]
            inside = [[at for at in span if 0 <= at < size[1 + axis]] for axis, span in enumerate(spans)]
            assert inside == reads(layer, size, row, column), (name, row, column)
            assert all(
                span[0] >= low and span[-1] <= high for span, (low, high) in zip(spans, reach["ends"], strict=True)
            )
        for axis in (0, 1):  # the way back is the same the other way round
            forward = {(a, b) for a, span in enumerate(reach["spans"][axis]) for b in span if 0 <= b < size[1 + axis]}
            assert forward == {(b, a) for a, span in enumerate(back["spans"][axis]) for b in span}, (name, axis)
    assert found["conv/false"]["ends"] == [[-2, 18], [-1, 20]]
    assert found["wide/false"]["spans"][1][0] == [-2, 1, 4]
    assert found["conv.weight/true"]["source"] == "input"
    assert found["conv.weight/true"]["spans"][0][1] == list(range(-1, 16))
    assert found["last.weight/true"] is None
    assert found["flat/false"] is None


def boxes(page: Page) -> dict[str, Any]:
    return page.evaluate("""() => {
        const box = (node) => (({ x, y, width, height }) => [x, y, width, height])(node.getBoundingClientRect());
        const [window, number] = document.querySelectorAll(".frames rect");
        const lines = [...document.querySelectorAll(".frames line")].map((line) =>
            ["x1", "y1", "x2", "y2"].map((name) => Number(line.getAttribute(name))));
        const of = (rect) => ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
        const maps = [...document.querySelectorAll(".field canvas")].map(box);
        return { maps, field: box(document.querySelector(".field")), window: of(window), number: of(number), lines };
    }""")


def misplaced(seen: dict[str, Any]) -> list[object]:
    """What does not stand where conv[1, 0, 4] and its window are."""
    [left, top, wide, tall] = seen["maps"][0]
    cell = (wide - 2) / 22  # 20 columns and a border of one on each side
    x, y, width, height = seen["window"]
    a, b, c, d = seen["number"]
    corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    ends = [(a, b), (a + c, b), (a, b + d), (a + c, b + d)]
    rules = {
        "cells are squares": cell == pytest.approx((tall - 2) / 21, abs=0.01),
        "the window's size": (width, height) == pytest.approx((4 * cell, 5 * cell), abs=0.1),
        "its place": (seen["field"][0] + x, seen["field"][1] + y)
        == pytest.approx((left + 1 + 4 * cell, top + 1), abs=0.6),
        "lines join the corners": [tuple(line) for line in seen["lines"]]
        == [pytest.approx((*p, *q)) for p, q in zip(corners, ends, strict=True)],
    }
    return [(rule, seen) for rule, holds in rules.items() if not holds]


def test_the_frames_stand_on_the_maps_and_four_lines_join_them(window: Page) -> None:
    at(window, "#/conv/1,0,4", "conv[1, 0, 4]")
    settled(window, lambda: misplaced(boxes(window)))
    reading = "rows −2 to 2, columns 3 to 6 of input[0], with padding → row 0, column 4 of conv[1] = "
    expect(window.locator(".reading")).to_contain_text(reading)
    caption = window.locator(".field figcaption span").first.inner_text()
    numbers = window.locator(".part figure.numbers figcaption, .part figcaption").first.inner_text()
    assert numbers.splitlines()[0] == caption, "the chosen channel's map"
    window.locator(".addition button.chip").nth(2).click()
    expect(window.locator(".field figcaption").first).to_contain_text("input[2]")
    at(window, "#/wide/1,4,4", "wide[1, 4, 4]")
    expect(window.locator(".frames .cells")).to_have_attribute("d", re.compile(r"^([^M]*M){9}[^M]*$"))


def test_a_click_on_either_map_and_the_arrow_keys_go_there(window: Page) -> None:
    at(window, "#/deep/2,3,3", "deep[2, 3, 3]")
    window.evaluate("document.querySelector('.field canvas').mine = true")
    side = 9
    _, _, wide, tall = boxes(window)["maps"][1]
    window.locator(".field canvas").nth(1).click(position={"x": 7.5 * wide / side, "y": 5.5 * tall / side})
    expect(window.locator("main h1")).to_have_text("deep[2, 5, 7]")
    seen = window.evaluate(SPANS)["deep/false"]
    _, _, wide, tall = boxes(window)["maps"][0]
    low, high = seen["ends"][1]
    middle = seen["spans"][1][2][1]
    window.locator(".field canvas").first.click(
        position={"x": (middle - low + 0.5) * wide / (high - low + 1), "y": tall / 2}
    )
    expect(window.locator("main h1")).to_have_text("deep[2, 4, 2]")
    window.locator(".field").focus()
    window.keyboard.press("ArrowRight")
    window.keyboard.press("ArrowUp")
    expect(window.locator("main h1")).to_have_text("deep[2, 3, 3]")
    expect(window.locator(".field")).to_be_focused()
    assert window.evaluate("document.querySelector('.field canvas').mine"), "the drawing is kept"


DRAWN = """() => {
    const canvas = document.querySelectorAll(".field canvas")[1];
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const title = document.querySelector("main h1").textContent;
    return [Array.from({ length: data.length / 4 }, (_, at) => data[4 * at + 3] > 0), canvas.width, title];
}"""


def test_the_output_fills_in_while_the_window_sweeps(window: Page) -> None:
    at(window, "#/conv/1,12,3?speed=slow", "conv[1, 12, 3]")
    settled(window, lambda: not all(window.evaluate(DRAWN)[0]))
    window.keyboard.press("Space")
    expect(window.locator(".play")).to_have_text("Pause")
    expect(window.locator("main h1")).not_to_have_text(re.compile(r"^conv\[1, 12, [34]\]$"))
    drawn, width, title = window.evaluate(DRAWN)
    row, column = map(int, title[5:-1].split(", ")[1:])
    assert drawn == [number < sum(drawn) for number in range(len(drawn))], "up to the window, row by row"
    assert sum(drawn) - 1 in range(row * width + column - 1, row * width + column + 2)
    window.locator("[data-key='speed/fast']").click()
    expect(window.locator(".play")).to_have_text("Play")
    expect(window.locator("main h1")).to_have_text(f"conv[1, 16, {width - 1}]")
    settled(window, lambda: not all(window.evaluate(DRAWN)[0]))


def test_a_sweep_stops_where_the_window_is(window: Page) -> None:
    at(window, "#/conv/0,0,0?speed=fast", "conv[0, 0, 0]")
    window.evaluate("document.activeElement.blur()")  # Space would press the focused button
    window.keyboard.press("Space")
    expect(window.locator("main h1")).not_to_have_text(re.compile(r"^conv\[0, 0, [01]\]$"))
    window.keyboard.press("Space")
    expect(window.locator(".play")).to_have_text("Play")
    row, column = map(int, window.locator("main h1").inner_text()[5:-1].split(", ")[1:])

    def elsewhere() -> object:
        x, y, field, right = *boxes(window)["number"][:2], boxes(window)["field"], boxes(window)["maps"][1]
        cell = (right[2] - 2) / 19
        place = right[0] + 1 + column * cell, right[1] + 1 + row * cell
        return None if (field[0] + x, field[1] + y) == pytest.approx(place, abs=0.6) else (x, y, place)

    settled(window, elsewhere)
    window.wait_for_timeout(300)
    assert elsewhere() is None, "it stays there"


def apart(left: list[float], right: list[float]) -> list[list[float]]:
    """Both maps if they are not side by side on a phone."""
    beside = left[0] + left[2] < right[0] and right[0] + right[2] <= PHONE["width"]
    level = abs(left[1] + left[3] / 2 - right[1] - right[3] / 2) < max(left[3], right[3])
    return [] if beside and level else [left, right]


def test_on_a_phone_the_maps_are_in_one_row(window: Page, axe: str) -> None:
    window.set_viewport_size(PHONE)
    for place, title in (
        ("#/wide/1,4,4?direction=backward", "wide[1, 4, 4]"),
        ("#/long/1,2,3", "long[1, 2, 3]"),
        ("#/conv.weight/1,2,3,2?direction=backward", "conv.weight[1, 2, 3, 2]"),
    ):
        at(window, place, title)
        settled(window, lambda: boxes(window)["maps"][1][0] - sum(boxes(window)["maps"][0][::2]) < 20)  # room for lines
        left, right = boxes(window)["maps"]
        assert right[0] + right[2] <= 360 - 12, "within the page's margin"
        assert abs(left[1] + left[3] / 2 - right[1] - right[3] / 2) < max(left[3], right[3])
        fits(window)
    violations = window.evaluate(axe + "; axe.run('main', {resultTypes: ['violations']})")
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations["violations"]] == []
