"""The page at /: each reader sees the own picture and no other's, and none of the model's own."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.patience import PATIENCE
from tests.serving.conftest import Answer, Running, running
from tests.serving.test_reload import wait_until, warmer
from tests.web.placed import fits

from pellucid.app.page import readers
from pellucid.app.page.readers import Readers
from pellucid.serving import models
from pellucid.serving.served import version_of

Png = Callable[[int], bytes]
BROWSER = {"Accept": "text/html,*/*"}


@pytest.fixture(scope="module")
def paged(trained: Path) -> Iterator[Running]:
    with running({"small": trained}, pages=Readers()) as found:
        yield found


@dataclass
class Reader:
    """A browser: it keeps its cookie."""

    served: Running
    cookie: str = ""

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        answer = self.served.ask(method, path, body, {**BROWSER, "Cookie": self.cookie})
        if "set-cookie" in answer.headers:
            assert "HttpOnly" in answer.headers["set-cookie"]
            assert "samesite=strict" in answer.headers["set-cookie"].lower()
            self.cookie = answer.headers["set-cookie"].split(";")[0]
        return answer

    def sees(self) -> dict[str, Any]:
        return self.ask("GET", "/api/document").json


def opened(served: Running) -> Reader:
    reader = Reader(served)
    assert reader.ask("GET", "/").status == 200
    assert reader.cookie
    return reader


def test_two_readers_see_their_own_pictures_only(paged: Running, png: Png) -> None:
    first, second = opened(paged), opened(paged)
    assert first.cookie != second.cookie
    plain = second.sees()
    first.sees()
    assert first.ask("POST", "/api/picture?name=secret.png", png(0)).status == 200
    assert "secret.png" in json.dumps(first.sees())
    assert second.sees() == plain
    assert "secret.png" not in json.dumps(second.sees())
    arrays = [
        [each.ask("GET", f"/api/array?name={name}").content for name in plain["arrays"]] for each in (first, second)
    ]
    assert any(mine != other for mine, other in zip(*arrays, strict=True))
    assert second.ask("GET", "/").headers.get("set-cookie") is None, "a reader stays who it is"


@pytest.mark.parametrize("cookie", ["", "pellucid_reader=", "pellucid_reader=short", "pellucid_reader=" + "a" * 23])
def test_without_a_cookie_of_ours_nothing_is_shown(paged: Running, cookie: str) -> None:
    answer = paged.ask("GET", "/api/document", None, {"Cookie": cookie})
    assert answer.status == 409
    assert "cookie" in answer.json["error"]


def test_a_made_up_cookie_opens_a_run_of_its_own(paged: Running, png: Png) -> None:
    first = opened(paged)
    first.sees()
    first.ask("POST", "/api/picture?name=secret.png", png(0))
    made_up = Reader(paged, "pellucid_reader=" + "a" * 22)
    assert made_up.ask("POST", "/api/picture", png(0)).status == 409
    assert "secret.png" not in json.dumps(made_up.sees())


@pytest.mark.parametrize(
    "path",
    ["/api/mistakes", "/api/mistakes/picture?n=0", "/api/exemplars/patch?x=1", "/api/training", "/api/mistakes/cell"],
)
def test_the_models_own_pictures_are_not_shown(paged: Running, path: str) -> None:
    reader = opened(paged)
    reader.sees()
    answer = reader.ask("GET", path)
    assert answer.status == 403
    assert "does not show the model's own pictures" in answer.json["error"]
    assert reader.ask("GET", "/api/exemplars?layer=conv1&channel=0").json["state"] == "failed"
    assert reader.ask("POST", "/api/mistakes/open?x=1", b"").status == 403
    assert reader.ask("POST", "/api/live/keep", b"").status == 403  # nor are they trained on, or written beside


def test_a_server_compares_no_models(paged: Running) -> None:
    reader = opened(paged)
    assert "compare" not in reader.sees().get("offers", [])
    for method in ("GET", "POST"):
        answer = reader.ask(method, "/api/beside?with=int8", *([b""] if method == "POST" else []))
        assert answer.status == 403
        assert "one model at a time" in answer.json["error"]


def test_a_program_gets_json_at_the_same_address(paged: Running, png: Png) -> None:
    assert paged.ask("GET", "/").json["name"] == "pellucid"
    assert paged.ask("POST", "/", png(0)).status == 200
    assert b"<html" in paged.ask("GET", "/", None, BROWSER).content
    assert "Content-Security-Policy".lower() in paged.ask("GET", "/", None, BROWSER).headers
    assert paged.ask("GET", "/main.js").headers["content-type"].startswith("text/javascript")
    for path in ("/walk/none.js", "/walk/../../../etc/passwd", "/walk/%2e%2e/%2e%2e/errors.py", "/api/nothing"):
        assert opened(paged).ask("GET", path).status == 404
    assert paged.ask("GET", "/v1/predict").status == 405


def test_without_the_page_there_is_json_for_all(served: Running) -> None:
    assert served.ask("GET", "/", None, BROWSER).json["name"] == "pellucid"
    assert served.ask("GET", "/main.js").status == 404
    assert served.ask("GET", "/api/document").status == 404


def test_the_reader_who_is_longest_away_makes_room(trained: Path, png: Png, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MOST", 2)
    with running({"small": trained}, pages=Readers()) as served:
        each = [opened(served) for _ in range(3)]
        for reader in each:
            reader.sees()
            assert reader.ask("POST", "/api/picture?name=mine.png", png(1)).status == 200
        assert each[0].ask("GET", "/api/array?name=conv1").status == 409
        assert "mine.png" not in json.dumps(each[0].sees())
        assert "mine.png" in json.dumps(each[2].sees())


def test_a_reader_gets_the_new_version_with_the_own_picture_and_no_mixture_of_both(
    model: Path, png: Png, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "LOOK", 0.02)
    with running({"small": model}, pages=Readers()) as served:
        reader = opened(served)
        before = reader.sees()
        assert reader.ask("POST", "/api/picture?name=mine.png", png(1)).status == 200
        warmer(model)
        wait_until(lambda: served.ask("GET", "/v1/models").json["models"][0]["version"] == version_of(model))
        after = reader.sees()
        assert after["model"]["temperature"] == 2 * before["model"]["temperature"]
        assert "mine.png" in json.dumps(after)
        name = after["arrays"][0] if isinstance(after["arrays"], list) else next(iter(after["arrays"]))
        assert reader.ask("GET", f"/api/array?name={name}&run={after['run']}").status == 200
        assert reader.ask("GET", f"/api/array?name={name}&run={before['run']}").status == 409
        assert reader.ask("GET", f"/api/array?name={name}&run={before['run'] + 1}").status == 409


def test_the_page_shows_itself_in_a_browser(paged: Running, browser: Browser, tmp_path: Path, png: Png) -> None:
    said: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(paged.address)
        expect(page.get_by_text("plain grey").first).to_be_visible(timeout=1000 * PATIENCE)
        (tmp_path / "mine.png").write_bytes(png(0))
        page.locator("input[type=file]").first.set_input_files(tmp_path / "mine.png")
        shown = page.get_by_role("img", name="The picture your picture")
        expect(shown.first).to_be_visible(timeout=1000 * PATIENCE)
    assert said == []


@pytest.mark.parametrize("width", [320, 390])
def test_the_list_of_addresses_fits_a_phone(served: Running, browser: Browser, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(f"{served.address}/docs")
    expect(page.locator("h3").first).to_be_visible()
    fits(page)
    assert "`" not in page.locator("body").inner_text()
    page.close()
