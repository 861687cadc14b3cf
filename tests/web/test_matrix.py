"""The page on four networks, in windows of all sizes, in each scheme of colours: every view's drawing, and screenshots.

It takes half an hour, so it runs only with --screenshots FOLDER, as in `make soak`. The folder then has a screenshot of
each view and contact sheets of them, FOLDER/sheets, which a person should look at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError
from sklearn.datasets import load_sample_images
from tests.answering import answering
from tests.web.conftest import Watch
from tests.web.looks import faults, inaccessible, sheets
from tests.web.placed import go

import pellucid
from pellucid import api
from pellucid.app import digits, teaching
from pellucid.app.page.server import listening
from pellucid.app.page.shown import Glass
from pellucid.debugging import measured

SIDES = {"article": 300, "compact": 96, "efficientnet_lite0": 224}
MODELS = ("teaching", *SIDES)
EACH = 10  # pictures of a class
SIZES = ((360, 740, 1), (1024, 768, 1), (1440, 900, 1), (720, 450, 2))  # the last is 1440x900 at 200%
SCHEMES = {"light": ("light", "none"), "dark": ("dark", "none"), "forced": ("light", "active")}
LONGEST = 40_000  # milliseconds until a view is there
SETTLED = 150  # milliseconds for what moves and for small pictures
AXE_WIDTH = 1024  # the window in which axe looks at the views, once in each scheme


@dataclass(frozen=True)
class Look:
    """A view: its name, its address behind "#/", what shows that it is there, and what nothing may cover."""

    name: str
    address: str
    ready: str = ".stage"
    subject: str = ""
    tall: bool = True
    """Whether the screenshot has the whole page; a panel or a presentation belongs to the window."""
    stays: bool = False
    """Whether another scheme changes the view's colours, not its elements."""


