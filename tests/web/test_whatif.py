"""What if, on the served page: by mouse and by keys, on a desktop and on a phone; and the brush alone."""

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.patience import PATIENCE
from tests.web.placed import fits, go

from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass

PHONE = {"width": 360, "height": 740}


def glass(server: Server) -> Glass:
    assert isinstance(server.glass, Glass)
    return server.glass


def probabilities(page: Page) -> list[str]:
    return page.locator(".layer .bar span:last-child").all_inner_texts()


def test_a_weight_is_changed_by_keys_and_put_back(served: Page, server: Server) -> None:
    go(served, "#/conv1.weight/1,0,1,1")
    before, was = probabilities(served), served.locator("#value").inner_text()
    field = served.get_by_label("another value for conv1.weight[1, 0, 1, 1]")
    field.fill("2.5")
    expect(served.locator(".adjust .shifts .by").first).not_to_have_text(
        "the same"
    )  # foreseen, and nothing has changed
    assert probabilities(served) == before
    field.press("Enter")
    expect(served.locator(".what-if .chips li")).to_have_count(1)
    expect(served.locator(".chips")).to_contain_text("conv1.weight[1, 0, 1, 1]")
    expect(served.locator("#value")).to_contain_text("2.5")
    assert glass(server).shown.classifier.module.get_parameter("conv1.weight").detach()[1, 0, 1, 1] == 2.5
    after = [f"{100 * p:.1f}%" for p in glass(server).shown.document.trace.probabilities]
    assert sorted(served.locator(".what-if .figures b").all_inner_texts()) == sorted(after)
    expect(field).to_be_focused()
    served.keyboard.press("z")  # also in the field, which takes digits alone
    expect(served.locator("#value")).to_have_text(was)
    expect(served.locator(".what-if.aside")).to_contain_text("1 change put back for now")
    assert probabilities(served) == before
    served.locator("h1").first.click()
    served.keyboard.press("z")
    expect(served.locator("#value")).to_contain_text("2.5")
    served.get_by_role("button", name=re.compile("^Undo: conv1.weight")).click()
    expect(served.locator(".what-if")).to_have_count(0)
    assert probabilities(served) == before


def test_the_controls_stay_in_place_and_an_edited_number_is_not_called_learned(served: Page) -> None:
    go(served, "#/conv1.weight/1,0,1,1")
    expect(served.locator(".say p").first).to_contain_text("Training adjusts it.")
    slider = served.get_by_label("slide conv1.weight[1, 0, 1, 1] to another value")
    slider.focus()
    before = slider.bounding_box()
    served.keyboard.press("ArrowRight")
    expect(served.locator(".adjust .shifts .by").first).not_to_have_text("the same")
    assert slider.bounding_box() == before
    expect(served.locator(".what-if .chips li")).to_have_count(1)
    expect(served.locator(".say p").first).to_contain_text("You changed it; it was")
    expect(slider).to_be_focused()
    after = slider.bounding_box()
    assert before is not None
    assert after is not None
    assert (after["x"], after["width"]) == (before["x"], before["width"])
    assert after["y"] == pytest.approx(before["y"], abs=1)
    assert "learned" not in served.locator("main").inner_text()
    expect(served.get_by_role("button", name="as it was")).to_be_visible()


def test_a_drag_goes_on_while_the_page_is_drawn_anew(served: Page) -> None:
    go(served, "#/conv1.weight/1,0,1,1")
    slider = served.get_by_label("slide conv1.weight[1, 0, 1, 1] to another value")
    slider.scroll_into_view_if_needed()
    slider.evaluate("slider => { window.held = slider; }")
    place = slider.bounding_box()
    assert place is not None
    x, y = place["x"], place["y"] + place["height"] / 2
    served.mouse.move(x + place["width"] / 2, y)
    served.mouse.down()
    served.mouse.move(x + 0.6 * place["width"], y)
    served.mouse.up()
    served.mouse.down()  # at once, before the first drag has been worked out
    expect(served.locator(".what-if .chips li")).to_have_count(1)
    moved = slider.bounding_box()
    assert moved is not None
    served.mouse.move(x + 0.9 * place["width"], moved["y"] + moved["height"] / 2, steps=3)
    last = float(slider.input_value())
    assert last > 0.7 * float(slider.get_attribute("max") or 0)
    served.mouse.up()
    expect(served.locator("#value")).to_have_attribute("data-recorded", re.compile(f"^{last:.5f}"[:-2]))
    assert slider.evaluate("slider => slider === window.held")
    assert float(slider.input_value()) == pytest.approx(last, rel=1e-6)
    served.keyboard.press("z")
    expect(served.locator(".what-if.aside")).to_be_visible()
    expect(slider).not_to_have_value(re.compile(f"^{last:.5f}"[:-2]))  # it is back as well


