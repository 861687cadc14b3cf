"""Right or wrong at the prediction, the truth among the classes, and nothing where the truth is not known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from pellucid import api
from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.trace import Trace


@pytest.fixture
def shown(page: Page, walk: Trace, tmp_path: Path) -> Callable[..., Page]:
    """shown(trace, "#/") -> its offline page."""

    def show(trace: Trace, address: str = "#/") -> Page:
        place = tmp_path / "truth.html"
        place.write_text(offline(trace, "small"), encoding="ascii")
        page.goto("about:blank")
        page.goto(place.as_uri() + address)
        page.locator("main h1").wait_for()
        return page

    return show


def marked(rows: Locator) -> dict[str, str]:
    """Class -> its marks."""
    return {row.locator(".label").inner_text().split()[0]: row.locator(".marks").inner_text() for row in rows.all()}


def test_a_wrong_prediction_names_the_truth(shown: Callable[..., Page], walk: Trace) -> None:
    truth = (walk.predicted + 1) % 3
    predicted, true = walk.classes[walk.predicted], walk.classes[truth]
    page = shown(replace(walk, truth=(truth,), source="0012.png"))
    share = f"{100 * walk.probabilities[walk.predicted]:.1f}%"
    expect(page.locator(".what")).to_have_text(
        f"small · 0012.png: {predicted} ✗ it is {true} ({share} for {predicted})"
    )
    expect(page.locator(".what").get_by_role("img", name="wrong")).to_be_visible()
    rest = {name: "" for name in walk.classes if name not in (predicted, true)}
    wanted = {predicted: "✗", true: "truth"} | rest
    assert {name: text.strip() for name, text in marked(page.locator(".overview li")).items()} == wanted
    assert {name: text.strip() for name, text in marked(page.locator(".strip .bar")).items()} == wanted
    button = page.locator("[data-key='layer/probability']")
    expect(button).to_have_accessible_name(f"probability: softmax, 3, {predicted}, wrong: it is {true}, reads fc")
    button.click()
    expect(page.locator(".units li", has_text=true)).to_contain_text("truth")


def test_a_right_prediction_is_ticked(shown: Callable[..., Page], walk: Trace) -> None:
    page = shown(replace(walk, truth=(walk.predicted,)))
    predicted = walk.classes[walk.predicted]
    expect(page.locator(".what")).to_contain_text(f"{predicted} ✓ (")
    expect(page.locator(".overview li", has_text=predicted)).to_contain_text("✓truth")


def test_several_labels_are_right_only_together(shown: Callable[..., Page], walk: Trace) -> None:
    several = replace(walk, thresholds=(0.0, 0.0, 2.0), labels=(0, 1))
    names = ", ".join(walk.classes[at] for at in several.predictions)
    page = shown(replace(several, truth=(0, 1)))
    expect(page.locator(".what")).to_contain_text(f"{names} ✓")
    page = shown(replace(several, truth=(1, 2)))
    expect(page.locator(".what")).to_contain_text(f"{names} ✗ it has dog, owl")
    assert {name: text.split() for name, text in marked(page.locator(".overview li")).items()} == {
        "cat": ["✗"],
        "dog": ["✓", "truth"],
        "owl": ["truth"],
    }
    page = shown(replace(several, truth=()))
    expect(page.locator(".what")).to_contain_text(f"{names} ✗ it has no label")


def test_an_unknown_truth_is_not_claimed(opened: Callable[..., Page], walk: Trace) -> None:
    page = opened()
    expect(page.locator(".what")).to_contain_text(f"{walk.classes[walk.predicted]}, ")
    expect(page.locator(".sign, .truth")).to_have_count(0)


def test_the_served_page_judges_its_own_pictures_and_not_a_readers(served: Page, trained: Path, photos: Path) -> None:
    predicted = api.load(trained).explain(photos / "red" / "1.png").predicted
    name = api.load(trained).classes[predicted]
    expect(served.locator(".what")).to_contain_text(f"{name} ✓" if name == "red" else f"{name} ✗ it is red")
    content = (photos / "blue" / "2.png").read_bytes()
    upload = {"name": "x.png", "mimeType": "image/png"}
    served.locator("#picture").set_input_files([{**upload, "buffer": content}])  # type: ignore[list-item]
    expect(served.locator(".overview .truth")).to_have_count(1)
    expect(served.locator(".overview li", has=served.locator(".truth"))).to_contain_text("blue")
    served.locator("#picture").set_input_files([{**upload, "buffer": content + b"\0"}])  # type: ignore[list-item]
    expect(served.locator(".sign, .truth")).to_have_count(0)
