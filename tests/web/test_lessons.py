"""The lessons on the reader's own network: their text is true, Space continues, the address is the step."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from tests.web.placed import box, fits, go, settled
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

PHONE = {"width": 360, "height": 740}
# the first is a phone, the second a window of 1440x900 at 200%; the others are tested by --every 1
SIZES = ((360, 740), (720, 450), (1024, 768), (1440, 900), (512, 384))
TITLES = [
    "A picture is a matrix",
    "One weight",
    "Two weights",
    "Zeros at the sides",
    "Nine weights on 6 × 6 pixels",
    "Larger steps, and a border",
    "Three kinds of pooling",
    "Edges, blur and sharpening",
    "How large is the output?",
    "The article’s own network",
    "A picture is numbers",
    "The filter slides",
    "Stride",
    "Zeros at the border, and the size of a map",
    "Many filters",
    "One scale for all maps",
    "The activation",
    "Pooling",
    "Two paths meet",
    "All in a row",
    "Scores become probabilities",
    "The loss",
    "Backward: where a gradient comes from",
    "The update",
]


def text(page: Page) -> str:
    """The current paragraph."""
    return page.locator(".guide .narration").inner_text()


def lesson(page: Page, name: str) -> str:
    return page.locator(f"#lesson-{name}").inner_text()


def rounded(value: float) -> str:
    """Four digits, as in the lessons."""
    return f"{float(f'{value:.4g}'):.15g}".replace("-", "−")


@pytest.fixture
def listed(opened: Callable[..., Page]) -> Page:
    page = opened("#/~lessons")
    page.locator(".lesson").first.wait_for()
    return page


def strongest(walk: Trace, name: str) -> list[int]:
    gradient = np.abs(walk.gradients[name][0])
    return [int(at) for at in np.unravel_index(gradient.argmax(), gradient.shape)]


def test_the_list_has_every_word(listed: Page) -> None:
    titles = [each.inner_text() for each in listed.locator(".lesson h2").all()]
    assert titles == [f"{at}. {title}" for at, title in enumerate(TITLES, 1)]
    assert listed.locator(".lesson li").count() > 2 * len(TITLES) - 2
    listed.get_by_role("link", name="18. Pooling").click()
    expect(listed.locator("#lesson-pooling h2")).to_be_focused()


def test_what_they_say_is_so(listed: Page, walk: Trace) -> None:
    hero = strongest(walk, "conv")
    unit = f"conv[{', '.join(map(str, hero))}]"
    working = walk.unit(unit)
    bias = rounded(working.parts[1].terms.total)
    assert f"All 27 products and the filter's bias {bias} add up to {unit} = {rounded(working.recorded)}." in (
        lesson(listed, "filter")
    )
    assert "first product is" in lesson(listed, "filter")
    assert "([12 - 3 + 2*1] / 1) + 1 = 12" in lesson(listed, "size")
    assert "5 of the 9 numbers in the window are zeros from this border" in lesson(listed, "size")
    assert "3*3*3*6 + 6 = 168" in lesson(listed, "filters")
    # 3*12*12 numbers before, 6*12*12 after, and a bias for each of these
    assert f"{3 * 144 * 6 * 144 + 6 * 144:,}" in lesson(listed, "filters")
    assert "Each of the 48 filters of block.wide has a kernel of 1 × 1 for each of 6 maps of pool" in lesson(
        listed, "filters"
    )
    zeros = int((walk.values["act"] == 0).sum())
    assert f"{zeros} of its 864 numbers are now zero: {100 * zeros / 864:.1f}%" in lesson(listed, "activation")
    place = [hero[0], hero[1] // 2, hero[2] // 2]
    largest = walk.unit(f"pool[{', '.join(map(str, place))}]").recorded
    assert f"The largest, {rounded(largest)}, is act[{', '.join(map(str, hero))}]" in lesson(listed, "pooling")
    assert "864 numbers become 216" in lesson(listed, "pooling")
    scores = walk.values["fc"][0].astype(np.float64)
    probabilities = np.exp(scores) / np.exp(scores).sum()
    predicted = int(scores.argmax())
    assert f"“{walk.classes[predicted]}” gets {rounded(walk.unit(f'probability[{predicted}]').recorded)}" in lesson(
        listed, "output"
    )
    assert f"-ln({rounded(probabilities[1])}) = {rounded(walk.unit('loss').recorded)}" in lesson(listed, "loss")
    gradient = f"{probabilities[1]:.4f} - 1 = {float(f'{probabilities[1]:.4f}') - 1:.4f}".replace("= -", "= −")
    assert gradient in lesson(listed, "backward")
    weight = f"conv.weight[{hero[0]}, 0, 1, 1]"
    gradient = rounded(walk.gradient(weight).recorded)
    assert f"{weight} was used at 144 places. What comes back from all of them adds up to {gradient}" in lesson(
        listed, "backward"
    )
    after = walk.update(weight).recorded
    shown = re.search(r"the weight moves from (\S+) to (\S+)\.\s", lesson(listed, "update") + " ")
    assert shown is not None
    assert float(shown[2].replace("−", "-")) == pytest.approx(after, rel=1e-6)
    assert f"All {sum(parameter.size for parameter in map(walk.values.get, walk.parameters)):,} parameters" in (  # type: ignore[union-attr]
        lesson(listed, "update")
    )


def hidden_subject(page: Page) -> str | None:
    """What is wrong with the marked subject of a step: it must lie in the window, and no panel may cover it."""
    return page.evaluate("""() => {
        const subject = document.querySelector("main .subject");
        if (document.querySelector(".trouble")) return "trouble";
        if (!subject) return "no subject";
        const [one, panel] = [subject, document.querySelector(".guide")].map((each) => each.getBoundingClientRect());
        const { clientWidth, clientHeight, scrollWidth } = document.documentElement;
        const outside = one.left < 0 || one.top < 0 || one.right > clientWidth || one.bottom > clientHeight;
        const beside = one.right <= panel.left || one.bottom <= panel.top;
        if (scrollWidth > clientWidth) return "the page is wider than the window";
        const guide = document.querySelector(".guide");
        if (guide.scrollWidth > guide.clientWidth) return "the panel is cut off at its side";
        return outside || !beside || !one.width ? `${subject.className}: ${JSON.stringify(one)}` : null;
    }""")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_space_leads_through_all_of_them_and_shows_their_subjects(
    listed: Page, width: int, height: int, request: pytest.FixtureRequest
) -> None:
    if (width, height) not in SIZES[:2] and request.config.getoption("--every") > 1:
        pytest.skip(f"NOT TESTED: the lessons in a window of {width}x{height}; --every 1 tests them")
    listed.set_viewport_size({"width": width, "height": height})
    paragraphs = [each.inner_text() for each in listed.locator(".lesson li p").all()]
    listed.get_by_role("button", name="Begin with the first").click()
    for number, paragraph in enumerate(paragraphs):
        expect(listed.locator(".guide .narration")).to_have_text(paragraph)
        settled(listed, lambda: hidden_subject(listed))
        if number:
            assert listed.evaluate("document.activeElement.closest('main') === null"), "the focus is left alone"
        listed.locator("body").press("Space")
    expect(listed.locator(".guide")).to_be_hidden()
    assert "lesson=" not in listed.url


def test_a_step_is_an_address(opened: Callable[..., Page]) -> None:
    page = opened("#/?lesson=stride.1")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("h1").first).to_have_text(re.compile(r"^pool\["))
    first, place = page.url, page.locator("h1").first.inner_text()
    assert first.endswith("lesson=stride.2")
    page.locator("body").press("Escape")
    expect(page.locator(".guide")).to_be_hidden()
    expect(page.locator("h1").first).to_have_text(place)
    expect(page.get_by_role("status").filter(has_text="You left the lesson “Stride”: press L")).to_be_visible()
    page.locator("body").press("l")
    expect(page.locator(".guide h2")).to_have_text("Stride")
    expect(page.locator(".left-lesson")).to_be_empty()
    page.locator("body").press("Escape")
    page = opened(first[first.index("#") :])
    expect(page.locator(".guide h2")).to_have_text("Stride")
    expect(page.get_by_role("button", name="Step 2 of 2")).to_have_attribute("aria-current", "step")
    page.get_by_role("button", name="Previous", exact=True).click()
    expect(page.get_by_role("button", name="Step 1 of 2")).to_have_attribute("aria-current", "step")
    page.get_by_role("button", name="Previous", exact=True).click()
    expect(page.locator(".guide h2")).to_have_text("The filter slides")


def test_the_reader_may_look_elsewhere_meanwhile(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/0,3,3?lesson=activation.1")
    expect(page.locator(".guide .narration")).to_contain_text("act is an activation: ReLU")
    before = text(page)
    page.get_by_role("button", name=re.compile("^fc: dense")).click()
    expect(page.locator("h1").first).to_have_text("fc")
    page.locator("body").press("b")
    assert text(page) == before
    expect(page.locator(".strayed")).to_have_text(re.compile("^You left the lesson’s place: press L to return"))
    page.locator("body").press("l")
    expect(page.locator("h1").first).to_have_text(re.compile(r"^act\["))
    expect(page.locator(".strayed")).to_be_empty()
    expect(page.locator("main .subject")).to_be_in_viewport()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("h1").first).to_have_text("act")
    expect(page.get_by_role("button", name="Forward")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Next")).to_be_focused()


def test_something_moves_and_then_it_is_quiet(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened("#/?lesson=filter.2")
    page.emulate_media(reduced_motion="no-preference")
    page.evaluate("""() => {
        window.seen = new Set();
        new MutationObserver(() => window.seen.add(document.querySelector("h1").textContent)).observe(
            document.querySelector("main"), { subtree: true, childList: true, characterData: true });
    }""")
    page.get_by_role("button", name="Next").click()
    channel, row, _ = strongest(walk, "conv")
    expect(page.locator("h1").first).to_have_text(f"conv[{channel}, {row}, 11]")
    seen = page.evaluate("[...window.seen]")
    assert len(seen) > 5
    page.wait_for_timeout(400)
    assert page.evaluate("[...window.seen]") == seen


def test_an_unknown_lesson_does_no_harm(opened: Callable[..., Page]) -> None:
    for place in ("#/conv?lesson=nothing.3", "#/conv?lesson=stride.99", "#/conv?lesson=."):
        page = opened(place)
        expect(page.locator("h1").first).to_have_text("conv")
        expect(page.locator(".trouble")).to_have_count(0)
    page.locator("body").press("Space")


class Strange(nn.Module):
    """Names without meaning, one channel, a filter that is not square, no ReLU, no max pooling, no flatten layer."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.relu = nn.Conv2d(1, 4, (3, 5), stride=(2, 1), padding=(1, 0)), nn.SiLU()
        self.conv, self.loss_ = nn.AvgPool2d(2), nn.Linear(4 * 3 * 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.loss_(self.conv(self.relu(self.dense(x))).reshape(-1, 36))


class Flat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(48, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x.flatten(1))))