def test_a_slider_does_not_queue_up(served: Page, server: Server) -> None:
    go(served, "#/dense1.weight/1,7")
    requests: list[Route] = []

    def hold_first(route: Route) -> None:  # its answer takes as long as all twelve steps
        requests.append(route)
        if len(requests) > 1:
            route.continue_()

    served.route("**/api/what-if", hold_first)
    slider = served.get_by_label("slide dense1.weight[1, 7] to another value")
    slider.focus()
    before = glass(server).shown.run
    for _ in range(12):
        served.keyboard.press("ArrowRight")
    wanted = float(slider.input_value())
    until = time.monotonic() + PATIENCE
    while not requests:
        assert time.monotonic() < until
        served.wait_for_timeout(10)
    served.wait_for_timeout(200)
    assert len(requests) == 1
    requests[0].continue_()
    while (changes := glass(server).altered.changes) == () or getattr(changes[0], "value", None) != pytest.approx(
        wanted, rel=1e-6
    ):
        assert time.monotonic() < until, changes
        served.wait_for_timeout(10)
    expect(served.locator(".what-if .chips li")).to_have_count(1)
    assert len(requests) <= 2  # the first and the last, which may be one: it waits a moment for the next step
    assert glass(server).shown.run == before + len(requests)
    expect(slider).to_be_focused()


def test_a_number_that_is_too_large_is_refused_once_and_beside_its_field(served: Page) -> None:
    go(served, "#/conv1.weight/1,0,1,1")
    field = served.get_by_label("another value for conv1.weight[1, 0, 1, 1]")
    field.fill("1e39")
    field.press("Enter")
    expect(served.locator(".adjust .refused")).to_contain_text("cannot be 1e+39; it must be a finite float32.")
    served.wait_for_timeout(300)  # in which it would have been asked for
    expect(served.locator(".trouble")).to_have_count(0)
    expect(served.locator(".what-if")).to_have_count(0)


def test_who_waits_for_the_latest_waits_for_all(modules: Page) -> None:
    done = modules.evaluate("""async () => {
        const { latest } = await import("./whatif/whatif.js");
        const done = [];
        const work = latest(async (given) => (await new Promise((go) => setTimeout(go, 20)), done.push(given)));
        void work(1);
        void work(2);
        await work(3);
        return done;
    }""")
    assert done == [1, 3]


def test_what_does_not_fit_says_so_and_what_would_is_one_click(served: Page, server: Server) -> None:
    go(served, "#/conv1")
    stride = served.get_by_label("stride", exact=True)
    stride.fill("2")
    stride.press("Enter")
    expect(served.locator(".refused")).to_contain_text("dense1 would get 16 numbers, but has weights for 100.")
    expect(served.locator(".what-if")).to_have_count(0)
    expect(served.locator(".trouble")).to_have_count(0)
    served.get_by_role("button", name="Change that as well").click()
    expect(served.locator(".what-if .chips li")).to_have_count(3)
    expect(served.locator(".facts")).to_contain_text("floor([12 - 3 + 2*1] / 2) + 1 = 6")
    served.get_by_role("button", name=re.compile("^maxpool1 stride")).click()
    expect(served.locator("h1").first).to_have_text("maxpool1")
    served.get_by_role("button", name="average", exact=True).click()
    expect(served.locator(".facts")).to_contain_text("average pooling")
    expect(served.locator(".what-if .chips li")).to_have_count(4)
    assert str(glass(server).shown.classifier.network).split(" flatten")[0] == (
        "conv(4, 3, stride=2, padding=1) relu avgpool(2, stride=1)"
    )


def test_what_is_typed_stays_when_patches_arrive(served: Page) -> None:
    requests: list[Route] = []

    def find_later(route: Route) -> None:
        requests.append(route)
        if len(requests) == 1:
            route.fulfill(json={"state": "running", "done": 0, "total": 0, "seconds": 0.0, "error": ""})
        else:
            route.continue_()

    served.route("**/api/exemplars?*", find_later)
    go(served, "#/conv1")
    stride = served.get_by_label("stride", exact=True)
    stride.fill("2")
    expect(served.locator(".exemplars progress")).to_have_count(1)
    expect(served.locator(".patches li").first).to_be_visible()
    assert len(requests) > 1
    expect(stride).to_have_value("2")


def test_the_picture_is_painted_by_mouse(served: Page, server: Server) -> None:
    before = glass(server).original_pixels
    served.get_by_role("button", name="Paint over it").click()
    served.get_by_role("button", name="white", exact=True).click()
    easel = served.locator(".easel")
    box = easel.bounding_box()
    assert box is not None
    x, y = box["x"], box["y"] + box["height"] * 3.5 / 12
    served.mouse.move(x + box["width"] * 2.5 / 12, y)
    served.mouse.down()
    served.mouse.move(x + box["width"] * 8.5 / 12, y, steps=3)
    served.mouse.up()
    expect(served.locator(".what-if .chips")).to_contain_text("pixels painted")
    painted = glass(server).altered.pixels
    assert painted is not None
    changed = (painted != before).any(axis=2)
    assert (painted[changed] == 255).all()
    assert changed[3, 2:9].all()
    assert not changed[8:].any()
    expect(served.locator(".easel")).to_be_focused()
    # a stroke and Z at once: the stroke counts, and is undone with the rest
    served.locator(".easel").press("ArrowDown")
    served.locator(".easel").press("Space")
    served.keyboard.press("z")
    expect(served.locator(".what-if.aside")).to_contain_text("1 change put back")
    assert glass(server).altered.pixels is None
    served.keyboard.press("z")
    expect(served.locator(".what-if .chips")).to_contain_text("pixels painted")
    again = glass(server).altered.pixels
    assert again is not None
    assert not np.array_equal(again, painted)


