"""The article's figures on the page: their inputs are Python's, their numbers the article's, and every sum adds up."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain
from pellucid.lessons import material, photograph, walk

FIGURES = json.loads((Path(__file__).parents[1] / "lessons" / "figures.json").read_text())
FOLDER = "./lessons/figures"


@pytest.fixture(scope="module")
def inside(modules: Page) -> Callable[..., object]:
    """inside("arithmetic", "m.tidy(argument)", 1.5) -> the value of an expression in a module of the figures."""

    def evaluated(module: str, code: str, argument: object = None) -> object:
        return modules.evaluate(
            f"async (argument) => {{ const m = await import('{FOLDER}/{module}.js'); return {code}; }}", argument
        )

    return evaluated


def everywhere(inside: Callable[..., object], picture: object, kernel: object, **steps: object) -> np.ndarray:
    kernel = np.array(kernel)
    window = {"size": list(kernel.shape), **steps}
    made = inside(
        "arithmetic",
        "m.everywhere(argument[0], argument[1], (cells) => m.weighted(cells, argument[2], 1))",
        [picture, window, kernel.tolist()],
    )
    return np.array(made)


def test_the_inputs_are_those_of_the_printed_walk(inside: Callable[..., object]) -> None:
    for name in ("PICTURE", "PICTURE_FOR_PAIRS", "PICTURE_6X6", "ONE_WEIGHT", "PAIR", "SECOND_PAIR", "CROSS"):
        assert inside("material", f"m.{name}") == getattr(material, name).tolist(), name
    for name in ("MISPRINTED", "SCORES_TRUTH"):
        assert inside("material", f"m.{name}") == getattr(material, name)
    assert inside("material", "m.SCORES") == material.SCORES.tolist()
    assert inside("material", "m.MISPRINTED_AT") == list(material.MISPRINTED_AT)
    assert inside("material", "m.SIZES") == [list(each) for each in material.SIZES]
    theirs = {
        "upright-edges": material.UPRIGHT_EDGES,
        "level-edges": material.LEVEL_EDGES,
        "box-blur": material.BOX,
        "gaussian-blur": material.BELL,
        "sharpening": material.SHARPEN,
    }
    ours = inside("material", "m.FILTERS")
    assert isinstance(ours, dict)
    assert list(ours) == list(theirs)
    for name, kernel in theirs.items():
        assert np.allclose(np.array(ours[name]["kernel"]) / ours[name]["divisor"], kernel, atol=1e-15), name


def test_the_photograph_and_what_the_filters_make_of_it(inside: Callable[..., object]) -> None:
    path = photograph.at_hand()
    assert path is not None
    from pellucid.classifier.predict.pictures import decoded
    from pellucid.pictures.decode import PIXEL_LIMIT, Form

    photo = Form(64, 64, 3, "crop").apply(decoded(path, PIXEL_LIMIT))
    grey = np.rint(photo @ material.GREY).astype(np.uint8)
    assert inside("photograph", "m.photograph()") == grey.tolist()
    (lesson,) = walk.lessons(np.repeat(grey[..., None], 3, axis=2), only="edges-and-blur")
    for kind in photograph.KINDS:
        name = kind.name.lower().replace(" ", "-")
        ours = np.array(inside("filters", "m.filtered(argument)", name))
        assert np.allclose(ours, lesson.array(kind.name), atol=1e-9), name


def test_every_number_of_the_articles_figures(inside: Callable[..., object]) -> None:
    one, pair, zeros = (FIGURES[name] for name in ("single_weight", "pair_of_weights", "pair_of_weights_zero_padded"))
    strip = pair["derived_image"]
    assert everywhere(inside, one["printed_image"], one["printed_weight"]).tolist() == one["printed_output"]
    assert everywhere(inside, strip, pair["printed_weight"]).tolist() == pair["printed_output"]
    padded = everywhere(inside, strip, zeros["printed_weight"], padding=[0, 1])
    assert padded.tolist() == zeros["printed_output"]
    two = FIGURES["two_filters"]
    assert everywhere(inside, strip, two["printed_weights"][1]).tolist() == two["derived_second_output"]
    six = FIGURES["six_by_six"]
    picture, kernel = six["printed_image"], six["printed_weight"]
    assert everywhere(inside, picture, kernel).tolist() == six["printed_output"]
    assert everywhere(inside, picture, kernel, stride=[2, 2]).tolist() == FIGURES["stride_two"]["derived_output"]
    same = everywhere(inside, picture, kernel, padding=[1, 1])
    assert same.tolist() == FIGURES["same_padding"]["derived_output"]
    assert inside("figures", "m.mapToPool()") == six["printed_output"]
    pooled = {"max": "printed_output", "mean": "derived_average", "norm": "derived_l2"}
    for pick, key in pooled.items():
        made = inside(
            "arithmetic",
            "m.everywhere(argument, {size: [2, 2], stride: [2, 2]}, m.POOLED." + pick + ")",
            six["printed_output"],
        )
        assert np.allclose(np.array(made), FIGURES["max_pooling"][key], rtol=1e-15), pick
    for each in FIGURES["output_size"]:
        fitted = inside("arithmetic", "m.fitting(...argument, 1)", [each[letter] for letter in "WFSP"])
        assert isinstance(fitted, dict)
        assert fitted["places"] == each["printed_output"][0]
    network = FIGURES["article_network"]
    layers = [inside("parameters", f"m.layersOf({units})") for units in (1, 2)]
    for made, parameters, total in zip(
        layers,
        (network["printed_params"], network["derived_params_two_units"]),
        (network["printed_total"], network["derived_total_two_units"]),
        strict=True,
    ):
        assert isinstance(made, dict)
        assert [row[2] for row in made["rows"]] == parameters
        assert made["total"] == total
        assert [row[1] for row in made["rows"]][:4] == network["printed_shapes"][:4]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    [(7, 3, 2, 1, 2), (6, 2, 3, 0, 1), (5, 3, 1, 2, 3), (9, 4, 2, 3, 2)],
)
def test_windows_are_pytorchs(
    inside: Callable[..., object], size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    random = np.random.default_rng(size)
    picture, weight = random.integers(0, 256, (size, size)), random.integers(-3, 4, (kernel, kernel))
    ours = everywhere(
        inside, picture.tolist(), weight, stride=[stride] * 2, padding=[padding] * 2, dilation=[dilation] * 2
    )
    theirs = nn.functional.conv2d(
        *(torch.tensor(each, dtype=torch.float64)[None, None] for each in (picture, weight)),
        stride=stride,
        padding=padding,
        dilation=dilation,
    )[0, 0]
    assert ours.tolist() == theirs.tolist()
    written = inside("fit", "m.inFormula(argument)", [size, kernel, stride, padding, dilation])
    assert str(written).endswith(f"{len(theirs)}")
    formula = str(written).split(" = ")[0].replace("[", "(").replace("]", ")")
    assert int(eval(formula)) == len(theirs)


def test_a_window_that_does_not_fit_says_so(inside: Callable[..., object]) -> None:
    assert inside("arithmetic", "m.fitting(3, 3, 1, 0, 2)") == {"reach": 5, "places": 0, "over": 0}
    assert "does not fit" in str(inside("fit", "m.inFormula([3, 3, 1, 0, 2])"))
    words = str(inside("fit", "m.inWords([3, 3, 1, 0, 2])"))
    assert "A window of 5 does not fit into 3." in words
    assert "1 is left over" in str(inside("fit", "m.inWords([6, 3, 2, 0, 1])"))
    assert str(inside("fit", "m.inWords([6, 3, 1, 0, 1])")).endswith("Nothing is left over.")
    words = str(inside("fit", "m.inWords([6, 1, 2, 0, 1])"))
    assert words.endswith(
        "1 is left over: no window reaches there. No window reads 2 columns in between, nor as many rows."
    )
    assert str(inside("fit", "m.inWords([3, 2, 1, 0, 2])")).endswith(
        "No window reads 1 column in between, nor as many rows."
    )


def computed(text: str) -> float:
    """The value of a sum as it is written."""
    plain = text.replace("−", "-").replace("×", "*").replace("²", "**2")
    if plain.startswith("the largest of "):
        return max(eval(f"[{plain.removeprefix('the largest of ')}]"))
    plain = re.sub(r"√\((.*)\)$", r"(\1)**0.5", plain)
    return float(eval(plain.replace("-ln", "-__import__('math').log")))


def adds_up(sentence: str) -> None:
    """Each piece between the signs = and ≈ of "output[0, 0]: 1 × 2 + 3 = 5" is the same number."""
    exact, *rounded = sentence.split(": ")[-1].split(" ≈ ")
    pieces = exact.split(" = ")
    assert len(pieces) + len(rounded) > 1, sentence
    values = [computed(piece) for piece in pieces]
    last = [*pieces, *rounded][-1]
    unit = 10.0 ** -len(last.partition(".")[2])
    assert np.allclose(values, values[-1], rtol=1e-9, atol=0.51 * unit if "." in last else 1e-9), sentence
    for each in rounded:
        assert values[-1] == pytest.approx(computed(each), rel=1e-6), sentence


PLACES = (
    *("one-weight:-1.5", "two-weights", "second-pair", "zeros?at=16,4", "six-by-six?at=3,3", "stride-two?at=1,1"),
    *("same-padding?at=5,0", "max-pooling?at=1,0", "average-pooling?at=1,1", "norm-pooling?at=0,1"),
    *("photograph:level-edges", "photograph:box-blur?at=63,0", "photograph:gaussian-blur", "photograph:sharpening"),
    *("softmax", "softmax:loss", "softmax:gradient"),
)


def test_all_sums_on_the_figures_add_up(opened: Callable[..., Page]) -> None:
    page = opened("#/~article/matrix")
    for place in PLACES:
        page.evaluate("(hash) => { location.hash = hash; }", f"#/~article/{place}")
        page.wait_for_function("(hash) => document.querySelector('.figure-sum')?.dataset.seen !== hash", arg=place)
        said = page.locator(".figure-sum").inner_text()
        adds_up(said)
        page.evaluate("(hash) => { document.querySelector('.figure-sum').dataset.seen = hash; }", place)


def test_the_slip_is_said(opened: Callable[..., Page]) -> None:
    note = opened("#/~article/stride-two?at=0,0").locator(".sliding .note").inner_text()
    assert note.startswith("The article prints 412 at output[1, 1]. The arithmetic gives 851: 204 × 1 + ")
    adds_up(note.removesuffix("."))


def test_the_window_follows_keys_pointer_and_link(opened: Callable[..., Page]) -> None:
    page = opened("#/~article/six-by-six?at=0,1")
    said = page.locator(".figure-sum")
    expect(said).to_contain_text("output[0, 1]: 54 × 1")
    page.locator("[data-key='figure/0,1']").focus()
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text("output[1, 1]: 121 × 1")
    assert page.url.endswith("six-by-six?at=1,1")
    expect(page.locator("[data-key='figure/1,1']")).to_be_focused()
    assert page.locator("td.on").all_inner_texts() == [*("121", "75", "78", "24", "204", "113", "154", "104", "235")]
    page.locator("[data-key='figure/3,3']").hover()
    expect(said).to_contain_text("= 657")
    page.locator("[data-key='figure/2,0']").click()
    expect(said).to_contain_text("output[2, 0]: 35 × 1")
    page.get_by_role("button", name="Slide").click()  # with reduced motion, one place
    expect(said).to_contain_text("output[2, 1]:")
    assert page.url.endswith("at=2,1")


def test_a_question_stops_a_window_that_slides_over_its_answer(opened: Callable[..., Page]) -> None:
    page = opened("#/~article/six-by-six?lesson=six-by-six.1")
    page.emulate_media(reduced_motion="no-preference")
    try:
        page.get_by_role("button", name="Slide").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.locator(".guide").get_by_role("button", name="Next").click()
        expect(page.locator(".figure-sum")).to_contain_text("= ?")
        page.wait_for_timeout(500)  # longer than a place of the slide
        expect(page.locator("[data-key='figure/0,1']")).to_have_text("?")
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    finally:
        page.emulate_media(reduced_motion="reduce")


def test_shuffled_pixels_are_the_same_pixels(opened: Callable[..., Page], inside: Callable[..., object]) -> None:
    before, after = (np.array(inside(*of)) for of in (("photograph", "m.photograph()"), ("row", "m.shuffled()")))
    assert np.array_equal(np.sort(before, axis=None), np.sort(after, axis=None))
    assert (before != after).mean() > 0.9
    page = opened("#/~article/row")
    page.get_by_role("button", name="Shuffle the pixels").click()
    expect(page.locator(".figure-sum")).to_contain_text("64 rows × 64 pixels = 4,096 numbers in one row")
    page.get_by_role("button", name="Put them back").click()
    page.get_by_role("button", name="Shuffle the pixels").wait_for()


def test_the_sliders_of_the_sizes(opened: Callable[..., Page]) -> None:
    page = opened("#/~article/fit:6,3,1,0,1")
    page.get_by_label("stride, S").press("ArrowRight")
    expect(page.locator(".figure-sum")).to_have_text("([6 - 3 + 2*0] / 2) + 1 = 2.5, rounded down: 2")
    expect(page.get_by_label("stride, S")).to_be_focused()
    expect(page.locator("td.over")).to_have_count(11)
    page.get_by_label("padding, P").press("ArrowRight")
    expect(page.locator("td.outside")).to_have_count(8 * 8 - 6 * 6)
    expect(page.get_by_role("grid").locator("td")).to_have_count(9)
    for _ in range(3):
        page.get_by_label("window, F").press("End")
    page.get_by_label("picture, W").press("Home")
    expect(page.get_by_role("status").filter(has_text="does not fit")).to_be_visible()
    page.evaluate("location.hash = '#/~article/fit:6,1,2,0,1'")
    expect(page.locator("td.over")).to_have_count(6 * 6 - 3 * 3)  # one number in four is read
    page.get_by_role("button", name="the article’s 6 × 6 with padding").click()
    expect(page.locator(".figure-sum")).to_have_text("([6 - 3 + 2*1] / 1) + 1 = 6")


def test_the_class_that_a_sum_is_about_is_marked(opened: Callable[..., Page]) -> None:
    for place, name in (("softmax", "A"), ("softmax:loss", "B"), ("softmax:gradient", "B")):
        page = opened(f"#/~article/{place}")
        expect(page.locator("tr.here th")).to_have_text(name)


def test_an_unknown_figure_lists_those_that_exist(opened: Callable[..., Page]) -> None:
    page = opened("#/~article/constructor")
    expect(page.locator(".say")).to_contain_text("There is no figure “constructor”.")
    page.get_by_role("link", name="6 × 6 with 3 × 3").click()
    expect(page.locator(".figure-sum")).to_contain_text("= 429")
    for place in ("six-by-six?at=99,99", "fit:0,x", "photograph:nothing", "one-weight:abc"):
        assert opened(f"#/~article/{place}").locator(".figure-sum").inner_text()


def test_a_comma_stands_before_thousands_and_before_decimals(modules: Page) -> None:
    read = """async (texts) => {
        const { readings } = await import("./lessons/question.js");
        return texts.map(readings);
    }"""
    cases = {
        "1,065": [1065, 1.065],
        "−12,345,678.5": [-12345678.5],
        "0,065": [0.065],
        "0,5": [0.5],
        "-.25": [-0.25],
        "10,65": [10.65],
        "1,2,3": [],
        "": [],
    }
    assert dict(zip(cases, modules.evaluate(read, list(cases)), strict=True)) == cases


def test_a_question_hides_its_answer_and_then_shows_the_sum(opened: Callable[..., Page]) -> None:
    page = opened("#/?lesson=six-by-six.2")
    said = page.locator(".figure-sum")
    expect(said).to_contain_text("+ 113 × 1 = ?")
    assert "505" not in page.locator("body").inner_text()
    verdict = page.locator(".verdict")
    field = page.get_by_label("What will this number be?")
    field.fill("many")
    field.press("Enter")
    expect(verdict).to_have_text("“many” is not a number.")
    field.fill("504")
    field.press("Enter")
    expect(verdict).to_contain_text("You said 504. This is the sum:")
    expect(said).to_contain_text("= 505")
    adds_up(page.locator(".worked").inner_text())
    field.fill(" 505,0 ")
    page.get_by_role("button", name="Check").click()
    expect(verdict).to_contain_text("505 is right.")
    expect(page.locator(".strayed")).to_be_empty()
    page = opened("#/?lesson=pools.2")
    page.get_by_role("button", name="640", exact=True).click()
    expect(page.locator(".verdict")).to_contain_text("the largest of 686, 856, 412, 640 = 856")


def test_there_is_a_question_on_each_idea_and_its_sum_is_right(listed: Page) -> None:
    asked = {name: listed.locator(f"#lesson-{name} .worked").all_text_contents() for name in QUESTIONS}
    for name, idea in QUESTIONS.items():
        assert asked[name], idea
        for worked in asked[name]:
            adds_up(worked.replace("[", "(").replace("]", ")").split(", rounded")[0])


QUESTIONS = {
    "six-by-six": "convolution",
    "steps": "padding and stride",
    "pools": "pooling",
    "size": "the size of a map",
    "output": "softmax",
    "loss": "loss",
    "backward": "gradient",
}


@pytest.fixture
def listed(opened: Callable[..., Page]) -> Page:
    page = opened("#/~lessons")
    page.locator(".lesson").first.wait_for()
    return page


class Sure(nn.Module):
    """Scores of the two classes are far apart: the loss of the right class is 0 in float32."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(2 * 16, 2)
        with torch.no_grad():
            self.fc.weight *= scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(x)).flatten(1))


