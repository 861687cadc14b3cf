"""The badge of a gradient says how it was checked: against the module's own run, and by central differences."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.trace.verify import Agreement


def run(*, hook: bool = False, certain: bool = False) -> Trace:
    """A run with a corner: the second filter of the first layer gives 0 everywhere, just where ReLU bends."""
    torch.manual_seed(5)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        module[0].weight[1], module[0].bias[1] = 0, 0
        if certain:
            module[4].bias[1] = 34  # the loss is some 1e-15
    if hook:
        module[1].register_full_backward_hook(lambda module, before, after: (2 * before[0],))
    return explain(module, torch.randn(1, 6, 6), 1)


def badge(page: Page, trace: Trace, folder: Path, place: str) -> tuple[str, str]:
    """The class and the text of the badge, when the check has ended."""
    path = folder / "checked.html"
    path.write_text(offline(trace, "checked"), encoding="ascii")
    page.goto("about:blank")
    page.goto(f"{path.as_uri()}#/{place}?direction=backward")
    shown = page.locator(".checked:not(.waits)")
    expect(shown).to_have_count(1)
    shown.locator("summary").press("Enter")
    expect(shown.locator("dl")).to_be_visible()
    return (shown.get_attribute("class") or "").removeprefix("checked "), " ".join(shown.inner_text().split())


def test_both_checks_are_told_with_the_largest_difference(page: Page, tmp_path: Path) -> None:
    trace = run()
    kind, text = badge(page, trace, tmp_path, "input/0,2,3")
    assert kind == "agrees"
    assert "Gradient checked largest difference" in text
    assert trace.agreement == Agreement(4, 18 + 2 + 24 + 3, 0.0, "")
    assert "47 gradients, those of 4 parameters, were compared. All are equal, bit for bit." in text
    assert "the change followed through 0, 1, … and loss without a derivative" in text
    assert "The other numbers of input by central differences" in text
    assert "keeps gradients of parameters only, not of input" in text


def test_a_wrong_gradient_is_told(page: Page, tmp_path: Path) -> None:
    trace = run()
    wrong = {**trace.gradients, "4.weight": trace.gradients["4.weight"] * 1.01}
    agreement = Agreement(4, 47, 0.25, "4.weight")
    kind, text = badge(page, replace(trace, gradients=wrong, agreement=agreement), tmp_path, "4.weight/1,2")
    assert kind == "differs"
    assert "Gradient differs by" in text
    assert "The largest difference is 0.25, in 4.weight." in text


def test_a_gradient_that_is_lost_in_the_loss_s_last_digit_is_not_called_wrong(page: Page, tmp_path: Path) -> None:
    kind, text = badge(page, run(certain=True), tmp_path, "4.weight/0,2")
    assert kind == "unchecked"
    assert "That is too small to be measured: below" in text


def test_a_corner_is_told(page: Page, tmp_path: Path) -> None:
    kind, text = badge(page, run(), tmp_path, "0.bias/1")
    assert kind == "corner"
    assert "the loss has a corner, as ReLU has at 0 and max pooling at a tie" in text


def test_a_hook_is_told(page: Page, tmp_path: Path) -> None:
    kind, text = badge(page, run(hook=True), tmp_path, "0/0,1,1")
    assert kind == "unchecked"
    assert "This number was not moved: a hook" in text or "backward hook" in text


def test_what_recorded_gradients_stood_in_for_is_not_called_checked(page: Page, tmp_path: Path) -> None:
    kind, text = badge(page, run(hook=True), tmp_path, "input/0,2,3")
    assert kind == "part"
    assert "Gradient checked in part by central differences up to 0 only" in text
    assert "✓" not in text
    assert "the change followed through 0 without a derivative" in text
    assert "From 0 on, PyTorch's gradients stand in: " in text


def test_the_agreement_counts_differences() -> None:
    from pellucid.glassbox.trace.verify import Real, agreement

    own = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([float("nan"), 1.0]), "c": torch.ones(3)}
    real = Real(
        torch.zeros(1), {"a": torch.tensor([1.0, 2.5]), "b": torch.tensor([float("nan"), 1.0]), "c": None}, None
    )
    assert agreement(real, own) == Agreement(2, 4, pytest.approx(0.5), "a")
