"""The exported page in a real Chromium without a network: the answers of `predict`, the self-check, its use."""

import gzip
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.patience import PATIENCE
from tests.web.placed import fits

import pellucid
from pellucid.classifier import store
from pellucid.errors import ArtefactError, ExportError
from pellucid.exports import browser_runtime, page
from pellucid.exports.browser_runtime import BrowserRuntime

BOUND = 1e-5


@pytest.fixture(scope="module")
def exported(trained: Path, runtime: BrowserRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "colours.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(browser_runtime, "read", lambda cache: runtime)
        patch.setattr(page, "LEVEL", 1)
        done = pellucid.export(trained, out, format="html")
    assert done.difference <= 1e-6
    assert done.bytes == out.stat().st_size
    return out


@pytest.fixture(scope="module")
def offline(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(offline=True, reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(1000 * PATIENCE)
    yield context
    context.close()


@pytest.fixture
def opened(offline: BrowserContext) -> Iterator[Callable[[Path], Page]]:
    """Opens a page and waits for its self-check. It must not complain, nor send a request outside."""
    pages: list[Page] = []
    complaints: list[str] = []

    def watch(request) -> None:
        if not request.url.startswith(("file:", "blob:", "data:")):
            complaints.append(f"request to {request.url}")

    def open_page(path: Path) -> Page:
        shown = offline.new_page()
        pages.append(shown)
        shown.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", watch)
        shown.goto(path.as_uri())
        shown.locator(".passed, .failed, .trouble").first.wait_for()
        return shown

    yield open_page
    for shown in pages:
        shown.close()
    assert complaints == []


@pytest.fixture(scope="module")
def pictures(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of many kinds, and two that cannot be used."""
    folder = tmp_path_factory.mktemp("pictures")
    source = Image.open(photos / "red" / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = source.copy()
    clear.putalpha(Image.linear_gradient("L").resize(source.size))
    source.resize((50, 31)).save(folder / "turned.jpg", exif=exif)
    source.convert("CMYK").save(folder / "inks.jpg")
    source.convert("L").save(folder / "grey.png")
    source.convert("P").save(folder / "palette.png")
    clear.save(folder / "clear.png")
    clear.save(folder / "clear.webp", lossless=True)
    source.save(folder / "animated.gif", save_all=True, append_images=[source.rotate(90)])
    deep = np.asarray(source.convert("L")).astype(np.uint16) * 16
    Image.fromarray(deep).save(folder / "deep.png")
    source.save(folder / "no.tif")
    (folder / "broken.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:-300])
    return [*sorted(folder.iterdir()), photos / "blue" / "2.png"]


def answered(shown: Page, some: list[Path]) -> list[dict]:
    """The page's answers, as it saves them."""
    shown.set_input_files("#pictures", some)
    expect(shown.locator(".status")).to_contain_text("classified")
    with shown.expect_download() as download:
        shown.get_by_role("button", name="Save JSON").click()
    return json.loads(Path(download.value.path()).read_text())["answers"]


def test_it_answers_as_predict_does(opened: Callable, exported: Path, trained: Path, pictures: list[Path]) -> None:
    shown = opened(exported)
    expect(shown.locator(".state")).to_contain_text("Self-check passed: on 3 made pictures")
    answers = answered(shown, pictures)
    for path, answer, expected in zip(pictures, answers, pellucid.predict(trained, pictures), strict=True):
        assert answer["picture"] == path.name
        if path.name in ("broken.jpg", "no.tif"):
            assert ("TIFF" in answer["error"]) == (path.name == "no.tif")
            continue
        assert expected.probabilities is not None, path
        assert answer["label"] == expected.label
        # inks: browsers and Pillow turn them into colours with one level's difference
        bound = 0.01 if path.name == "inks.jpg" else BOUND
        worst = max(abs(answer["probabilities"][name] - p) for name, p in expected.probabilities.items())
        assert worst <= bound, path.name
    expect(shown.locator(".status")).to_have_text(
        f"{len(pictures) - 2} of {len(pictures)} pictures classified, 2 cannot be used."
    )
    first = shown.locator(".answer").filter(has_text="2.png")
    expect(first.locator(".headline")).to_contain_text("blue")
    expect(first.locator(".share").first).to_have_text(re.compile("^blue"))
    with shown.expect_download() as download:
        shown.get_by_role("button", name="Save CSV").click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert rows[0] == "picture,label_1,probability_1,label_2,probability_2,error"
    assert len(rows) == 1 + len(pictures)
    shown.get_by_role("button", name="Clear").click()
    expect(shown.locator(".answer")).to_have_count(0)


def test_dropped_and_pasted_pictures_are_answered_and_explained_too(
    opened: Callable, exported: Path, photos: Path
) -> None:
    shown = opened(exported)
    content = b64encode((photos / "red" / "2.png").read_bytes()).decode()
    for event, carrier in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        shown.evaluate(
            """([event, carrier, content]) => {
              const data = new DataTransfer();
              const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
              data.items.add(new File([bytes], `${event}.png`, { type: "image/png" }));
              const fired = new Event(event, { bubbles: true, cancelable: true });
              Object.defineProperty(fired, carrier, { value: data });
              document.body.dispatchEvent(fired);
            }""",
            [event, carrier, content],
        )
    expect(shown.locator(".status")).to_have_text("2 pictures classified.")
    expect(shown.locator(".answer h3")).to_have_text(["drop.png", "paste.png"])
    expect(shown.locator(".headline").first).to_contain_text("red")
    shown.get_by_role("button", name="What mattered?").first.click()
    expect(shown.locator(".heat")).to_contain_text("looked 121 times, each time with a small window covered")
    expect(shown.locator(".heat canvas")).to_have_attribute(
        "aria-label", re.compile(r"The \w+ \w+ spoke most for red\.")
    )


def changed(source: Path, place: Path, element: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of a page, one packed element of which is changed."""
    text = source.read_text()
    (packed,) = re.findall(rf'id="{element}">"([^"]*)"<', text)
    again = b64encode(gzip.compress(change(gzip.decompress(b64decode(packed))), 1)).decode()
    place.write_text(text.replace(packed, again))
    return place


def test_a_page_whose_weights_were_changed_warns(
    opened: Callable, exported: Path, trained: Path, tmp_path: Path, photos: Path
) -> None:
    weights = store.read(trained).weights["dense1.weight"]
    numbers = np.ascontiguousarray(weights, "<f4").tobytes()

    def worse(model: bytes) -> bytes:
        assert model.count(numbers) == 1
        return model.replace(numbers, np.ascontiguousarray(weights * 1.01, "<f4").tobytes())

    shown = opened(changed(exported, tmp_path / "worse.html", "model", worse))
    expect(shown.get_by_role("alert")).to_contain_text(
        "Self-check failed, do not trust the answers: its numbers differ"
    )
    expect(shown.locator(".state")).to_contain_text("Self-check failed")


def test_a_page_that_cannot_start_says_so(opened: Callable, exported: Path, tmp_path: Path, photos: Path) -> None:
    shown = opened(changed(exported, tmp_path / "none.html", "model", lambda model: model[:50]))
    expect(shown.get_by_role("alert")).to_contain_text("The network could not be started in this browser")
    shown.set_input_files("#pictures", photos / "red" / "1.png")
    expect(shown.locator(".answer.refused")).to_contain_text("could not be started")


def test_its_rules_forbid_every_connection(opened: Callable, exported: Path, browser: Browser) -> None:
    text = exported.read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert re.fullmatch(r"'nonce-\S+' blob: 'wasm-unsafe-eval'", rules["script-src"])
    assert not re.search(r"(src|href)=[\"'](?!data:)", text.split("<body>")[0].replace('href="data:,"', ""))
    connected = browser.new_page()  # with a network
    connected.goto(exported.as_uri())
    blocked = connected.evaluate("fetch('https://example.org').then(() => 'sent', (error) => String(error))")
    connected.close()
    assert "TypeError" in blocked


def test_everybody_can_use_it(opened: Callable, exported: Path, pictures: list[Path]) -> None:
    """axe finds nothing, the keyboard reaches everything, nothing is wider than a telephone."""
    shown = opened(exported)
    shown.set_input_files("#pictures", [path for path in pictures if path.name in ("clear.png", "no.tif")])
    expect(shown.locator(".status")).to_contain_text("classified")
    for summary in shown.locator(".about summary").all():
        summary.click()
    axe = next(Path(str(files("axe_playwright_python"))).rglob("axe.min.js")).read_text(encoding="utf-8")
    shown.evaluate(axe)
    for scheme, width in (("light", 1280), ("dark", 390)):
        shown.emulate_media(color_scheme=scheme)
        shown.set_viewport_size({"width": width, "height": 844})
        violations = shown.evaluate(
            "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))"
        )
        assert violations == [], (scheme, width)
        fits(shown)
    shown.locator("#pictures").focus()
    names = []
    for _ in range(6):
        shown.keyboard.press("Tab")
        names.append(shown.evaluate("document.activeElement.innerText.trim()"))
    assert names[:2] == ["Camera…", "Draw…"]
    assert "The model card" in shown.locator(".about").inner_text()
    expect(shown.locator(".card")).to_contain_text("blue, red: an image classifier")
    expect(shown.locator(".card table").first).to_be_visible()
    expect(shown.locator(".about")).to_contain_text(
        f"onnxruntime-web {browser_runtime.VERSION} (Microsoft, MIT licence)"
    )


def test_several_labels(opened: Callable, tagged: Path, runtime: BrowserRuntime, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(browser_runtime, "read", lambda cache: runtime)
    monkeypatch.setattr(page, "LEVEL", 1)
    out = tmp_path / "tags.html"
    pellucid.export(tagged, out, format="html")
    some = sorted((tagged.parent / "photos").glob("*.png"))[:6]
    answers = answered(opened(out), some)
    expected = list(pellucid.predict(tagged, some))
    assert [tuple(answer["labels"]) for answer in answers] == [answer.labels for answer in expected]
    for answer, right in zip(answers, expected, strict=True):
        assert right.probabilities is not None
        assert max(abs(answer["probabilities"][name] - p) for name, p in right.probabilities.items()) <= BOUND


def test_a_page_is_opened_for_the_comparison_or_refused(
    exported: Path, trained: Path, photos: Path, tmp_path: Path
) -> None:
    paths = sorted(photos.rglob("*.png"))[:3]
    ours, theirs = page.opened(exported).predictor.predict(paths), pellucid.load(trained).predict(paths)
    assert [each.label for each in ours] == [each.label for each in theirs]
    (tmp_path / "diary.html").write_text("<!doctype html>mine")
    with pytest.raises(ArtefactError, match="not a page that Pellucid exported"):
        page.opened(tmp_path / "diary.html")


def test_a_network_that_is_too_large_for_a_browser_is_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser_runtime, "read", lambda cache: BrowserRuntime(b"", b""))
    monkeypatch.setattr(page, "LARGEST", 100)
    with pytest.raises(ExportError, match=r"the packed weights take 0 MB, more than the 0 MB that a browser reads\."):
        pellucid.export(trained, tmp_path / "page.html", format="html")
    assert list(tmp_path.iterdir()) == []
