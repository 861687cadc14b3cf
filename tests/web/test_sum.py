"""The number adds up before the reader's eyes: on one line at every size, in the digits that are shown."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from tests.web.placed import fits, go, settled
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain

SIZES = (360, 512, 683, 1024, 1280, 1440)  # 1024 at 200% and at 150% among them
WINDOWS = {"three": "3,8,8", "five": "2,4,4", "seven": "2,4,4", "eleven": "1,4,4"}
BESIDES = (
    *((1440, name, "?lesson=filter.1") for name in ("five", "eleven")),
    *((1024, name, "?exact=1&lesson=filter.1") for name in ("three", "seven")),
    *((360, name, "?exact=1") for name in ("three", "five")),
)
NUMBER = r"−?\d[\d.]*(?:e−?\d+)?"


class Windows(nn.Module):
    """Windows from 3x3 to 11x11, a stride, groups, 64 channels, averages and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.three, self.five = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 6, 5, stride=2, padding=2)
        self.seven, self.eleven = nn.Conv2d(6, 6, 7, padding=3, groups=6), nn.Conv2d(6, 2, 11, padding=5, bias=False)
        self.pool, self.dense = nn.AvgPool2d(3), nn.Linear(18, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.eleven(self.seven(self.five(self.three(x))))
        return self.dense(self.pool(x).flatten(1))


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(11)
    module = Windows()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.9)
    place = tmp_path_factory.mktemp("sum") / "windows.html"
    place.write_text(offline(explain(module, torch.randn(3, 20, 20), 1, optimizer=optimizer)), encoding="ascii")
    return place


def at(page: Page, place: str, query: str = "") -> None:
    go(page, f"#/{place}{query}")
    name, index = place.split("/")
    expect(page.locator("h1").first).to_have_text(re.compile(rf"^{name}\[{index.replace(',', ', ')}\]"))


def decimal(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


def added(page: Page) -> tuple[list[Decimal], Decimal]:
    """The numbers on the line of the sum, hidden digits included, and the total."""
    numbers: list[str] = page.locator(".addition").first.locator("> .chip > b, > .more > summary > b").all_inner_texts()
    return [decimal(each) for each in numbers], decimal(page.locator(".total").first.inner_text())


LINE = """() => {
    const line = document.querySelector(".equation .line");
    const box = (node) => node.getBoundingClientRect();
    const tables = [...line.querySelectorAll("table.grid")];
    const cells = [...line.querySelectorAll("td[data-key]")];
    const shades = line.classList.contains("shades");
    return {
        tables: tables.length,
        bottoms: new Set(tables.map((table) => Math.round(box(table).bottom))).size,
        order: tables.every((table, at) => at === 0 || box(table).left >= box(tables[at - 1]).right),
        inside: tables.every((table) => box(table).right <= box(line.parentElement).right + 0.5),
        sideways: document.scrollingElement.scrollWidth - innerWidth,
        cut: shades
            ? []
            : cells.filter((cell) => cell.scrollWidth > cell.clientWidth)
                .map((cell) => [cell.textContent, cell.scrollWidth, cell.clientWidth]),
        font: parseFloat(getComputedStyle(cells[0]).fontSize),
        shades,
        cell: box(cells[0]).width,
    };
}"""


def on_one_line(page: Page) -> bool:
    """Wait until the equation is on one line. Returns whether its cells have digits, not only shades."""
    lines: list[dict[str, Any]] = []

    def wrong() -> object:
        lines.append(line := page.evaluate(LINE))
        whole = (line["tables"], line["bottoms"]) == (3, 1) and line["order"] and line["inside"]
        readable = line["sideways"] <= 0 and line["cut"] == [] and (line["font"] >= 9 or line["shades"])
        return None if whole and readable else line

    settled(page, wrong)
    return not lines[-1]["shades"]


def test_the_equation_never_wraps(opened: Callable[..., Page]) -> None:
    digits = set()
    page = opened("#/three/3,8,8", {"width": SIZES[0], "height": 800})
    for width in SIZES:
        page.set_viewport_size({"width": width, "height": 800})
        for name, index in WINDOWS.items():
            at(page, f"{name}/{index}")
            if on_one_line(page):
                digits.add((name, width))
            expect(page.locator(".triple .equality")).to_have_text(re.compile(rf"{NUMBER} × {NUMBER} = {NUMBER}"))
    for width, name, query in BESIDES:
        page.set_viewport_size({"width": width, "height": 800})
        at(page, f"{name}/{WINDOWS[name]}", query)
        on_one_line(page)
    # digits wherever there is room, shades where there is none
    assert {("three", 360), ("five", 1024), ("seven", 1440)} <= digits
    assert ("eleven", 360) not in digits


def test_the_shown_numbers_add_up(opened: Callable[..., Page]) -> None:
    page = opened("#/three/3,8,8")
    places = [
        *((f"{name}/{index}", "forward") for name, index in WINDOWS.items()),
        *((f"{name}/{index}", "backward") for name, index in list(WINDOWS.items())[:3]),
        *(("pool/1,1,1", "forward"), ("dense/1", "forward"), ("three.weight/3,0,1,1", "backward")),
    ]
    for place, direction in places:
        for exact in ("", "&exact=1"):
            at(page, place, f"?direction={direction}{exact}")
            parts, total = added(page)
            assert sum(parts) == total, (place, direction, exact)
            recorded = float(page.locator("#value").get_attribute("data-total") or "nan")
            assert float(total) == pytest.approx(recorded, rel=1e-3), (place, direction, exact)


def test_the_products_add_up_to_their_channels_sum(opened: Callable[..., Page]) -> None:
    page = opened("#/three/3,8,8?channel=0")
    for channel in (0, 1, 2):
        chip = page.locator(f"[data-key='channel/{channel}']")
        chip.click()
        expect(chip).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".equation figcaption").first).to_have_text(f"input[{channel}]")
        expect(page.locator(".sigma > b")).to_have_text(chip.locator("b").inner_text())
        cells = page.locator(".equation td[data-key^='product/']").all_inner_texts()
        hidden = page.locator(".sigma small span").all_inner_texts()
        assert len(cells) == 9
        assert sum(map(decimal, cells + hidden)) == decimal(page.locator(".sigma > b").inner_text())


