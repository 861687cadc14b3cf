"""The page of a picture with several labels, and of one with a weighted class: its text is true."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from torch import Tensor, nn

from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace import exporting, recording
from pellucid.glassbox.trace.trace import Trace

CLASSES = ("ant", "bee", "cat")
THRESHOLDS = (0.9, 0.1, 0.1)


def made() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 3)).eval()


@pytest.fixture(scope="module")
def several() -> list[Trace]:
    """Two pictures: one against its predicted labels, and one against others."""
    module = made()
    generator = torch.Generator().manual_seed(3)
    images = [torch.rand(1, 3, 12, 12, generator=generator) for _ in range(2)]
    graph = exporting.capture(module, images[0])

    def followed(image: Tensor, labels: tuple[int, ...] | None) -> Trace:
        settings = {"classes": CLASSES, "loss": Loss("binary_cross_entropy"), "thresholds": THRESHOLDS}
        return recording.record(module, graph, image, labels, source="photo.png", **settings)

    return [followed(images[0], None), followed(images[1], (0, 1))]


@pytest.fixture
def opening(page: Page, tmp_path: Path) -> Callable[..., Page]:
    def opening(traces: Trace | list[Trace], place: str = "") -> Page:
        (tmp_path / "page.html").write_text(offline(traces))
        page.goto(f"file://{tmp_path}/page.html{place}")
        return page

    return opening


def percent(value: float) -> str:
    return f"{float(f'{value:.4g}'):.15g}".replace("-", "−")


def test_the_page_names_all_labels(opening: Callable[..., Page], several: list[Trace]) -> None:
    page = opening(several)
    first, second = (", ".join(CLASSES[n] for n in trace.predictions) or "no label" for trace in several)
    expect(page.get_by_role("button", name=f"photo.png: {first}").first).to_be_visible()
    expect(page.get_by_role("button", name=f"photo.png: {second}, loss against ant, bee")).to_be_visible()
    expect(page.locator("body")).to_contain_text(f"against {', '.join(several[0].against)}")


def test_the_lessons_speak_of_each_label_by_itself(opening: Callable[..., Page], several: list[Trace]) -> None:
    trace = several[1]
    page = opening(trace, "#/~lessons")
    page.locator(".lesson").first.wait_for()
    output, loss = (page.locator(f"#lesson-{name}").inner_text() for name in ("output", "loss"))
    named = ", ".join(CLASSES[n] for n in trace.predictions) or "no label"
    assert "A picture may have several labels, so each score becomes a probability by itself" in output
    assert f"“{CLASSES[trace.predicted]}” gets {percent(float(trace.probabilities[trace.predicted]))}" in output
    assert f"this picture is called {named}." in output
    assert "Softmax" not in output
    assert "measured against “ant”, “bee”. Each label is judged by itself" in loss
    assert f"The mean of these is {percent(trace.loss)}." in loss


def test_a_weighted_class_says_how_often_it_counts(opening: Callable[..., Page]) -> None:
    module, image = made(), torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(4))
    trace = recording.explain(module, image, 1, loss=Loss(importance=(0.5, 2.5, 1.0)))
    powers = np.exp(trace.logits.astype(float))
    own = -float(np.log(powers[1] / powers.sum()))
    page = opening(trace, "#/~lessons")
    page.locator(".lesson").first.wait_for()
    loss = page.locator("#lesson-loss").inner_text()
    assert f"-ln({percent(powers[1] / powers.sum())}) = {percent(own)}" in loss
    assert "A picture of this class counts 2.5 times, because the classes are unequal" in loss
    assert f": that makes {percent(trace.loss)}." in loss
    assert trace.loss == pytest.approx(2.5 * own, rel=1e-5)
