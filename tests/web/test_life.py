"""A weight's life on the page: its numbers are those of the training made again, served and in a file."""

import gzip
import json
import re
import shutil
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.patience import PATIENCE
from tests.web.test_measuring import PHONE, complaints, fits

import pellucid
from pellucid.app import digits, teaching
from pellucid.app.page import life as requests
from pellucid.app.page.server import Server
from pellucid.errors import TraceError
from pellucid.glassbox.page import rebuild
from pellucid.life import stored
from pellucid.life.again import Drift, opened
from pellucid.life.story import Life, living
from pellucid.steps import result_of

INDEX, TEXT = "2,1,0,1", "conv1.weight[2, 1, 0, 1]"
LARGEST = 4
PLACE = f"#/~life/conv1.weight,{INDEX}"


@pytest.fixture(scope="module")
def life(trained: Path) -> Life:
    """The life of the weight, made without a page."""
    again = result_of(opened(trained, trained.parent / "cache"))
    return result_of(living(again, [TEXT], largest=LARGEST))[0]


@pytest.fixture
def page_of_life(served: Page, server: Server, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """The served page, whose repeats find the decoded pictures, with four large steps of the few that there are."""
    monkeypatch.setattr(requests, "LARGEST", LARGEST)
    server.glass.live.cache = trained.parent / "cache"
    return served


def number(text: str) -> Decimal:
    return Decimal(text.strip("()").replace("−", "-").replace(",", ""))


def facts(page: Page) -> dict[str, float]:
    """The numbers of the step that is shown, with all digits."""
    page.locator(".life-step dd").first.wait_for()
    names, values = (page.locator(f".life-step {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return {name: float(number(value)) for name, value in zip(names, values, strict=True)}


def adds_up(line: str) -> None:
    """The digits of "0.36 − 0.02 = 0.34", as they stand, with what is hidden."""
    equation = re.fullmatch(r"(\S+) ([−+]) (\S+) = (\S+)(?: \(hidden digits (\S+)\))?", line)
    assert equation is not None, line
    before, sign, change, after, hidden = equation.groups()
    moved = number(change) * (1 if sign == "+" else -1)
    assert number(before) + moved + (number(hidden) if hidden else 0) == number(after), line


def test_the_served_page_follows_a_weight(page_of_life: Page, server: Server, life: Life, axe: str) -> None:
    page = page_of_life
    page.goto(f"{server.address}#/conv1.weight/{INDEX}")
    expect(page.locator(".to-life")).to_be_visible()
    page.keyboard.press("w")
    expect(page.locator("main h1")).to_have_text(f"The life of {TEXT}")
    at = page.locator(".life-at")
    expect(at).to_contain_text(f"Step {life.largest[0].step}, the largest")
    assert page.url.endswith(f"{PLACE}")
    aside = page.locator(".say")
    expect(aside).to_contain_text("random weights, drawn by seed 0")
    expect(page.locator(".life-exact")).to_contain_text("the saved weight, to the last bit")
    assert np.float32(float(number(stated(page.locator(".life-exact"))))) == np.float32(life.last)
    page.keyboard.press("e")
    expect(page.locator(".life-formula code.strong")).to_be_visible()

    ordered = sorted(life.largest, key=lambda each: each.step)
    place = [each.step for each in ordered].index(life.largest[0].step)
    for large in ordered[place + 1 : place + 3]:
        page.keyboard.press("n")
        expect(at).to_contain_text(f"Step {large.step},")
        shown = facts(page)
        for name, value in (("before", large.before), ("after the step", large.after), ("gradient", large.gradient)):
            assert np.float32(shown[name]) == np.float32(value), name
        assert shown["change"] == pytest.approx(large.after - large.before, rel=1e-6), "with its own sign"
        assert shown["learning rate"] == pytest.approx(large.rate)
        worked = float(number(page.locator(".life-formula code.strong").inner_text().removeprefix("= ")))
        assert worked == pytest.approx(large.after, rel=1e-6, abs=1e-9)
        adds_up(page.locator(".life-sum").inner_text())
        parts = page.locator(".pushed b").all_inner_texts()
        assert [abs(float(number(each))) for each in parts] == pytest.approx(
            [abs(each.part) for each in sides(large.pictures[: requests.SHOWN])], rel=1e-6
        )
        adds = [number(each) for each in page.locator(".adds b").all_inner_texts()]
        assert sum(adds[:-1]) == adds[-1]
        assert float(adds[-1]) == pytest.approx(large.gradient, rel=1e-6)
    page.keyboard.press("Shift+N")
    expect(at).to_contain_text(f"Step {ordered[place + 1].step},")
    page.keyboard.press("ArrowRight")
    expect(at).to_contain_text(f"Step {ordered[place + 1].step + 1}")
    expect(page).to_have_url(re.compile(rf"\?at={ordered[place + 1].step + 1}&exact=1$"))
    page.keyboard.press("Escape")
    expect(page.locator("main h1")).to_have_text(TEXT)
    page.keyboard.press("w")
    expect(at).to_be_visible()
    for size in (None, PHONE):
        if size is not None:
            page.set_viewport_size(size)
        fits(page)
        assert complaints(page, axe) == []


def stated(sentence: Locator) -> str:
    match = re.search(r"as (\S+),", sentence.inner_text())
    assert match is not None
    return match[1]


def sides(pictures: Any) -> list[Any]:
    """In the page's order: those that push up, then those that push down."""
    return [each for each in pictures if each.part < 0] + [each for each in pictures if each.part >= 0]


def test_any_step_is_made_again_for_its_pictures(page_of_life: Page, server: Server, life: Life, trained: Path) -> None:
    page = page_of_life
    large = {each.step for each in life.largest}
    step = next(each for each in range(life.steps, 0, -1) if each not in large)
    page.goto(f"{server.address}{PLACE}?at={step}&exact=1")
    expect(page.locator(".life-at")).to_have_text(f"Step {step}")
    page.get_by_role("button", name="Show its pictures").press("Enter")
    expect(page.locator(".pushed img").first).to_be_visible()
    again = result_of(opened(trained, trained.parent / "cache"))
    (alone,) = result_of(living(again, [TEXT], largest=1, steps=(step, step)))
    (made,) = alone.largest
    parts = [float(number(each)) for each in page.locator(".pushed b").all_inner_texts()]
    assert parts == pytest.approx([each.part for each in sides(made.pictures[: requests.SHOWN])], rel=1e-6)
    expect(page.locator(".pushed .hidden").first).to_have_text(sides(made.pictures[: requests.SHOWN])[0].path)
    widths = page.locator(".pushed img").evaluate_all(
        "async (all) => (await Promise.all(all.map((each) => each.decode())), all.map((each) => each.naturalWidth))"
    )
    assert widths == [12] * len(parts)
    expect(page.locator(".pictures-of")).to_contain_text("as the network saw them in this step")


def test_a_repeat_can_be_stopped(page_of_life: Page, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, **__: Any) -> Iterator[tuple[int, int]]:
        for done in range(1, 100_000):
            time.sleep(0.02)
            yield done, 100_000

    page = page_of_life
    with monkeypatch.context() as patch:
        patch.setattr(requests, "living", slow)
        page.goto(f"{server.address}{PLACE}")
        expect(page.locator(".job span")).to_contain_text("of 100,000 steps")
        page.get_by_role("button", name="Stop").press("Enter")
        again = page.get_by_role("button", name="Make the training again")
        expect(again).to_be_visible()
        assert server.glass.jobs.known(f"life of {TEXT}") is None
    again.press("Enter")
    expect(page.locator(".life-exact")).to_be_visible()


@pytest.mark.parametrize("kind", ["drift", "known", "fitted", "error"])
def test_where_it_begins_and_how_it_ends(
    page_of_life: Page, server: Server, life: Life, axe: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    known = "known weights of efficientnet_lite0 (ImageNet)"
    others = {
        "drift": replace(life, drift=Drift(0.0125, "conv1.weight[0, 0, 0, 0]", 7, 1234), saved=life.last + 0.5),
        "known": replace(life, begins=known, unused=40),
        "fitted": replace(
            life,
            optimizer="lbfgs",
            steps=0,
            values=(0.0, life.last),
            gradients=(),
            rates=(),
            largest=(),
            note="At once.",
        ),
    }

    def other(*_: Any, **__: Any) -> Iterator[tuple[int, int]]:
        yield 1, 2
        if kind == "error":
            raise TraceError("A picture is missing. Put it back.")
        return (others[kind],)

    monkeypatch.setattr(requests, "living", other)
    page = page_of_life
    page.goto(f"{server.address}{PLACE}")
    aside = page.locator(".say")
    if kind == "error":
        expect(page.get_by_role("alert")).to_have_text("A picture is missing. Put it back.")
        page.reload()
        expect(page.get_by_role("alert")).to_have_text("A picture is missing. Put it back.")
        expect(page.get_by_role("button", name="Make the training again")).to_be_visible()
    elif kind == "drift":
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("7 of 1,234 weights differ, conv1.weight[0, 0, 0, 0] by 0.0125, the most.")
        expect(alert).to_contain_text("not exactly the model’s own history")
        expect(aside).not_to_contain_text("to the last bit")
    elif kind == "known":
        expect(aside).to_contain_text(f"It begins as {float(f'{life.first:.7g}'):.15g}: {known}.".replace("-", "−"))
        expect(aside).to_contain_text("40 more steps were made after it, and not used")
    else:
        expect(aside).to_contain_text("the start, plus what the pictures pushed")
        expect(aside).to_contain_text("At once.")
        expect(page.locator(".pushers li").first).to_be_visible()
        expect(page.locator(".pushers .note")).to_contain_text("where the search for the minimum ended")
        expect(page.locator(".pushers .note")).not_to_contain_text("rounding")
        expect(page.locator(".life .curve")).to_have_count(0)
    assert complaints(page, axe) == []


def test_a_wrong_place_says_what_there_is(page_of_life: Page, server: Server) -> None:
    page = page_of_life
    for place, sentence in (
        ("nothing,1", "This network has no weight “nothing”."),
        ("conv1.weight,9,0,0,0", "conv1.weight[9, 0, 0, 0] does not exist. Its indices go from 0 to [3, 2, 2, 2]."),
        ("conv1.weight,1", "conv1.weight[1] names 1 of 4 axes."),
    ):
        page.goto("about:blank")
        page.goto(f"{server.address}#/~life/{place}")
        expect(page.get_by_role("alert")).to_contain_text(sentence)
    page.get_by_label("at", exact=True).fill("7, 0, 0, 0")
    page.get_by_role("button", name="Show its life").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("conv1.weight[7, 0, 0, 0] does not exist")
    page.get_by_label("at", exact=True).fill("2 1 0 1")
    page.get_by_role("button", name="Show its life").press("Enter")
    expect(page.locator("main h1")).to_have_text(f"The life of {TEXT}")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, undrawn: None) -> Path:
    """The teaching model's file, after three epochs and with two pictures."""
    folder = tmp_path_factory.mktemp("teaching")
    digits.write(folder / "digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "SETTINGS", {**teaching.SETTINGS, "epochs": 3, "replay": False})
        teaching.train(folder / "digits", folder / "model", folder / "cache")
    shown = teaching.chosen(teaching.answered(folder / "model"))[:2]
    (folder / "page.html").write_text(teaching.page(folder / "model", shown, folder / "cache"), encoding="ascii")
    return folder / "page.html"


def unpacked(text: str, about: dict[str, Any]) -> np.ndarray[Any, Any]:
    """An array of the file, independently of the page."""
    width = int(about["dtype"][-2:]) // 8
    raw = np.frombuffer(gzip.decompress(b64decode(text)), np.uint8).reshape(width, -1).T
    return (
        np.ascontiguousarray(raw).view(f"<{ {'f': 'f', 'u': 'u'}[about['dtype'][0]] }{width}").reshape(about["shape"])
    )


def inside(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    element = json.loads(re.findall(r'id="lives">(.*?)</script>', file.read_text(encoding="ascii"))[0])
    content = json.loads(gzip.decompress(b64decode(element["document"])))
    return content, {name: unpacked(text, content["arrays"][name]) for name, text in element["arrays"].items()}


def test_the_file_has_the_lives_inside(page: Page, file: Path, axe: str) -> None:
    content, arrays = inside(file)
    assert [name for name, _ in content["weights"]] == ["conv1.weight", "conv1.bias", "dense1.bias"]
    saved = pellucid.load(file.parent / "model").module.state_dict()
    steps = content["about"]["steps"]
    weight = np.ravel_multi_index((5, 0, 1, 2), (8, 1, 3, 3))
    values = [arrays["first"][weight]]
    for gradient, apart in zip(arrays["gradients"][weight], arrays["rounding"][weight], strict=True):
        worked = np.float32(float(values[-1]) - content["rate"] * float(gradient))
        values.append(rebuild.restored(np.array([apart]), np.array([worked]))[0])
    assert values[-1] == saved["conv1.weight"][5, 0, 1, 2].numpy()

    page.goto(f"{file.as_uri()}#/conv1.weight/5,0,1,2?exact=1")
    page.locator(".to-life").click()
    largest = arrays["largest"][weight]
    at = page.locator(".life-at")
    expect(at).to_have_text(f"Step {largest[0]}, the largest")
    for step in sorted(largest.tolist()):
        page.goto(f"{file.as_uri()}#/~life/conv1.weight,5,0,1,2?at={step}&exact=1")
        expect(at).to_contain_text(f"Step {step},")
        rank = largest.tolist().index(step)
        shown = facts(page)
        assert np.float32(shown["before"]) == values[step - 1]
        assert np.float32(shown["after the step"]) == values[step]
        assert np.float32(shown["gradient"]) == arrays["gradients"][weight][step - 1]
        adds_up(page.locator(".life-sum").inner_text())
        parts = {np.float32(float(number(each))) for each in page.locator(".pushed b").all_inner_texts()}
        assert parts == set(arrays["parts"][weight, rank])
        whole = arrays["parts"][weight, rank].astype(float).sum() + arrays["others"][weight, rank]
        assert whole == pytest.approx(arrays["gradients"][weight][step - 1], rel=2e-2, abs=1e-4)
        picture = page.locator(".pushed canvas").first
        expect(picture).to_have_js_property("width", 8)
    grey = picture.evaluate(
        "(all) => [...all.getContext('2d').getImageData(0, 0, 8, 8).data].filter((_, at) => at % 4 === 0)"
    )
    assert any(grey == each.ravel().tolist() for each in arrays["pictures"])
    other = next(each for each in range(1, steps) if each not in largest)
    page.goto(f"{file.as_uri()}#/~life/conv1.weight,5,0,1,2?at={other}")
    expect(page.locator(".life-more")).to_contain_text("Its pictures are not inside this file")
    page.goto(f"{file.as_uri()}#/~life/dense1.weight,3,2")
    expect(page.get_by_role("alert")).to_contain_text("The life of dense1.weight[3, 2] is not inside this file.")
    assert complaints(page, axe) == []


def test_the_lesson_follows_one_weight(page: Page, file: Path) -> None:
    page.goto(f"{file.as_uri()}#/~lessons")
    lesson = page.locator("#lesson-life")
    lesson.wait_for()
    texts = lesson.locator("li p").all_inner_texts()
    assert 4 <= len(lesson.locator("ol > li").all()) <= 6
    began = re.search(r"conv1\.weight\[(\d), 0, (\d), (\d)\] began as (\S+),", texts[0])
    assert began is not None
    _, arrays = inside(file)
    weight = np.ravel_multi_index((int(began[1]), 0, int(began[2]), int(began[3])), (8, 1, 3, 3))
    assert float(number(began[4])) == pytest.approx(arrays["first"][weight], rel=1e-3)
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}#/?lesson=life.2")
    field = page.locator(".guide .question input")
    step = int(arrays["largest"][weight][0])
    expect(page.locator(".guide .prompt")).to_contain_text(f"What will it be after step {step}?")
    told = page.locator(".narration").inner_text()
    before, gradient, rate = (float(number(each)) for each in numbers(told))
    field.fill(f"{before - rate * gradient:.4f}")
    page.get_by_role("button", name="Check").press("Enter")
    expect(page.locator(".verdict")).to_contain_text("is right.")
    expect(page.locator(".life-at")).to_contain_text(f"Step {step}, the largest")
    page.locator("main h1").focus()
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile(r"lesson=life\.3$"))


def numbers(text: str) -> list[str]:
    """Before, gradient and rate of the lesson's question."""
    match = re.search(r"Before step \S+ it was (\S+)\. The gradient was (\S+), and the learning rate (\S+)\.", text)
    assert match is not None, text
    return list(match.groups())


def test_who_made_a_filter(page_of_life: Page, server: Server, trained: Path, axe: str, tmp_path: Path) -> None:
    page = page_of_life
    server.glass.model = Path(shutil.copytree(trained, tmp_path / "model"))  # the result is stored in it
    page.goto(f"{server.address}#/conv1?at=2,5,5")
    page.locator(".to-life").wait_for()
    page.keyboard.press("m")
    expect(page.locator(".makers .span h2").first).to_have_text("The whole training of filter 2 of conv1")
    expect(page.locator(".makers .patches img").first).to_be_visible()
    known = pellucid.makers(trained, ["conv1"], cache=trained.parent / "cache")
    sums = "add up to the movement." if known.exact else "the pushes are an estimate"
    expect(page.locator("main")).to_contain_text(sums)
    whole = known.layers[0].filters[2].whole
    pushes = [float(number(each)) for each in page.locator(".span").first.locator(".pushed b").all_inner_texts()]
    expected = [each.push for each in (*whole.toward[: stored.WHOLE], *whole.away[: stored.WHOLE])]
    assert pushes == pytest.approx(expected, rel=6e-3)
    paths = page.locator(".span").first.locator(".pushed .hidden").all_inner_texts()
    assert paths[0] == known.pictures[whole.toward[0].row].path
    picture = page.locator(".pushed img").first
    assert picture.evaluate("async (each) => (await each.decode(), each.naturalWidth)") == 12
    page.locator(".makers summary").press("Enter")
    expect(page.locator(".makers details .span")).to_have_count(len(known.layers[0].filters[2].tenths))
    page.get_by_label("number", exact=True).select_option("1")
    expect(page).to_have_url(re.compile(r"~makers/conv1,1"))
    expect(page.locator(".makers .span h2").first).to_have_text("The whole training of filter 1 of conv1")
    for size in (None, PHONE):
        if size is not None:
            page.set_viewport_size(size)
        fits(page)
        assert complaints(page, axe) == []
    page.keyboard.press("Escape")
    expect(page.locator("main h1")).to_have_text("conv1")


def test_the_file_says_who_made_a_filter(page: Page, file: Path) -> None:
    content, _ = inside(file)
    page.goto(f"{file.as_uri()}#/dense1/3")
    page.locator("main h1").wait_for()
    page.keyboard.press("m")
    expect(page.locator(".makers .span h2").first).to_have_text("The whole training of unit 3 of dense1")
    expect(page.locator("main")).to_contain_text(
        "The pushes of all pictures, with weight decay, add up to the movement."
    )
    (dense,) = [each for each in content["makers"]["layers"] if each["layer"] == "dense1"]
    whole = dense["filters"][3]["whole"]
    names = page.locator(".span").first.locator(".pushed .hidden").all_inner_texts()
    assert names == [content["pictures"][each[0]]["path"] for each in (*whole["toward"], *whole["away"])]
    assert names[0].startswith("3/"), "a picture of a 3 taught the unit for 3 most"
    page.goto(f"{file.as_uri()}#/")
    page.locator(".overview .to-life").click()
    expect(page.locator(".makers p").first).to_contain_text("This is work for a command")
    expect(page.locator(".makers code")).to_have_text(re.compile(r"^pellucid taught \S+ \S+( --label \d)? --verify$"))


def test_in_forced_colours_and_the_dark(browser: Browser, file: Path) -> None:
    for scheme, forced in (("dark", "none"), ("light", "active")):
        context = browser.new_context(color_scheme=scheme, forced_colors=forced, viewport=PHONE)
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        page.goto(f"{file.as_uri()}#/~life/conv1.weight,5,0,1,2")
        bar = page.locator(".pushers .length i").first
        expect(bar).to_be_attached()
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert bar.evaluate("(each) => getComputedStyle(each).backgroundColor") != ground
        fits(page)
        context.close()
