"""The page on common networks, trained on real photographs: every view, layer, kind and lesson.

The article's network, compact and resnet18, each trained for an epoch on some of the cats and dogs. Needs the data
beside the checkout. tests/web examines each view, on a small network and on its own module.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.answering import showing
from tests.patience import PATIENCE
from tests.web.placed import go

import pellucid
from pellucid.app.page.shown import Glass

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "cats_dogs"
if not DATA.is_dir():
    pytest.skip(f"NOT TESTED: real pictures are missing, {DATA} is no folder", allow_module_level=True)

EACH = 12  # pictures of a class
SIDES = {"article": 300, "compact": 96, "resnet18": 96}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        for path in sorted((DATA / label).iterdir())[:EACH]:
            shutil.copy(path, folder / label)
    return folder


@pytest.fixture(scope="module", params=SIDES)
def served(
    request: pytest.FixtureRequest, photographs: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, Glass]]:
    """A network's page, open."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"size": SIDES[request.param], "epochs": 1, "augment": "none", "test": 0.25, "replay": True}
    model = folder / request.param
    pellucid.train(photographs, model, cache=folder / "cache", model=request.param, **settings)
    glass = Glass(pellucid.load(model), model, photographs / "dog" / sorted((photographs / "dog").iterdir())[0].name)
    with showing(glass) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(server.address)
        page.locator(".overview canvas").first.wait_for()
        yield page, glass
        context.close()
    # numbers of what was shown before are refused where they are asked for too late, and Chromium notes that itself
    assert [text for text in errors if "409 (Conflict)" not in text] == []


def content(glass: Glass) -> dict[str, Any]:
    return glass.shown.document.content


def test_every_layer_opens_in_every_direction(served: tuple[Page, Glass]) -> None:
    page, glass = served
    for node in content(glass)["nodes"]:
        whole = node["shape"] and "." not in node["name"]  # and not what stands within a block: that takes long
        if whole:
            for direction in ("forward", "backward", "update"):
                go(page, f"#/{node['name']}?direction={direction}")
                expect(page.locator("main h1")).to_have_text(node["name"])
                expect(page.locator(".layer-view")).to_have_count(1)
    expect(page.locator(".trouble")).to_have_count(0)


def test_a_number_of_every_kind_adds_up_as_in_python(served: tuple[Page, Glass]) -> None:
    page, glass = served
    trace = glass.shown.document.trace
    seen = set()
    for node in content(glass)["nodes"]:
        if node["op"] is None or node["kind"] in seen:
            continue
        seen.add(node["kind"])
        place = [size // 2 for size in node["shape"]]
        unit = f"{node['name']}{place if place else ''}"
        for direction, working in (("forward", trace.unit), ("backward", trace.gradient)):
            if direction == "backward" and node["gradient_largest"] is None:
                continue
            go(page, f"#/{node['name']}/{','.join(map(str, place)) or '-'}?direction={direction}")
            # the working of the other direction, or of the number before, may still stand there
            expect(page.locator("main h1")).to_have_text(re.compile(f"^{re.escape(unit)}"))
            expected = working(unit)
            if not expected.parts:
                continue
            page.wait_for_function(
                "value => Number(document.querySelector('#value')?.dataset.recorded) === value", arg=expected.recorded
            )
            total = page.locator("#value").get_attribute("data-total")
            assert total is not None, unit
            assert float(total) == pytest.approx(expected.total, rel=1e-9, abs=1e-12), unit
            assert abs(float(total) - expected.recorded) <= max(expected.bound, 1e-12), unit
    assert {"convolution", "dense", "softmax", "cross-entropy"} <= seen


def test_a_weights_step(served: tuple[Page, Glass]) -> None:
    page, glass = served
    expected = glass.shown.document.trace.update("conv1.weight[0, 0, 1, 1]")
    go(page, "#/conv1.weight/0,0,1,1?direction=update")
    expect(page.locator("main h1")).to_have_text("conv1.weight[0, 0, 1, 1]")
    expect(page.locator("#value")).to_have_attribute("data-recorded", re.compile("."))
    recorded = page.locator("#value").get_attribute("data-recorded")
    assert recorded is not None
    assert float(recorded) == expected.recorded


def test_every_step_of_every_lesson(served: tuple[Page, Glass]) -> None:
    page, _ = served
    go(page, "#/~lessons")
    page.locator(".lesson").first.wait_for()
    steps = page.locator(".lesson li").count()
    assert steps > 20
    page.get_by_role("button", name="Begin with the first").click()
    report = []
    for _ in range(steps):
        expect(page.locator(".guide .narration")).not_to_have_text(report[-1] if report else "")
        report.append(page.locator(".guide .narration").inner_text())
        expect(page.locator("main h1")).not_to_have_text("Lessons")
        page.keyboard.press(" ")
    assert len(set(report)) == steps
    assert not [text for text in report if re.search(r"NaN|undefined|Infinity|null", text)]
    expect(page.locator(".trouble")).to_have_count(0)
    page.keyboard.press("Escape")


def test_from_the_mistakes_to_what_made_the_difference(served: tuple[Page, Glass]) -> None:
    page, _ = served
    go(page, "#/~mistakes")
    page.locator(".matrix").wait_for()
    counts = [text.strip() for text in page.locator(".matrix td").all_inner_texts()]
    assert sum(int(text) for text in counts if text.isdigit()) == EACH // 2
    page.locator(".matrix td").nth(next(at for at, text in enumerate(counts) if text.isdigit())).click()
    page.locator(".thumbs button").first.click()
    page.locator("#difference").wait_for()
    line = page.locator("#difference").get_attribute("data-value")
    assert line is not None
    expect(page.locator(".layers .strong a").first).to_be_visible()
    expect(page.locator(".trouble")).to_have_count(0)


def test_the_training_and_the_patches(served: tuple[Page, Glass]) -> None:
    page, _ = served
    go(page, "#/~training")
    slider = page.get_by_role("slider").first
    slider.wait_for()
    slider.press("Home")
    before = page.locator("main .say").inner_text()
    slider.press("End")
    expect(page.locator("main .say")).not_to_have_text(before)
    go(page, "#/conv1")
    expect(page.locator(".patches button")).to_have_count(9)


def test_what_if_and_back(served: tuple[Page, Glass]) -> None:
    page, glass = served
    go(page, "#/conv1.weight/0,0,1,1")
    expect(page.locator("main h1")).to_have_text("conv1.weight[0, 0, 1, 1]")
    before = content(glass)["probabilities"]
    field = page.get_by_label("another value for conv1.weight[0, 0, 1, 1]")
    field.fill("3")
    field.press("Enter")
    expect(page.locator(".what-if .chips li")).to_have_count(1)
    assert content(glass)["probabilities"] != before
    page.keyboard.press("z")
    expect(page.locator(".what-if.aside")).to_be_visible()
    assert content(glass)["probabilities"] == before