def test_many_channels_fold_into_one_chip_that_opens(opened: Callable[..., Page]) -> None:
    page = opened("#/five/2,4,4")
    line = page.locator(".addition").first
    assert line.locator("> button[data-key^='channel/']").count() == 8
    summary = page.locator(".more > summary")
    expect(summary).to_contain_text("and 56 more")
    summary.focus()
    page.keyboard.press("Enter")
    inside = page.locator(".more .chip b")
    expect(page.locator(".more .addition > button")).to_have_count(56)
    assert sum(map(decimal, inside.all_inner_texts()[1:])) == decimal(summary.locator("b").inner_text())
    page.locator(".more .addition > button").nth(3).click()
    expect(line.locator("> button[data-key^='channel/']")).to_have_count(9)
    expect(summary).to_contain_text("and 55 more")
    assert page.locator(".more").get_attribute("open") is not None
    parts, total = added(page)
    assert sum(parts) == total
    bias = line.locator("> button", has_text="bias")
    bias.click()
    expect(page.locator("h1").first).to_have_text("five.bias[2]")


def test_lines_lead_from_each_chip_into_the_number(opened: Callable[..., Page]) -> None:
    page = opened("#/three/3,8,8")
    expect(page.locator(".joins path")).to_have_count(4)
    settled(
        page,
        lambda: page.evaluate("""() => {
        const origin = document.querySelector(".joins").getBoundingClientRect();
        const cell = document.querySelector(".into td.on").getBoundingClientRect();
        const ends = [...document.querySelectorAll(".joins path")].map((path) => {
            const end = path.getPointAtLength(path.getTotalLength());
            return [origin.left + end.x - cell.left - cell.width / 2, origin.top + end.y - cell.top];
        });
        return ends.flat().every((each) => Math.abs(each) < 1.5) ? null : ends;
    }"""),
    )


def test_the_pointed_term_is_written_out(opened: Callable[..., Page]) -> None:
    page = opened("#/eleven/1,4,4", {"width": 360, "height": 740})
    cell = page.locator(".equation .line figure").nth(1).locator("td[data-term]")
    shown = page.locator(".triple .equality")
    marked = page.locator(".equation td.at")
    region = page.locator(".triple").element_handle()  # a screen reader listens to it while it stays
    for point in (cell.nth(3).hover, cell.nth(60).focus, lambda: page.keyboard.press("ArrowRight")):
        before = shown.inner_text()
        point()
        expect(shown).not_to_have_text(before)
        expect(marked).to_have_count(3)
        left, right, product = (float(decimal(each)) for each in re.findall(NUMBER, shown.inner_text()))
        assert left * right == pytest.approx(product, rel=1e-5)
        assert region.evaluate("region => region.isConnected && region === document.querySelector('.triple')")
    expect(page.locator(".triple")).to_have_attribute("aria-atomic", "true")
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Exact")).to_have_attribute("aria-pressed", "true")
    expect(shown).to_have_text(re.compile(r"(\d\.?){10}"))  # all digits
    fits(page)


