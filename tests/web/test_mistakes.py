"""The mistakes and the difference between two classes, on the served page: by mouse, by key, on a phone."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.placed import fits, go

import pellucid
from pellucid import api
from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass

PHONE: Any = {"width": 360, "height": 740}
VIEWS = {"~mistakes": ".matrix", "~mistakes/0,1": ".thumbs", "~difference": ".layers"}


def content(server: Server) -> Any:
    """The page's description of the current picture."""
    assert isinstance(server.glass, Glass)
    return json.loads(server.glass.shown.text)


def at(page: Page, place: str, until: str) -> None:
    go(page, f"#/{place}")
    page.locator(until).wait_for()


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("\u2060", ""))


def parts(page: Page) -> dict[str, float]:
    return {name: number(page.locator(f"[data-part='{name}']").inner_text()) for name in ("pixels", "own")}


def test_from_the_matrix_to_the_difference_by_mouse(served: Page, trained: Path) -> None:
    evaluation = api.evaluate(trained)
    confusion = evaluation.metrics.confusion
    served.get_by_role("link", name="Mistakes").click()
    cells = served.locator(".matrix tbody td")
    expect(cells).to_have_text([str(count or "·") for row in confusion for count in row])
    expect(served.locator(".say")).to_contain_text(f"{evaluation.metrics.correct} are right")
    served.get_by_role("link", name=re.compile("^red mistaken for blue")).click()
    expect(served.locator("h1")).to_have_text("red mistaken for blue")
    assert served.url.endswith("#/~mistakes/1,0")
    thumbs = served.locator(".thumbs button")
    expect(thumbs).to_have_count(confusion[1][0])
    worst = min((a for a in evaluation.answers if (a.label, a.predicted) == (1, 0)), key=lambda a: a.label_probability)
    expect(thumbs.first).to_contain_text(f"{100 * worst.label_probability:.1f}%")
    assert (
        served.locator(".thumbs img").first.evaluate("async image => (await image.decode(), image.naturalWidth)") == 12
    )
    thumbs.first.click()
    expect(served.locator("h1")).to_have_text("red or blue")
    expect(served.locator(".what")).to_contain_text(f"{Path(worst.picture).name}: blue")
    mechanism = pellucid.load(trained).difference(worst.picture, "red", "blue")
    shown = served.locator("#difference").get_attribute("data-value")
    assert shown is not None
    assert float(shown) == mechanism.difference
    assert parts(served) == pytest.approx({"pixels": mechanism.pixels.sum(), "own": mechanism.own}, abs=1e-5)


def test_by_key_alone(served: Page) -> None:
    at(served, "~mistakes", ".matrix")
    served.locator(".matrix td[tabindex='0']").focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowRight"):
        served.keyboard.press(key)
    expect(served.locator(":focus")).to_have_attribute("aria-label", re.compile("^blue mistaken for red: "))
    served.keyboard.press("Enter")
    expect(served.locator("h1")).to_have_text("blue mistaken for red")
    expect(served.locator(".thumbs button").first).to_be_focused()
    served.keyboard.press("ArrowRight")
    served.keyboard.press("ArrowLeft")
    expect(served.locator(".thumbs button").first).to_be_focused()
    served.keyboard.press("Enter")
    expect(served.locator("h1")).to_have_text("blue or red")
    served.keyboard.press("Escape")
    expect(served.locator("h1")).to_have_text("Walk through the network")
    served.keyboard.press("d")
    expect(served.locator("h1")).to_have_text("blue or red")
    served.go_back()
    served.go_back()
    served.go_back()
    expect(served.locator("h1")).to_have_text("blue mistaken for red")
    served.keyboard.press("Escape")
    expect(served.locator("h1")).to_have_text("Mistakes")


