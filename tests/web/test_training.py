"""The training on the page: a slider over the recorded frames, and the same during the training."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect
from tests.answering import answering, showing
from tests.patience import PATIENCE
from tests.web.placed import fits, go

import pellucid
from pellucid.app.page.live import Live
from pellucid.app.page.server import Server, listening
from pellucid.app.page.shown import Glass
from pellucid.training import replay

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"
DESKTOP = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def replayed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replayed")
    settings = {"size": 12, "epochs": 3, "batch": 8, "validation": 0.25, "test": 0.25, "device": "cpu"}
    pellucid.train(photos, folder / "m", cache=folder / "cache", model=NETWORK, replay=True, **settings)
    return folder / "m"


@pytest.fixture(scope="module")
def recorded(replayed: Path) -> replay.Replay:
    return replay.read(replayed / "replay")


@pytest.fixture(scope="module")
def glass(replayed: Path, photos: Path) -> Iterator[Server]:
    with showing(Glass(pellucid.load(replayed), replayed, photos / "red" / "1.png")) as server:
        yield server


@contextmanager
def uncomplaining(browser: Browser) -> Iterator[Page]:
    """A new page that must not complain."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # Chromium's own note on a refused request
    assert [text for text in errors if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    with uncomplaining(browser) as page:
        yield page


@pytest.fixture
def fresh(window: Page, glass: Server) -> Callable[[], Page]:
    """fresh() -> the view on a page of its own."""

    def load() -> Page:
        window.goto(glass.address + "#/~training")
        window.locator(".wall-of canvas").first.wait_for()
        return window

    return load


@pytest.fixture(scope="module")
def loaded(browser: Browser, glass: Server) -> Iterator[Page]:
    with uncomplaining(browser) as page:
        page.goto(glass.address)
        page.locator("main h1").wait_for()
        yield page


@pytest.fixture
def at(loaded: Page) -> Callable[..., Page]:
    """at("#/~training/4", size) -> the view on a page that was loaded before; the address is its whole state."""

    def open_at(place: str = "#/~training", size: ViewportSize = DESKTOP) -> Page:
        loaded.set_viewport_size(size)
        go(loaded, "#/")
        go(loaded, place)
        loaded.locator(".wall-of canvas").first.wait_for()
        return loaded

    return open_at


def test_it_is_found_from_the_network(loaded: Page) -> None:
    go(loaded, "#/")
    loaded.get_by_role("link", name="Training").click()
    expect(loaded.locator("h1")).to_have_text("Training")
    expect(loaded).to_have_title("Training · Pellucid")
    loaded.keyboard.press("Escape")
    expect(loaded.locator("h1")).to_have_text("Walk through the network")


def test_the_slider_goes_through_the_training_by_keys(at: Callable[..., Page], recorded: replay.Replay) -> None:
    page = at()
    slider = page.get_by_role("slider", name="Moment of the training")
    steps = [frame.step for frame in recorded.frames]
    expect(slider).to_have_attribute("aria-valuetext", probabilities_of(recorded, -1))
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", f"step 0 of {recorded.steps}, epoch 0.00")
    expect(page.locator(".say p").nth(1)).to_contain_text("Before the first step it gave “blue”")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", probabilities_of(recorded, 1))
    expect(page).to_have_url(re.compile(re.escape(f"#/~training/{steps[1]}") + "$"))
    slider.press("End")
    expect(page).to_have_url(re.compile(re.escape("#/~training") + "$"))
    expect(slider).to_be_focused()


def probabilities_of(recorded: replay.Replay, at: int) -> str:
    frame = recorded.frames[at]
    assert frame.train_loss is not None
    loss = f"{float(f'{frame.train_loss:.3g}'):g}"
    return f"step {frame.step} of {recorded.steps}, epoch {frame.epoch:.2f}, training loss {loss}"


@pytest.mark.parametrize(("number", "picture"), [(0, 1), (2, 0), (-1, 1)])
def test_the_numbers_are_those_of_the_frame(
    at: Callable[..., Page], recorded: replay.Replay, number: int, picture: int
) -> None:
    frame = recorded.frames[number]
    page = at(f"#/~training/{frame.step},{picture}")
    shown = page.locator(".odds li")
    for row, p in enumerate(frame.probabilities[picture]):
        expect(shown.nth(row).locator("b")).to_have_text(f"{100 * p:.1f}%")
        expect(shown.nth(row).locator("span")).to_have_text(recorded.classes[row])
    expect(page.locator(".followed figcaption b")).to_have_text(recorded.pictures[picture].label)
    for name, of in (("weight", frame.filters), ("output", frame.outputs), ("gradient", frame.gradients)):
        numbers = of["conv1"].numbers()
        own = numbers if name == "weight" else numbers[picture]
        result = page.evaluate(
            """async ([step, name, picture, count, each]) => {
                const { tensors, scaled } = await import("./training/frames.js");
                const answer = await fetch(`/api/training/frame?step=${step}`);
                const frame = tensors(await answer.arrayBuffer());
                const first = picture * count;
                const maps = Array.from({ length: count }, (_, at) => at + first);
                return maps.flatMap((at) => [...scaled(frame, `conv1/${name}`, at * each, each, at)]);
            }""",
            [frame.step, name, 0 if name == "weight" else picture, own.shape[0], own[0].size],
        )
        np.testing.assert_array_equal(np.array(result, np.float32), own.ravel())


def test_colours_by_the_whole_training_or_by_the_moment(at: Callable[..., Page], recorded: replay.Replay) -> None:
    largest = [127 * float(frame.gradients["conv1"].scale[0].max()) for frame in recorded.frames]
    place = largest.index(min(largest))
    step, whole, here = recorded.frames[place].step, f"{max(largest):.3g}", f"{largest[place]:.3g}"
    assert whole != here
    page = at(f"#/~training/{step},,,")
    gradients = page.get_by_role("img", name="Gradients of the maps of conv1")
    message = re.compile(f"full colour at ±{float(whole):g}, now up to ±{float(here):g}$")
    expect(gradients).to_have_attribute("aria-label", message)
    page.get_by_role("button", name="each moment").click()
    expect(gradients).to_have_attribute("aria-label", re.compile(f"full colour at ±{float(here):g}$"))
    expect(page).to_have_url(re.compile(f"#/~training/({step})?,,,each$"))
    expect(page.get_by_role("button", name="each moment")).to_be_focused()


def test_a_layer_and_a_picture_are_chosen(at: Callable[..., Page]) -> None:
    page = at()
    page.get_by_label("Layer").select_option("dense1")
    expect(page.get_by_role("img", name=re.compile("^Outputs of dense1: 2"))).to_be_visible()
    expect(page.get_by_role("img", name="Filters of")).to_be_hidden()
    page.get_by_role("group", name="Picture").get_by_role("button", name="red").click()
    expect(page.locator(".followed figcaption")).to_contain_text("red")
    expect(page).to_have_url(re.compile(re.escape("#/~training/,1,dense1") + "$"))
    page.reload()
    expect(page.get_by_role("img", name=re.compile("^Outputs of dense1: 2"))).to_be_visible()
    expect(page.locator(".followed figcaption")).to_contain_text("red")


def test_space_plays_and_r_starts_again(at: Callable[..., Page]) -> None:
    page = at()
    slider = page.get_by_role("slider", name="Moment of the training")
    last = slider.input_value()
    page.locator("body").press("r")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(slider).not_to_have_value("0")
    page.locator("body").press(" ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    stands = slider.input_value()
    assert 0 < int(stands) < int(last)
    page.wait_for_timeout(700)
    assert slider.input_value() == stands


def test_the_curve_leads_to_a_moment_and_has_its_numbers_as_text(
    fresh: Callable[[], Page], recorded: replay.Replay
) -> None:
    page = fresh()
    plot = page.get_by_role("img", name="Loss over m.")
    expect(plot).to_have_attribute("aria-label", re.compile(r"validation: from .* to .*\. blue: from "))
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 2, box["y"] + 50)
    expect(page.get_by_role("slider", name="Moment of the training")).to_have_value("0")
    page.get_by_text("The curves as numbers").click()
    table = page.get_by_role("region", name="Each stored moment")
    expect(table.locator("tbody tr")).to_have_count(len(recorded.frames))
    loss = f"{float(f'{recorded.frames[1].loss[0]:.4g}'):g}"
    expect(table.locator("tbody tr").nth(1).locator("td").nth(3)).to_have_text(loss)
    expect(page.get_by_role("region", name="Each epoch").locator("tbody tr")).to_have_count(3)


def test_a_damaged_frame_is_told_and_the_others_are_shown(fresh: Callable[[], Page], glass: Server) -> None:
    path = glass.glass.model / "replay" / "frame-00000002.safetensors"  # type: ignore[union-attr]
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    try:
        page = fresh()
        page.evaluate("location.hash = '#/~training/2'")
        expect(page.locator(".note[role=alert]")).to_contain_text("frame-00000002.safetensors has")
        page.get_by_role("slider", name="Moment of the training").press("Home")
        expect(page.get_by_role("img", name="Filters of conv1")).to_be_visible()
        expect(page.locator(".note[role=alert]")).to_be_empty()
    finally:
        path.write_bytes(content)


def test_a_moment_without_finite_scores_is_told(window: Page, fresh: Callable[[], Page]) -> None:
    def spoilt(route: Route) -> None:
        content = bytearray(route.fetch().body())
        start = 8 + int.from_bytes(content[:8], "little")
        first, last = json.loads(content[8:start])["logits"]["data_offsets"]
        content[start + first : start + last] = np.full((last - first) // 4, np.nan, "<f4").tobytes()
        route.fulfill(body=bytes(content), content_type="application/octet-stream")

    window.route("**/api/training/frame*", spoilt)
    page = fresh()
    expect(page.locator(".say p").nth(1)).to_have_text(re.compile(r"After step .* no longer finite numbers\.$"))
    assert "undefined" not in page.locator("main").inner_text()
    window.unroute_all(behavior="ignoreErrors")  # frames that are fetched ahead may still be on their way


def test_a_phone(at: Callable[..., Page]) -> None:
    page = at("#/~training/4", PHONE)
    fits(page)
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_nothing_serious_is_found_by_axe(fresh: Callable[[], Page], axe: str) -> None:
    page = fresh()
    page.get_by_text("The curves as numbers").click()
    page.evaluate(axe)
    violations = page.evaluate("async () => (await axe.run()).violations")
    assert [
        (each["id"], each["nodes"][0]["html"]) for each in violations if each["impact"] in ("serious", "critical")
    ] == []


def test_without_a_replay_the_epochs_are_shown(window: Page, trained: Path, photos: Path) -> None:
    with showing(Glass(pellucid.load(trained), trained, photos / "red" / "1.png")) as server:
        window.goto(server.address + "#/~training")
        expect(window.get_by_text("This model was trained without --replay")).to_be_visible()
        expect(window.get_by_role("img", name="Accuracy.")).to_be_visible()
        expect(window.get_by_role("slider", name="Moment of the training")).to_be_hidden()
        for curve in window.locator(".curve").all():
            named = curve.locator(".lines-of li")
            expect(named).to_have_text([re.compile(r"^training[\d.]+%?$"), re.compile(r"^validation[\d.]+%?$")])
            expect(named.nth(1).locator("i.dashed")).to_have_count(1)


class Going:
    """A run at the place that the test needs."""

    def __init__(self, out: Path) -> None:
        self.out = out


def test_a_training_is_watched_until_the_network_is_there(window: Page, replayed: Path, photos: Path, axe: str) -> None:
    live = Live(Going(replayed))  # type: ignore[arg-type]
    index = replayed / "replay" / "replay.json"
    whole = index.read_text()
    few = json.loads(whole)
    few["frames"] = few["frames"][:3]
    try:
        index.rename(index.with_suffix(".aside"))
        with answering(listening(live)) as server:
            window.goto(server.address)
            expect(window.locator(".live-status")).to_have_text("Reading the folder.")
            expect(window.locator(".strip")).to_have_count(0)
            index.write_text(json.dumps(few))
            pace = {"epoch": 1, "epochs": 3, "step": 2, "steps": 6, "images_per_second": 210.4, "seconds_left": 75.0}
            live.news = {"state": "training", "message": "", **pace}
            expect(window.locator(".live-status")).to_have_text("Training, epoch 1 of 3.")
            expect(window.locator(".live-done")).to_contain_text("step 2 of 6 · 210 images/s · 1:15 min left")
            slider = window.get_by_role("slider", name="Moment of the training")
            expect(slider).to_have_value("2")
            index.write_text(whole)
            expect(slider).to_have_value(str(len(json.loads(whole)["frames"]) - 1))  # it follows the newest
            slider.press("Home")
            window.evaluate(axe)
            violations = window.evaluate("async () => (await axe.run()).violations")
            assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []
            server.glass = Glass(pellucid.load(replayed), replayed, photos / "red" / "1.png")
            expect(window.locator(".live-status")).to_have_text("The training is done.")
            expect(slider).to_have_value("0")  # but leaves the reader where he is
            window.get_by_role("button", name="Walk through the network").click()
            expect(window.locator("h1")).to_have_text("Walk through the network")
    finally:
        index.write_text(whole)
        index.with_suffix(".aside").unlink(missing_ok=True)


def test_a_training_that_was_stopped_or_died(browser: Browser, replayed: Path) -> None:
    page = browser.new_page()
    live = Live(Going(replayed))  # type: ignore[arg-type]
    with answering(listening(live)) as server:
        page.goto(server.address)
        expect(page.locator(".live-status")).to_have_text("Reading the folder.")
        page.route("**/api/**", lambda route: route.abort())  # it goes away without a word
        expect(page.locator(".live-status")).to_contain_text("the training was ended")
        page.unroute_all()
    with answering(listening(live)) as server:
        page.goto(server.address)
        live.end("stopped", "The training was stopped by Ctrl-C.")
        expect(page.locator(".live-status")).to_have_text("The training was stopped by Ctrl-C.")
    page.wait_for_timeout(1500)
    expect(page.locator(".live-status")).to_have_text("The training was stopped by Ctrl-C.")  # and asks no more
    page.close()
