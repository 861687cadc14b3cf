"""Makes the README's picture of a model card: python docs/card.py MODEL, which `pellucid demo` trains.

Renders MODEL/README.md as a page in two columns, as far as how it was trained, and writes docs/images/model-card.png.
Needs what the tests need: Playwright and a Chromium; markdown-it-py comes with rich.
"""

import argparse
import io
import shutil
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

PLACE = Path(__file__).parent / "images" / "model-card.png"
SIZE = ViewportSize(width=1440, height=900)
LAST = "<h2>Use it</h2>"  # the first heading that is left out
STYLE = """
body { columns: 2; column-gap: 2.5rem; margin: 1rem; font: 0.95rem/1.5 system-ui, sans-serif; color: #1c1e22; }
h1 { margin-top: 0; font-size: 1.5rem; line-height: 1.2; }
h2 { padding-bottom: 0.3rem; border-bottom: 1px solid #d5dbe1; font-size: 1.2rem; }
h1, h2, h3 { break-after: avoid; }
table { margin: 0.75rem 0; border-collapse: collapse; break-inside: avoid; font-size: 0.8rem; line-height: 1.3; }
th, td { padding: 0.2rem 0.3rem; border: 1px solid #d5dbe1; }
th { background: #f6f8fa; }
td img { width: 3rem; image-rendering: pixelated; }
p { overflow-wrap: anywhere; }
p > img { max-width: 100%; max-height: 30rem; }
code { font-size: 0.85rem; }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a model folder, as `pellucid demo` writes it")
    model = parser.parse_args().model
    chromium = next((path for path in map(shutil.which, ("chromium", "google-chrome")) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        image = drawn(browser.new_page(viewport=SIZE, color_scheme="light"), model)
        browser.close()
    image.save(PLACE, optimize=True)
    print(f"{PLACE}: {image.width} x {image.height} pixels, {PLACE.stat().st_size:,} bytes")


def drawn(page: Page, model: Path) -> Image.Image:
    """The card's pictures are read from the model folder, so the page opens from a file beside them."""
    page.route("**/card.html", lambda route: route.fulfill(body=html(model), content_type="text/html; charset=utf-8"))
    page.goto((model.resolve() / "card.html").as_uri())
    page.wait_for_load_state("networkidle")
    return Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")


def html(model: Path) -> str:
    """The card without the lines for the model hub at its top."""
    card = (model / "README.md").read_text(encoding="utf-8").split("---\n", 2)[-1]
    content = MarkdownIt("commonmark", {"html": True}).enable("table").render(card)
    shown, last, _ = content.partition(LAST)
    assert last, f"{model}/README.md has no {LAST}"
    return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style>{shown}"


if __name__ == "__main__":
    main()