def test_what_is_shown_adds_up(viewed: Page) -> None:
    at(viewed, "~difference", ".layers")
    line = [number(each) for each in viewed.locator(".headline b, .headline strong").all_inner_texts()]
    extra = viewed.locator(".headline .times", has_text="digits").all_inner_texts()
    rest = sum(number(text.split()[1]) for text in extra)
    assert line[0] - line[1] + rest == pytest.approx(line[2], abs=1e-12)
    shown = {dt.inner_text(): dt.locator("xpath=../dd").inner_text() for dt in viewed.locator(".result dt").all()}
    values = [number(shown.get(name, "0")) for name in ("all pixels", "all layers by themselves", "digits not shown")]
    assert sum(values) == pytest.approx(number(shown["together"]), abs=1e-12)
    assert abs(number(shown["left over by rounding"])) < 1e-5


def test_two_other_classes_and_a_unit(viewed: Page) -> None:
    at(viewed, "~difference", ".layers")
    before = viewed.locator("#difference").inner_text()
    chosen = viewed.get_by_label("first").input_value()
    viewed.get_by_label("first").select_option("0" if chosen == "1" else "1")
    expect(viewed.locator("#difference")).not_to_have_text(before)
    assert number(viewed.locator("#difference").inner_text()) == -number(before)
    name = viewed.locator(".layers .strong a").nth(6).get_attribute("aria-label")
    assert name is not None
    viewed.locator(".layers .strong a").nth(6).click()
    expect(viewed.locator("h1")).to_have_text(name)


def test_a_pixel_is_read_and_opened(viewed: Page, trained: Path, photos: Path) -> None:
    at(viewed, "~difference", ".layers")
    classifier, picture = pellucid.load(trained), photos / "red" / "1.png"
    names = ("red", "blue") if classifier.explain(picture).predicted else ("blue", "red")
    pixels = classifier.difference(picture, *names).pixels
    viewed.locator("[data-key='over']").hover(position={"x": 1, "y": 1})
    expect(viewed.locator(".hover")).to_have_text(re.compile("^pixel 0, 0: "))
    viewed.locator("[data-key='over']").focus()
    viewed.keyboard.press("ArrowRight")
    viewed.keyboard.press("ArrowDown")
    expect(viewed.locator(".hover")).to_contain_text("pixel 1, 1: ")
    shown = viewed.locator(".hover").inner_text().removeprefix("pixel 1, 1: ")
    assert number(shown) == pytest.approx(pixels[1, 1], rel=1e-5)
    viewed.keyboard.press("Enter")
    expect(viewed.locator("h1")).to_have_text("picture[0, 1, 1]")


def test_where_it_looked_the_thumbnails_and_what_made_no_difference(served: Page, server: Server) -> None:
    at(served, "~difference/1,0", ".where figure:nth-child(2) canvas >> nth=1")
    titles = served.locator(".where figcaption b").all_inner_texts()
    assert titles == [f"{method} for {name}" for method in ("Grad-CAM", "Occlusion") for name in ("red", "blue")]
    scores = served.locator(".where [data-trust]")
    for text, value in zip(
        scores.all_inner_texts(), scores.evaluate_all("all => all.map(n => n.dataset.trust)"), strict=True
    ):
        assert number(text.removeprefix("trust ")) == pytest.approx(float(value), abs=6e-4)
    for name in served.locator(".where canvas").evaluate_all("all => all.map((each) => each.ariaLabel)"):
        assert re.search("over the picture. Removing the pixels that this map marks .*trust", name)
    amber = """(canvas, first) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let at = 0; at < data.length; at += 4) sum += (data[at] - data[at + 2]) * (first ? 1 : -1);
        return sum;
    }"""
    canvases = served.locator(".where canvas")
    drawn = [canvases.nth(at).evaluate(amber, at == 0) for at in (0, 1)]
    assert min(drawn) >= 0, "Grad-CAM has only what speaks for its class: amber for one, blue for the other"
    assert max(drawn) > 0
    served.locator(".thumbnail img").first.wait_for()
    thumbnail = served.locator(".layers li", has_text="conv1").locator(".thumbnail img").first
    thumbnail.scroll_into_view_if_needed()
    assert thumbnail.evaluate("async image => (await image.decode(), image.naturalWidth)") > 0
    assert f"server={server.id}" in (thumbnail.get_attribute("src") or ""), "of no other start of Pellucid"
    link = thumbnail.locator("xpath=../..").locator("a").get_attribute("aria-label") or ""
    channel = re.findall(r"\[(\d+)", link)[0]
    expect(thumbnail).to_have_attribute("alt", f"What activates filter {channel} of conv1 most")
    nothing = served.locator(".layers .nothing").first
    expect(nothing).to_have_text(re.compile(r"^[\d,]+ units? without difference$"))
    served.evaluate("document.querySelector('.where').mine = true")
    served.keyboard.press("e")
    expect(served.locator("[data-key='exact']")).to_have_attribute("aria-pressed", "true")
    assert served.evaluate("document.querySelector('.where').mine"), "the maps stay"