def test_the_lessons_on_the_loss_choose_a_picture_that_the_network_gets_wrong(page: Page, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, image = Sure(3000).eval(), torch.rand(1, 1, 6, 6)
    right = int(module(image).argmax())
    names = ("cat", "dog")
    traces = [explain(module, image, label, classes=names) for label in (right, 1 - right)]
    file = tmp_path / "page.html"
    file.write_text(offline(traces[0]), encoding="ascii")
    page.goto(f"{file.as_uri()}#/~lessons")
    page.locator(".lesson").first.wait_for()
    text = page.locator("#lesson-loss, #lesson-backward, #lesson-update").all_inner_texts()
    assert not re.search(r"\de−\d|ln\(1\)", " ".join(text)), "a number that says nothing"
    assert "the loss is smaller than a millionth" in text[0]
    file.write_text(offline(traces), encoding="ascii")
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}#/?lesson=loss.1")
    expect(page.locator(".narration")).to_contain_text(f"measured against “{names[1 - right]}”")
    assert "picture=1" in page.url
    for truth, words in ((None, "the loss is measured against"), ((1 - right,), "it is")):
        file.write_text(offline([traces[0], replace(traces[1], truth=truth)]), encoding="ascii")
        page.goto("about:blank")
        page.goto(f"{file.as_uri()}#/~lessons")
        said = page.locator("#lesson-loss")
        expect(said).to_contain_text(f"It says “{names[right]}”, but {words} “{names[1 - right]}”")
        expect(said).not_to_contain_text("right")  # nothing states the first picture's class


def test_the_photograph_is_small(inside: Callable[..., object]) -> None:
    file = Path(__file__).parents[2] / "src/pellucid/web/lessons/figures/photograph.js"
    text = file.read_text(encoding="utf-8")
    pixels = base64.b64decode("".join(re.findall(r'^  "([\w+/=]+)"', text, re.MULTILINE)))
    assert len(pixels) == 64 * 64
    assert len(text) < 30_000
