"""Links to hand out: what "Copy link" copies, in a file and served, and where such a link leads."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.web.placed import fits, settled

from pellucid.app.page.server import Server

PHONE = {"width": 360, "height": 740}
STEP = "#/conv/1,4,4?lesson=filter.2"


def link(page: Page) -> str:
    return page.get_by_role("dialog", name="A link to hand out").get_by_label("Link", exact=True).input_value()


def test_a_file_s_link_is_its_name_and_the_place(opened: Callable[..., Page], page_file: Path, axe: str) -> None:
    page = opened(STEP, PHONE)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy link")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Copied")
    whole = f"{page_file.name}{STEP}"
    assert (link(page), page.evaluate("navigator.clipboard.readText()")) == (whole, whole)
    page.get_by_label("With this step of the lesson").uncheck()
    assert link(page) == f"{page_file.name}#/conv/1,4,4"
    page.get_by_label("Start in presentation mode").check()
    assert link(page) == f"{page_file.name}#/conv/1,4,4?present=1"
    page.get_by_label("With this step of the lesson").check()
    assert link(page) == f"{page_file.name}{STEP}&present=1"
    settled(page, lambda: page.evaluate("navigator.clipboard.readText()") != link(page))  # "Copied" stood there before
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Copied")
    fits(page)
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert (box["x"] >= 0, box["x"] + box["width"] <= PHONE["width"]) == (True, True)
    violations = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []
    page.keyboard.press("Space")  # of the box, not of the lesson
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    assert page.url.endswith(STEP), "the page's own keys have done nothing"

    page.keyboard.press("p")
    page.get_by_role("button", name="Copy link").click()
    assert link(page) == f"{whole}&present=1", "a presentation is what one wants to hand out"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.documentElement.classList.contains('presenting')")
    fits(page)

    folder = page_file.parent / "links.html"
    folder.write_text(f'<a href="{whole}">the step</a>')
    page.goto(folder.as_uri())
    page.get_by_role("link").click()
    expect(page.locator(".guide h2")).to_have_text("The filter slides")
    expect(page.get_by_role("button", name="Step 2 of 4")).to_have_attribute("aria-current", "step")
    expect(page.locator("main h1")).to_have_text("conv[1, 4, 4]")


def test_without_a_clipboard_the_link_is_selected(opened: Callable[..., Page]) -> None:
    page = opened("#/~lessons")
    page.evaluate("""() => {
        Object.defineProperty(navigator, "clipboard", { value: undefined });
        document.execCommand = () => false;
    }""")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Copy it with Ctrl+C or ⌘C")
    assert page.evaluate("document.getSelection().toString()") == link(page) == "small.html#/~lessons"
    assert page.get_by_role("dialog").get_by_role("checkbox").count() == 0, "no lesson, and nothing to present"
    page.mouse.click(5, 600)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_served_page_s_link_is_its_address(served: Page, server: Server) -> None:
    served.goto(f"{server.address}#/conv1/0,3,3?direction=backward")
    served.locator("#value").wait_for()
    served.get_by_role("button", name="Copy link").click()
    assert link(served) == f"{server.address}#/conv1/0,3,3?direction=backward"
    expect(served.get_by_role("dialog")).to_contain_text("works on this machine, while Pellucid runs")
