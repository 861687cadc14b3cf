"""Open a built site in Chromium, from the disk and without a network: python -m docs.site.browse build/site

`make soak` does so after `make docs`. Like the tests of the page it needs Playwright, axe-core and a Chromium.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from docs.site.check import ELSEWHERE
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

SIZES = (ViewportSize(width=360, height=740), ViewportSize(width=1440, height=900))
CHECKED = ("index.html", "docs/live.html", "docs/reference.html", "docs/six-questions.html")
"""Pages of each form; axe-core looks at them in both colours."""
PATIENCE = 30_000  # milliseconds


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    if not (site / "index.html").is_file():
        sys.exit(f"{site} holds no site. Run: make docs")
    chromium = next(
        (path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        results = [*every_page(browser, site), *contrast_and_names(browser, site), *ways(browser, site)]
        browser.close()
    if results:
        sys.exit("\n".join(results))
    print(f"{site} was opened in Chromium from the disk, without a network: no fault")


def context(browser: Browser, colours: str = "light", size: ViewportSize = SIZES[-1]) -> BrowserContext:
    result = browser.new_context(viewport=size, offline=True, color_scheme=colours, reduced_motion="reduce")
    result.set_default_timeout(PATIENCE)
    return result


def every_page(browser: Browser, site: Path) -> Iterator[str]:
    """Each page at each size: requests that leave the site's folder, errors, and text wider than the window."""
    for size in SIZES:
        around = context(browser, size=size)
        page = around.new_page()
        complaints: list[str] = []

        def listen(message: ConsoleMessage, complaints: list[str] = complaints) -> None:
            if message.type in ("error", "warning"):
                complaints.append(message.text)

        page.on("console", listen)
        page.on("pageerror", lambda error, complaints=complaints: complaints.append(str(error)))
        page.on(
            "request",
            lambda request, complaints=complaints: complaints.extend(
                [] if inside(request.url, site) else [f"a request for {request.url[:200]}"]
            ),
        )
        for path in sorted(site.rglob("*.html")):
            if path.name in ELSEWHERE:
                continue
            page.goto(path.as_uri())
            page.locator("h1").first.wait_for()
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            complaints += [f"{wide} pixels wider than the window"] if wide > 0 else []
            yield from (f"{path.relative_to(site)} at {size['width']}: {each}" for each in complaints)
            complaints.clear()
        around.close()


def inside(address: str, site: Path) -> bool:
    return address.startswith((site.as_uri(), "data:", "blob:", "about:"))


def contrast_and_names(browser: Browser, site: Path) -> Iterator[str]:
    """What axe-core has to say."""
    axe = next(Path(str(files("axe_playwright_python"))).rglob("axe.min.js")).read_text(encoding="utf-8")
    for colours in ("light", "dark"):
        for size in SIZES:
            around = context(browser, colours, size)
            page = around.new_page()
            for name in CHECKED:
                page.goto((site / name).as_uri())
                page.locator("h1").first.wait_for()
                told = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations'], iframes: false})")
                for each in told["violations"]:
                    where = [node["html"][:160] for node in each["nodes"]][:3]
                    yield f"{name} at {size['width']}, {colours}: {each['id']} ({each['help']}), {where}"
            around.close()


def ways(browser: Browser, site: Path) -> Iterator[str]:
    """A reader's ways: the search, a number of the network, the steps of the lessons. Raises where one is blocked."""
    around = context(browser)
    page = around.new_page()
    page.goto((site / "docs/why/log.html").as_uri())
    page.get_by_role("button", name="Search").first.click()
    page.keyboard.type("quarantine")
    page.get_by_role("dialog", name="Search").get_by_role("option").first.click()
    expect(page).not_to_have_url(re.compile("log.html"))
    number(page, site)
    steps = steps_of((site / "docs/six-questions.md").read_text(encoding="utf-8"))
    if len(steps) < 6:
        yield f"docs/six-questions.md names {len(steps)} steps of lessons, fewer than its six questions"
    for title, number_of_step, address in steps:
        page.goto("about:blank")
        page.goto(f"{(site / 'docs').as_uri()}/{address}")
        guide = page.get_by_role("complementary", name="Lesson")
        expect(guide.get_by_role("heading")).to_have_text(title)
        expect(guide.get_by_role("button", name=f"Step {number_of_step} of")).to_have_attribute("aria-current", "step")
        if page.get_by_text("There is nothing at this address").count():
            yield f"docs/six-questions.md: {address} names nothing"
    around.close()


def steps_of(questions: str) -> list[tuple[str, str, str]]:
    """The links of the page to steps of lessons: the lesson's title, the step's number, the address."""
    results, title = [], ""
    for named, number_of_step, address in re.findall(r"\*([^*]+):\*|\[step (\d+)\]\(([^)]+)\)", questions):
        title = " ".join(named.split()) or title
        if address:
            results.append((title, number_of_step, address))
    return results


def number(page: Page, site: Path) -> None:
    """A click on a number of the embedded network opens the number. Raises where it does not."""
    page.goto((site / "docs/live.html").as_uri())
    frame = page.frame_locator("iframe.live")
    expect(frame.locator("main h1")).to_have_text("conv1[4, 4, 5]")
    frame.get_by_role("button", name=re.compile(r"^input\[0, ")).first.click()
    expect(frame.locator("main h1")).to_have_text(re.compile(r"^input\[0, "))


if __name__ == "__main__":
    main()
