"""`pellucid lessons --html`: the teaching model as one file, whose numbers agree; elsewhere a page says why not."""

import gzip
import json
import math
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from torch import nn

from pellucid.app import teaching
from pellucid.app.cli import main
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.page.document import document as document_of
from pellucid.glassbox.trace.exporting import capture
from pellucid.glassbox.trace.recording import record

LARGEST = 2_000_000  # bytes


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, undrawn: None) -> Path:
    """The lessons, of a model that is trained as always."""
    place = tmp_path_factory.mktemp("lessons") / "lessons.html"
    assert main(["lessons", "--html", str(place)]) == 0
    return place


@pytest.fixture(scope="module")
def documents(file: Path) -> list[dict[str, Any]]:
    """Those of the first two pictures."""
    text = file.read_text(encoding="ascii")
    first, second = (re.findall(rf'id="{name}">(.*?)</script>', text)[0] for name in ("document", "picture-1"))
    return [json.loads(first), json.loads(gzip.decompress(b64decode(json.loads(second)["document"])))]


def test_the_file_is_small_and_its_numbers_agree(file: Path, documents: list[dict[str, Any]]) -> None:
    assert file.stat().st_size < LARGEST
    assert str(file.parent) not in file.read_text(encoding="ascii")
    for about in documents:
        assert about["model"]["network"].startswith(teaching.SETTINGS["model"])
        assert (about["model"]["input"], about["model"]["temperature"]) == ([1, 8, 8], 1)
        (label,) = about["against"]
        assert about["loss"] == pytest.approx(-math.log(about["probabilities"][label]), rel=1e-5)
        (share,) = about["ops"][about["nodes"][-1]["op"]]["constants"]["share"]
        assert share == [float(at == label) for at in range(10)]
        gradients = {node["name"]: node["gradient_largest"] for node in about["nodes"]}
        assert gradients["conv1"] > 1e-3, "there is something left to learn"
        assert about["loss"] > 1e-2
    right, wrong = documents
    assert right["predicted"] == right["label"]
    assert wrong["predicted"] != wrong["label"]
    shown = documents[0]["pictures"]
    assert {int(each["against"][0]) for each in shown} == set(range(10)), "a picture of each digit"


def test_it_opens_with_the_lessons(page: Page, file: Path, documents: list[dict[str, Any]]) -> None:
    page.goto(file.as_uri())
    page.locator(".lesson").first.wait_for()
    assert page.url == f"{file.as_uri()}#/~lessons"
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}#/~lessons?picture=1")
    page.locator(".lesson").first.wait_for()
    wrong = documents[1]
    text = page.locator("#lesson-loss").inner_text()
    stated = re.search(r"-ln\(([\d.]+)\) = ([\d.]+)\. ", text)
    assert stated is not None
    assert float(stated[1]) == pytest.approx(wrong["probabilities"][wrong["label"]], rel=1e-3)
    assert float(stated[2]) == pytest.approx(-math.log(float(stated[1])), rel=1e-3)
    assert "temperature" not in text
    assert "smooth" not in text
    update = page.locator("#lesson-update").inner_text().replace("−", "-")
    step = re.search(
        r"One step of SGD with a learning rate of ([\d.]+)\. The gradient of \S+\[.*?\] is (\S+)\. .*"
        r"moves from (\S+) to (\S+)\.\s",
        update,
    )
    assert step is not None
    rate, gradient, before, after = map(float, step.groups())
    assert before - rate * gradient == pytest.approx(after, abs=1e-3 * abs(rate * gradient))
    page.get_by_role("link", name="Network", exact=True).click()
    expect(page.locator("main h1")).to_have_text("Walk through the network")


@pytest.mark.parametrize("label", [0, 2])
def test_a_loss_that_does_not_fit_the_probability_says_why(modules: Page, label: int) -> None:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    image, names = torch.randn(1, 3, 2, 2), ("cat", "dog", "owl")
    graph = capture(module, image)

    def said(loss: Loss, temperature: float) -> tuple[str, dict[str, Any]]:
        trace = record(module, graph, image, label, classes=names, loss=loss, temperature=temperature)
        about = document_of(trace)
        return modules.evaluate(
            """async (about) => {
            const { createTrace } = await import("./trace.js");
            return (await import("./scoring.js")).apart(createTrace(about, {}));
        }""",
            about,
        ), about

    assert said(Loss(), 1.0)[0] == ""
    text, about = said(Loss(label_smoothing=0.3), 2.5)
    scores = np.array(about["logits"])
    raw = np.exp(scores) / np.exp(scores).sum()
    shown = np.exp(scores / 2.5) / np.exp(scores / 2.5).sum()
    name = f"“{names[label]}”"
    assert text.startswith(f"The page shows {shown[label]:.4f} for {name}")
    assert f"which give {name} {float(f'{raw[label]:.4g}'):.15g}." in text
    assert f"the target is 0.8 for {name} and 0.1 for each other class" in text
    least = re.search(r"has a loss of ([\d.]+)\.$", text)
    assert least is not None
    assert float(least[1]) == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.1), rel=1e-3)
    weighted = said(Loss(label_smoothing=0.3, importance=(2.0, 2.0, 2.0)), 1.0)[0]
    assert f"the target is 0.8 for {name} and 0.1 for each other class" in weighted
    assert "temperature" not in weighted
    assert "which give" not in said(Loss("mse"), 2.5)[0], "its probability enters no logarithm"
    assert "the temperature, 2.5. The loss takes the scores as they are." in said(Loss("mse"), 2.5)[0]
