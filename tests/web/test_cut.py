"""A truncated file says so, wherever it was cut."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.page.one_file import CUT
from pellucid.glassbox.trace.trace import Trace

PARTS = 20


@pytest.fixture(scope="module")
def text(walk: Trace) -> str:
    """Two pictures, for every kind of element."""
    return offline([walk, walk], "small")


def cuts(text: str) -> dict[str, int]:
    """What is cut -> the file's end. Before the first, there is no script that could report anything."""
    speaks = text.index("</script>") + len("</script>")
    assert speaks < 1024, "bytes; browsers look for the charset, which comes next, no further"
    named = {
        "the first script's end": speaks,
        "a style": text.index("<style") + 900,
        "the body's start": text.index("<body"),
        "the document": text.index('id="document"') + 500,
        "the arrays": text.index('id="arrays"') + 2000,
        "the second picture": text.index('id="picture-1"') + 2000,
        "the last script": text.rindex("</script>"),
    }
    return named | {f"{part}/{PARTS}": max(speaks, len(text) * part // PARTS) for part in range(PARTS)}


def test_it_says_so_wherever_it_was_cut(browser: Browser, text: str, tmp_path: Path) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for what, end in cuts(text).items():
        cut = tmp_path / f"{end}.html"
        cut.write_text(text[:end], encoding="ascii")
        page.goto(cut.as_uri())
        expect(page.get_by_role("alert"), what).to_have_text(CUT)
        expect(page.get_by_text("Reading the numbers"), what).to_have_count(0)
    assert complaints == []
    page.close()


def test_a_whole_file_says_nothing(browser: Browser, text: str, tmp_path: Path) -> None:
    page = browser.new_page()
    whole = tmp_path / "whole.html"
    # nothing needed is missing here
    whole.write_text(text[: text.index("</body>")], encoding="ascii")
    page.goto(whole.as_uri())
    page.locator("main h1").wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.close()


def test_a_file_cut_off_on_a_website_says_the_same(browser: Browser, text: str) -> None:
    page = browser.new_page()
    body = text[: text.index('id="document"') - 30]
    page.route("http://page.test/**", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto("http://page.test/")
    expect(page.get_by_role("alert")).to_contain_text(CUT)
    page.close()