def test_a_finger_points_first_and_then_goes_there(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{page_file.as_uri()}#/three/3,8,8")
    cell = page.locator(".equation .line figure").first.locator("td[data-term]").nth(1)
    cell.tap()
    expect(cell).to_have_class(re.compile(r"\bat\b"))
    expect(page.locator(".triple .names")).to_contain_text("input[0, 7, 8]")
    expect(page.locator("h1").first).to_have_text("three[3, 8, 8]")
    cell.tap()
    expect(page.locator("h1").first).to_have_text("input[0, 7, 8]")
    context.close()


def test_from_the_first_view_to_a_sum_in_one_click(opened: Callable[..., Page]) -> None:
    page = opened("#/")
    page.get_by_role("button", name="See a number of three add up").click()
    expect(page.locator(".total")).to_be_visible()
    parts, total = added(page)
    assert sum(parts) == total
    assert page.locator(".equation .line table").count() == 4, "three grids, and the number"


def step(page: Page) -> tuple[Decimal, str, Decimal, Decimal]:
    text = page.locator(".step .equality").inner_text()
    match = re.fullmatch(rf"({NUMBER}) ([−+]) ({NUMBER}) = ({NUMBER})", text)
    assert match, text
    return decimal(match[1]), match[2], decimal(match[3]), decimal(match[4])


def test_an_update_reads_before_minus_change_is_after(opened: Callable[..., Page]) -> None:
    page = opened("#/three.weight/3,0,1,1?direction=update", {"width": 1024, "height": 768})
    for place in ("three.weight/3,0,1,1", "dense.weight/1,7", "three.bias/5"):
        at(page, place, "?direction=update")
        before, sign, change, after = step(page)
        assert before + (change if sign == "+" else -change) == after
        assert change != 0
        recorded = float(page.locator("#value").get_attribute("data-recorded") or "nan")
        assert float(after) == pytest.approx(recorded, rel=1e-6)
        captions = page.locator(".step figcaption").all_inner_texts()
        assert captions == ["before", "change, on its own scale", "after the step"]
        on_one_line(page)
    # one colour scale for before and after, another for the change
    at(page, "three.weight/3,0,1,1", "?direction=update")
    legends = [each.split() for each in page.locator(".step .legend").all_inner_texts()]
    assert legends[0] == legends[2] != legends[1]


def test_every_step_adds_up_in_its_digits(modules: Page) -> None:
    random = np.random.default_rng(5)
    before = random.normal(size=300).astype(np.float32)
    after = (before - before * 10.0 ** random.uniform(-6, -1, 300)).astype(np.float32)
    texts = modules.evaluate(
        """async (pairs) => {
            const { difference } = await import("./number/step.js");
            return pairs.flatMap(([from, to]) =>
                [false, true].map((exact) => difference({ from, to, change: from - to }, exact)));
        }""",
        [[float(a), float(b)] for a, b in zip(before, after, strict=True)],
    )
    plain = 0
    for text in texts:
        match = re.fullmatch(rf"({NUMBER}) ([−+]) ({NUMBER}) = ({NUMBER})(?: \(hidden digits ({NUMBER})\))?", text)
        assert match, text
        change = decimal(match[3]) * (1 if match[2] == "+" else -1)
        assert decimal(match[1]) + change + decimal(match[5] or "0") == decimal(match[4]), text
        plain += match[5] is None
    assert plain > 0.9 * len(texts)


def test_sums_of_any_size_add_up_with_what_is_hidden(modules: Page) -> None:
    random = np.random.default_rng(6)
    sums = [
        (random.normal(size=random.integers(1, 40)) * 10.0 ** random.integers(-30, 12)).tolist() for _ in range(200)
    ] + [[0.0, 0.0], [3.0, -4.0], [1e-300, 1e-301]]
    results = modules.evaluate(
        """async (sums) => {
            const { addingUp } = await import("./number/adding.js");
            return sums.flatMap((parts) => [false, true].map((all) =>
                JSON.stringify(addingUp(parts, parts.reduce((a, b) => a + b, 0), { all }))));
        }""",
        sums,
    )
    for text in results:
        shown = json.loads(text)
        parts = [decimal(each) for each in shown["parts"]]
        assert sum(parts) + decimal(shown["rest"] or "0") == decimal(shown["total"]), shown


def test_a_map_of_a_further_sum_is_none_of_the_first(modules: Page) -> None:
    """A gradient may have several sums, whose maps are counted on: the first sum then shows its usual map."""
    cases = [([1, -5, 2, 3], 2), ([1, -5, 2, 3], -1), ([1, -5, 2, 3], 4), ([1, -5, 2], 3)]
    code = """async (cases) => {
        const { chosenMap } = await import("./number/chosen.js");
        return cases.map(([totals, channel]) => chosenMap(totals.map((total) => ({ total })), channel));
    }"""
    assert modules.evaluate(code, cases) == [2, 1, 1, 0]
