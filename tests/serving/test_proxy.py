"""Behind a proxy that shows the server below another address, such as https://pictures.example/classify/."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect
from tests.patience import PATIENCE
from tests.serving.conftest import Running, running

from pellucid.app.page.readers import Readers
from pellucid.glassbox.page.offline import WEB

ADDRESS = "http://pictures.example/classify"
TOKEN = "the proxy has it"


@pytest.fixture(scope="module")
def behind(trained: Path) -> Iterator[Running]:
    with running({"small": trained}, token=TOKEN, pages=Readers()) as server:
        yield server


def test_the_page_works_below_another_address(
    behind: Running, browser: Browser, tmp_path: Path, png: Callable[[int], bytes]
) -> None:
    """The proxy takes its own path away, adds the token, and passes everything else on."""
    wrong: list[str] = []

    def passed_on(route: Route) -> None:
        inside = behind.address + route.request.url.removeprefix(ADDRESS)
        answer = route.fetch(url=inside, headers={**route.request.headers, "authorization": f"Bearer {TOKEN}"})
        if not answer.ok:
            wrong.append(f"{answer.status} {inside}")
        route.fulfill(response=answer)

    def beside(route: Route) -> None:
        wrong.append(f"{route.request.url} is not below {ADDRESS}")
        route.abort()

    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.route("**/*", beside)
        page.route(f"{ADDRESS}/**", passed_on)
        page.goto(f"{ADDRESS}/")
        expect(page.get_by_text("plain grey").first).to_be_visible(timeout=1000 * PATIENCE)
        (tmp_path / "mine.png").write_bytes(png(0))
        page.locator("input[type=file]").first.set_input_files(tmp_path / "mine.png")
        expect(page.get_by_role("img", name="The picture your picture").first).to_be_visible(timeout=1000 * PATIENCE)
        page.goto(f"{ADDRESS}/docs")
        page.get_by_role("link", name="OpenAPI").click()
        expect(page.get_by_text("/v1/predict").first).to_be_visible(timeout=1000 * PATIENCE)
    assert wrong == []


def test_no_file_of_the_page_has_an_address_from_the_root() -> None:
    """Such an address would leave the path that a proxy adds. `//` begins a comment or the address of another host."""
    files = [path for ending in ("js", "css", "html") for path in WEB.rglob(f"*.{ending}")]
    assert len(files) > 100
    for path in files:
        if "vendor" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"""["'`(]/(?:api|docs|v1|v2|metrics)\b""", text) == [], path
        assert re.findall(r"""(?:src|href|from|import|url)[\s=:(]*["'`]/[^/]|url\(/[^/]""", text) == [], path


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP"])
def test_what_a_proxy_says_of_the_client_opens_nothing(behind: Running, served: Running, header: str) -> None:
    """Anybody can send these headers, so they must not stand for a token or for this machine."""
    local = {header: "for=127.0.0.1;host=localhost" if header == "Forwarded" else "localhost"}
    assert behind.ask("GET", "/v1/models", headers=local).status == 401
    assert served.ask("GET", "/", headers={**local, "Host": "pictures.example"}).status == 403
