"""Every control of every view says in words what it does."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect
from tests.web.placed import go, settled

# the name that a screen reader says, by the ways of naming that the page uses, and the element
CONTROLS = """() => {
    const kinds = "button, a[href], input, select, textarea, summary, [tabindex='0'], [role='slider']";
    const text = (node) => (node.getAttribute("aria-hidden") === "true" ? "" :
        [...node.childNodes].map((each) => each.nodeType === 3 ? each.data : each.alt ?? text(each)).join(" "));
    return [...document.querySelectorAll(kinds)].filter((node) => node.checkVisibility()).map((node) => {
        const labelled = (node.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
        const own = labelled.map((id) => text(document.getElementById(id))).join(" ") || node.ariaLabel;
        const around = [...(node.labels ?? [])].map(text).join(" ");
        const name = own || around || (node.matches("input, select") ? "" : text(node)) || node.title;
        return [name.trim(), node.outerHTML.slice(0, 120)];
    });
}"""
WORD = re.compile(r"[^\W\d_]{2,}")
PLACES = {
    "#/": "Walk through the network",
    "#/conv?at=1,3,3": "conv",
    "#/fc": "fc",
    "#/conv/1,4,6": "conv[1, 4, 6]",
    "#/conv/1,4,6?direction=backward": "conv[1, 4, 6]",
    "#/conv.weight/1,0,1,1?direction=update": "conv.weight[1, 0, 1, 1]",
    "#/fc/1": "fc[1] dog",
    "#/~lessons": "Lessons",
}


def unnamed(page: Page) -> list[str]:
    controls = page.evaluate(CONTROLS)
    few = [] if len(controls) > 5 else [f"only {len(controls)} controls"]
    return few + [html for name, html in controls if not WORD.search(name)]


def test_the_controls_of_the_file_have_names_of_words(opened: Callable[..., Page]) -> None:
    page = opened("#/")
    for place, title in PLACES.items():
        go(page, place)
        expect(page.locator("main h1").first).to_have_text(title)
        settled(page, lambda: unnamed(page))
    page.evaluate("location.hash = '#/fc/1'")
    expect(page.get_by_role("button", name="Next", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Previous", exact=True)).to_be_disabled()
    page.locator("[data-key='help']").click()
    settled(page, lambda: unnamed(page))
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".switches")).to_contain_text("Colours by")
    page.locator("nav").get_by_text("Lessons").click()
    page.locator(".lessons a, .lessons button").first.click()
    page.locator(".guide h2").wait_for()
    settled(page, lambda: unnamed(page))
    for word in ("Previous", "Next", "Leave"):
        expect(page.locator(".guide button", has_text=word)).to_be_visible()


def test_the_controls_of_the_served_views_have_names_of_words(viewed: Page) -> None:
    for place, there in (("#/", ".overview"), ("#/conv1", ".patches"), ("#/~mistakes", ".matrix"),
                         ("#/~mistakes/0,1", ".thumbs"), ("#/~difference", ".layers")):  # fmt: skip
        go(viewed, place)
        viewed.locator(there).wait_for()
        settled(viewed, lambda: unnamed(viewed))