def page_of(module: nn.Module, image: torch.Tensor, folder: Path) -> str:
    torch.manual_seed(2)
    file = folder / "page.html"
    file.write_text(offline(explain(module.eval(), image, 1)), encoding="ascii")
    return f"{file.as_uri()}#/~lessons"


def test_layers_are_found_by_what_they_do(page: Page, tmp_path: Path) -> None:
    torch.manual_seed(1)
    page.goto(page_of(Strange(), torch.rand(1, 1, 12, 10), tmp_path))
    page.locator(".lesson").first.wait_for()
    assert "The picture has 12 rows of 10 pixels and comes in as one grid of numbers: 1 × 12 × 10 = 120." in lesson(
        page, "picture"
    )
    assert "the window of dense moves 2 places down and one place across" in lesson(page, "stride")
    assert "P = 1 above and below, 0 at the sides" in lesson(page, "size")
    assert "([10 - 5 + 2*0] / 1) + 1 = 6" in lesson(page, "size")
    assert "3*5*1*4 + 4 = 64" in lesson(page, "filters")
    assert "relu is an activation: SiLU" in lesson(page, "activation")
    assert "conv makes the maps smaller: each window of 2 × 2 numbers becomes one number. It is their mean" in (
        lesson(page, "pooling")
    )
    assert page.locator("#lesson-norm, #lesson-join, #lesson-average").count() == 0
    assert page.locator("#lesson-flatten, #lesson-update").count() == 2


