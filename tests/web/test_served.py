"""The served page: another picture, another class, and a server that has stopped."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from tests.answering import showing

import pellucid
from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass


def test_a_number_on_the_served_page(viewed: Page, trained: Path, photos: Path) -> None:
    viewed.get_by_role("button", name=re.compile("^conv1: convolution")).click()
    viewed.locator(".large").press("Enter")
    expect(viewed.locator("h1").first).to_have_text("conv1[0, 5, 5]")
    trace = pellucid.load(trained).explain(photos / "red" / "1.png")
    total = viewed.locator("#value").get_attribute("data-total")
    assert total is not None
    assert float(total) == pytest.approx(trace.unit("conv1[0, 5, 5]").total, rel=1e-12)


def test_another_picture_is_chosen(served: Page, photos: Path) -> None:
    before = served.locator(".what").inner_text()
    served.locator("#picture").set_input_files(photos / "blue" / "2.png")
    expect(served.locator(".what")).not_to_have_text(before)
    expect(served.locator(".what")).to_contain_text("blue")
    expect(served.locator(".trouble")).to_have_count(0)


def test_a_picture_is_dropped(served: Page, photos: Path) -> None:
    before = served.locator(".what").inner_text()
    content = list((photos / "blue" / "2.png").read_bytes())
    served.evaluate(
        """(content) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], "x.png", { type: "image/png" }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        content,
    )
    expect(served.locator(".what")).not_to_have_text(before)


def test_what_is_no_picture_is_told(served: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    served.locator("#picture").set_input_files(tmp_path / "notes.png")
    expect(served.get_by_role("alert")).to_contain_text("This cannot be used as a picture")
    served.get_by_role("button", name="Close").click()
    expect(served.locator(".trouble")).to_have_count(0)
    picture = io.BytesIO()
    Image.new("RGB", (20, 24), (10, 20, 250)).save(picture, "PNG")
    served.locator("#picture").set_input_files({"name": "p.png", "mimeType": "image/png", "buffer": picture.getvalue()})
    expect(served.locator(".what")).to_contain_text("blue")


def test_the_loss_against_another_class(served: Page) -> None:
    before = served.locator(".one").inner_text()
    chosen = served.get_by_label("loss against").input_value()
    served.get_by_label("loss against").select_option("red" if chosen == "blue" else "blue")
    expect(served.locator(".one")).not_to_have_text(before)


def test_a_server_that_went_away_is_told(served: Page) -> None:
    served.route("**/api/**", lambda route: route.abort())
    served.get_by_role("button", name=re.compile("^relu1")).click()
    served.locator("#picture").set_input_files({"name": "p.png", "mimeType": "image/png", "buffer": b"anything"})
    expect(served.get_by_role("alert")).to_contain_text("Pellucid no longer answers.")


def test_a_part_of_the_page_that_cannot_come_any_more_is_told(served: Page) -> None:
    served.context.set_offline(True)
    served.evaluate("location.hash = '#/~training'")
    expect(served.locator(".trouble")).to_contain_text("Pellucid no longer answers.")


def test_another_window_changes_what_is_shown(served: Page, photos: Path) -> None:
    other = served.context.new_page()
    other.goto(f"{served.url}#/conv1")
    other.locator("main h1").wait_for()
    served.locator("#picture").set_input_files(photos / "blue" / "2.png")
    expect(served.locator(".what")).to_contain_text("blue")
    other.keyboard.press("b")
    expect(other.locator(".trouble")).to_contain_text("Another window has opened a picture or changed something since.")
    with other.expect_response(lambda reply: reply.request.method == "POST"):
        other.get_by_role("button", name="Take this window’s picture back").click()
    expect(other.locator(".trouble")).to_have_count(0)
    expect(other.locator(".what")).to_contain_text("1.png")
    served.keyboard.press("b")
    served.get_by_role("button", name=re.compile("^relu1")).click()
    served.get_by_role("button", name="Show the other window’s picture here").click()
    expect(served.locator(".what")).to_contain_text("1.png")
    expect(served.locator(".trouble")).to_have_count(0)


def test_another_start_at_the_same_address_is_told_and_shown(
    served: Page, server: Server, trained: Path, photos: Path
) -> None:
    served.goto(f"{server.address}#/conv1/0,5,5")
    expect(served.locator(".what")).to_contain_text("1.png")
    server.shutdown()
    server.server_close()
    glass = Glass(pellucid.load(trained), trained, photos / "blue" / "2.png")
    with showing(glass, server.server_port):
        served.keyboard.press("b")  # needs numbers that the page does not have yet
        expect(served.locator(".trouble")).to_contain_text("Pellucid was started again since this page was opened.")
        expect(served.locator(".what")).to_contain_text("2.png")
        total = served.locator("#value").get_attribute("data-recorded")
        assert float(total or "nan") == glass.shown.document.trace.gradients["conv1"][0, 0, 5, 5]
