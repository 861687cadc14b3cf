"""The strip: a map of the network that fits every width, its edges, folded parts and keys; the focus of the page."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Page, expect
from tests.web.placed import box, settled

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.network import text, zoo
from pellucid.network.network import Network

PHONE = {"width": 360, "height": 740}
SIZES = [(360, 740), (1024, 768), (1440, 900), (720, 450), (512, 384), (180, 370)]  # the last three: at 200% zoom
BLOCK = "residual(conv(3, 3, padding=1) relu conv(3, 3, padding=1)) relu"
CHAIN = "conv(3, 3) relu " + f"{BLOCK} " * 9 + "flatten dense(5) relu dense"

CUT = """async ([nodes, room, open]) => {
    const { cut } = await import("./strip/cut.js");
    const all = nodes.map(([name, weighty]) => ({ name, weighty }));
    const { parts, opened } = cut(all, room, open, (node) => node.weighty);
    return [parts.map(({ id, nodes }) => [id, nodes.length]), opened.map(({ id, from, to }) => [id, from, to])];
}"""


def traced(network: Network, side: int, classes: int = 12) -> Any:
    torch.manual_seed(2)
    module = network.module((1, side, side), classes).eval()
    return explain(module, torch.rand(1, 1, side, side), 1, classes=tuple(f"c{number}" for number in range(classes)))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of nine residual blocks; the truth is its least probable class."""
    trace = traced(text.parse(CHAIN), 6)
    place = tmp_path_factory.mktemp("chain") / "chain.html"
    place.write_text(offline(replace(trace, truth=(int(trace.probabilities.argmin()),))), encoding="ascii")
    return place


def at(page: Page, place: Path, address: str = "#/", size: Any = None) -> Page:
    if size is not None:
        page.set_viewport_size(size)
    page.goto("about:blank")
    page.goto(place.as_uri() + address)
    page.locator("main h1").wait_for()
    return page


@pytest.fixture(scope="module")
def layers() -> list[tuple[str, bool]]:
    """The layers of `compact` as the strip sees them: name, and whether it has weights."""
    trace = traced(zoo.find("compact").network, 28)
    stored = {name for name in trace.parameters if trace.values[name].ndim > 1}
    inner = [node for node in trace.nodes if node.name not in ("probability", "loss")]
    return [(node.name, not stored.isdisjoint(node.reads.values())) for node in inner]


def test_a_row_never_has_more_columns_than_fit(modules: Page, layers: list[tuple[str, bool]]) -> None:
    count = len(layers)
    for room in (3, 4, 5, 8, 11, 17, 30, 60):
        for opened in ([], ["residual2"], ["residual1..relu4"], ["residual2", "residual3.body"], ["nothing", "a..b"]):
            parts, ranges = modules.evaluate(CUT, [layers, room, opened])
            assert len(parts) <= room, (room, opened)
            assert sum(size for _, size in parts) == count, "every layer is in one column"
            assert parts[0] == ["input", 1], "the picture has its own"
            assert all(start < end < len(parts) for _, start, end in ranges)


def test_blocks_are_folded_and_layers_join_the_weights_that_they_follow(
    modules: Page, layers: list[tuple[str, bool]]
) -> None:
    parts, _ = modules.evaluate(CUT, [layers, 40, []])
    assert [size for name, size in parts if re.fullmatch(r"residual\d", name)] == [6, 8, 8, 8]
    assert ["relu3", 1] in parts
    parts, _ = modules.evaluate(CUT, [layers, 10, []])
    assert parts[:4] == [["input", 1], ["conv1..relu1", 3], ["conv2..relu2", 3], ["residual1.body.conv1..relu3", 7]]
    parts, (opened,) = modules.evaluate(CUT, [layers, 12, ["residual2"]])
    inside = [name for name, size in parts[opened[1] : opened[2] + 1] if size == 1]
    assert [opened[0], *inside] == ["residual2", *(name for name, _ in layers if name.startswith("residual2"))]
    parts, (opened,) = modules.evaluate(CUT, [layers, 5, ["residual2"]])
    assert (len(parts), opened[0]) == (5, "residual2"), "what does not fit is folded inside the opened part"


LAYOUT = """() => {
    const strip = document.querySelector(".strip");
    const { clientWidth, scrollWidth } = strip;
    const boxes = [...strip.querySelectorAll("li.layer")].map((item) => {
        const { left, right } = item.getBoundingClientRect();
        return [item.dataset.name, left, right];
    });
    const spare = innerWidth - document.scrollingElement.scrollWidth;
    return { boxes, height: strip.offsetHeight, hidden: scrollWidth - clientWidth, spare };
}"""


@pytest.mark.parametrize("address", ["#/", "#/residual3?open=residual3", "#/conv1?direction=backward"])
def test_it_fits_every_width_and_keeps_the_classes_in_sight(page: Page, chain: Path, address: str) -> None:
    at(page, chain, address)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        settled(page, lambda width=width, height=height: faults(page.evaluate(LAYOUT), width, height))


def faults(layout: dict[str, Any], width: int, height: int) -> list[tuple[int, str, dict[str, Any]]]:
    """What is wrong with a strip in a window of this size."""
    *columns, (name, left, right), _loss = layout["boxes"]
    edges = [edge for _, *both in columns for edge in both] + [left]
    rules = {
        "nothing is hidden": layout["hidden"] == 0,
        "the page is no wider than the window": layout["spare"] >= 0 or width < 360,
        "the classes are in sight": name == "probability" and right <= width,
        "a finger can hit each": min(right - left for _, left, right in columns) >= 24,
        "nothing overlaps": all(one <= other + 0.5 for one, other in pairwise(edges)),
        "its height": layout["height"] == 40 if width < 700 or height < 500 else layout["height"] < 240,
    }
    return [(width, rule, layout) for rule, holds in rules.items() if not holds]


