"""The reader's own picture: pasted, drawn by mouse and by key, taken with the camera."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from tests.patience import PATIENCE
from tests.web.placed import fits, settled

from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass

PHONE = {"width": 360, "height": 740}
PASTE = """(content) => {
    const data = new DataTransfer();
    if (content) data.items.add(new File([new Uint8Array(content)], "x.png", { type: "image/png" }));
    else data.setData("text/plain", "words");
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


def shown(server: Server) -> bytes:
    """The last file that was sent."""
    glass = server.glass
    assert isinstance(glass, Glass)
    picture = glass.shown.picture
    assert isinstance(picture, bytes)
    return picture


def opened(server: Server) -> Image.Image:
    return Image.open(io.BytesIO(shown(server))).convert("RGB")


def test_a_picture_is_pasted(served: Page, server: Server, photos: Path) -> None:
    before = served.locator(".what").inner_text()
    content = (photos / "blue" / "2.png").read_bytes()
    served.evaluate(PASTE, None)
    served.evaluate(PASTE, list(content))
    expect(served.locator(".what")).not_to_have_text(before)
    assert shown(server) == content, "words are no picture, and were not sent"
    expect(served.locator(".trouble")).to_have_count(0)


def test_a_picture_is_drawn_with_the_mouse(served: Page, server: Server) -> None:
    before = served.locator(".what").inner_text()
    served.get_by_role("button", name="Draw…").click()
    pad = served.get_by_role("dialog", name="Draw a picture")
    pad.get_by_role("button", name="Classify").click()
    expect(pad).to_contain_text("Draw something first.")
    pad.get_by_role("button", name="Colours").click()
    pad.get_by_role("button", name="blue").click()
    box = pad.locator("canvas").bounding_box()
    assert box is not None
    for row in (0.25, 0.5, 0.75):
        served.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + row * box["height"])
        served.mouse.down()
        served.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + row * box["height"], steps=5)
        served.mouse.up()
    pad.get_by_role("button", name="Undo").click()
    pad.get_by_role("button", name="Classify").click()
    expect(served.locator(".what")).not_to_have_text(before)
    expect(pad).to_be_hidden()
    picture = opened(server)
    width, height = picture.size
    assert [picture.getpixel((width // 2, round(row * height))) for row in (0.1, 0.25, 0.5, 0.75)] == [
        *((255, 255, 255), (0x2F, 0x6F, 0xDB), (0x2F, 0x6F, 0xDB), (255, 255, 255))
    ]


def test_a_picture_is_drawn_with_the_keys(served: Page, server: Server) -> None:
    before = served.locator("h1").first.inner_text()
    served.get_by_role("button", name="Draw…").focus()
    served.keyboard.press("Enter")
    pad = served.get_by_role("dialog", name="Draw a picture")
    expect(pad.locator("canvas")).to_be_focused()
    served.keyboard.press("Space")
    for _ in range(10):
        served.keyboard.press("ArrowRight")
    expect(pad).to_contain_text("The pen is down.")
    served.keyboard.press("Space")
    served.keyboard.press("b")  # the page's own keys rest
    for _ in range(10):
        served.keyboard.press("ArrowDown")
    pad.get_by_role("button", name="White on black").click()
    pad.get_by_role("button", name="Classify").click()
    expect(pad).to_be_hidden()
    expect(served.locator(".what")).to_contain_text("your picture")
    expect(served.get_by_role("button", name="Backward")).to_have_attribute("aria-pressed", "false")
    picture = opened(server)
    side = picture.size[0]
    centre, right, below = ((0.5, 0.5), (0.7, 0.5), (0.7, 0.68))
    shades = [picture.getpixel((round(x * side) - 1, round(y * side) - 1)) for x, y in (centre, right, below)]
    assert shades == [(255, 255, 255), (255, 255, 255), (0, 0, 0)]
    assert served.locator("h1").first.inner_text() == before


def test_what_was_drawn_is_still_there(served: Page) -> None:
    served.get_by_role("button", name="Draw…").click()
    served.keyboard.press("Space")
    served.keyboard.press("Escape")
    served.get_by_role("button", name="Draw…").click()
    drawn = """() => {
        const canvas = document.querySelector(".pad canvas");
        const { data } = canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1);
        return [...data];
    }"""
    assert served.evaluate(drawn) == [0, 0, 0, 255]  # black on white, since the network sees colours
    served.get_by_role("button", name="Clear").click()
    assert served.evaluate(drawn) == [255, 255, 255, 255]


def test_the_pad_on_a_phone(served: Page, axe: str) -> None:
    served.set_viewport_size(PHONE)  # type: ignore[arg-type]
    fits(served)
    served.get_by_role("button", name="Draw…").click()
    served.get_by_role("button", name="Colours").click()
    box = served.get_by_role("dialog", name="Draw a picture").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= PHONE["height"]
    violations = served.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations["violations"]] == []


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Page]:
    """The served page in a browser whose camera shows a synthetic picture, larger on the left than on the right."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(1000 * PATIENCE)
    context.add_init_script("""
        window.streams = [];
        navigator.mediaDevices.getUserMedia = async () => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [64, 48];
            const context = canvas.getContext("2d");
            const paint = () => {
                context.fillStyle = "#ff0000";
                context.fillRect(0, 0, 32, 48);
                context.fillStyle = "#0000ff";
                context.fillRect(32, 0, 32, 48);
            };
            paint();
            setInterval(paint, 30);
            const stream = canvas.captureStream(30);
            window.streams.push(stream);
            return stream;
        };
    """)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(server.address)
    page.locator("main h1").wait_for()
    yield page
    context.close()
    assert errors == []


def test_a_picture_is_taken(watched: Page, server: Server) -> None:
    before = watched.locator(".what").inner_text()
    watched.get_by_role("button", name="Camera…").click()
    window = watched.get_by_role("dialog", name="Take a picture")
    assert window.locator("video").evaluate("(video) => video.classList.contains('mirrored') || !video.srcObject")
    window.get_by_role("button", name="Take the picture").click()
    expect(window).to_be_hidden()
    expect(watched.locator(".what")).not_to_have_text(before)
    picture = opened(server)
    assert picture.size == (64, 48)
    red, blue = picture.getpixel((8, 24)), picture.getpixel((56, 24))
    assert isinstance(red, tuple)
    assert isinstance(blue, tuple)
    assert red[0] > 200 > 60 > red[2], "what is left stays left: the picture is not mirrored"
    assert blue[2] > 200 > 60 > blue[0]
    ended = "window.streams.map((each) => each.getTracks().map(({ readyState }) => readyState))"
    settled(watched, lambda: watched.evaluate(ended) != [["ended"]])


def test_the_camera_is_off_when_its_window_closes(watched: Page) -> None:
    watched.get_by_role("button", name="Camera…").click()
    expect(watched.get_by_role("button", name="Take the picture")).to_be_enabled()
    watched.keyboard.press("Escape")
    expect(watched.get_by_role("dialog", name="Take a picture")).to_have_count(0)
    settled(watched, lambda: watched.evaluate("window.streams[0].getTracks()[0].readyState") != "ended")


def test_one_of_several_cameras_is_chosen(watched: Page) -> None:
    watched.evaluate("""() => {
        const camera = (deviceId, label) => ({ kind: "videoinput", deviceId, label });
        navigator.mediaDevices.enumerateDevices = async () =>
            [camera("a", "Built-in"), { kind: "audioinput", deviceId: "m", label: "Sound" }, camera("b", "")];
        const one = navigator.mediaDevices.getUserMedia;
        window.wanted = [];
        navigator.mediaDevices.getUserMedia = (how) => {
            window.wanted.push(how.video.deviceId?.exact ?? null);
            return one(how);
        };
    }""")
    watched.get_by_role("button", name="Camera…").click()
    which = watched.get_by_label("Which camera")
    expect(which.get_by_role("option")).to_have_text(["Built-in", "camera 2"])
    which.select_option("b")
    expect(watched.get_by_role("button", name="Take the picture")).to_be_enabled()
    states(watched, "ended,live")
    assert watched.evaluate("window.wanted") == [None, "b"]
    watched.get_by_role("button", name="Close").click()
    states(watched, "ended,ended")


def states(page: Page, expected: str) -> None:
    """Wait until the cameras' streams are in these states."""
    end = time.monotonic() + PATIENCE
    while page.evaluate("window.streams.map((each) => each.getTracks()[0].readyState).join()") != expected:
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def test_why_there_is_no_camera_is_told(watched: Page) -> None:
    for trouble, sentence in {
        "NotAllowedError": "The browser does not allow the camera here.",
        "NotFoundError": "No camera was found.",
        "NotReadableError": "Another program is using the camera.",
        "AbortError": "This browser cannot use the camera.",
    }.items():
        watched.evaluate(
            "(name) => navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', name); }",
            trouble,
        )
        watched.get_by_role("button", name="Camera…").click()
        window = watched.get_by_role("dialog", name="Take a picture")
        expect(window).to_contain_text(sentence)
        expect(window.get_by_role("button", name="Take the picture")).to_be_disabled()
        window.get_by_role("button", name="Close").click()
        expect(window).to_have_count(0)
