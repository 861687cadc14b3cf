"""Change and train live, in a real browser: edit, step, run, undo, keep; and the same numbers as PyTorch's."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, ViewportSize, expect
from tests.patience import PATIENCE
from tests.web.conftest import DESKTOP
from tests.web.placed import fits
from torch import nn

import pellucid
from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass
from pellucid.pictures.store import Store
from pellucid.runs import made_from
from pellucid.training.loop import Task

PHONE = ViewportSize(width=360, height=740)
EQUATION = re.compile(r"(.+)\[(.+)\]: (\S+) − \(?([^)\s]+)\)? = (\S+)$")


def number(text: str) -> float:
    return float(text.replace("−", "-"))


@pytest.fixture
def live(served: Page, server: Server, trained: Path) -> Page:
    """The view, ready, reached as a reader does."""
    assert isinstance(server.glass, Glass)
    server.glass.live.cache = trained.parent / "cache"
    served.get_by_role("button", name="Change and train").click()
    expect(served.locator("h1")).to_have_text("Change and train")
    expect(served).to_have_title("Change and train · Pellucid")
    expect(served.get_by_role("button", name="Run")).to_be_visible()
    return served


def step_of(page: Page) -> int:
    return int(re.findall(r"Step ([\d,]+)", page.locator(".live-counts").text_content() or "")[0].replace(",", ""))


def until(page: Page, true: str) -> None:
    """Wait for an expression of the page, whose policy forbids it to evaluate texts itself."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(true):
        assert time.monotonic() < end, true
        page.wait_for_timeout(20)


