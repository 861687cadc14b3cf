"""The place of a drawn element on the page: the page may replace it between two looks."""

from playwright.sync_api import FloatRect, Locator
from tests.patience import PATIENCE

TURN = 50  # milliseconds between two looks


def box(locator: Locator) -> FloatRect:
    """The element's place and size in CSS pixels. Fails if it is not drawn in time."""
    for _ in range(round(PATIENCE * 1000 / TURN)):
        if (place := locator.bounding_box()) is not None:
            return place
        locator.page.wait_for_timeout(TURN)
    raise AssertionError(f"{locator} is not drawn")
