"""Teach it yourself, in a real browser with Chromium's test camera: collect, train a tiny network, try, keep."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.answering import answering
from tests.patience import PATIENCE
from tests.web.placed import fits, settled

from pellucid.app.teach.server import Server
from pellucid.app.teach.studio import Studio

pytestmark = pytest.mark.usefixtures("undrawn")

SETTINGS = {"model": "conv(4, 3) relu maxpool(2) flatten dense", "size": 12, "epochs": 3, "batch": 8, "device": "cpu"}
DROP = """(node, [name, content]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(content)], name, { type: "image/png" }));
    node.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
PASTE = """(content) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(content)], "x.png", { type: "image/png" }));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Server]:
    studio = Studio(folder / "set", folder / "cache", SETTINGS)
    try:
        with answering(Server(studio, port)) as server:
            yield server
    finally:
        studio.finish()


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    context.on("request", lambda request: requests.append(request.url))
    yield page
    context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))] == []


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=f"Class {name}", exact=True)


def count(page: Page, name: str) -> Locator:
    return card(page, name).locator(".count")


def rename(page: Page, name: str, to: str) -> None:
    box = card(page, name).get_by_role("textbox", name="Name of the class")
    box.fill(to)
    box.press("Enter")


def draw(page: Page, key: str) -> None:
    """A line on the open pad, with the keys."""
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press(key)
    page.keyboard.press("Space")


def test_collect_train_try_and_keep(window: Page, photos: Path, tmp_path: Path, axe: str) -> None:
    page = window
    red, blue = ([path.read_bytes() for path in sorted((photos / name).iterdir())] for name in ("red", "blue"))
    with serving(tmp_path) as server:
        port = server.server_port
        page.goto(server.address)
        train = page.get_by_role("button", name="Train", exact=True)
        expect(train).to_have_attribute("aria-disabled", "true")
        expect(
            page.get_by_text("Each class needs at least 2 pictures: “Class 1”, “Class 2” have fewer.")
        ).to_be_visible()
        expect(page.get_by_role("region", name="3 Try")).to_contain_text("Train first.")

        # names
        rename(page, "Class 1", "reds")
        rename(page, "Class 2", "../etc")
        expect(page.get_by_role("alert").filter(has_text="cannot be the name of a class")).to_be_visible()
        expect(card(page, "Class 2").get_by_role("textbox")).to_have_value("Class 2")
        rename(page, "Class 2", "blues")
        expect(card(page, "blues")).to_be_visible()

        # the camera, held by mouse and by key; its pictures are one recording
        card(page, "reds").get_by_role("button", name="Camera for reds").click()
        record = card(page, "reds").get_by_role("button", name="Hold to record")
        expect(record).to_be_focused()
        box = record.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 9, box["y"] + 9)
        page.mouse.down()
        expect(record).to_have_attribute("aria-pressed", "true")
        expect(count(page, "reds")).to_have_text(re.compile(r"^[3-9] pictures, 1 recording"))
        page.mouse.up()
        expect(record).to_have_attribute("aria-pressed", "false")
        page.keyboard.down("Space")
        expect(record).to_have_attribute("aria-pressed", "true")
        expect(count(page, "reds")).to_have_text(re.compile(r"^([4-9]|\d\d) pictures, 1 recording"))
        page.keyboard.up("Space")
        expect(card(page, "reds").get_by_role("status").last).to_contain_text("recorded for reds.")
        card(page, "reds").get_by_role("button", name="Camera for reds").click()
        expect(record).to_be_hidden()

        # files: chosen, dropped, pasted; what is no picture is told beside the class
        files = [{"name": f"{at}.png", "mimeType": "image/png", "buffer": content} for at, content in enumerate(red)]
        card(page, "reds").locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
        reds = tmp_path / "set" / "pictures" / "reds"
        settled(page, lambda: len(red) - len(list(reds.glob("file-*.png"))))
        recorded = len(list(reds.glob("camera-*")))  # all of them: pictures are sent one after the other
        assert recorded >= 4
        expect(count(page, "reds")).to_have_text(f"{recorded + len(red)} pictures, 1 recording")
        for content in blue:
            card(page, "blues").evaluate(DROP, ["b.png", list(content)])
        card(page, "blues").evaluate(DROP, ["notes.txt", [1, 2, 3]])
        expect(card(page, "blues").get_by_role("alert")).to_contain_text(
            "notes.txt: This cannot be used as a picture: not a picture."
        )
        card(page, "blues").get_by_role("button", name="Close").click()
        card(page, "blues").get_by_role("button", name="Draw…").click()
        pad = page.get_by_role("dialog", name="Draw for “blues”")
        draw(page, "ArrowRight")
        pad.get_by_role("button", name="Add").click()
        expect(pad).to_contain_text("Added. Draw the next one, or close.")
        draw(page, "ArrowDown")
        pad.get_by_role("button", name="Add").click()
        pad.get_by_role("button", name="Close").click()
        expect(count(page, "blues")).to_have_text(f"{len(blue) + 2} pictures")
        card(page, "blues").get_by_role("button", name="Draw…").focus()
        page.evaluate(PASTE, list(blue[0]))
        expect(count(page, "blues")).to_have_text(f"{len(blue) + 3} pictures")

        # taken out, and put back
        thumbnails = card(page, "blues").get_by_role("list", name="Pictures of blues")
        thumbnails.get_by_role("button").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Delete")
        expect(count(page, "blues")).to_have_text(f"{len(blue) + 2} pictures")
        expect(thumbnails.locator("button:focus")).to_have_count(1)
        page.get_by_role("button", name="Put it back").click()
        expect(count(page, "blues")).to_have_text(f"{len(blue) + 3} pictures")
        page.get_by_role("button", name="Add a class").click()
        expect(card(page, "Class 1").get_by_role("textbox")).to_be_focused()
        card(page, "Class 1").get_by_role("button", name="Remove class Class 1").click()
        expect(card(page, "Class 1")).to_have_count(0)
        card(page, "blues").get_by_role("button", name="Remove class blues").click()
        dialog = page.get_by_role("dialog", name="Take “blues” out of the set?")
        expect(dialog).to_contain_text("Nothing is deleted.")
        dialog.get_by_role("button", name="Cancel").click()

        # train
        expect(page.get_by_text("known weights need 64 or more").or_(page.get_by_text("as requested"))).to_be_visible()
        train.click()
        outcome = page.locator(".outcome")
        expect(outcome).to_contain_text(re.compile(r"\d+ pictures were held back, .* 95% interval from \d+% to \d+%"))
        expect(page.locator(".curve-of")).to_contain_text("pictures it learns from")
        wrong = outcome.locator(".wrong li")
        assert wrong.count() or outcome.get_by_text("It got none of them wrong.").is_visible()
        rename(page, "blues", "azure")
        expect(page.get_by_text("The pictures have changed since then: train again.")).to_be_visible()

        # try: a file, a drawing, live
        trying = page.get_by_role("region", name="3 Try")
        trying.locator("input[type=file]").set_input_files(files[0])  # type: ignore[arg-type]
        chances = trying.get_by_role("list", name="Probability of each class").get_by_role("listitem")
        expect(chances).to_have_count(2)
        expect(trying.get_by_role("status").last).to_have_text(re.compile(r"^(reds|blues), \d+\.\d%\.$"))
        before = trying.locator("img").get_attribute("src")
        trying.get_by_role("button", name="Draw…").click()
        pad = page.get_by_role("dialog", name="Draw a picture to try")
        draw(page, "ArrowLeft")
        pad.get_by_role("button", name="Try").click()
        expect(trying.locator("img")).not_to_have_attribute("src", before or "")
        with page.expect_response("**/api/teach/answer") as answered:
            trying.get_by_role("button", name="Camera").click()
        assert answered.value.ok
        trying.get_by_role("button", name="Camera").click()

        # at any size, for any reader
        for width, height in ((360, 740), (1024, 768), (1440, 900)):
            page.set_viewport_size({"width": width, "height": height})
            fits(page)
        violations = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
        assert [(each["id"], each["nodes"][0]["html"]) for each in violations["violations"]] == []

        # keep
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Download the pictures").click()
        with zipfile.ZipFile(downloading.value.path()) as archive:
            assert {name.split("/")[1] for name in archive.namelist()} == {"reds", "azure"}
        expect(page.get_by_role("region", name="4 Keep")).to_contain_text(str(tmp_path / "set" / "model-1"))
        with page.expect_popup() as opening:
            trying.get_by_role("button", name="Open the glass box").click()
        glass = opening.value
        expect(glass.locator("main h1")).to_have_text("Walk through the network")
        glass.close()

    # the server is away: what comes meanwhile waits in the page
    card(page, "reds").evaluate(DROP, ["late.png", list(red[0])])
    expect(page.get_by_role("alert").filter(has_text="Pellucid does not answer.")).to_contain_text(
        "1 picture waits in this page"
    )
    with serving(tmp_path, port):
        expect(count(page, "reds")).to_have_text(f"{recorded + len(red) + 1} pictures, 1 recording")
        page.reload()
        expect(count(page, "reds")).to_have_text(f"{recorded + len(red) + 1} pictures, 1 recording")
        expect(page.locator(".outcome")).to_contain_text("held back, and the network has not learned from them.")
        page.get_by_role("region", name="3 Try").locator("input[type=file]").set_input_files(files[1])  # type: ignore[arg-type]
        expect(page.locator(".chances li")).to_have_count(2)


def test_a_removed_picture_comes_back_to_its_renamed_class(window: Page, photos: Path, tmp_path: Path) -> None:
    content = (photos / "red" / "0.png").read_bytes()
    with serving(tmp_path) as server:
        window.goto(server.address)
        name = card(window, "Class 1").get_by_role("textbox", name="Name of the class")
        border = name.evaluate("(box) => getComputedStyle(box).borderTopColor")
        ground = name.evaluate("(box) => getComputedStyle(box.closest('.class-card')).backgroundColor")
        assert border not in (ground, "rgba(0, 0, 0, 0)"), "it looks like a field"
        card(window, "Class 1").evaluate(DROP, ["a.png", list(content)])
        expect(count(window, "Class 1")).to_have_text("1 picture")
        thumbnails = card(window, "Class 1").get_by_role("list", name="Pictures of Class 1")
        thumbnails.get_by_role("button").first.focus()
        window.keyboard.press("Delete")
        expect(count(window, "Class 1")).to_contain_text("No pictures yet.")
        rename(window, "Class 1", "reds")
        expect(count(window, "reds")).to_contain_text("No pictures yet.")
        window.get_by_role("button", name="Put it back").click()
        expect(count(window, "reds")).to_have_text("1 picture")


def test_a_camera_is_chosen_for_all_classes(window: Page, tmp_path: Path) -> None:
    window.add_init_script("""
        const all = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
        const one = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        window.wanted = [];
        navigator.mediaDevices.enumerateDevices = async () =>
            [...(await all()), { kind: "videoinput", deviceId: "second", label: "Second" }];
        navigator.mediaDevices.getUserMedia = ({ video }) => {
            window.wanted.push(video.deviceId?.exact ?? null);
            return one({ video: true });
        };
    """)
    with serving(tmp_path) as server:
        window.goto(server.address)
        card(window, "Class 1").get_by_role("button", name="Camera for Class 1").click()
        card(window, "Class 1").get_by_label("Which camera").select_option("Second")
        expect(card(window, "Class 1").get_by_role("button", name="Hold to record")).to_be_visible()
        card(window, "Class 2").get_by_role("button", name="Camera for Class 2").click()
        expect(card(window, "Class 2").get_by_label("Which camera")).to_be_visible()
        expect(card(window, "Class 1").get_by_label("Which camera")).to_be_hidden()
        assert window.evaluate("window.wanted") == [None, "second", "second"]