def test_a_phone_has_one_row_of_40_pixels_and_a_tapped_layers_map_is_on_screen(page: Page, chain: Path) -> None:
    at(page, chain, "#/", PHONE)
    assert box(page.locator(".strip"))["height"] == 40
    page.get_by_role("button", name=re.compile("^residual.*layers, reads")).first.click()
    expect(page.get_by_role("button", name=re.compile("^close residual"))).to_be_visible()
    page.locator("[data-key='layer/input']").click()
    expect(page.locator("h1").first).to_have_text("input")
    expect(page.locator(".large")).to_be_in_viewport(ratio=0.99)
    top = box(page.locator(".strip"))
    assert box(page.locator(".large"))["y"] >= top["y"] + 40, "the row stays, and covers nothing"
    page.locator("[data-key='layer/probability']").click()
    expect(page.locator(".units button").first).to_be_in_viewport(ratio=0.99)


def test_edges_show_what_feeds_what_and_skips_are_arcs_over_the_row(opened: Callable[..., Page]) -> None:
    page = opened()
    edges = [
        (path.get_attribute("data-from"), path.get_attribute("data-to"), path.get_attribute("class"))
        for path in page.locator(".edges path").all()
    ]
    assert ("pool", "join", "skip") in edges
    assert ("conv", "norm", "next") in edges
    assert ("block.narrow", "join", "next") in edges
    assert ("pool", "block.wide", "next") in edges
    assert not [edge for edge in edges if edge[0] == "block.wide"], "inside a folded part nothing passes over a layer"
    expect(page.locator("[data-key='layer/join']")).to_have_attribute(
        "aria-label", "join: addition, 6 × 6 × 6, reads pool and block.narrow, feeds flat"
    )
    page.locator("[data-key='layer/join']").click()
    expect(page.locator(".edges .lit")).to_have_count(3)
    lit = [path.get_attribute("data-from") for path in page.locator(".edges .lit").all()]
    assert lit == ["pool", "block.narrow", "join"]


@pytest.mark.parametrize("width", [1024, 1440])
def test_a_line_leads_from_the_last_layer_to_the_classes(opened: Callable[..., Page], width: int) -> None:
    page = opened("#/", {"width": width, "height": 768})
    expect(page.locator(".square.narrow canvas")).to_have_count(1)  # of the scores
    start, end, edges, classes = page.evaluate("""() => {
        const map = document.querySelector(".strip .map");
        const [box, line] = [map.getBoundingClientRect(), getComputedStyle(map, "::before")];
        const edges = document.querySelector(".edges").getBoundingClientRect().right;
        const classes = [...document.querySelectorAll(".strip li")].at(-2).getBoundingClientRect().left;
        return [box.left + parseFloat(line.left), box.right - parseFloat(line.right), edges, classes];
    }""")
    assert start == pytest.approx(edges, abs=1), "no gap"
    assert end == pytest.approx(classes - 4, abs=1)


def test_a_folded_part_says_what_it_is_and_opens_and_closes(page: Page, chain: Path) -> None:
    at(page, chain, "#/", {"width": 1024, "height": 768})
    mark = page.get_by_role("button", name="5 layers", exact=True).first
    expect(mark).to_have_attribute("aria-expanded", "false")
    shown = page.locator(".strip li.layer").count()
    mark.click()
    close = page.get_by_role("button", name=re.compile("^close"))
    expect(close).to_have_attribute("aria-expanded", "true")
    expect(close).to_be_focused()
    expect(page.locator(".strip .skip")).not_to_have_count(0)
    close.press("Enter")
    expect(page.locator(".strip li.layer")).to_have_count(shown)
    expect(mark).to_be_focused()


def test_the_first_tab_leads_to_the_network_which_is_one_stop(opened: Callable[..., Page]) -> None:
    page = opened()
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the network")
    expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("Enter")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("data-key", "layer/input")
    assert page.evaluate("location.hash") in ("", "#/")
    for key, name in (
        *(("ArrowRight", "layer/conv"), ("ArrowRight", "layer/norm"), ("ArrowLeft", "layer/conv")),
        *(("End", "layer/loss"), ("ArrowRight", "layer/loss"), ("Home", "layer/input")),
    ):
        page.keyboard.press(key)
        expect(focused).to_have_attribute("data-key", name)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('.strip')"), "one Tab leaves the network"
    page.keyboard.press("Shift+Tab")
    expect(focused).to_have_attribute("data-key", "layer/conv")
    page.keyboard.press("Enter")
    expect(page.locator(".large")).to_be_focused()
    page.keyboard.press("Enter")
    heading = page.locator("main h1")
    expect(heading).to_have_text("conv[0, 6, 6]")
    expect(heading).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("conv[0, 6, 7]")
    expect(heading).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".large")).to_be_focused()


def test_the_skip_link_of_a_view_without_the_network_leads_past_the_header(opened: Callable[..., Page]) -> None:
    page = opened("#/~lessons")
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.locator("main h1")).to_be_focused()


def test_a_stale_mark_never_stays(opened: Callable[..., Page]) -> None:
    page = opened("#/conv")
    large = page.locator(".large")
    area = box(large)
    large.hover()
    for step in range(12):
        page.mouse.move(area["x"] + 20 * step + 5, area["y"] + 10 * step + 5)
    page.wait_for_timeout(100)  # a mark that is drawn late
    for name in ("conv", "norm"):
        expect(page.locator(f"li[data-name='{name}'] .window")).to_have_count(1)
