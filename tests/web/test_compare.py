"""Two models on one picture, in a browser: on the served page, and in a file without a server."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.answering import showing
from tests.web.placed import fits, settled

import pellucid
from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass
from pellucid.classifier.classifier import Classifier
from pellucid.debugging.beside import Other, beside, fewer_bits
from pellucid.glassbox.page.offline import Pair, paging
from pellucid.glassbox.trace.trace import Trace
from pellucid.steps import result_of
from pellucid.whatif import Weight

CHANGE = Weight("conv1.weight", (1, 0, 1, 1), 2.5)
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return pellucid.load(trained)


@pytest.fixture(scope="module")
def file(classifier: Classifier, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Pair]]:
    """A file of two pictures in two models, and the runs in it."""
    changed = Other("another", classifier.changed([CHANGE]), ("A note about it.",))
    pairs = []
    for picture in (photos / "red" / "1.png", photos / "blue" / "2.png"):
        trace = classifier.explain(picture)
        run, parting = beside(trace, "model", changed, picture)
        pairs.append(Pair(trace, run, changed.name, parting.as_json()))
    place = tmp_path_factory.mktemp("compare") / "two.html"
    place.write_text(result_of(paging(pairs, "model")), encoding="ascii")
    return place, pairs


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def check(page: Page, first: Trace, second: Trace) -> int:
    """Every row's numbers, with all digits, are those of PyTorch in both runs. Returns how many rows have some."""
    rows = page.locator(".compare-rows > ol > li")
    expect(rows).to_have_count(len(first.nodes))
    settled(page, lambda: untrue(page, first, second))
    return rows.locator(".most").count()


READ = """() => [...document.querySelectorAll(".compare-rows > ol > li")].map((row) => [
    row.querySelector(".verdict").innerText,
    [...row.querySelectorAll(".most span")].map((each) => each.innerText),
])"""


def untrue(page: Page, first: Trace, second: Trace) -> list[object]:
    """The layers and words of the comparison that are not so in these two runs."""
    wrong: list[object] = []
    for node, (verdict, most) in zip(first.nodes, page.evaluate(READ), strict=True):
        a, b = (trace.values[node.name].astype(np.float64) for trace in (first, second))
        if not most:
            wrong += [] if np.array_equal(a, b) and verdict == "equal" else [(node.name, verdict)]
            continue
        place, *shown = most
        index = tuple(int(each) for each in place.partition("[")[2].rstrip("]").split(",") if each)
        one, other = (each.reshape(first.shape(node.name))[index] for each in (a, b))
        wrong += [] if abs(other - one) == np.abs(b - a).max() else [(node.name, place)]
        for words, value in zip(shown, (one, other, other - one), strict=True):
            read = number(words.split(" ")[-1].removeprefix("+"))  # as many digits as a float32 needs
            wrong += [] if value in (read, np.float32(read)) else [(node.name, words, value)]
    return wrong


