"""The article as executable truth: every number of figures.json is computed, and the training cycle is PyTorch's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.errors import TraceError
from pellucid.lessons import material
from pellucid.lessons.cycle import Cycle
from pellucid.lessons.lesson import Lesson, as_json
from pellucid.lessons.walk import DRAWN, NAMES, lessons

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text())
CLOSE = {"rel": 0, "abs": 1e-9}

# Every key of figures.json -> its place in the walk's JSON: lesson, "arrays" or "values", name, and the place within.
# None for words about the numbers. A reference such as "six_by_six.printed_output" is followed.
PLACES: dict[str, tuple[str | int, ...] | None] = {
    "source": None,
    "single_weight.printed_image": ("one-weight", "arrays", "picture"),
    "single_weight.printed_weight": ("one-weight", "arrays", "weight"),
    "single_weight.printed_output": ("one-weight", "arrays", "output"),
    "single_weight.note": None,
    "pair_of_weights.derived_image": ("pair-of-weights", "arrays", "picture"),
    "pair_of_weights.printed_weight": ("pair-of-weights", "arrays", "weights"),
    "pair_of_weights.printed_output": ("pair-of-weights", "arrays", "output"),
    "pair_of_weights.note": None,
    "pair_of_weights_zero_padded.image": ("zeros-at-the-sides", "arrays", "picture"),
    "pair_of_weights_zero_padded.padding.left": ("zeros-at-the-sides", "values", "padding", 0),
    "pair_of_weights_zero_padded.padding.right": ("zeros-at-the-sides", "values", "padding", 1),
    "pair_of_weights_zero_padded.padding.top": ("zeros-at-the-sides", "values", "padding", 2),
    "pair_of_weights_zero_padded.padding.bottom": ("zeros-at-the-sides", "values", "padding", 3),
    "pair_of_weights_zero_padded.printed_weight": ("zeros-at-the-sides", "arrays", "weights"),
    "pair_of_weights_zero_padded.printed_output": ("zeros-at-the-sides", "arrays", "output"),
    "pair_of_weights_zero_padded.note": None,
    "two_filters.image": ("two-filters", "arrays", "picture"),
    "two_filters.printed_weights": ("two-filters", "arrays", "filters"),
    "two_filters.derived_second_output": ("two-filters", "arrays", "outputs", 1),
    "two_filters.note": None,
    "two_by_two.note": None,
    "six_by_six.printed_image": ("six-by-six", "arrays", "picture"),
    "six_by_six.printed_weight": ("six-by-six", "arrays", "filter"),
    "six_by_six.printed_first_value": ("six-by-six", "values", "first value"),
    "six_by_six.printed_first_terms": ("six-by-six", "values", "first terms"),
    "six_by_six.printed_output": ("six-by-six", "arrays", "output"),
    "stride_two.image": ("stride", "arrays", "picture"),
    "stride_two.stride": ("stride", "values", "stride"),
    "stride_two.derived_output": ("stride", "arrays", "output"),
    "stride_two.misprinted_output": ("stride", "arrays", "misprinted"),
    "stride_two.note": None,
    "same_padding.image": ("same-padding", "arrays", "picture"),
    "same_padding.padding": ("same-padding", "values", "padding"),
    "same_padding.printed_first_values": ("same-padding", "values", "first values"),
    "same_padding.derived_output": ("same-padding", "arrays", "output"),
    "same_padding.note": None,
    "max_pooling.input": ("pooling", "arrays", "map"),
    "max_pooling.size": ("pooling", "values", "size"),
    "max_pooling.stride": ("pooling", "values", "stride"),
    "max_pooling.printed_output": ("pooling", "arrays", "largest"),
    "max_pooling.derived_average": ("pooling", "arrays", "average"),
    "max_pooling.derived_l2": ("pooling", "arrays", "L2 norm"),
    "max_pooling.note": None,
    **{
        f"output_size.{row}.{key}": ("output-size", "arrays", "settings", row, column)
        for row in range(5)
        for column, key in enumerate(("W", "F", "P", "S", "filters", "channels"))
    },
    **{f"output_size.{row}.printed_output": ("output-size", "arrays", "output", row) for row in range(5)},
    "article_network.input": ("parameters", "values", "shapes", 0),
    "article_network.layers": None,  # in the article's words; what they say is checked below
    "article_network.printed_shapes": ("parameters", "values", "shapes"),
    "article_network.printed_params": ("parameters", "values", "parameters"),
    "article_network.printed_total": ("parameters", "values", "total"),
    "article_network.derived_params_two_units": ("parameters", "values", "parameters two units"),
    "article_network.derived_total_two_units": ("parameters", "values", "total two units"),
    "article_network.training.images": ("parameters", "values", "images"),
    "article_network.training.classes": ("parameters", "values", "classes"),
    "article_network.training.resize": ("parameters", "values", "resize"),
    "article_network.training.loss": ("parameters", "values", "loss"),
    "article_network.training.optimizer": ("parameters", "values", "optimizer"),
    "article_network.training.epochs": ("parameters", "values", "epochs"),
    "article_network.training.batch_size": ("parameters", "values", "batch size"),
    "article_network.training.validation_split": ("parameters", "values", "validation split"),
    "article_network.training.metric": ("parameters", "values", "metric"),
    "article_network.note": None,
}


@pytest.fixture(scope="module")
def walk() -> tuple[Lesson, ...]:
    return lessons()


@pytest.fixture(scope="module")
def printed(walk: tuple[Lesson, ...]) -> dict[str, Any]:
    """The output of `pellucid article --json`, parsed."""
    return json.loads(json.dumps(as_json(walk), allow_nan=False))["lessons"]


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key path of figures.json with its value; a list of numbers or of words counts as one value."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    if isinstance(content, dict) or (isinstance(content, list) and isinstance(content[0], dict)):
        for key, value in inner:
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, content


def resolved(value: Any) -> Any:
    """The value behind a reference: "six_by_six.printed_image"."""
    if isinstance(value, str) and "." in value and value.split(".")[0] in FIGURES:
        section, key = value.split(".")
        return FIGURES[section][key]
    return value


def looked_up(printed: dict[str, Any], place: tuple[str | int, ...]) -> Any:
    lesson, kind, name, *inside = place
    content = printed[str(lesson)][str(kind)][str(name)]["numbers" if kind == "arrays" else "value"]
    for index in inside:
        content = content[index]
    return content


def test_every_key_of_the_figures_has_its_place() -> None:
    assert set(PLACES) == {path for path, _ in leaves(FIGURES)}


@pytest.mark.parametrize(("path", "figure"), [leaf for leaf in leaves(FIGURES) if PLACES[leaf[0]] is not None])
def test_the_figure_stands_at_its_place(printed: dict[str, Any], path: str, figure: Any) -> None:
    place = PLACES[path]
    assert place is not None
    computed, expected = looked_up(printed, place), resolved(figure)
    if isinstance(expected, str) or (isinstance(expected, list) and isinstance(expected[0], str)):
        assert computed == expected
    elif path == "article_network.printed_shapes":
        assert computed == expected  # rows of different lengths
    else:
        assert np.shape(computed) == np.shape(expected)
        np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-9)


def test_no_number_of_the_figures_is_missing(printed: dict[str, Any]) -> None:
    def numbers(content: Any) -> Iterator[float]:
        if isinstance(content, dict | list):
            for each in content.values() if isinstance(content, dict) else content:
                yield from numbers(each)
        elif isinstance(content, int | float) and not isinstance(content, bool):
            yield content

    bag = np.unique(np.round(list(numbers(printed)), 9))
    missing = [number for number in numbers(FIGURES) if np.abs(bag - number).min() > 1e-9]
    assert missing == []


def test_what_the_article_calls_its_layers(printed: dict[str, Any]) -> None:
    assert FIGURES["article_network"]["layers"] == [
        "conv 10 filters 5x5 stride 1 valid relu",
        "max pool 2x2",
        "flatten",
        "dense softmax",
    ]
    # stride 1 and no padding are our defaults; softmax belongs to the loss
    assert looked_up(printed, ("parameters", "values", "layers")) == [
        "conv(10, 5)",
        "relu",
        "maxpool(2)",
        "flatten",
        "dense(2)",
    ]


def test_what_is_a_result_is_computed(walk: tuple[Lesson, ...]) -> None:
    roles = {(lesson.name, grid.name): grid.role for lesson in walk for grid in lesson.arrays}
    inputs = {"image", "printed_image", "derived_image", "printed_weight", "printed_weights"}
    for path, place in PLACES.items():
        if place is not None and place[1] == "arrays" and place[2] != "settings":
            wanted = "given" if path.split(".")[-1] in inputs else "computed"
            if path == "stride_two.misprinted_output":
                wanted = "misprinted"
            assert roles[str(place[0]), str(place[2])] == wanted, path
    stride = next(lesson for lesson in walk if lesson.name == "stride")
    assert (stride.value("lower right"), stride.value("misprinted")) == (851, 412)
    assert stride.value("where 412 is") == [1, 2]


def test_every_working_adds_up(walk: tuple[Lesson, ...]) -> None:
    count = 0
    for lesson in walk:
        for working in lesson.workings:
            count += 1
            assert working.total == pytest.approx(sum(part.total for part in working.parts), **CLOSE)
            for part in working.parts:
                values = [term.value for term in part.terms]
                assert part.total == pytest.approx(max(values) if part.pick == "max" else sum(values), **CLOSE)
            if working.terms:
                assert working.terms[-1].running == pytest.approx(working.total, **CLOSE)
    assert count > 100


def test_a_working_names_what_it_is_made_of(walk: tuple[Lesson, ...]) -> None:
    first = next(lesson for lesson in walk if lesson.name == "six-by-six").working("output[0, 0]")
    assert first.rule == "output[y, x] = sum over ky, kx of picture[y + ky, x + kx] * filter[ky, kx]"
    assert [term.written for term in first.terms][:2] == ["18 * 1", "54 * 0"]
    assert [str(factor) for factor in first.terms[5].factors] == ["picture[1, 2]", "filter[1, 2]"]
    assert [term.running for term in first.terms] == [18, 18, 69, 69, 190, 190, 225, 225, 429]
    padded = next(lesson for lesson in walk if lesson.name == "same-padding").working("output[0, 0]")
    assert [factor.inside for factor in padded.terms[0].factors] == [False, True]
    largest = next(lesson for lesson in walk if lesson.name == "pooling").working("largest[0, 0]")
    assert [term.won for term in largest.terms] == [False, False, False, True]


def test_two_filters_together_hold_the_whole_picture(walk: tuple[Lesson, ...]) -> None:
    recovered = next(lesson for lesson in walk if lesson.name == "two-filters").array("recovered")
    np.testing.assert_allclose(
        recovered, [material.PICTURE_FOR_PAIRS[:, :3], material.PICTURE_FOR_PAIRS[:, 1:]], atol=1e-9
    )


def test_filters_on_a_photograph_are_pytorchs() -> None:
    photo = np.random.default_rng(3).integers(0, 256, (33, 40, 3)).astype(np.uint8)
    edges, depth = lessons(photo, only="edges-and-blur")[0], lessons(photo, only="depth")[0]
    grey = photo @ material.GREY
    np.testing.assert_allclose(edges.array("grey"), grey, atol=1e-9)
    for grid in edges.arrays[2::2]:
        kernel = edges.array(f"{grid.name} filter")
        wanted = nn.functional.conv2d(torch.tensor(grey)[None, None], torch.tensor(kernel)[None, None], padding="same")
        np.testing.assert_allclose(grid.numbers, wanted[0, 0].numpy(), atol=1e-9)
    colours = torch.tensor(photo[0:32, 4:36].transpose(2, 0, 1).astype(np.float64))
    wanted = nn.functional.conv2d(
        colours[None], torch.tensor(material.DEPTH_FILTERS), torch.tensor(material.DEPTH_BIAS)
    )
    assert wanted.shape == (1, 10, 28, 28)
    np.testing.assert_allclose(depth.array("output"), wanted[0, :, 14, 14].numpy(), atol=1e-9)
    assert len(depth.working("output[1, 14, 14]").terms) == 76


@pytest.mark.parametrize("loss_name", ["cross-entropy", "squared error"])
def test_the_training_cycle_is_pytorchs(loss_name: str) -> None:
    cycle = Cycle(material.TINY_WEIGHTS, loss_name)
    network = tiny()
    optimizer = torch.optim.SGD(network.parameters(), lr=material.RATE)
    before = loss(network, loss_name)
    before.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(cycle.gradients[name], parameter.grad.numpy(), rtol=0, atol=1e-12)
    optimizer.step()
    for name, parameter in network.named_parameters():
        np.testing.assert_allclose(cycle.after.weights[name], parameter.detach().numpy(), rtol=0, atol=1e-12)
    after = loss(network, loss_name)
    assert float(cycle.loss.output) == pytest.approx(before.item(), **CLOSE)
    assert float(cycle.after.loss.output) == pytest.approx(after.item(), **CLOSE)
    assert after < before


@pytest.mark.parametrize("loss_name", ["cross-entropy", "squared error"])
def test_the_gradients_are_slopes(loss_name: str) -> None:
    """Central differences of the loss that the declarations compute."""
    step = 1e-5
    for name, weight in material.TINY_WEIGHTS.items():
        for index in np.ndindex(*weight.shape):
            ends = []
            for sign in (1, -1):
                moved = weight.copy()
                moved[index] += sign * step
                ends.append(float(Cycle({**material.TINY_WEIGHTS, name: moved}, loss_name).loss.output))
            slope = (ends[0] - ends[1]) / (2 * step)
            computed = Cycle(material.TINY_WEIGHTS, loss_name).gradients[name][index]
            assert computed == pytest.approx(slope, rel=0, abs=1e-8)


def test_the_cycles_lessons_show_the_cycle(walk: tuple[Lesson, ...]) -> None:
    by_name = {lesson.name: lesson for lesson in walk}
    forward, backward, update = (by_name[f"training-{step}"] for step in ("forward", "backward", "update"))
    with torch.no_grad():
        value = torch.tensor(material.TINY_PICTURE)[None, None]
        for name, module in tiny().named_children():
            value = module(value)
            np.testing.assert_allclose(forward.array(name).ravel(), value.numpy().ravel(), atol=1e-12)
    # every number of every layer, every gradient of a number after the picture, every weight's step has a working
    assert len(forward.workings) == 8 + 8 + 2 + 2 + 2
    assert len(backward.workings) == 1 + 2 + 2 + (4 + 2 + 2) + (2 + 8 + 8) + (8 + 2)
    assert len(update.workings) == sum(weight.size for weight in material.TINY_WEIGHTS.values())
    for name in material.TINY_WEIGHTS:
        shown = backward.array(f"gradient of {name}").ravel()
        worked = [w.total for w in backward.workings if w.of.name == f"gradient of {name}"]
        np.testing.assert_array_equal(shown, worked)
    assert update.value("loss after") < update.value("loss before")
    assert update.value("truth after") > update.value("truth before")


def test_both_losses_and_their_gradients_are_pytorchs(walk: tuple[Lesson, ...]) -> None:
    lesson = next(lesson for lesson in walk if lesson.name == "softmax-and-losses")
    scores = torch.tensor(material.SCORES, requires_grad=True)
    truth = torch.eye(3, dtype=torch.float64)[material.SCORES_TRUTH]
    entropy = nn.functional.cross_entropy(scores, truth)
    squared = nn.functional.mse_loss(scores.softmax(0), truth)
    for value, name in ((entropy, "cross-entropy"), (squared, "squared error")):
        assert lesson.value(name)[material.SCORES_TRUTH] == pytest.approx(value.item(), **CLOSE)
        (gradient,) = torch.autograd.grad(value, scores, retain_graph=True)
        np.testing.assert_allclose(lesson.array(f"{name} gradient"), gradient.numpy(), atol=1e-12)
    np.testing.assert_allclose(lesson.array("difference"), lesson.array("cross-entropy gradient"), atol=1e-12)


def test_names_are_unique_and_in_order(walk: tuple[Lesson, ...]) -> None:
    assert tuple(lesson.name for lesson in walk) == NAMES
    for lesson in walk:
        for several in (lesson.arrays, lesson.workings, lesson.values):
            names = [each.name for each in several]
            assert len(set(names)) == len(names), lesson.name


def test_one_lesson_alone_is_the_same() -> None:
    (alone,) = lessons(only="stride")
    assert alone.as_json() == as_json(lessons())["lessons"]["stride"]


def test_a_lesson_that_there_is_not() -> None:
    with pytest.raises(TraceError, match=r"no lesson 'strides'. Did you mean stride\? Lessons: picture, "):
        lessons(only="strides")


@pytest.mark.parametrize("shape", [(36, 36), (36, 36, 4), (31, 36, 3), (36, 65, 3)])
def test_a_photograph_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(TraceError, match=r"each side from 32 to 64 pixels"):
        lessons(np.zeros(shape, np.uint8))


def test_without_a_photograph_it_says_so() -> None:
    (lesson,) = lessons(only="edges-and-blur")
    assert lesson.arrays[0].title == DRAWN
    (lesson,) = lessons(np.zeros((32, 32, 3), np.uint8), "a black square", only="edges-and-blur")
    assert lesson.arrays[0].title == "a black square"


def tiny() -> nn.Sequential:
    """The cycle's network in PyTorch, float64, with the cycle's weights."""
    from pellucid.network.text import parse

    network = parse(material.TINY).module((1, 3, 3), 2).double()
    network.load_state_dict({name: torch.tensor(weight) for name, weight in material.TINY_WEIGHTS.items()})
    return network


def loss(network: nn.Module, name: str) -> torch.Tensor:
    scores = network(torch.tensor(material.TINY_PICTURE)[None, None])
    if name == "cross-entropy":
        return nn.functional.cross_entropy(scores, torch.tensor([material.TINY_TRUTH]))
    target = torch.eye(2, dtype=torch.float64)[material.TINY_TRUTH][None]
    return nn.functional.mse_loss(scores.softmax(1), target)
