"""Cell times cell is the product, in the view of every operator, forward and backward: a test reads the page."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import BrowserContext
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

LAYERS: dict[str, nn.Module] = {
    "plain": nn.Conv2d(4, 2, 3, padding=1),
    "strided": nn.Conv2d(4, 2, 3, 2, padding=1),
    "uneven": nn.Conv2d(4, 2, (3, 2), (2, 3), padding=(1, 0)),
    "dilated": nn.Conv2d(4, 2, 3, padding=2, dilation=2),
    "dilated_strided": nn.Conv2d(4, 2, 3, 2, padding=3, dilation=3),
    "both_two": nn.Conv2d(4, 2, 3, 2, padding=2, dilation=2),
    "far": nn.Conv2d(4, 2, 3, padding=7, dilation=7),
    "grouped": nn.Conv2d(4, 4, 3, 2, padding=1, groups=2),
    "depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "pointwise": nn.Conv2d(4, 2, 1, 2),
    "even": nn.Conv2d(4, 2, 2, 2),
    "same": nn.Conv2d(4, 2, (2, 3), padding="same", dilation=2),
    "large": nn.Conv2d(4, 2, 5, padding=2),
    "transposed": nn.ConvTranspose2d(4, 4, 3, 2, padding=1, groups=2),
    "transposed_dilated": nn.ConvTranspose2d(4, 2, 2, 1, dilation=2),
    "average": nn.AvgPool2d(3, 2, padding=1),
    "average_inside": nn.AvgPool2d(3, 2, padding=1, count_include_pad=False, ceil_mode=True),
    "average_fixed": nn.AvgPool2d(2, 1, divisor_override=5),
    "adaptive": nn.AdaptiveAvgPool2d(4),
    "largest": nn.MaxPool2d(3, 2, padding=1),
    "largest_dilated": nn.MaxPool2d(2, 1, dilation=2),
    "norm": nn.BatchNorm2d(4),
    "rectified": nn.ReLU(),
    "smooth": nn.SiLU(),
    "lengths": nn.LPPool2d(2, 2),
}


class Windows(nn.Module):
    """Every operator with a window reads the same maps, and each result goes into the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(LAYERS)
        self.row, self.cube = nn.Conv1d(4, 3, 3, 2, padding=1), nn.Conv3d(1, 2, (2, 3, 3), (1, 2, 1), padding=(0, 1, 1))
        self.head = nn.LazyLinear(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        results = [layer(x) for layer in self.layers.values()]
        results += [self.row(x[:, :, 2]), self.cube(x[:, None]), x.mean((2, 3)), x * results[0][:, :1]]
        results += [x @ results[0].transpose(2, 3)[:, :1]]
        return self.head(F.softplus(torch.cat([result.flatten(1) for result in results], 1)))


@pytest.fixture(scope="module")
def run() -> Trace:
    torch.manual_seed(11)
    module, image = Windows(), torch.randn(1, 4, 7, 6)
    for layer in LAYERS.values():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.reset_parameters()  # with this seed
    module(image)  # so that the head has its size and batch norm has seen something
    return explain(module.eval(), image, 1)


@pytest.fixture(scope="module")
def file(run: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("products") / "windows.html"
    place.write_text(offline(run, "windows"), encoding="ascii")
    return place


# shows one number after the other, and reads the grids of each
READ = r"""async (places) => {
    const read = (part, kind, which) =>
        [...part.querySelectorAll(`td[data-key^="${kind}/"]${which}`)].map((cell) => [
            // with every digit, a cell is too narrow for its number, which its name has
            (location.hash.includes("exact=1") && /: (\u2212?[\d.]+(e\u2212?\d+)?)$/.exec(cell.ariaLabel)?.[1])
                || cell.textContent,
            cell.ariaLabel,
            ...cell.dataset.key.split("/").at(-1).split(",").map(Number),
        ]);
    const views = [];
    const shown = () => document.querySelector("#value ~ dl dd")?.textContent;
    for (const [place, title] of places) {
        location.hash = place;
        for (let waited = 0; shown() !== title; waited++) {
            if (waited > 600) throw new Error(`${place} does not appear, but ${shown()}`);
            await new Promise(requestAnimationFrame);
        }
        views.push([...document.querySelectorAll("section.part")].map((part) => ({
            through: (part.querySelector("h2")?.textContent ?? "").replace("Back through ", ""),
            captions: [...part.querySelectorAll("figcaption")].map((caption) => caption.innerText),
            window: read(part, "window", ".on"),
            factors: read(part, "factor", ""),
            products: read(part, "product", ""),
        })));
    }
    return views;
}"""
WEIGHTED = [name for name, layer in LAYERS.items() if hasattr(layer, "kernel_size") and hasattr(layer, "weight")]
MULTIPLIED = [*WEIGHTED, *(name for name in LAYERS if name.startswith(("average", "adaptive")))]
UNITS = [
    *((f"layers.{name}", (1, 1, 1), "forward") for name in MULTIPLIED),
    *((f"layers.{name}.weight", (1, 0, 0, 0), "backward") for name in WEIGHTED),
    ("layers.average_inside", (1, 3, 2), "forward"),
    ("row", (1, 1), "forward"),
    ("row.weight", (1, 0, 1), "backward"),
    ("cube", (1, 1, 1, 2), "forward"),
    ("cube.weight", (1, 0, 1, 2, 0), "backward"),
    ("mul", (1, 2, 3), "forward"),
    ("matmul", (1, 2, 3), "forward"),
    *(("input", place, "backward") for place in ((0, 0, 0), (2, 3, 2), (3, 6, 5))),
]


@dataclass(frozen=True)
class Grid:
    """The displayed numbers of a grid, and half of the last digit of each: float64 (rows, columns)."""

    numbers: np.ndarray
    half: np.ndarray
    says: list[list[str]]

    @classmethod
    def read(cls, cells: list[tuple[str, str, int, int]]) -> "Grid":
        rows, columns = sorted({cell[2] for cell in cells}), sorted({cell[3] for cell in cells})
        by_place = {(row, column): (text, says) for text, says, row, column in cells}
        lines = [[by_place[row, column] for column in columns] for row in rows]
        texts = np.array([[text.replace("\u2212", "-") for text, _ in line] for line in lines])
        digits = [[re.fullmatch(r"-?\d*(?:\.(\d+))?(?:e(-?\d+))?", text) for text in line] for line in texts]
        last = [[int(each[2] or 0) - len(each[1] or "") if each else 0 for each in line] for line in digits]
        return cls(texts.astype(float), 0.5 * 10.0 ** np.array(last), [[says for _, says in line] for line in lines])


@pytest.fixture(scope="module")
def views(context: BrowserContext, file: Path) -> dict[tuple[str, tuple[int, ...], str, int], Any]:
    """What the page shows of each unit, with every digit (1) and with the usual ones (0)."""
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("main h1").wait_for()
    usual = [unit for unit in UNITS if "backward" not in unit or not unit[0].startswith("layers.")]
    keys = [*((*unit, 1) for unit in UNITS), *((*unit, 0) for unit in usual)]
    places = []
    for name, index, direction, exact in keys:
        title = f"{name}[{', '.join(map(str, index))}]"
        address = f"#/{name}/{','.join(map(str, index))}?direction={direction}&exact={exact}&channel=0"
        places.append((address, title if direction == "forward" else f"gradient of {title}"))
    seen = page.evaluate(READ, places)
    page.close()
    return dict(zip(keys, seen, strict=True))


def test_each_displayed_product_is_the_product_of_the_displayed_cells(views: dict[Any, Any]) -> None:
    shown: dict[str, int] = {}
    for (name, index, direction, exact), parts in views.items():
        for part in parts:
            if not part["products"]:
                continue
            title = f"{name}{index} {direction} {part['through']}"
            if not part["factors"]:  # a formula of one number, such as a square
                assert part["through"] in ("layers.lengths", "") or name == "layers.lengths", title
                continue
            window, factors, products = (Grid.read(part[kind]) for kind in ("window", "factors", "products"))
            assert window.numbers.shape == factors.numbers.shape == products.numbers.shape, title
            if exact:
                expected, room = window.numbers * factors.numbers, 0.0
            else:
                expected = window.numbers * factors.numbers
                room = abs(window.numbers) * factors.half + (abs(factors.numbers) + factors.half) * window.half
                room = room + products.half
            error = abs(products.numbers - expected)
            assert (error <= room + 2e-7 * abs(expected) + 1e-30).all(), (title, exact, part)
            shown[title] = shown.get(title, 0) + 1
    for name, index, direction in UNITS[:-3]:
        through = name.removesuffix(".weight") if direction == "backward" else ""
        times = 1 + (not name.startswith("layers.") or direction == "forward")
        assert shown.get(f"{name}{index} {direction} {through}") == times, name
    backward = {title.split()[-1] for title in shown if title.startswith("input")}
    assert backward >= {*(f"layers.{name}" for name in LAYERS), "mul"}


def test_the_products_are_all_terms_of_a_map(views: dict[Any, Any], run: Trace) -> None:
    for (name, index, direction, exact), parts in views.items():
        if not exact:
            continue
        unit = f"{name}[{', '.join(map(str, index))}]"
        working = run.unit(unit) if direction == "forward" else run.gradient(unit)
        named = {own.through if direction == "backward" else "": own for own in reversed(working.parts)}
        for part in parts:
            if not part["products"]:
                continue
            own = named[part["through"]]  # a bias is a part of the sum's line alone
            lead = [tuple(place) for place in own.places(own.terms.columns[0])[:, :-2].tolist()]
            sums = [sum(v for at, v in zip(lead, own.terms.values, strict=True) if at == each) for each in set(lead)]
            total = Grid.read(part["products"]).numbers.sum()
            assert min(abs(total - each) for each in sums) <= 2e-7 * abs(own.terms.values).sum(), (unit, own.through)


def test_the_kernel_stands_as_it_is_applied(views: dict[Any, Any], run: Trace) -> None:
    """Coming back it is turned by 180 degrees, whole, with the gaps that stride and dilation leave."""
    names = set()
    for (_, place, *_), parts in [each for each in views.items() if each[0][0] == "input" and each[0][3]]:
        for part in parts:
            name = part["through"].removeprefix("layers.")
            layer = LAYERS.get(name)
            if not isinstance(layer, nn.Conv2d) or name == "far":
                continue
            factors, window = Grid.read(part["factors"]), Grid.read(part["window"])
            caption = part["captions"][1].split("\n")
            filter_, channel = map(int, re.findall(r"\[(\d+), (\d+)\]", caption[0])[0])
            assert channel == (0 if name == "depthwise" else place[0] % layer.weight.shape[1])
            step = [s // math.gcd(s, d) for s, d in zip(layer.stride, layer.dilation, strict=True)]
            apart = [d // math.gcd(s, d) for s, d in zip(layer.stride, layer.dilation, strict=True)]
            kernel = layer.weight[filter_, channel].detach().numpy().astype(float)[::-1, ::-1]
            spread = np.zeros([(k - 1) * a + 1 for k, a in zip(kernel.shape, apart, strict=True)])
            spread[:: apart[0], :: apart[1]] = kernel
            np.testing.assert_allclose(factors.numbers, spread, rtol=1e-6, err_msg=f"{name} {place}")
            if kernel.size > 1:
                assert "turned by 180°" in caption[1], (name, caption)
            gaps = ["gap: stride" in says for line in window.says for says in line]
            assert any(gaps) == (max(step) > 1 and kernel.size > 1), name
            if name == "strided":
                assert "stride 2: gaps between" in part["captions"][0]
            if name == "dilated":
                assert caption[1] == "turned by 180°, dilation 2: gaps between"
            names.add(name)
    assert names == {name for name, layer in LAYERS.items() if type(layer) is nn.Conv2d} - {"far"}


def test_captions_say_what_was_done(views: dict[Any, Any]) -> None:
    def captions(name: str, index: tuple[int, ...], direction: str) -> list[str]:
        return [each.replace("\n", ", ") for each in views[name, index, direction, 1][0]["captions"]]

    assert captions("layers.dilated", (1, 1, 1), "forward")[:3] == [
        "input[0], dilation 2: every second place",
        "layers.dilated.weight[1, 0], dilation 2: gaps between",
        "products",
    ]
    assert captions("layers.far", (1, 1, 1), "forward")[1] == "layers.far.weight[1, 0]"
    assert "every 7th place" in captions("layers.far", (1, 1, 1), "forward")[0]
    assert captions("layers.strided.weight", (1, 0, 0, 0), "backward")[:2] == [
        "gradient of layers.strided[1], stride 2: gaps between",
        "input[0], stride 2: every second place",
    ]
    assert captions("layers.average", (1, 1, 1), "forward")[1] == "share[1, 1], 1/(3 × 3)"
    assert captions("layers.average_inside", (1, 3, 2), "forward")[1].endswith("1/6")
    assert captions("layers.average_fixed", (1, 1, 1), "forward")[1].endswith("1/5")
    assert captions("matmul", (1, 2, 3), "forward")[1] == "slice@2[0, :, 3]"
