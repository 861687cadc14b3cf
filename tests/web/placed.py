"""What the page shows a moment after a change: it draws anew, and may replace an element between two looks."""

import itertools
import time
from collections.abc import Callable

from playwright.sync_api import FloatRect, Locator, Page
from tests.patience import PATIENCE

PAUSE = 20  # milliseconds between two looks
TURNS = itertools.count()
"""Of the places that were opened: a view that keeps its elements shows them again with their mark."""

TOO_WIDE = """() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll("*")].filter(
        (each) => each.getBoundingClientRect().right > clientWidth);
    return [`${scrollWidth} instead of ${clientWidth} px`, ...wide.map((each) => each.outerHTML.slice(0, 120))];
}"""


def settled(page: Page, wrong: Callable[[], object]) -> None:
    """Wait until nothing is wrong. Fails with what stays wrong. For what no `expect` of Playwright waits for.

    The page's policy forbids it to evaluate texts itself, as page.wait_for_function does.
    """
    end = time.monotonic() + PATIENCE
    while seen := wrong():
        assert time.monotonic() < end, seen
        page.wait_for_timeout(PAUSE)


def go(page: Page, place: str) -> None:
    """Change the address to "#/conv?exact=1", as a reader does who types it, and wait until the view is drawn."""
    turn = str(next(TURNS))
    page.evaluate(
        """([place, turn]) => {
            if (place === (location.hash || "#/")) return;
            for (const part of document.querySelectorAll("main > *")) part.setAttribute("data-before", turn);
            location.hash = place;
        }""",
        [place, turn],
    )
    page.locator(f"main > :not([data-before='{turn}'])").first.wait_for(state="attached")


def box(locator: Locator) -> FloatRect:
    """The element's place and size in CSS pixels, once it is drawn."""
    places: list[FloatRect] = []

    def missing() -> str:
        place = locator.bounding_box()
        places.extend([place] if place else [])
        return "" if place else f"{locator} is not drawn"

    settled(locator.page, missing)
    return places[-1]


def fits(page: Page) -> None:
    """Wait until the page, drawn for its window, does not scroll sideways."""
    settled(page, lambda: page.evaluate(TOO_WIDE))
