"""A real Chromium, and in it the offline page, the served page, and the page's modules alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize
from tests.answering import showing
from tests.patience import PATIENCE
from torch import nn

import pellucid
from pellucid.app.page.server import Server
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

WEB = Path(str(files("pellucid") / "web"))
DESKTOP = ViewportSize(width=1280, height=800)


class Watch:
    """What a page complained about on its console."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Windows of a desktop's size, with no network and no motion."""
    context = browser.new_context(viewport=DESKTOP, offline=True, reduced_motion="reduce")
    context.set_default_timeout(1000 * PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not complain: an error on its console fails the test."""
    page = context.new_page()
    watch = Watch(page)
    yield page
    page.close()
    assert watch.errors == []


class Block(nn.Module):
    """Three layers under one name, wide in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.act, self.narrow = nn.Conv2d(6, 48, 1), nn.SiLU(), nn.Conv2d(48, 6, 3, padding=1, groups=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.narrow(self.act(self.wide(x)))


class Join(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Small(nn.Module):
    """A module outside the zoo with all that a page shows: windows, a block, two joining paths, three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        self.pool, self.block, self.join = nn.MaxPool2d(2), Block(), Join()
        self.flat, self.fc = nn.Flatten(), nn.Linear(6 * 36, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.act(self.norm(self.conv(x))))
        return self.fc(self.flat(self.join(x, self.block(x))))


@pytest.fixture(scope="session")
def walk() -> Trace:
    """The run in the offline page's tests."""
    torch.manual_seed(4)
    module = Small()
    image = torch.randn(1, 3, 12, 12)
    module(image)  # so that batch norm has seen something
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2, weight_decay=0.05)
    module(image).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return explain(module.eval(), image, 1, classes=("cat", "dog", "owl"), optimizer=optimizer)


@pytest.fixture(scope="session")
def document(walk: Trace) -> Document:
    return Document(walk, "small")


@pytest.fixture(scope="session")
def page_file(walk: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline page of `walk`."""
    place = tmp_path_factory.mktemp("page") / "small.html"
    place.write_text(offline(walk, "small"), encoding="ascii")
    return place


@pytest.fixture
def opened(page: Page, page_file: Path) -> Callable[..., Page]:
    """opened("#/conv", size) -> the offline page at a place, ready."""

    def open_at(place: str = "#/", size: Any = None) -> Page:
        if size is not None:
            page.set_viewport_size(size)
        page.goto("about:blank")
        page.goto(page_file.as_uri() + place)
        page.locator("main h1").wait_for()
        return page

    return open_at


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script."""
    violations = next(Path(str(files("axe_playwright_python"))).rglob("axe.min.js"))
    return violations.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def modules(browser: Browser) -> Iterator[Page]:
    """A page from which `import("./arithmetic/evaluator.js")` finds the page's modules."""

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix("http://page.test/")
        if not name:
            route.fulfill(body="<!doctype html><title>modules</title>", content_type="text/html")
        else:
            route.fulfill(body=(WEB / name).read_bytes(), content_type="text/javascript")

    page = browser.new_page()
    page.route("http://page.test/**", answer)
    page.goto("http://page.test/")
    yield page
    page.close()


@pytest.fixture
def server(trained: Path, photos: Path) -> Iterator[Server]:
    with showing(Glass(pellucid.load(trained), trained, photos / "red" / "1.png")) as server:
        yield server


@pytest.fixture
def served(browser: Browser, server: Server) -> Iterator[Page]:
    """The page of `server`, open at the network."""
    with loaded(browser, server) as page:
        yield page


@pytest.fixture(scope="module")
def viewed(browser: Browser, trained: Path, photos: Path) -> Iterator[Page]:
    """The same page, loaded once for a module: for tests that only look, and go to each place by its address."""
    glass = Glass(pellucid.load(trained), trained, photos / "red" / "1.png")
    with showing(glass) as server, loaded(browser, server) as page:
        yield page


@contextmanager
def loaded(browser: Browser, server: Server) -> Iterator[Page]:
    """The page of a server, open at the network. An error on it fails the last test that has it."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.address)
    page.locator("main h1").wait_for()
    yield page
    context.close()
    assert errors == []
