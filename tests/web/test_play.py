"""The automatically sliding window: Space, R, what stops it, and that the drawing keeps up with it."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect
from tests.web.placed import fits, go

from pellucid.glassbox.trace.trace import Trace

PHONE = {"width": 360, "height": 740}
PLACE = "() => JSON.parse('[' + document.querySelector('h1').textContent.match(/\\[(.*)\\]/)[1] + ']')"


def moving(opened: Callable[..., Page], place: str) -> Page:
    page = opened(place)
    page.emulate_media(reduced_motion="no-preference")
    return page


def title(page: Page, text: str) -> None:
    expect(page.locator("h1").first).to_have_text(text)


def test_space_slides_on_and_stops(opened: Callable[..., Page]) -> None:
    page = moving(opened, "#/conv/1,4,2")
    page.locator("body").press("Space")
    button = page.locator(".play")
    expect(button).to_have_text("Pause")
    expect(page.locator("h1").first).to_have_text(re.compile(r"conv\[1, (4, ([5-9]|1\d)|([5-9]|1\d), \d+)\]"))
    page.locator("body").press("Space")
    expect(button).to_have_text("Play")
    stopped = page.evaluate(PLACE)
    page.wait_for_timeout(400)
    assert page.evaluate(PLACE) == stopped
    assert page.url.endswith("#/conv/" + ",".join(map(str, stopped))), "the address says where it stopped"


def test_it_goes_line_by_line_and_ends_with_the_map(opened: Callable[..., Page]) -> None:
    page = moving(opened, "#/conv/2,10,9")
    page.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => {
            const here = document.querySelector("h1").textContent;
            if (window.seen.at(-1) !== here) window.seen.push(here);
        }).observe(document.querySelector("main"), { subtree: true, childList: true, characterData: true });
    }""")
    page.locator("body").press("Space")
    expect(page.locator(".play")).to_have_text("Pause")
    title(page, "conv[2, 11, 11]")
    expect(page.locator(".play")).to_have_text("Play")
    places = [f"conv[2, {row}, {column}]" for row in (10, 11) for column in range(12)]
    seen = page.evaluate("window.seen")
    assert seen == [place for place in places[10:] if place in seen], "a slow page leaves some out"
    assert {place[:10] for place in seen} == {"conv[2, 10", "conv[2, 11"}


def test_r_begins_at_the_maps_start(opened: Callable[..., Page]) -> None:
    page = moving(opened, "#/conv/3,7,7")
    page.keyboard.press("r")
    expect(page.locator("h1").first).to_have_text(re.compile(r"conv\[3, 0, ([3-9]|1\d)\]"))
    page.keyboard.press("e")
    expect(page.locator(".play")).to_have_text("Play")


def test_a_click_and_any_key_stop_it(opened: Callable[..., Page]) -> None:
    page = moving(opened, "#/conv/1,1,1")
    button = page.locator(".play")
    for stop in (lambda: page.mouse.click(5, 790), lambda: page.keyboard.press("Shift"), button.click):
        button.click()
        expect(button).to_have_text("Pause")
        stop()
        expect(button).to_have_text("Play")


def test_enter_pauses_and_plays_again_at_the_start_when_the_map_ends(opened: Callable[..., Page]) -> None:
    page = moving(opened, "#/conv/1,4,2?speed=slow")
    button = page.locator(".play")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_text("Pause")
    page.keyboard.press("Enter")
    expect(button).to_have_text("Play")
    go(page, "#/conv/1,11,10?speed=slow")
    button.focus()
    page.keyboard.press("Enter")
    title(page, "conv[1, 11, 11]")
    expect(button).to_have_text("Play")  # the map has ended
    page.keyboard.press("Enter")
    expect(page.locator("h1").first).to_have_text(re.compile(r"^conv\[1, 0, \d+\]$"))
    page.keyboard.press("Enter")
    expect(button).to_have_text("Play")
    expect(button).to_be_focused()


def test_without_motion_it_jumps_from_place_to_place(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/1,4,11?speed=fast")
    page.locator("body").press("Space")
    expect(page.locator("h1").first).to_have_text(re.compile(r"conv\[1, ([6-9]|1\d), \d+\]"))
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Shift")
    expect(page.locator(".play")).to_have_text("Play")
    page.locator("[data-key='speed/slow']").click()
    assert page.url.endswith("speed=slow")
    page.locator("body").press("r")
    title(page, "conv[1, 0, 0]")


def test_what_is_kept_of_a_drawing_says_the_new_numbers(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/conv/1,4,6?exact=1&channel=0")
    cell = page.locator(".grid").first.locator("td.on").first
    cell.evaluate("(node) => { node.kept = true; }")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    title(page, "conv[1, 5, 7]")
    working = walk.unit("conv[1, 5, 7]")
    assert page.locator(".grid td").evaluate_all("(cells) => cells.some((cell) => cell.kept)"), "the drawing is kept"
    terms = [float(each.inner_text().replace("−", "-")) for each in page.locator(".terms td:nth-child(3)").all()]
    assert terms == working.parts[0].terms.values[:9].tolist()
    recorded = page.locator("#value").get_attribute("data-recorded")
    assert recorded is not None
    assert float(recorded) == working.recorded
    page.locator(".terms button.factor").first.click()
    title(page, "input[0, 4, 6]")


def test_on_a_phone_and_for_a_screen_reader(opened: Callable[..., Page], axe: str) -> None:
    page = opened("#/conv/2,5,5", PHONE)
    page.locator(".play").click()
    expect(page.locator("h1").first).to_have_text(re.compile(r"conv\[2, (5, [6-9]|[6-9], \d+)"))
    page.locator(".play").click()
    fits(page)
    violations = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
    assert [each["id"] for each in violations["violations"]] == []