def looks(content: dict[str, Any], cell: str, teaching: bool) -> list[Look]:
    """The views of a network, on its own layers. `content`: the page's document; `cell`: two classes, "1,0".

    `teaching`: also those that train, measure or compare, which take a larger network too long.
    """
    nodes = content["nodes"]
    conv = next(node for node in nodes if node["kind"] == "convolution")
    dense = [node for node in nodes if node["kind"] == "dense"][-1]["name"]
    pool = next((node for node in nodes if "pool" in node["kind"]), nodes[-2])
    reads = next(node for node in nodes if node["name"] != nodes[0]["name"] and len(node["shape"]) == 3)
    name, unit = conv["name"], ",".join(str(size // 2) for size in conv["shape"])
    pooled = ",".join(str(size // 2) for size in pool["shape"])
    before = ",".join(str(size // 2) for size in reads["shape"])
    weight = f"{name}.weight/0,0,1,1"
    costly = [
        Look("change and train", "~live", ".live-controls", ".live-controls", stays=True),
        Look("compare", "~compare", ".compare-large .large", ".compare-large"),
        Look("without a filter", f"{name}?at=0,2,2", ".worth", ".without"),
        Look("readouts", "~readout", ".readouts", ".readouts"),
    ]
    return [
        Look("overview", "", subject=".overview canvas"),
        Look("layer", name, ".layer-view", ".large"),
        Look("layer backward", f"{name}?direction=backward", ".layer-view"),
        Look("number", f"{name}/{unit}", "#value", ".equation .line"),
        Look("number exact", f"{name}/{unit}?exact=1", "#value", ".equation .line"),
        Look("number backward", f"{reads['name']}/{before}?direction=backward", "#value"),
        Look("weight backward", f"{weight}?direction=backward", "#value"),
        Look("update", f"{weight}?direction=update", "#value", ".equation.step"),
        Look("pooling", f"{pool['name']}/{pooled}", "#value"),
        Look("dense", f"{dense}/0", "#value"),
        Look("probability", "probability/0", "#value"),
        Look("loss", "loss/-", "#value"),
        Look("what if", weight, ".adjust", ".adjust input[type=range]"),
        Look("painting", "?brush=1", ".easel", ".easel"),
        Look("training", "~training", ".wall-of canvas", ".transport", stays=True),
        Look("mistakes", "~mistakes", ".matrix", ".matrix"),
        Look("mistakes of a cell", f"~mistakes/{cell}", ".thumbs", ".thumbs button"),
        Look("difference", "~difference", ".layers", "#difference"),
        Look("lessons", "~lessons", ".lesson"),
        Look("a step: filter", "?lesson=filter.2", ".guide .narration", "main .subject", tall=False),
        Look("a step: loss", "?lesson=loss.1", ".guide .narration", "main .subject", tall=False),
        Look("a step: backward", "?lesson=backward.2", ".guide .narration", "main .subject", tall=False),
        Look(
            "a step: the article", "?lesson=six-by-six.2", ".guide .narration", "main .subject", tall=False, stays=True
        ),
        Look("presenting a number", f"{name}/{unit}?present=1", ".presentation", ".presentation", tall=False),
        Look("presenting a layer", f"{name}?present=1", ".presentation", ".presentation", tall=False),
        Look("presenting the classes", "?present=1", ".presentation", ".presentation", tall=False),
        *(costly if teaching else ()),
    ]


@pytest.fixture(scope="module")
def screenshots(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--screenshots")
    if folder is None:
        pytest.skip("NOT TESTED: all views on four networks in windows of all sizes; `make soak` tests them")
    (folder / "sheets").mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces of two photographs, a class each."""
    folder, random = tmp_path_factory.mktemp("pieces"), np.random.default_rng(0)
    for name, image in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir()
        for number in range(EACH):
            top, left = (random.integers(size - 320) for size in image.shape[:2])
            Image.fromarray(image[top : top + 320, left : left + 320]).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module", params=MODELS)
def glass(
    request: pytest.FixtureRequest, screenshots: Path, pieces: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Glass, str]]:
    """A network, trained from random weights, and the page's picture; the teaching model is trained as always."""
    folder, name = tmp_path_factory.mktemp("matrix"), request.param
    model = folder / name
    if name == "teaching":
        digits.write(folder / "digits")
        teaching.train(folder / "digits", model, folder / "cache")
        measured.store_without(model, pellucid.without(model))
        measured.store_readout(model, pellucid.readout(model))
        shown = teaching.chosen(teaching.answered(model))[1]
        picture, label = shown.path, shown.label
    else:
        settings = {"size": SIDES[name], "epochs": 1, "augment": "none", "test": 0.4, "replay": True, "batch": 8}
        pellucid.train(pieces, model, cache=folder / "cache", model=name, **settings)
        picture, label = pieces / "temple" / "0.png", "temple"
    glass = Glass(pellucid.load(model), model, picture, label=label)
    glass.live.cache = folder / "cache"
    confusion = api.evaluate(model).metrics.confusion
    cell = max(
        ((label, predicted) for label, row in enumerate(confusion) for predicted, count in enumerate(row) if count),
        key=lambda at: (at[0] != at[1], confusion[at[0]][at[1]]),
    )
    yield name, glass, "{},{}".format(*cell)
    glass.finish()


@contextmanager
def window(browser: Browser, glass: Glass, width: int, height: int, zoom: int) -> Iterator[tuple[Page, Watch]]:
    """The served page in a new window."""
    with answering(listening(glass)) as server:
        size: Any = {"width": width, "height": height}
        context = browser.new_context(viewport=size, device_scale_factor=zoom, reduced_motion="reduce")
        context.set_default_timeout(LONGEST)
        page = context.new_page()
        watch = Watch(page)
        try:
            page.goto(server.address)
            page.locator("main h1").wait_for()
            yield page, watch
        finally:
            context.close()


def view(page: Page, look: Look) -> None:
    """Open a view."""
    go(page, f"#/{look.address}")
    page.locator(look.ready).first.wait_for()
    if "lesson=" in look.address:
        page.keyboard.press("l")  # to the step's place
        expect(page.locator(".strayed")).to_be_empty()
        page.locator("main .subject").first.wait_for()
    if look.name == "what if":
        page.get_by_role("spinbutton", name="another value").fill("2.5")
        page.keyboard.press("Enter")
        expect(page.locator(".what-if .chips li")).to_have_count(1)


def leave(page: Page, look: Look) -> None:
    """Undo what `view` changed."""
    if "lesson=" in look.address:
        page.keyboard.press("Escape")
        page.locator(".left-lesson").get_by_role("button").last.click()
    if look.name == "what if":
        page.get_by_role("button", name="Undo: ").first.click()
        expect(page.locator(".what-if")).to_have_count(0)


def color(page: Page, look: Look, scheme: str) -> None:
    """Change the scheme; a page that becomes dark or light draws itself again."""
    colors, forced = SCHEMES[scheme]
    turns = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") != (colors == "dark")
    if turns and not look.stays:
        page.evaluate("document.querySelector('.stage')?.setAttribute('data-before', '')")
    page.emulate_media(color_scheme=colors, forced_colors=forced)
    page.locator(".stage:not([data-before])").first.wait_for()
    page.locator(look.ready).first.wait_for()
    page.evaluate("""async () => {
        for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    }""")
    page.wait_for_timeout(SETTLED)


def seen(page: Page, look: Look, place: Path, axe: str) -> list[tuple[Path, list[str]]]:
    """Its screenshot in each scheme, PLACE-SCHEME.png, and what is wrong there."""
    view(page, look)
    shots = []
    for scheme in SCHEMES:
        color(page, look, scheme)
        path = place.with_name(f"{place.name}-{scheme}.png")
        wrong = faults(page, look.subject) + (inaccessible(page, axe, scheme == "forced") if axe else [])
        if look.tall:
            page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
        page.screenshot(path=path, full_page=look.tall)
        shots.append((path, wrong))
    color(page, look, "light")
    leave(page, look)
    return shots


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("width", "height", "zoom"), SIZES)
def test_every_view_is_whole(
    browser: Browser,
    glass: tuple[str, Glass, str],
    screenshots: Path,
    axe: str,
    width: int,
    height: int,
    zoom: int,
) -> None:
    model, shown, cell = glass
    wrong: list[str] = []
    rows: list[tuple[str, list[Path]]] = []
    with window(browser, shown, width, height, zoom) as (page, watch):
        for look in looks(shown.shown.document.content, cell, model == "teaching"):
            named = f"{model} {width}x{height} {look.name}"
            try:
                shots = seen(
                    page,
                    look,
                    screenshots / named.replace(": ", " ").replace(" ", "-"),
                    axe if width == AXE_WIDTH else "",
                )
            except PlaywrightError as error:  # the other views are to be seen all the same
                wrong.append(f"{named}: {error}")
                page.reload()
                page.locator("main h1").wait_for()
                continue
            rows.append((look.name, [path for path, _ in shots]))
            wrong += [f"{path.stem}: {each}" for path, several in shots for each in several]
            wrong += [f"{named}: the console has {text}" for text in watch.errors]
            watch.errors.clear()
    sheets(rows, screenshots / "sheets" / f"{model}-{width}x{height}")
    (screenshots / f"faults-{model}-{width}x{height}.txt").write_text("".join(f"{each}\n" for each in wrong))
    assert wrong == []
