"""The number under the mouse or the focus is the one that is named and marked, wherever numbers are drawn."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.placed import box, settled

from pellucid.glassbox.trace.trace import Trace


def named(text: str) -> tuple[str, float]:
    """("conv[0, 1, 2]", its value) of "conv[0, 1, 2] is 0.5" and of "conv[0, 1, 2]: 0.5"."""
    match = re.fullmatch(r"(?:gradient of )?([\w.]+(?:\[[\d, ]*\])?)(?: is|:) (\S+)", text)
    assert match, text
    return match[1], float(match[2].replace("−", "-"))


def astray(page: Page, pointer: tuple[float, float]) -> object:
    """The middle of the mark if the mark is not on the number under the mouse."""
    place = box(page.locator(".large .chosen"))
    middle = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    return None if middle == pytest.approx(pointer, abs=1.5) else middle


def test_in_the_large_map_the_mark_follows_the_mouse_and_the_keys_go_on_from_there(
    opened: Callable[..., Page], walk: Trace
) -> None:
    page = opened("#/conv")
    large = box(page.locator(".large"))
    cell = large["width"] / 12
    for row, column in ((2, 7), (9, 0), (11, 11)):
        pointer = large["x"] + (column + 0.5) * cell, large["y"] + (row + 0.5) * cell
        page.mouse.move(*pointer)
        expect(page.locator(".hover")).to_contain_text(f"conv[0, {row}, {column}] is")
        unit, value = named(page.locator(".hover").inner_text())
        assert value == pytest.approx(walk.unit(unit).recorded, rel=1e-6)
        settled(page, lambda pointer=pointer: astray(page, pointer))
        expect(page.locator(".large")).to_have_attribute("aria-label", re.compile(re.escape(unit)))
    page.mouse.move(2, 2)
    expect(page.locator(".hover")).to_contain_text("conv[0, 11, 11] is")
    page.locator(".large").press("ArrowUp")
    expect(page.locator(".hover")).to_contain_text("conv[0, 10, 11] is")
    page.locator(".large").press("Enter")
    expect(page.locator("h1").first).to_have_text("conv[0, 10, 11]")


def test_no_key_is_lost_that_comes_before_the_map_is_drawn_anew(opened: Callable[..., Page]) -> None:
    page = opened("#/conv")
    page.locator(".large").evaluate(
        """(map) => {
            for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"])
                map.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator(".hover")).to_contain_text("conv[0, 7, 8] is")


@pytest.mark.parametrize(
    ("address", "element", "at", "unit"),
    [
        ("#/conv", "[data-key='wall']", (3 + 90 + 10.5 * 7, 3 + 4.5 * 7), "conv[1, 4, 10]"),
        ("#/conv?direction=backward", "[data-key='wall']", (3 + 2.5 * 7, 3 + 0.5 * 7), "conv[0, 0, 2]"),
        ("#/conv", "[data-key='kernels']", (3 + 54 + 40, 3 + 8), "conv.weight[0, 1, 0, 2]"),
        ("#/fc", "li[data-name='pool'] .square", (36 + 32 - 3, 3), "pool[1, 0, 5]"),
        ("#/fc", "li[data-name='fc'] .square", (34, 40), "fc[1]"),
    ],
)
def test_a_small_map_names_and_marks_its_number(
    opened: Callable[..., Page], walk: Trace, address: str, element: str, at: Any, unit: str
) -> None:
    page = opened(address)
    page.locator(element).locator("canvas").wait_for()
    page.locator(element).scroll_into_view_if_needed()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it has scrolled
    place = box(page.locator(element))
    pointer = place["x"] + at[0], place["y"] + at[1]
    page.mouse.move(*pointer)
    expect(page.locator(".number-name")).to_contain_text(unit)
    shown, value = named(page.locator(".number-name").inner_text())
    assert shown == unit
    expected = walk.gradient(unit) if "backward" in address else walk.unit(unit)
    assert value == pytest.approx(expected.recorded, rel=1e-6)
    mark = box(page.locator(element).locator(".pointed"))
    assert mark["x"] <= pointer[0] <= mark["x"] + mark["width"]
    assert mark["y"] <= pointer[1] <= mark["y"] + mark["height"]
    expect(page.locator(".pointed")).to_have_count(1)
    page.mouse.move(2, 2)
    expect(page.locator(".number-name")).to_be_hidden()
    expect(page.locator(".pointed")).to_have_count(0)


def test_a_cell_of_a_grid_is_named_under_the_mouse_and_with_the_focus(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/2,5,5")
    cells = page.locator(".grid").first.locator("td[data-key]")
    name = page.locator(".number-name")
    cells.nth(2).hover()
    expect(name).to_have_text(cells.nth(2).get_attribute("aria-label") or "")
    expect(cells.nth(2)).to_have_css("outline-style", "solid")
    product = page.locator(".grid td[aria-label^=product]").first
    expect(product).to_have_attribute("aria-label", re.compile(r"^product in row 4, column 4 of input\[0\]: "))
    cells.nth(3).focus()
    page.keyboard.press("ArrowLeft")
    expect(name).to_have_text(page.locator(":focus").get_attribute("aria-label") or "")
    table, label = box(page.locator("table.grid, .grid table").first), box(name)
    covers = label["y"] < table["y"] + table["height"] and label["y"] + label["height"] > table["y"]
    assert not covers, "the other numbers of the grid stay readable"
    title = page.locator("h1").first.inner_text()
    page.keyboard.press("Escape")
    expect(name).to_be_hidden()
    expect(page.locator("h1").first).to_have_text(title)
    page.keyboard.press("ArrowRight")
    expect(name).to_have_text(page.locator(":focus").get_attribute("aria-label") or "")
    page.locator("body").press("b")
    expect(page.locator("#value ~ dl dd").first).to_have_text(re.compile("gradient"))
    expect(name).to_be_hidden()  # what it named is gone


def test_a_number_of_the_table_behind_a_map_is_named(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/pool")
    page.locator("summary", has_text="The numbers as a table").click()
    page.get_by_role("table", name="Map 0 of pool").locator("tbody tr").nth(2).locator("td").nth(1).hover()
    expect(page.locator(".number-name")).to_contain_text("pool[0, 2, 1]")
    unit, value = named(page.locator(".number-name").inner_text())
    assert unit == "pool[0, 2, 1]"
    assert value == pytest.approx(walk.unit(unit).recorded, rel=1e-6, abs=1e-12)
