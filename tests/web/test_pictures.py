"""Several pictures in one file: switching by mouse, by key and by address, and each one's own numbers."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from tests.web.placed import box, fits

import pellucid
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.trace import Trace

PHONE = {"width": 360, "height": 740}
NAMES = [("red", "0"), ("blue", "2"), ("red", "3")]
UNIT = "conv1[3, 5, 6]"


@pytest.fixture(scope="module")
def traces(trained: Path, photos: Path) -> list[Trace]:
    """The last one against its folder's class, which is not the predicted one."""
    classifier = pellucid.load(trained)
    paths = [photos / label / f"{name}.png" for label, name in NAMES]
    return [classifier.explain(path, "red" if number == 2 else None) for number, path in enumerate(paths)]


@pytest.fixture(scope="module")
def file(traces: list[Trace], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures") / "several.html"
    place.write_text(offline(iter(traces), "model"), encoding="ascii")
    return place


@pytest.fixture
def several(page: Page, file: Path) -> Callable[..., Page]:
    """several("#/conv1", size) -> the page at a place, ready."""

    def open_at(place: str = "#/", size: Any = None) -> Page:
        if size is not None:
            page.set_viewport_size(size)
        page.goto("about:blank")
        page.goto(file.as_uri() + place)
        page.locator("main h1").wait_for()
        return page

    return open_at


def shows(page: Page, number: int, total: float) -> None:
    """The picture's button is pressed, and the number on the page is `total`."""
    expect(page.locator(".pictures [aria-pressed='true']")).to_have_attribute("data-key", f"picture/{number}")
    page.wait_for_function(
        "total => Math.abs(document.querySelector('#value')?.dataset.total - total) <= 1e-12 * Math.abs(total)",
        arg=total,
    )


def test_the_row_tells_each_picture(several: Callable[..., Page], traces: list[Trace]) -> None:
    buttons = several().get_by_role("group", name="Pictures").get_by_role("button")
    expect(buttons).to_have_count(3)
    for number, trace in enumerate(traces):
        predicted, share = trace.classes[trace.predicted], f"{100 * trace.probabilities[trace.predicted]:.1f}%"
        truth = NAMES[number][0]  # the folder's name
        told = "right" if truth == predicted else f"wrong: it is {truth}"
        label = f"{NAMES[number][1]}.png: {predicted}, {told}, {share}"
        if trace.classes[trace.label] != truth:
            label += f", loss against {trace.classes[trace.label]}"
        expect(buttons.nth(number)).to_have_attribute("aria-label", label)
        image = buttons.nth(number).locator("img")
        assert image.evaluate("async image => (await image.decode(), image.naturalWidth)") > 0
    expect(buttons.nth(2)).to_contain_text("it is red")


def test_a_click_shows_another_and_keeps_the_place(several: Callable[..., Page], traces: list[Trace]) -> None:
    page = several("#/conv1/3,5,6")
    shows(page, 0, traces[0].unit(UNIT).total)
    page.locator("[data-key='picture/1']").click()
    shows(page, 1, traces[1].unit(UNIT).total)
    expect(page.locator("h1").first).to_have_text(UNIT)
    expect(page.locator(".what")).to_contain_text(f"2.png: {traces[1].classes[traces[1].predicted]}")
    assert page.evaluate("location.hash") == "#/conv1/3,5,6?picture=1"
    page.reload()
    shows(page, 1, traces[1].unit(UNIT).total)
    page.keyboard.press("b")
    shows(page, 1, traces[1].gradient(UNIT).total)
    page.locator("[data-key='picture/0']").click()
    shows(page, 0, traces[0].gradient(UNIT).total)
    page.go_back()
    shows(page, 1, traces[1].gradient(UNIT).total)


def test_the_keys_go_from_one_to_the_next(several: Callable[..., Page], traces: list[Trace]) -> None:
    page = several("#/conv1/3,5,6")
    totals = [trace.unit(UNIT).total for trace in traces]
    for key, number in (("]", 1), ("]", 2), ("]", 2), ("[", 1), ("[", 0), ("[", 0)):
        page.keyboard.press(key)
        shows(page, number, totals[number])
    assert page.evaluate("location.hash") == "#/conv1/3,5,6", "the first is left out"
    page.locator("[data-key='picture/0']").focus()
    page.keyboard.press("ArrowRight")
    shows(page, 1, totals[1])
    expect(page.locator("[data-key='picture/1']")).to_be_focused()
    expect(page.locator("h1").first).to_have_text(UNIT)
    page.keyboard.press("f")
    page.keyboard.press("ArrowLeft")
    shows(page, 0, totals[0])
    typed = (
        "document.dispatchEvent(new KeyboardEvent('keydown', {key: ']', altKey: true, ctrlKey: true, bubbles: true}))"
    )
    page.locator("body").evaluate(f"body => body.{typed.removeprefix('document.')}")
    shows(page, 1, totals[1])


def test_an_address_without_such_a_picture_shows_the_first(several: Callable[..., Page], traces: list[Trace]) -> None:
    page = several("#/conv1/3,5,6?picture=9")
    shows(page, 0, traces[0].unit(UNIT).total)
    page.keyboard.press("]")
    shows(page, 1, traces[1].unit(UNIT).total)


READ = """async ([number, names]) => {
    const { findHost } = await import("pellucid/host.js");
    const host = findHost(document).picture(number);
    return Promise.all(names.map(async (name) => {
        const { data } = await host.array(name);
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    }));
}"""


def test_every_number_of_every_picture_comes_back(several: Callable[..., Page], traces: list[Trace]) -> None:
    page = several()
    for number, trace in enumerate(traces):
        arrays = Document(trace).arrays
        for (name, array), result in zip(arrays.items(), page.evaluate(READ, [number, list(arrays)]), strict=True):
            back = np.frombuffer(base64.b64decode(result), array.dtype).reshape(array.shape)
            assert back.tobytes() == array.tobytes(), (number, name)


@pytest.fixture
def damaged(file: Path, tmp_path: Path) -> Path:
    """The third picture's data are nonsense."""
    text = file.read_text(encoding="ascii")
    place = tmp_path / "damaged.html"
    place.write_text(re.sub(r'(id="picture-2">).*?(?=</script>)', r"\1nonsense", text), encoding="ascii")
    return place


def test_a_picture_is_read_when_it_is_looked_at(page: Page, damaged: Path, traces: list[Trace]) -> None:
    page.goto(damaged.as_uri() + "#/conv1/3,5,6")
    shows(page, 0, traces[0].unit(UNIT).total)
    page.keyboard.press("]")
    shows(page, 1, traces[1].unit(UNIT).total)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.keyboard.press("]")
    expect(page.get_by_role("alert")).to_contain_text("This file is not complete")
    page.keyboard.press("[")
    shows(page, 1, traces[1].unit(UNIT).total)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_and_for_everybody(several: Callable[..., Page], axe: str, scheme: Any) -> None:
    page = several("#/conv1/3,5,6?picture=2", PHONE)
    page.emulate_media(color_scheme=scheme)
    page.locator(".stage").wait_for()
    fits(page)
    chosen = page.locator("[data-key='picture/2']")
    expect(chosen).to_be_in_viewport(ratio=0.99)  # it is scrolled there
    place = box(chosen)
    assert place["x"] + place["width"] <= PHONE["width"], "the chosen one is in sight"
    violations = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
    assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in violations["violations"]] == []


def test_one_picture_has_no_row(opened: Callable[..., Page]) -> None:
    page = opened("#/conv")
    expect(page.locator(".pictures")).to_have_count(0)
    page.keyboard.press("]")
    expect(page.locator("h1").first).to_have_text("conv")


def test_on_paper_there_is_nothing_to_click_and_the_colours_stay(several: Callable[..., Page]) -> None:
    page = several("#/conv1/3,5,6?picture=1")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".pictures")).to_be_hidden()
    expect(page.locator(".switches")).to_be_hidden()
    expect(page.locator(".what")).to_contain_text("2.png")
    # repeated until true: a cell that is being redrawn has no style
    expect(page.locator(".grid td.on").first).to_have_css("print-color-adjust", "exact")
    expect(page.locator("html")).to_have_css("background-color", "rgb(255, 255, 255)")
