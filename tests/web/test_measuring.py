"""What a filter is worth, in the view of its layer, and what each layer knows: served, and in a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.placed import fits

import pellucid
from pellucid.app.page.server import Server
from pellucid.debugging import measured
from pellucid.glassbox.page.offline import paging
from pellucid.glassbox.trace.trace import Trace
from pellucid.steps import result_of

PHONE: Any = {"width": 360, "height": 740}


def complaints(page: Page, axe: str) -> list[Any]:
    violations = page.evaluate(axe + "; axe.run('main', {resultTypes: ['violations']})")
    return [(each["id"], each["nodes"][0]["html"]) for each in violations["violations"]]


def stored_readout(remark: str) -> dict[str, Any]:
    """A stored readout of two layers."""
    layer = {"shape": [3], "cells": None, "numbers": 3, "interval": [0.75, 0.95], "train_accuracy": 1.0}
    return {
        "side": "test",
        "pictures": 20,
        "fitted": 40,
        "chosen": 10,
        "chosen_from": "validation",
        "several": False,
        "network": {"accuracy": 0.8, "interval": [0.75, 0.95]},
        "commonest": 0.3,
        "remark": remark,
        "layers": [{**layer, "layer": "input", "accuracy": 0.9}, {**layer, "layer": "fc", "accuracy": 0.8}],
    }


def test_the_served_page_measures_on_request(
    served: Page, server: Server, trained: Path, axe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured.tied, "write", lambda *_: None)  # the model is every test's
    served.goto(f"{server.address}#/conv1?at=2,5,5")
    box = served.locator(".without")
    expect(box.locator("h2")).to_have_text("What filter 2 is worth")
    box.get_by_role("button", name="Measure all 4 filters of conv1").press("Enter")
    rows = box.locator(".worth button")
    expect(rows).to_have_count(4)
    (layer,) = pellucid.without(trained).layers
    assert rows.locator("span:first-child").all_inner_texts() == [f"filter {each.filter}" for each in layer.ranked]
    assert rows.locator(".value:nth-child(3)").all_inner_texts() == [
        f"{each.right.second:.1%}" for each in layer.ranked
    ]
    for number in (2, layer.ranked[0].filter):
        box.locator(f"[data-key='worth/{number}']").press("Enter")
        expect(box.locator("h2")).to_have_text(f"What filter {number} is worth")
        each = layer.filters[number].right
        line = f"Without this filter: {each.second:.1%} instead of {each.first:.1%} of 8 test pictures"
        expect(box.locator(".line")).to_contain_text(line)
        expect(box.locator("[aria-current='true'] span").first).to_have_text(f"filter {number}")
    expect(box).to_contain_text("Its map is set to zero after relu1")
    rows.nth(0).focus()
    served.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    served.set_viewport_size(PHONE)
    expect(box).to_be_visible()
    fits(served)
    assert complaints(served, axe) == []

    served.goto(f"{server.address}#/~readout")
    served.get_by_role("button", name="Measure it").press("Enter")
    table = served.locator(".readout table")
    result = pellucid.readout(trained)
    expect(table.locator("tbody tr")).to_have_count(len(result.layers))
    assert table.locator("tbody td:nth-child(3)").all_inner_texts() == [
        f"{each.accuracy:.1%}" for each in result.layers
    ]
    chart = served.get_by_role("img", name="What each layer knows")
    expect(chart.locator("circle")).to_have_count(len(result.layers))
    expect(served.locator(".say")).to_contain_text("Fitted to 16 training pictures; 8 validation pictures chose")
    # the names of the lines are below the chart, not across the intervals
    expect(served.locator(".levels")).to_contain_text(f"the network itself: {result.correct / result.pictures:.1%}")
    assert served.evaluate(
        "document.querySelector('.levels').getBoundingClientRect().top >= "
        "document.querySelector('.readouts').getBoundingClientRect().bottom"
    )
    fits(served)
    assert complaints(served, axe) == []
    table.get_by_role("button", name="relu1").press("Enter")
    expect(served.locator("h1").first).to_have_text("relu1")


def test_a_file_shows_what_is_stored_or_names_the_command(
    page: Page, walk: Trace, opened: Callable[..., Page], tmp_path: Path
) -> None:
    worst = {"name": "owl", "before": 0.9, "accuracy": 0.5, "within_chance": True}
    filters = [
        {
            "filter": at,
            "accuracy": 0.5 + at / 20,
            "within_chance": at > 2,
            "only_with": 9,
            "only_without": 1,
            "worst": worst,
        }
        for at in range(6)
    ]
    layer = {"side": "test", "zeroed_after": "act", "pictures": 20, "accuracy": 0.8, "interval": [0.7, 0.9]}
    extra = {"offers": ["readout"], "measured": {"without": {"conv": {**layer, "filters": filters}}, "readout": None}}
    place = tmp_path / "page.html"
    place.write_text(result_of(paging(walk, "small", extra=extra)), encoding="ascii")
    page.goto(place.as_uri() + "#/conv?at=4,2,2")
    line = (
        "Without this filter: 70.0% instead of 80.0% of 20 test pictures (may be chance); owl: 50.0% instead of 90.0%"
    )
    expect(page.locator(".without .line")).to_contain_text(line)
    expect(page.locator(".without")).to_contain_text("3 of 6 differences may be chance. The list is by accuracy")
    page.goto(place.as_uri() + "#/block.narrow")
    expect(page.locator(".without")).to_contain_text("“pellucid without small --layer block.narrow” measures them")
    page.get_by_role("link", name="Readouts").click()
    expect(page.locator(".say")).to_contain_text("“pellucid readout small” measures it")
    remark = "The readout of input is better than that of fc: more of the picture can still be read there."
    known = stored_readout(remark)
    extra = {"offers": ["readout"], "measured": {"without": {}, "readout": known}}
    place.write_text(result_of(paging(walk, "small", extra=extra)), encoding="ascii")
    page.goto("about:blank")
    page.goto(place.as_uri() + "#/~readout")
    expect(page.locator(".say")).to_contain_text(remark)
    expect(page.locator(".levels span")).to_have_text(["the network itself: 80.0%"])  # the other is out of sight
    opened("#/conv")  # a file of a module, without a model folder
    page.locator(".filters").first.wait_for()
    assert page.locator(".without").count() == 0