def test_a_network_without_filters_has_the_lessons_that_are_left(page: Page, tmp_path: Path) -> None:
    torch.manual_seed(1)
    page.goto(page_of(Flat(), torch.rand(1, 3, 4, 4), tmp_path))
    page.locator(".lesson").first.wait_for()
    names = [each.get_attribute("id") for each in page.locator(".lesson").all()]
    own = names.index("lesson-picture")
    assert own == 10, "the article's lessons need no network"
    assert names[own:] == [
        f"lesson-{name}" for name in ("picture", "activation", "flatten", "output", "loss", "backward", "update")
    ]
    page.get_by_role("link", name="Show step 2 of “Backward: where a gradient comes from” on the network").click()
    expect(page.locator("h1").first).to_have_text("b[1] 1")


class Named(nn.Module):
    """Layers with names that every JavaScript object has as well."""

    def __init__(self) -> None:
        super().__init__()
        self.constructor, self.toString = nn.Conv2d(1, 2, 3), nn.Linear(2 * 10 * 10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.toString(self.constructor(x).flatten(1))


def test_a_small_file_and_layers_with_names_of_the_language_s_own(page: Page, tmp_path: Path) -> None:
    torch.manual_seed(1)
    trace = replace(explain(Named().eval(), torch.rand(1, 1, 12, 12), 1), size=(8, 8))
    (tmp_path / "page.html").write_text(offline(trace), encoding="ascii")
    address = (tmp_path / "page.html").as_uri()
    page.goto(f"{address}#/~lessons")
    page.locator(".lesson").first.wait_for()
    said = lesson(page, "picture")
    assert "The picture has 8 rows of 8 pixels. The network sees it at 12 × 12" in said
    assert "12 rows of 12" not in said
    assert "constructor" in lesson(page, "filter")
    page.get_by_role("link", name="Network", exact=True).click()
    expect(page.locator(".overview .note").first).to_have_text(
        "The picture has 8 × 8 pixels; the network sees 12 × 12."
    )
    page.get_by_role("button", name="See a number of constructor add up").click()
    title = page.locator("main h1")
    expect(title).to_have_text(re.compile(r"^constructor\[\d, \d+, \d+\]$"))
    at = re.findall(r"\d+", title.inner_text())
    recorded = trace.unit(f"constructor[{', '.join(at)}]").recorded
    expect(page.locator("#value")).to_have_attribute("data-recorded", repr(recorded))
    for direction in ("backward", "update"):
        page.goto(f"{address}#/constructor.weight/0,0,1,1?direction={direction}")
        expect(title).to_have_text(re.compile("^constructor.weight"))
        expect(page.locator(".trouble, .astray")).to_have_count(0)
    page.goto(f"{address}#/toString/2")
    expect(title).to_have_text(re.compile(r"^toString\[2\]"))
    expect(page.locator("#value")).to_have_attribute("data-recorded", repr(trace.unit("toString[2]").recorded))


PLACES = (
    ("#/~lessons", PHONE, "dark"),
    ("#/conv/1,4,4?lesson=filter.2", PHONE, "light"),
    ("#/~article/six-by-six::ask?at=0,1&lesson=six-by-six.2", PHONE, "dark"),
    ("#/~article/photograph:sharpening?lesson=photograph.5", None, "light"),
    ("#/~article/fit:6,3,2,0,2?lesson=fit.2", PHONE, "light"),
    ("#/conv?lesson=filters.1", None, "dark"),
)


def test_on_a_phone_and_for_a_screen_reader(opened: Callable[..., Page], axe: str) -> None:
    page = opened()
    for place, size, scheme in PLACES:
        page.set_viewport_size(size or {"width": 1280, "height": 800})  # type: ignore[arg-type]
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        go(page, place)
        fits(page)
        if size is PHONE and "lesson=" in place:
            settled(page, lambda: box(page.locator(".guide"))["height"] > PHONE["height"] / 2)
        violations = page.evaluate(axe + "; axe.run(document, {resultTypes: ['violations']})")
        assert [(place, each["id"], each["nodes"][0]["html"]) for each in violations["violations"]] == []


def test_the_served_page_has_them_too(viewed: Page) -> None:
    viewed.get_by_role("link", name="Lessons").click()
    viewed.locator(".lesson").first.wait_for()
    assert "conv1" in lesson(viewed, "filter")
    viewed.get_by_role("button", name="Begin with the first").click()
    expect(viewed.locator(".guide")).to_be_visible()