def settle(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")


def test_edit_step_run_undo(live: Page, server: Server, trained: Path, axe: str) -> None:
    page, control = live, live.get_by_role("group", name="Training")
    assert isinstance(server.glass, Glass)
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    undo = control.get_by_role("button", name="Undo")
    expect(undo).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".live-counts")).to_contain_text("Step 0 · epoch 0.00 · 314 weights")
    # settings
    session = server.glass.live._session
    assert session is not None
    session.task = replace(session.task, augment="none")  # the loop below does not vary the pictures
    page.get_by_label("Optimizer", exact=True).select_option("sgd")
    expect(undo).to_have_text("Undo: adamw to sgd")
    settle(page, "Momentum", "0")
    settle(page, "Learning rate", "0.05")
    expect(undo).to_have_text("Undo: learning rate 0.01 to 0.05")
    settle(page, "Batch", "none")
    expect(page.get_by_role("alert").filter(has_text="batch is 'none'")).to_be_visible()
    expect(page.get_by_label("Batch", exact=True)).to_have_attribute("aria-invalid", "true")
    settle(page, "Batch", "6")
    expect(page.get_by_label("Batch", exact=True)).not_to_have_attribute("aria-invalid", "true")
    # a step: before − change = after, as PyTorch makes it
    control.get_by_role("button", name="One step").click()
    expect(undo).to_have_text("Undo: 1 step")
    equation = page.locator(".live-equation")
    assert session.last is not None
    expected = by_pytorch(trained, session.task, session.last.rows, rate=0.05, decay=session.recipe.weight_decay)
    for name, index in (("conv1.weight", "2, 1, 0, 2"), ("conv1.bias", "3"), ("dense1.weight", "1, 50")):
        page.get_by_label("Weights", exact=True).select_option(name)
        page.get_by_label("at", exact=True).fill(index)
        page.get_by_label("at", exact=True).press("Enter")
        expect(equation).to_contain_text(f"{name}[{index}]")
        parts = EQUATION.match(equation.text_content() or "")
        assert parts is not None
        was, change, now = map(number, parts.groups()[2:])
        assert was - change == pytest.approx(now, abs=1e-12)  # on the digits as they stand
        own_was, own_now = (float(some[name][tuple(map(int, index.split(", ")))]) for some in expected)
        assert was == pytest.approx(own_was, abs=2e-9)
        assert now == pytest.approx(own_now, abs=2e-7)
    page.get_by_text("All shown weights as numbers").click()
    cells = page.get_by_role("row", name=re.compile(r"^dense1\.weight\[1, 50\]")).get_by_role("cell")
    expect(cells).to_have_count(4)
    first, change, last, gradient = (number(text) for text in cells.all_text_contents())
    assert first - change == pytest.approx(last, abs=1e-12)
    assert change == pytest.approx(0.05 * (gradient + session.recipe.weight_decay * first), rel=1e-3)
    page.get_by_label("at", exact=True).fill("9, 9")
    page.get_by_label("at", exact=True).press("Enter")
    expect(equation).to_contain_text("There is no dense1.weight[9, 9]")
    # the keys, and a run
    page.locator("h1").focus()
    page.get_by_label("Speed", exact=True).select_option("")
    page.locator("h1").focus()
    page.keyboard.press(" ")
    expect(control.get_by_role("button", name="Pause")).to_be_visible()
    filters = page.get_by_role("img", name=re.compile("^Filters of conv1")).locator("canvas")
    drawn = filters.evaluate("(canvas) => canvas.toDataURL()")
    until(page, "!/Step [01] /.test(document.querySelector('.live-counts').textContent)")
    until(page, f"document.querySelector('.live-walls canvas').toDataURL() !== {drawn!r}")
    texts = page.locator(".live-status, .live-counts").all_text_contents()  # both at one moment
    status, counts = (re.findall(r"Step \d[\d,]*\b", text) for text in texts)
    assert status == counts != [], "what is announced every few seconds is shown at once"
    # a text that is wrong, while the run goes on
    page.get_by_label("Network", exact=True).fill("conv(4, 3) rely flatten dense")
    expect(page.get_by_role("alert").filter(has_text="did you mean relu?")).to_be_visible()
    page.get_by_label("Network", exact=True).press("Enter")
    expect(page.get_by_role("alert").filter(has_text="did you mean relu?")).to_be_visible()
    expect(control.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_label("Network", exact=True).press("Escape")
    page.locator("h1").focus()
    page.keyboard.press(" ")
    expect(control.get_by_role("button", name="Run")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Paused. Step")).to_be_visible()
    ran = step_of(page)
    page.keyboard.press("z")
    expect(undo).to_have_text("Undo: 1 step")
    page.keyboard.press("Shift+Z")
    expect(undo).to_have_text(f"Undo: {ran - 1:,} steps" if ran > 2 else "Undo: 1 step")
    # another network, and back
    page.get_by_label("Network", exact=True).fill("conv(3, 5) relu flatten dense")
    page.get_by_role("button", name="Use this network").click()
    expect(page.get_by_role("img", name=re.compile(r"^Filters of conv1: 3 × 3 × 5 × 5"))).to_be_visible()
    assert step_of(page) == 0
    undo.click()
    expect(page.get_by_label("Network", exact=True)).to_have_value("conv(4, 3) relu maxpool(2) flatten dense")
    expect(page.locator(".live-counts")).to_contain_text(f"Step {ran:,} ")
    # a loss that is no number
    settle(page, "Learning rate", "1000")
    page.locator("h1").focus()
    page.keyboard.press(" ")
    expect(page.locator(".live-trouble")).to_contain_text("Undo, then choose a smaller learning rate.")
    expect(control.get_by_role("button", name="Run")).to_be_visible()
    undo.click()
    expect(page.locator(".live-trouble")).to_be_hidden()
    control.get_by_role("button", name="As it was").click()
    expect(page.locator(".live-counts")).to_contain_text("Step 0 ")
    undo.click()
    # nothing of it is in the model's folder, and a phone has room
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before
    page.set_viewport_size(PHONE)
    expect(page.get_by_role("button", name="One step")).to_be_visible()
    fits(page)
    page.evaluate(axe)
    found = page.evaluate("async () => (await axe.run()).violations.map(({ id, nodes }) => [id, nodes[0].html])")
    assert found == []


def by_pytorch(
    model: Path, task: Task, rows: np.ndarray, rate: float, decay: float
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights before and after one step of a loop that knows nothing of Pellucid's."""
    classifier = pellucid.load(model)
    root, listed = made_from.every(model)
    assert isinstance(task.images, Store)
    catalog = task.images.catalog
    names = [catalog.pictures[int(row)].path for row in rows]
    assert {row["side"] for row in listed if row["path"] in names} == {"train"}
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 2))
    weights = dict(zip(module.state_dict(), classifier.module.state_dict().values(), strict=True))
    module.load_state_dict(weights)
    before = {name: each.detach().clone() for name, each in module.named_parameters()}
    pixels = torch.from_numpy(np.stack([classifier.prepared(root / name) for name in names]))
    mean, deviation = (torch.tensor(v) for v in (classifier.standardise.mean, classifier.standardise.deviation))
    logits = module(((pixels / 255 - mean) / deviation).permute(0, 3, 1, 2))
    labels = torch.tensor([classifier.classes.index(name.split("/")[0]) for name in names])
    nn.functional.cross_entropy(logits, labels, label_smoothing=0.1).backward()
    own = {"0": "conv1", "4": "dense1"}
    after = {}
    with torch.no_grad():
        for name, each in module.named_parameters():
            assert each.grad is not None
            after[name] = each - rate * (each.grad + (decay * each if each.ndim > 1 else 0))
    called = {name: f"{own[name[0]]}{name[1:]}" for name in before}
    return {called[name]: each for name, each in before.items()}, {called[name]: each for name, each in after.items()}


def test_keeping_writes_a_new_folder(live: Page, server: Server, trained: Path, undrawn: None) -> None:
    live.get_by_role("button", name="One step").click()
    expect(live.get_by_role("button", name="Undo")).to_have_text("Undo: 1 step")
    live.get_by_role("button", name="Keep this model").click()
    folder = trained.with_name(f"{trained.name}-live")
    try:
        expect(live.locator(".live-kept")).to_have_text(re.compile(f"^Kept in {re.escape(str(folder))}"))
        assert pellucid.load(folder).classes == ("blue", "red")
    finally:
        shutil.rmtree(folder)


def test_a_file_says_that_it_needs_the_program(opened: Callable[..., Page]) -> None:
    page = opened("#/~live")
    expect(page.locator("main h1")).to_have_text("Change and train")
    expect(page.locator("main")).to_contain_text("pellucid open")


def test_nothing_moves_when_there_is_something_to_undo(live: Page) -> None:
    places = """() => {
        scrollTo({ top: 0, behavior: "instant" });
        return [...document.querySelectorAll(".live-controls > *, .live-settings")].map((node) => {
            const { left, top, width } = node.getBoundingClientRect();
            return [left, top, width].map(Math.round);
        });
    }"""
    undo = live.get_by_role("button", name="Undo")
    for size in (DESKTOP, PHONE):
        live.set_viewport_size(size)
        expect(live.get_by_role("button", name="Run")).to_be_visible()
        before = live.evaluate(places)
        settle(live, "Learning rate", "0.0123457")
        expect(undo).to_have_text("Undo: learning rate 0.01 to 0.0123457")
        expect(undo).to_have_attribute("title", "learning rate 0.01 to 0.0123457")
        assert live.evaluate(places) == before
        undo.click()
        expect(undo).to_have_attribute("aria-disabled", "true")


def test_a_phone_has_a_low_header(live: Page) -> None:
    live.set_viewport_size(ViewportSize(width=390, height=844))
    until(live, "document.querySelector('header').offsetHeight <= 190")
    # the buttons are on the first screen
    until(live, "document.querySelector('.live-controls').getBoundingClientRect().top < 700")
    expect(live.get_by_label("loss against")).to_have_count(0)  # it is not about this picture's loss
