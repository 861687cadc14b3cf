"""Who taught an answer, on the served page: its figures are those of pellucid.taught."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.test_life import number
from tests.web.test_measuring import PHONE, complaints, fits

import pellucid
from pellucid.app.page import taught as requests
from pellucid.app.page.server import Server
from pellucid.errors import TraceError
from pellucid.life import influence
from pellucid.life.again import Drift
from pellucid.life.influence import Teaching
from pellucid.steps import Steps

PLACE = "#/~makers/answer"


@pytest.fixture(scope="module")
def known(trained: Path, photos: Path) -> Teaching:
    """The same, made without a page."""
    return pellucid.taught(trained, photos / "red" / "1.png", cache=trained.parent / "cache")


@pytest.fixture
def page_of_answer(served: Page, server: Server, trained: Path) -> Page:
    """The served page, whose repeats find the decoded pictures."""
    server.glass.live.cache = trained.parent / "cache"
    return served


def shown(page: Page) -> list[tuple[str, float]]:
    """Path and figure of each picture, with all digits, helpers first."""
    expect(page.locator(".pushed li img").first).to_be_visible()
    titles = page.locator(".pushed li").evaluate_all("(all) => all.map((each) => each.title)")
    parts = [re.fullmatch(r"(.+): (\S+) nats", title) for title in titles]
    return [(part[1], float(number(part[2]))) for part in parts if part is not None]


def expected(content: dict[str, Any]) -> list[tuple[str, Any]]:
    """A figure that is a float32 is written as one."""
    return [(each["path"], pytest.approx(each["effect"], rel=1e-7)) for each in (*content["helped"], *content["hurt"])]


def test_the_page_shows_who_taught_the_answer(page_of_answer: Page, server: Server, known: Teaching, axe: str) -> None:
    page = page_of_answer
    link = page.locator(".overview .to-life")
    expect(link).to_have_text("Who taught this answer M")
    page.keyboard.press("m")
    content = known.as_json(requests.SHOWN)
    assert content["helped"]
    assert content["hurt"]
    expect(page.locator(".span h2")).to_contain_text(f"“{known.label}”, {known.probability:.1%}; loss ")
    assert shown(page) == expected(content)
    values = [float(number(each)) for each in page.locator(".pushed b").all_inner_texts()]
    assert values == pytest.approx([each["effect"] for each in content["helped"] + content["hurt"]], rel=6e-3)
    widths = page.locator(".pushed img").evaluate_all(
        "async (all) => (await Promise.all(all.map((each) => each.decode())), all.map((each) => each.naturalWidth))"
    )
    assert widths == [12] * len(values)
    expect(page.locator(".say")).to_contain_text("estimates how much higher the loss of this answer")
    expect(page.locator(".span .note").first).to_contain_text(f"all {known.steps} steps of the training (Hara")
    expect(page.locator(".makers code")).to_have_text("pellucid taught model 1.png --verify")
    for size in (None, PHONE):
        if size is not None:
            page.set_viewport_size(size)
        fits(page)
        assert complaints(page, axe) == []
    page.keyboard.press("Escape")
    expect(link).to_be_visible()


def test_another_class_and_a_result_in_memory(
    page_of_answer: Page, server: Server, trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = page_of_answer
    other = pellucid.taught(trained, photos / "red" / "1.png", "blue", cache=trained.parent / "cache")
    page.goto(f"{server.address}{PLACE}")
    page.get_by_label("Class", exact=True).select_option(label="blue")
    expect(page.locator(".span h2")).to_contain_text("“blue”, ")
    assert shown(page) == expected(other.as_json(requests.SHOWN))
    expect(page.locator(".makers code")).to_have_text("pellucid taught model 1.png --label blue --verify")
    monkeypatch.setattr(requests, "teaching", None)  # it is not worked out again
    page.reload()
    assert shown(page) == expected(other.as_json(requests.SHOWN))
    server.glass.show(photos / "blue" / "1.png")
    refused = page.request.get(f"{server.address}api/taught?class=0&run=0")
    assert refused.status == 409
    server.glass.show(photos / "red" / "1.png", name="the first again")
    page.reload()
    assert shown(page) == expected(other.as_json(requests.SHOWN))


def test_it_can_be_stopped(page_of_answer: Page, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    def slow(*_: Any) -> Iterator[tuple[int, int]]:
        try:
            for done in range(1, 100_000):
                time.sleep(0.02)
                yield done, 100_000
        finally:
            ended.append(True)

    page = page_of_answer
    with monkeypatch.context() as patch:
        patch.setattr(requests, "teaching", slow)
        page.goto(f"{server.address}{PLACE}")
        expect(page.locator(".job span")).to_contain_text("of 100,000 steps")
        page.get_by_role("button", name="Stop").press("Enter")
        again = page.get_by_role("button", name="Make the training again")
        expect(again).to_be_visible()
        server.glass.jobs.end(10)
        assert ended == [True]
    again.press("Enter")
    expect(page.locator(".pushed li").first).to_be_visible()


def test_what_is_special_about_the_figures(
    page_of_answer: Page, server: Server, known: Teaching, axe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, real = page_of_answer, influence.teaching

    def too_large(again: Any, answer: Any, method: Any = "derivative") -> Iterator[Any]:
        if method == "derivative":
            raise TraceError("It takes copies of 9.0 GB.")
        steps = Steps(real(again, answer, method))
        yield from steps
        return replace(steps.result, drift=Drift(0.5, "conv1.bias[0]", 1, 9), notes=("1 of 9 weights differ.",))

    monkeypatch.setattr(requests, "teaching", too_large)
    page.goto(f"{server.address}{PLACE}")
    notes = page.locator(".makers .life-drift")
    expect(notes).to_have_text(
        ["It takes copies of 9.0 GB. The figures here are those of TracIn.", "1 of 9 weights differ."]
    )
    expect(page.locator(".span .note").first).to_contain_text(
        "TracIn, from a few moments of the training, is less exact"
    )
    assert complaints(page, axe) == []

    def missing(*_: Any) -> Iterator[Any]:
        raise TraceError("A picture is missing. Put it back.")
        yield

    monkeypatch.setattr(requests, "teaching", missing)
    page.goto(f"{server.address}{PLACE},0")
    expect(page.get_by_role("alert")).to_have_text("A picture is missing. Put it back.")
    page.reload()
    expect(page.get_by_role("button", name="Make the training again")).to_be_visible()