def test_a_file_with_two_models_compares_them(page: Page, file: tuple[Path, list[Pair]], axe: str) -> None:
    place, pairs = file
    page.goto(place.as_uri() + "#/~compare")
    expect(page.locator("main h1")).to_have_text("They part first at conv1")
    expect(page.locator(".say")).to_contain_text("A note about it.")
    page.locator(".compare-rows").wait_for()
    # the difference adds up as it is shown, and with all digits it is PyTorch's
    for each in page.locator(".compare-rows .most").all():
        _, one, other, by = (span.inner_text().split(" ")[-1] for span in each.locator("span").all())
        assert number(by.removeprefix("+")) == pytest.approx(number(other) - number(one), abs=1e-12)
    page.keyboard.press("e")
    assert check(page, pairs[0].trace, pairs[0].other) == 7
    # both strips, with the layer where they part, for the eye and for a screen reader
    strips = page.locator(".compare-strips nav")
    expect(strips).to_have_count(2)
    for strip in strips.all():
        expect(strip.locator(".parts-here")).to_have_count(1)
        expect(strip.get_by_role("button", name="the models part first here")).to_have_count(1)
    # the open row has three maps; the arrow keys move in all of them
    maps = page.locator(".compare-large .large")
    expect(maps).to_have_count(3)
    tops = maps.evaluate_all("all => all.map((map) => map.getBoundingClientRect().top)")
    assert max(tops) - min(tops) < 1, "they are level, whatever their captions"
    gap = page.locator(".compare-answers").evaluate("""(table) => {
        const words = document.createRange();
        words.selectNodeContents(table.caption);
        return table.tHead.getBoundingClientRect().top - words.getBoundingClientRect().bottom;
    }""")
    assert gap >= 4, "the caption does not touch the header"
    before = maps.nth(2).get_attribute("aria-label")
    maps.nth(2).focus()
    page.keyboard.press("ArrowUp")
    settled(page, lambda: maps.nth(2).get_attribute("aria-label") == before)
    row, column = _index(maps.nth(2).get_attribute("aria-label") or "")[1:]
    a, b = (each.values["conv1"][0, 1, row, column] for each in (pairs[0].trace, pairs[0].other))
    shown = page.locator(".compare-large output")
    expect(shown).to_have_count(3)
    texts = [number(text.split(" ")[-1].removeprefix("+")) for text in shown.all_inner_texts()]
    assert texts[:2] == [pytest.approx(a), pytest.approx(b)]
    assert texts[2] == float(b) - float(a)
    expect(maps.nth(2)).to_be_focused()
    # another map and another layer, by key; the address holds the place
    page.get_by_role("button", name="Next map").press("Enter")
    expect(page.get_by_role("button", name="Next map")).to_be_focused()
    assert page.url.endswith("#/~compare/other,2,2?exact=1")
    strips.nth(1).get_by_role("button", name=re.compile("^dense1:")).click()
    expect(page.locator("[data-key='compare/6']")).to_be_focused()
    expect(page.locator(".compare-detail tbody tr")).to_have_count(2)
    # as a table
    page.get_by_text("The comparison as a table").click()
    table = page.get_by_role("table", name="A is model, B is another")
    expect(table.get_by_role("row")).to_have_count(1 + len(pairs[0].trace.nodes))
    expect(table.get_by_role("row", name="conv1 they part first")).to_be_visible()
    # the other picture, and the gradients
    page.keyboard.press("]")
    page.keyboard.press("b")
    expect(page.locator("main h1")).to_contain_text("The gradients part first at")
    page.keyboard.press("f")
    assert check(page, pairs[1].trace, pairs[1].other) == 7
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [each["id"] for each in found["violations"] if each["impact"] in ("serious", "critical")] == []
    for size in (PHONE, {"width": 1440, "height": 900}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        fits(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("main h1")).to_have_text("They part first at conv1")
    page.goto("about:blank")
    page.goto(place.as_uri() + "#/~compare/int8")
    expect(page.locator(".compare [role='status']")).to_have_text("There is no “int8” to compare with here.")


def _index(text: str) -> list[int]:
    return [int(each) for each in text.split("[")[1].split("]")[0].split(",")]


def test_a_file_with_one_model_says_how_to_compare(page: Page, page_file: Path) -> None:
    page.goto(page_file.as_uri() + "#/~compare")
    expect(page.locator(".say")).to_contain_text("pellucid open MODEL --beside OTHER")
    expect(page.get_by_role("link", name="Compare")).to_have_count(0)


@pytest.fixture
def server(trained: Path, photos: Path) -> Iterator[Server]:
    classifier = pellucid.load(trained)
    other = Other("the changed one", classifier.changed([CHANGE]))
    with showing(Glass(classifier, trained, photos / "red" / "1.png", view="compare", beside=other)) as server:
        yield server


def test_the_served_page_compares_with_models_and_with_the_readers_changes(served: Page, server: Server) -> None:
    glass = server.glass
    assert isinstance(glass, Glass)
    assert served.url.endswith("#/~compare")
    expect(served.locator("main h1")).to_have_text("They part first at conv1")
    served.keyboard.press("e")
    plain = glass.shown.document.trace
    assert glass.beside is not None
    assert check(served, plain, glass.beside.classifier.explain(str(glass.plain.picture), plain.against[0])) == 7
    served.get_by_label("Compare with").select_option("bfloat16")
    expect(served.locator(".say")).to_contain_text("every weight is rounded to bfloat16")
    rounded = fewer_bits(glass.classifier, "bfloat16").classifier
    assert check(served, plain, rounded.explain(str(glass.plain.picture), plain.against[0])) == 7
    # a change on the page: A is the model, B the changed one
    served.goto("about:blank")
    glass.change((Weight("dense1.bias", (1,), 5.0),))
    served.goto(f"{server.address}#/~compare?exact=1")
    expect(served.locator("main h1")).to_have_text("They part first at dense1")
    expect(served.locator(".compare-answers")).to_contain_text("model, with your changes")
    assert check(served, plain, glass.shown.document.trace) == 3
    # Enter on a number of the page's own model opens it
    served.locator(".compare-strips").get_by_role("button", name=re.compile("^conv1:")).first.click()
    expect(served.locator("[data-key='compare/2']")).to_be_focused()
    served.locator(".compare-large .large").first.focus()
    served.keyboard.press("Enter")
    expect(served.locator("main h1")).to_contain_text("conv1[")


def test_the_server_refuses_what_it_cannot_compare(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.goto(server.address)
    answers = page.evaluate("""async () => {
        const id = (await fetch("api/document")).headers.get("X-Pellucid-Server");
        const post = (path, headers) => fetch(path, {method: "POST", headers});
        return [
            (await post("api/beside?with=nothing", {"X-Pellucid-Server": id})).status,
            (await post("api/beside?with=int8")).status,
            (await fetch("api/beside/array?with=bfloat16&name=value/conv1")).status,
            (await post("api/beside?with=int8&run=77", {"X-Pellucid-Server": id})).status,
        ];
    }""")
    page.close()
    assert answers[0] == 404
    assert answers[1] in (400, 403, 409)
    assert answers[2:] == [409, 409]
