"""Make the pictures of the README and the tutorial from the demo's glass box: python docs/picture.py GLASS_BOX.html

It drives Chromium through the page like a reader, and writes docs/images/walk.webp, which is animated, and the stills.
Like the tests, it needs Playwright and a Chromium.
"""

import argparse
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, ViewportSize, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = ViewportSize(width=1280, height=860)
CAPTION, MARGIN = 24, 12  # pixels
INK, PAPER = (28, 30, 34), (251, 250, 247)
LOOK, STEP = 2200, 260  # milliseconds for a new view and for a step of a slide
LARGEST = 1_500_000  # bytes of an image at the top of a README
STILLS = {  # of the last picture, the mistake
    "term.png": "conv1/0,10,8?picture=8",
    "step.png": "conv1.weight/0,0,1,1?direction=update&picture=8",
}
Frame = tuple[Image.Image, int]  # with its duration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="glass-box.html, as `pellucid demo` writes it")
    place = parser.parse_args().page.resolve().as_uri()
    chromium = next((path for path in map(shutil.which, ("chromium", "google-chrome")) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce", color_scheme="light")
        page.goto(place)
        ready(page)
        frames = list(walk(page))
        for name, at in STILLS.items():
            page.goto("about:blank")
            page.goto(f"{place}#/{at}")
            shot(page).quantize(128).save(IMAGES / name, optimize=True)
        browser.close()
    save(frames, IMAGES / "walk.webp")


def walk(page: Page) -> Iterator[Frame]:
    """The network, a layer, one of its numbers, the sliding window, backward, another picture."""
    page.locator(".pictures button").last.click()  # the mistake, whose gradients are large enough to see
    yield captioned(page, "Your network, on your picture: here on a mistake"), LOOK
    page.get_by_role("button", name="conv1: convolution").click()
    yield captioned(page, "Click a layer: its maps and filters"), LOOK
    large = page.locator(".large").bounding_box()
    assert large is not None
    for step in range(5):
        page.mouse.move(large["x"] + large["width"] * (0.08 + 0.035 * step), large["y"] + large["height"] * 0.42)
        yield captioned(page, "Point at a number: the window it comes from lights up"), STEP
    page.mouse.down()
    page.mouse.up()
    yield captioned(page, "Click it: the window, the weights, the products, their sum"), LOOK
    page.evaluate("document.activeElement.blur()")  # otherwise an arrow key would move within a grid
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        yield captioned(page, "Slide the window on"), STEP
    page.keyboard.press("b")
    yield captioned(page, "Backward: what its gradient is made of"), LOOK
    page.keyboard.press("f")
    page.keyboard.press("[")
    yield captioned(page, "The same number of another picture"), LOOK


def ready(page: Page) -> None:
    """Wait until everything visible has been drawn."""
    page.locator("main h1").wait_for()
    page.wait_for_timeout(700)


def shot(page: Page) -> Image.Image:
    ready(page)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def captioned(page: Page, text: str) -> Image.Image:
    """A screenshot of the page, with a caption below it."""
    seen = shot(page)
    font = ImageFont.load_default(CAPTION)
    image = Image.new("RGB", (seen.width, seen.height + CAPTION + 2 * MARGIN), INK)
    image.paste(seen)
    ImageDraw.Draw(image).text((2 * MARGIN, seen.height + MARGIN), text, PAPER, font)
    return image


def save(frames: list[Frame], place: Path) -> None:
    (first, _), *_ = frames
    durations = [duration for _, duration in frames]
    rest = [image for image, _ in frames[1:]]
    first.save(place, save_all=True, append_images=rest, duration=durations, loop=0, quality=80, method=6)
    size = place.stat().st_size
    assert size <= LARGEST, f"{place} has {size:,} bytes, more than {LARGEST:,}"
    print(f"{place}: {len(frames)} frames, {size:,} bytes")


if __name__ == "__main__":
    main()