def test_the_picture_is_painted_by_keys_and_cleaned(served: Page, server: Server) -> None:
    go(served, "#/picture?brush=1")
    served.get_by_label("width of the brush in pixels").fill("1")
    easel = served.locator(".easel")
    easel.focus()
    for key in ("ArrowUp", "ArrowLeft", "Enter"):
        easel.press(key)
    expect(served.locator(".what-if .chips")).to_contain_text("1 pixel painted")
    pixels = glass(server).altered.pixels
    assert pixels is not None
    assert pixels[5, 5].tolist() == [0, 0, 0]
    served.get_by_role("button", name="as it was", exact=True).click()
    served.locator(".easel").press("Space")
    expect(served.locator(".what-if")).to_have_count(0)
    assert not glass(server).altered
    served.get_by_role("button", name="Done").click()
    expect(served.locator(".easel")).to_have_count(0)
    expect(served.get_by_role("button", name="Paint over it")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_axe(browser: Browser, server: Server, axe: str, scheme: Any) -> None:
    context = browser.new_context(viewport=PHONE, reduced_motion="reduce", color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server.address}#/?brush=1")
    page.locator(".easel").press("Space")
    expect(page.locator(".what-if .chips li")).to_have_count(1)
    for place in ("#/?brush=1", "#/conv1", "#/maxpool1", "#/conv1.weight/0,0,0,0", "#/picture"):
        go(page, place)
        page.locator(".what-if").wait_for()
        fits(page)
        page.evaluate(f"(() => {{ {axe} }})()")
        # in the dark only colours differ
        rules = ", runOnly: ['color-contrast']" if scheme == "dark" else ""
        violations = page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{rules}}})")
        serious = [each for each in violations["violations"] if each["impact"] in ("serious", "critical")]
        assert [(place, each["id"], each["nodes"][0]["html"]) for each in serious] == []
    context.close()
    assert errors == []


def test_a_file_offers_no_what_if(opened: Callable[..., Page]) -> None:
    page = opened("#/conv?brush=1")
    expect(page.locator(".adjust, .paint, .what-if")).to_have_count(0)
    page.keyboard.press("z")
    expect(page.locator("h1").first).to_have_text("conv")


def test_the_brush_paints_a_disc_and_copies_what_was(modules: Page) -> None:
    painted = modules.evaluate(
        """async () => {
            const { colored, copied, dab, stroke, blurred } = await import("./whatif/brush.js");
            const image = (channels) => ({
                data: Uint8Array.from({ length: 49 * channels }, (_, at) => at), height: 7, width: 7, channels });
            const one = image(1), three = image(1), grey = image(1), line = image(1), back = image(3);
            dab(one, 3, 3, 1, colored([0], 1));
            dab(three, 3, 3, 3, colored([200], 1));
            dab(grey, 0, 0, 1, colored([255, 0, 0], 1));
            stroke(line, [1, 1], [5, 3], 1, colored([0], 1));
            const was = Uint8Array.from(back.data);
            dab(back, 2, 2, 4, colored([1, 2, 3], 3));
            const some = Array.from(back.data);
            dab(back, 2, 2, 4, copied(was, 3));
            const flat = { data: new Uint8Array(49).fill(9), height: 7, width: 7, channels: 1 };
            return {
                one: Array.from(one.data), three: Array.from(three.data), grey: grey.data[0],
                line: Array.from(line.data), some, back: Array.from(back.data), was: Array.from(was),
                flat: Array.from(blurred(flat)),
            };
        }"""
    )
    grid = np.arange(49).reshape(7, 7)
    one = grid.copy()
    one[3, 3] = 0
    assert painted["one"] == one.ravel().tolist()
    three = grid.copy()
    three[2:5, 2:5] = 200
    assert painted["three"] == three.ravel().tolist()
    assert painted["grey"] == 76  # 0.299 of 255
    assert np.argwhere(np.array(painted["line"]).reshape(7, 7) == 0).tolist() == [
        [0, 0], [1, 1], [2, 2], [3, 2], [4, 3], [5, 3],
    ]  # fmt: skip
    assert painted["some"] != painted["was"]
    assert painted["back"] == painted["was"]
    assert painted["flat"] == [9] * 49
