"""The page for a reader: one file, opened without a network, by mouse, by key and by finger."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from tests.web.placed import box, fits, go
from torch import nn

from pellucid.glassbox.page.offline import framed, offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

PHONE = {"width": 360, "height": 740}


def value(page: Page, kind: str = "total") -> float:
    """The exact number on the page: the terms' sum, or PyTorch's."""
    text = page.locator("#value").get_attribute(f"data-{kind}")
    assert text is not None
    return float(text)


def title(page: Page, text: str) -> None:
    expect(page.locator("h1").first).to_have_text(text)


def test_from_the_network_to_a_number_by_mouse(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened()
    expect(page.locator(".layer b")).to_have_text(
        ["input", "conv", "norm", "act", "pool", "block", "join", "flat", "fc", "probability", "loss"]
    )
    page.get_by_role("button", name=re.compile("^conv: convolution")).click()
    title(page, "conv")
    page.locator(".large").click(position={"x": 100, "y": 100})
    title(page, page.locator("#value ~ dl dd").first.inner_text())
    unit = page.locator("h1").first.inner_text()
    assert re.fullmatch(r"conv\[0, \d+, \d+\]", unit)
    assert value(page) == pytest.approx(walk.unit(unit).total, rel=1e-12)
    assert value(page, "recorded") == walk.unit(unit).recorded


def test_from_a_class_back_to_the_pixel_by_the_factors(opened: Callable[..., Page]) -> None:
    page = opened("#/probability/0")
    way = ["probability"]
    while way[-1] != "input":
        before = page.locator("h1").first.inner_text()
        page.locator("main button.factor").first.click()
        expect(page.locator("h1").first).not_to_have_text(before)
        way.append(re.split(r"[\[.]", page.locator("h1").first.inner_text())[0])
    assert way == ["probability", "fc", "flat", "join", "pool", "act", "norm", "conv", "input"]


def test_the_keys(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("[data-key='layer/conv']").focus()
    page.keyboard.press("Enter")
    title(page, "conv")
    expect(page.locator(".large")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".hover")).to_contain_text("conv[0, 7, 7]")
    page.keyboard.press("Enter")
    title(page, "conv[0, 7, 7]")
    page.locator("body").press("Space")
    expect(page.locator(".play")).to_have_text("Pause")
    expect(page.locator("h1").first).to_have_text(re.compile(r"^conv\[0, 7, ([89]|1\d)\]$"))
    page.locator("body").press("Space")
    expect(page.locator(".play")).to_have_text("Play")
    stands = page.locator("h1").first.inner_text()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowUp")
    above = stands.replace("[0, 7,", "[0, 6,")
    title(page, above)
    page.keyboard.press("b")
    expect(page.locator("#value ~ dl dd").first).to_have_text(f"gradient of {above}")
    expect(page.locator(".say p").first).to_contain_text("How much the loss grows when this number grows a little.")
    page.keyboard.press("u")
    expect(page.locator(".say p").first).to_contain_text("A step changes weights, not conv itself.")
    page.keyboard.press("f")
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Exact")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Escape")
    title(page, "conv")
    page.keyboard.press("Escape")
    title(page, "Walk through the network")


def test_arrows_move_in_a_grid_and_enter_follows_it(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/2,5,5")
    window = page.locator(".grid").first.locator("td[tabindex='0']")
    expect(window).to_have_attribute("aria-label", re.compile(r"^input\[0, 4, 4\]"))
    window.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(r"^input\[0, 5, 5\]"))
    page.keyboard.press("Enter")
    title(page, "input[0, 5, 5]")


def test_exact_shows_every_digit_and_the_parts_give_the_sum(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/conv/1,4,6?exact=1&channel=0")
    working = walk.unit("conv[1, 4, 6]")
    terms = [float(cell.inner_text().replace("−", "-")) for cell in page.locator(".terms td:nth-child(3)").all()]
    assert terms == pytest.approx(working.parts[0].terms.values[:9].tolist(), rel=1e-15)
    recorded = page.locator("dt", has_text="PyTorch computed").locator("xpath=../dd").inner_text()
    assert float(recorded.replace("−", "-")) == pytest.approx(working.recorded, rel=1e-7)
    page.keyboard.press("e")
    expect(page.locator("#value")).to_have_text(re.compile(r"^−?\d\.?\d{0,7}$"))


def test_shown_digits_add_up(opened: Callable[..., Page]) -> None:
    page = opened("#/fc/1")
    shown = {
        dt.inner_text(): float(dt.locator("xpath=../dd").inner_text().replace("−", "-"))
        for dt in page.locator(".result dt").all()
        if dt.inner_text() not in ("unit", "rounding explains")
    }
    together = shown.pop("together")
    parts = [value for name, value in shown.items() if name not in ("PyTorch computed", "difference")]
    assert sum(parts) == pytest.approx(together, abs=1e-12)


def test_the_winner_is_told(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/pool/3,2,1")
    (part,) = walk.unit("pool[3, 2, 1]").parts
    assert part.terms.winner is not None
    place = part.places(part.terms.columns[0])[part.terms.winner].tolist()
    expect(page.locator(".winner .factor")).to_have_text(f"act[{', '.join(map(str, place))}]")
    expect(page.locator("td.best")).to_have_count(1)


def test_a_step_that_leaves_a_frozen_layer_says_so(page: Page, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(module[3].parameters(), lr=0.1)
    place = tmp_path / "frozen.html"
    place.write_text(offline(explain(module, torch.randn(3, 6, 6), 1, optimizer=optimizer), "frozen"))
    for at, message in (
        ("0/1,2,2", "The optimizer leaves 0.weight and 0.bias unchanged."),
        ("1/1,2,2", "This layer has no weights."),
        ("3/1", "Press Escape to open the layer, then choose a number of 3.weight or 3.bias."),
    ):
        page.goto("about:blank")
        page.goto(f"{place.as_uri()}#/{at}?direction=update")
        expect(page.locator(".say p").first).to_contain_text(message)


def test_softmax_and_the_optimizer_line_by_line(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/probability/2")
    lines = page.locator(".lines li > b")
    expect(lines).to_have_text(["largest", "power[2]", "power[0]", "power[1]", "total"])
    page = opened("#/conv.weight/1,0,2,2?direction=update")
    expect(lines).to_have_text(["decayed", "mean_after", "mean_square_after", "mean_unbiased", "mean_square_unbiased"])
    assert value(page) == pytest.approx(walk.update("conv.weight[1, 0, 2, 2]").total, rel=1e-12)
    page.get_by_role("button", name="gradient", exact=True).first.click()
    expect(page.locator("#value ~ dl dd").first).to_have_text("gradient of conv.weight[1, 0, 2, 2]")


def test_a_long_sum_comes_in_pages_the_largest_first(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/fc/1")
    terms = walk.unit("fc[1]").parts[0].terms.values
    expect(page.locator(".pager span")).to_have_text(f"1 of {-(-len(terms) // 40)} pages, {len(terms):,} in all")
    first = float(page.locator(".terms tbody tr").first.locator("td").nth(2).inner_text().replace("−", "-"))
    assert abs(first) == pytest.approx(abs(terms).max(), rel=1e-4)
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".carry").first).to_contain_text("Added before:")
    page.get_by_role("button", name="in order").click()
    expect(page.locator(".pager span")).to_contain_text("1 of")


def test_the_address_is_the_place(opened: Callable[..., Page]) -> None:
    page = opened("#/act/2,3,4?direction=backward&scale=network&exact=1")
    expect(page.locator("#value ~ dl dd").first).to_have_text("gradient of act[2, 3, 4]")
    page.reload()
    expect(page.get_by_role("button", name="Backward")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="network", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name=re.compile("^fc: dense")).click()
    title(page, "fc")
    page.go_back()
    expect(page.locator("#value ~ dl dd").first).to_have_text("gradient of act[2, 3, 4]")


def test_an_address_of_another_network_does_no_harm(opened: Callable[..., Page]) -> None:
    page = opened("#/nothing")
    for place in (
        "#/nothing/1,2",
        "#/conv/900,1,1",
        "#/conv/1",
        "#/fc.weight",
        "#/%E0%A4%A",
        "#/~nothing",
        "#/~toString",
    ):
        go(page, place)
        expect(page.locator(".stage")).to_be_visible()
        expect(page.locator(".trouble")).to_have_count(0)


def test_an_unknown_address_says_what_is_wrong_and_offers_the_start(opened: Callable[..., Page]) -> None:
    page = opened("#/~constructor")
    for place, why in {
        "#/~constructor": "There is no view “constructor”.",
        "#/~__proto__": "There is no view “__proto__”.",
        "#/~": "There is no view “”.",
        "#/toString": "no layer or weight “toString”",
        "#/nothing/1,2": "no layer or weight “nothing”",
        "#/conv/900,1,1": "conv[900, 1, 1] does not exist",
        "#/conv/1": "names 1 of 3 axes",
        "#/conv/-1,0,0": "is not an index of conv",
        "#/conv/1,,2": "is not an index of conv",
        "#/conv/1,1,1/2": "has 3 parts",
        "#//1,2,3": "no layer or weight before it",
        "#/%E0%A4%A": "is not a valid part of an address",
    }.items():
        go(page, place)  # to load a page there takes far longer
        expect(page.get_by_role("alert")).to_contain_text(why)
        page.get_by_role("link", name="Go to the start").click()
        title(page, "Walk through the network")
    page = opened("#/conv?lesson=nothing.3")
    for place, why in {
        "#/conv?lesson=nothing.3": "There is no lesson “nothing.3”",
        "#/conv?lesson=stride.99": "has no step “99”",
        "#/conv/0,1,1?direction=sideways": "direction is “sideways”",
        "#/conv/0,1,1?speed=warp": "speed is “warp”; it can be normal, slow, fast.",
        "#/~difference/0,99": "does not name two classes",
        "#/conv?picture=7": "There is no picture 7 here",
    }.items():
        go(page, place)
        expect(page.locator(".astray")).to_contain_text(why)
        expect(page.get_by_role("link", name="Go to the start")).to_be_visible()
    for place in ("#/", "#/conv/", "#/loss/-", "#/fc.weight", "#/conv/0,1,1?at=1,1,1&present", "#/~lessons"):
        go(page, place)
        expect(page.locator(".astray")).to_have_count(0)


def test_a_block_folds(opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_role("button", name="3 layers").click()
    expect(page.locator(".layer b", has_text="block.")).to_have_count(3)
    page.get_by_role("button", name="close block").click()
    expect(page.locator(".layer b", has_text="block.")).to_have_count(0)


def test_many_maps_are_a_wall_with_a_search(opened: Callable[..., Page]) -> None:
    page = opened("#/block.wide")
    expect(page.locator(".all h2")).to_have_text("48 maps, most active first")
    page.get_by_label("map 0 to 47").fill("31")
    page.get_by_label("map 0 to 47").press("Enter")
    expect(page.locator(".hover")).to_contain_text("block.wide[31,")
    assert page.evaluate("document.querySelectorAll('*').length") < 400


def test_the_window_lights_up_before_and_after(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/1,4,6")
    expect(page.locator("li[data-name='conv'] .window")).to_have_count(1)
    expect(page.locator("li[data-name='input'] .window")).to_have_count(1)
    expect(page.locator("li[data-name='norm'] .window")).to_have_count(1)


def test_the_mouse_lights_the_window_up(opened: Callable[..., Page]) -> None:
    page = opened("#/conv")
    expect(page.locator("li[data-name='input'] .window")).to_have_count(0)
    page.locator(".large").hover(position={"x": 5, "y": 5})
    expect(page.locator(".hover")).to_contain_text("conv[0, 0, 0] is")
    expect(page.locator("li[data-name='input'] .window")).to_have_count(1)


def test_the_window_slides_unless_motion_is_not_wanted(opened: Callable[..., Page]) -> None:
    moving = "document.getAnimations().length"
    page = opened("#/conv/1,4,6")
    page.locator("body").press("ArrowRight")
    title(page, "conv[1, 4, 7]")
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    page.evaluate("""() => {
        window.moved = 0;
        const animate = Element.prototype.animate;
        Element.prototype.animate = function (...how) { window.moved += 1; return animate.apply(this, how); };
    }""")
    page.locator("body").press("ArrowRight")
    title(page, "conv[1, 4, 8]")
    assert page.evaluate("window.moved") > 0


def test_a_phone_does_not_scroll_sideways(opened: Callable[..., Page]) -> None:
    page = opened("#/", PHONE)
    places = ("#/conv", "#/conv/2,5,5", "#/fc/1", "#/fc.weight/1,3?direction=update", "#/loss/-", "#/flat?exact=1")
    for text in ("100%", "150%"):
        page.evaluate("(size) => document.documentElement.style.setProperty('font-size', size)", text)
        for place in ("#/", *places):
            go(page, place)
            fits(page)


def test_a_window_that_became_narrow_is_drawn_anew(opened: Callable[..., Page]) -> None:
    page = opened("#/conv")
    before = box(page.locator(".large"))
    page.set_viewport_size({"width": 360, "height": 740})
    fits(page)
    after = box(page.locator(".large"))
    assert after["width"] < before["width"]
    title(page, "conv")


def test_a_table_stands_behind_a_map(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/pool")
    page.locator("summary", has_text="The numbers as a table").click()
    table = page.get_by_role("table", name="Map 0 of pool")
    cell = table.locator("tbody tr").nth(2).locator("td").nth(1).inner_text()
    assert float(cell.replace("−", "-")) == pytest.approx(walk.unit("pool[0, 2, 1]").recorded, rel=1e-3, abs=1e-9)


PLACES = {
    "light": ("#/conv", "#/conv/2,5,5", "#/fc", "#/conv.weight/1,0,2,2?direction=update"),
    "dark": ("#/", "#/conv/2,5,5?direction=backward"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened: Callable[..., Page], axe: str, scheme: Any) -> None:
    page = opened()
    page.emulate_media(color_scheme=scheme)
    for place in PLACES[scheme]:
        go(page, place)
        violations = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
        faults = [
            (place, each["id"], [node["html"] for node in each["nodes"]][:3]) for each in violations["violations"]
        ]
        assert faults == []


def test_a_file_that_was_cut_off_says_so(browser: Browser, page_file: Path, tmp_path: Path) -> None:
    text = page_file.read_text(encoding="ascii")
    cut = tmp_path / "cut.html"
    page = browser.new_page()
    for end in (text.index('id="document"') + 500, text.index('id="arrays"') + 2000, len(text) - 5000):
        cut.write_text(text[:end], encoding="ascii")
        page.goto(cut.as_uri())
        expect(page.get_by_role("alert")).to_contain_text(
            "This file is not complete: it was cut off during the transfer."
        )
    page.close()


def test_a_newer_document_says_so(browser: Browser, page_file: Path, tmp_path: Path) -> None:
    text = page_file.read_text(encoding="ascii")
    newer = tmp_path / "newer.html"
    newer.write_text(text.replace('{"version":1,', '{"version":2,', 1), encoding="ascii")
    page = browser.new_page()
    page.goto(newer.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("pip install --upgrade pellucid")
    page.close()


def test_the_file_asks_for_nothing(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri() + "#/conv/2,5,5")
    page.locator("#value").wait_for()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()


JAVASCRIPT = """async (asked) => {
    const { findHost } = await import("pellucid/host.js");
    const { createTrace } = await import("pellucid/trace.js");
    const working = await import("pellucid/arithmetic/working.js");
    const host = findHost(document);
    const trace = createTrace(await host.document(), host);
    const number = (value) => (Number.isFinite(value) ? value : String(value));
    const part = ({ of, index, terms, named, lead }) => ({
        of, index, total: number(terms.total), count: terms.values.length,
        columns: terms.columns.map(({ name, indices }) => [
            named(name), indices.slice(lead(name)).map((axis) => axis[0] ?? -1),
        ]),
    });
    return Promise.all(asked.map(async ([quantity, name, index]) => {
        const found = await working[quantity](trace, name, index);
        const { total, recorded, bound, parts, between } = found;
        return { total, recorded, bound, parts: parts.map(part), between: between.map(part) };
    }));
}"""


def test_every_working_is_pythons(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened()
    requests: list[tuple[str, str, list[int]]] = []
    for name in (*(node.name for node in walk.nodes), *walk.parameters):
        shape = walk.shape(name)
        for part in (3, 2):
            index = [size // part for size in shape]
            requests.append(("value", name, index))
            if name in walk.gradients:
                requests.append(("gradient", name, index))
            if name in walk.updates:
                requests.append(("update", name, index))
    for (quantity, name, index), result in zip(requests, page.evaluate(JAVASCRIPT, requests), strict=True):
        unit = f"{name}[{', '.join(map(str, index))}]" if index else name
        ask = {"value": walk.unit, "gradient": walk.gradient, "update": walk.update}[quantity]
        expected = ask(unit)
        if expected.parts:
            assert result["total"] == pytest.approx(expected.total, rel=1e-12, abs=1e-12 * expected.bound), unit
            assert result["bound"] == pytest.approx(expected.bound, rel=1e-9), unit
        assert result["recorded"] == expected.recorded, unit
        for parts, others in ((result["parts"], expected.parts), (result["between"], expected.between)):
            assert [(each["of"], each["index"]) for each in parts] == [(o.of, list(o.index)) for o in others], unit
            assert [each["count"] for each in parts] == [len(other.terms) for other in others], unit
            assert [[name for name, _ in each["columns"]] for each in parts] == [
                [other.names[column.name] for column in other.terms.columns] for other in others
            ], unit


def test_a_notebook_shows_it_in_a_frame(page: Page, walk: Trace) -> None:
    page.set_content(f"<!doctype html><title>notebook</title>{framed(walk)}")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name=re.compile("^conv: convolution")).click()
    frame.locator(".large").press("Enter")
    expect(frame.locator("h1").first).to_have_text("conv[0, 6, 6]")
    frame.locator("body").press("Escape")
    expect(frame.locator("h1").first).to_have_text("conv")
