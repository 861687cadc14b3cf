"""Forced colours: what is pressed, chosen or long is still to be seen."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page


def seen(locator: Locator) -> np.ndarray:
    """Its pixels: uint8 (H, W, 3)."""
    locator.scroll_into_view_if_needed()
    return np.array(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"))


def paper(locator: Locator) -> list[int]:
    """The colour that most of it has."""
    colors, counts = np.unique(seen(locator).reshape(-1, 3), axis=0, return_counts=True)
    return colors[counts.argmax()].tolist()


def test_pressed_and_chosen_differ_from_the_rest(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/2,5,5?channel=1")
    page.emulate_media(forced_colors="active")
    try:
        for group in (page.get_by_role("group", name="direction"), page.locator(".addition").first):
            pressed, other = group.locator("[aria-pressed=true]").first, group.locator("[aria-pressed=false]").first
            assert paper(pressed) != paper(other)
        page = opened("#/")
        bar = page.locator(".track i.first")
        assert paper(bar) != paper(page.locator("main h1").first)
    finally:
        page.emulate_media(forced_colors="none")
