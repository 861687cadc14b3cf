"""The page shows every kind of operator's numbers: without terms, of a constant, of a minimum, from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import Page, expect
from tests.web.placed import go
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace


class Mover(nn.Module):
    """Operators that move, choose, compare, pad and resample, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(40, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        x = torch.where(x > 0.1, x, 0.2 * x)
        x = F.interpolate(F.pad(x, (1, 1, 0, 0), value=0.3), scale_factor=1.5, mode="bicubic")
        x = F.pad(x, (1, 1, 1, 1), mode="reflect").tril(2)
        x = x.sort(2)[0][:, [2, 0, 1, 3]].masked_fill(x < -0.2, -float("inf"))
        x = torch.maximum(x, torch.full_like(x, -0.1)).flip(-1).cumsum(3)
        smallest, largest = x.amin((2,)), x.max(2).values
        return self.head(torch.stack([smallest, largest], 1)[:, 1, :, :10].flatten(1) * x.std())


@pytest.fixture(scope="module")
def moved() -> Trace:
    torch.manual_seed(2)
    return explain(Mover(), torch.randn(3, 6, 6), 1)


@pytest.fixture(scope="module")
def file(moved: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ops") / "mover.html"
    place.write_text(offline(moved, "mover"), encoding="ascii")
    return place


def places(trace: Trace) -> Iterator[tuple[str, tuple[int, ...]]]:
    random = np.random.default_rng(1)
    for node in trace.nodes:
        assert node.written, node.name
        shape = trace.values[node.name].shape
        for _ in range(3):
            index = tuple(int(random.integers(size)) for size in shape)
            if np.isfinite(trace.values[node.name][index]):
                yield node.name, trace.short_index(node.name, index)


def test_every_number_stands_there_with_its_sum(page: Page, file: Path, moved: Trace) -> None:
    def shown_there(kind: str) -> float:
        return float(page.locator("#value").get_attribute(f"data-{kind}") or "nan")

    page.goto(file.as_uri())
    page.locator("main h1").wait_for()
    for name, index in places(moved):
        inside = ",".join(map(str, index))
        unit = f"{name}[{', '.join(map(str, index))}]" if index else name
        for direction in ("forward", "backward") if name in moved.gradients else ("forward",):
            go(page, f"#/{name}/{inside or '-'}?direction={direction}")
            shown = unit if direction == "forward" else f"gradient of {unit}"
            expect(page.locator("#value ~ dl dd").first).to_have_text(shown)
            result = moved.unit(unit) if direction == "forward" else moved.gradient(unit)
            assert shown_there("recorded") == result.recorded, (unit, direction)
            if result.parts:
                assert shown_there("total") == pytest.approx(result.total, rel=1e-9, abs=1e-12), (unit, direction)