def test_while_it_goes_on_a_bar_tells_how_far_it_is(served: Page) -> None:
    answers = [
        {"state": "running", "done": 0, "total": 0, "seconds": 0.1},
        {"state": "running", "done": 50, "total": 200, "seconds": 5.0},
    ]
    requests: list[int] = []

    def answer(route: Any) -> None:
        requests.append(1)
        if len(requests) <= len(answers):
            route.fulfill(json=answers[len(requests) - 1])
        else:
            time.sleep(0.2)
            route.continue_()

    served.route("**/api/mistakes", answer)
    at(served, "~mistakes", ".job")
    expect(served.locator(".job")).to_contain_text("50 of 200 pictures, about 15 s left")
    served.locator(".matrix").wait_for()
    expect(served.locator(".job")).to_have_count(0)


def test_what_went_wrong_is_a_sentence(served: Page) -> None:
    served.route(
        "**/api/mistakes", lambda route: route.fulfill(json={"state": "failed", "error": "The pictures are gone."})
    )
    at(served, "~mistakes", ".job")
    expect(served.get_by_role("alert")).to_have_text("The pictures are gone.")


def test_a_cell_that_is_not_there_is_the_matrix(viewed: Page) -> None:
    for place in ("~mistakes/7,9", "~mistakes/red,blue"):
        at(viewed, place, ".matrix")
        expect(viewed.locator("h1")).to_have_text("Mistakes")


def test_many_classes_scroll_in_their_own_box(served: Page, server: Server) -> None:
    count = 100
    names = [f"a class with the long name {number}" for number in range(count)]
    confusion = [[5 * (a == b) + 3 * (b == a + 1) for b in range(count)] for a in range(count)]
    results = {
        "state": "done",
        "side": "test",
        "pictures": 797,
        "correct": 500,
        "accuracy": 0.627,
        "interval": [0.6, 0.65],
        "confusion": confusion,
        "unusable": [{"picture": "x.jpg", "reason": "no longer there"}],
    }
    document = content(server)
    document["model"]["classes"] = names
    served.route("**/api/mistakes", lambda route: route.fulfill(json=results))
    served.route("**/api/document", lambda route: route.fulfill(json=document))
    served.reload()
    at(served, "~mistakes", ".matrix")
    fits(served)
    expect(served.locator(".confused li")).to_have_count(8)
    expect(served.locator(".confused")).to_contain_text("and 91 more pairs in the table")
    served.get_by_text("1 picture was not used").click()
    expect(served.locator(".unusable")).to_contain_text("x.jpg: no longer there")


def test_a_phone_and_axe(served: Page, axe: str) -> None:
    scheme: Any
    for (place, until), scheme in zip(VIEWS.items(), ("light", "dark", "light"), strict=True):
        served.emulate_media(color_scheme=scheme)
        served.set_viewport_size(PHONE)
        at(served, place, until)
        fits(served)
        served.keyboard.press("e")  # every digit
        fits(served)
        violations = served.evaluate(axe + "; axe.run('main', {resultTypes: ['violations']})")
        assert [(place, each["id"], each["nodes"][0]["html"]) for each in violations["violations"]] == []
