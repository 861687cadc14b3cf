"""Formulas: values, derivatives, text and JSON of the same tree agree."""

import json
import math
import operator
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.expression import (
    Expression,
    at_least,
    equal,
    erf,
    exp,
    expression,
    floor,
    greater,
    log,
    maximum,
    minimum,
    names,
    number,
    power,
    sigmoid,
    sqrt,
    tanh,
    where,
)

X, Y, W = names("x", "y", "w")
MANY = settings(max_examples=150, deadline=None)
SMOOTH = [operator.add, operator.sub, operator.mul, operator.truediv, maximum, minimum, lambda a, b: where(a, b, W)]
PAIRS = [*SMOOTH, greater, at_least, equal]
ALONE = [exp, log, sqrt, tanh, erf, sigmoid, floor, operator.neg, lambda a: power(a, 2), lambda a: power(a, -1.5)]


def trees(pairs=PAIRS, alone=ALONE):
    leaves = st.one_of(st.sampled_from([X, Y, W]), st.sampled_from([-2.5, -1, 0, 1, 2, 3.25]).map(expression))

    def grow(inner):
        grown = st.tuples(st.sampled_from(pairs), inner, inner).map(lambda node: node[0](node[1], node[2]))
        if alone:
            grown |= st.tuples(st.sampled_from(alone), inner).map(lambda node: node[0](node[1]))
        return grown

    return st.recursive(leaves, grow, max_leaves=8)


NUMBERS = st.fixed_dictionaries({name: st.floats(0.3, 2.5) for name in "xyw"})


def at(tree: Expression, numbers: dict[str, float]) -> float:
    with np.errstate(all="ignore"):
        return float(tree.evaluate({name: np.array(number, np.float64) for name, number in numbers.items()}))


def parts(tree: Expression) -> Iterator[Expression]:
    yield tree
    for argument in tree.arguments:
        yield from parts(argument)


def roots_of_zero(tree: Expression, numbers: dict[str, float]) -> bool:
    """Whether there is a square root of zero whose argument stays zero: its slope is 0 times infinity."""
    return any(part.head == "sqrt" and at(part, numbers) == 0 for part in parts(tree))


@MANY
@given(trees(), NUMBERS)
def test_derivatives_are_those_of_central_differences(tree: Expression, numbers: dict[str, float]) -> None:
    assume(not roots_of_zero(tree, numbers))
    for name in "xyw":

        def moved(step: float, name: str = name) -> float:
            return at(tree, numbers | {name: numbers[name] + step})

        step = 1e-6
        right, left, here = moved(step), moved(-step), moved(0)
        assume(np.isfinite([right, left]).all() and all(np.isfinite(at(part, numbers)) for part in parts(tree)))
        after, before = (right - here) / step, (here - left) / step
        # not at a jump or a bend within the step
        assume(abs(after - before) <= 1e-3 * (1 + abs(after)) and abs(here) < 1e4 and abs(after) < 1e4)
        measured = (right - left) / (2 * step)
        assert at(tree.derivative(name), numbers) == pytest.approx(measured, rel=1e-4, abs=1e-4 * (1 + abs(here)))


# Python has no number for a comparison, and no real root of a negative number
PYTHON_PAIRS = [
    *SMOOTH,
    lambda a, b: greater(a, b) * W,
    lambda a, b: at_least(a, b) * W,
    lambda a, b: equal(a, b) * W,
]
PYTHON_ALONE = [*ALONE[:-1], lambda a: power(a, 3)]
PYTHON = {"max": np.maximum, "min": np.minimum, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh}
PYTHON |= {"where": np.where, "floor": np.floor}


def on_a_step(tree: Expression, numbers: dict[str, float]) -> bool:
    """Whether a rounded number is nearly whole: sums in another order may round to the other side."""
    below = [at(part.arguments[0], numbers) for part in parts(tree) if part.head == "floor"]
    return any(abs(value - round(value)) < 1e-9 for value in below if math.isfinite(value))


@MANY
@given(trees(PYTHON_PAIRS, PYTHON_ALONE), NUMBERS)
def test_the_text_means_what_the_tree_means(tree: Expression, numbers: dict[str, float]) -> None:
    rounded = {name: round(number, 3) for name, number in numbers.items()}
    value = at(tree, rounded)
    assume(math.isfinite(value) and not on_a_step(tree, rounded))
    known = PYTHON | {"erf": math.erf}
    with np.errstate(all="ignore"):
        for text, result in (
            (str(tree), {name: np.float64(number) for name, number in rounded.items()}),
            (tree.written({name: f"{number}" for name, number in rounded.items()}), {}),
        ):
            try:
                again = float(eval(numeric(text), known | result))
            except ZeroDivisionError:  # of two numbers, which are not NumPy's
                assume(False)
            assert again == pytest.approx(value, rel=1e-9, abs=1e-9), text


def numeric(text: str) -> str:
    """Powers as in Python."""
    return text.replace("^", "**")


@MANY
@given(trees(alone=[operator.neg, lambda a: power(a, 2)], pairs=[operator.add, operator.sub, operator.mul]), NUMBERS)
def test_negative_numbers_put_in_for_names_keep_their_meaning(tree: Expression, numbers: dict[str, float]) -> None:
    negative = {name: -round(number, 3) for name, number in numbers.items()}
    text = tree.written({name: f"{number}" for name, number in negative.items()})
    assert float(eval(numeric(text))) == pytest.approx(at(tree, negative), rel=1e-9, abs=1e-9), text


@MANY
@given(trees(), NUMBERS)
def test_the_magnitude_is_no_smaller_than_the_value(tree: Expression, numbers: dict[str, float]) -> None:
    values = {name: np.array(number, np.float64) for name, number in numbers.items()}
    with np.errstate(all="ignore"):
        value, size = float(tree.evaluate(values)), float(tree.magnitude(values, values))
    assume(math.isfinite(value) and math.isfinite(size))
    assert size >= abs(value) * (1 - 1e-12)


@MANY
@given(trees())
def test_json_is_the_tree(tree: Expression) -> None:
    assert rebuilt(tree.as_json()) == tree


def rebuilt(data) -> Expression:
    if isinstance(data, str):
        return names(data)[0]
    if not isinstance(data, list):
        return Expression("number", leaf=data)
    head, *arguments = data
    if head == "power":
        return Expression("power", (rebuilt(arguments[0]),), arguments[1])
    return Expression(head, tuple(map(rebuilt, arguments)))


@pytest.mark.parametrize(
    ("tree", "text", "data"),
    [
        (X * W + Y, "x * w + y", ["+", ["*", "x", "w"], "y"]),
        ((X + W) * Y, "(x + w) * y", ["*", ["+", "x", "w"], "y"]),
        (X - (W + Y), "x - (w + y)", ["-", "x", ["+", "w", "y"]]),
        (X - W + Y, "x - w + y", ["+", ["-", "x", "w"], "y"]),
        (X / (W * Y), "x / (w * y)", ["/", "x", ["*", "w", "y"]]),
        (X / W * Y, "x / w * y", ["*", ["/", "x", "w"], "y"]),
        (maximum(X * W, 0), "max(x * w, 0)", ["max", ["*", "x", "w"], 0]),
        (greater(X, 0) * W, "(x > 0) * w", ["*", [">", "x", 0], "w"]),
        (at_least(X, 0) * W, "(x >= 0) * w", ["*", [">=", "x", 0], "w"]),
        (1 - equal(X, W), "1 - (x == w)", ["-", 1, ["==", "x", "w"]]),
        (where(X, W, number(-math.inf)), "where(x, w, -inf)", ["where", "x", "w", ["*", -1, ["infinity"]]]),
        (floor(X / 2), "floor(x / 2)", ["floor", ["/", "x", 2]]),
        (number(0.5), "0.5", 0.5),
        (power(X + 1, 3), "(x + 1)^3", ["power", ["+", "x", 1], 3]),
        (power(power(X, 2), 3), "(x^2)^3", ["power", ["power", "x", 2], 3]),
        (power(-X, 2), "(-x)^2", ["power", ["*", -1, "x"], 2]),
        (-(X + W), "-(x + w)", ["*", -1, ["+", "x", "w"]]),
        (-1 * -X, "-(-x)", ["*", -1, ["*", -1, "x"]]),
        (sqrt(X + 1e-5), "sqrt(x + 1e-05)", ["sqrt", ["+", "x", 1e-5]]),
    ],
)
def test_text_and_json_by_hand(tree: Expression, text: str, data: list) -> None:
    assert str(tree) == text
    assert tree.as_json() == data


@pytest.mark.parametrize(
    ("tree", "derivative"),
    [
        (X * W, "w"),
        (maximum(X * W, 0), "(x * w > 0) * w"),
        (W / X, "-(w / (x * x))"),
        (power(X, 3), "x^2 * 3"),
        (X * X, "x + x"),
        (exp(X), "exp(x)"),
        (log(X), "1 / x"),
        (sqrt(X), "0.5 / sqrt(x)"),
        (tanh(X), "1 - tanh(x) * tanh(x)"),
        (greater(X, W), "0"),
        (at_least(X, W), "0"),
        (equal(X, W), "0"),
        (floor(X * X), "0"),
        (where(X, X * W, Y), "where(x, w, 0)"),
        (where(X, W, Y), "0"),
        (W * Y + 3, "0"),
    ],
)
def test_derivatives_by_hand(tree: Expression, derivative: str) -> None:
    assert str(tree.derivative("x")) == derivative


def test_what_is_not_chosen_does_not_count() -> None:
    tree = where(greater(X, 0), log(X), number(-math.inf))
    for x, value, slope in ((2.0, math.log(2), 0.5), (-2.0, -math.inf, 0)):
        assert at(tree, {"x": x}) == value
        assert at(tree.derivative("x"), {"x": x}) == slope
    values = {"x": np.array(2.0)}
    assert np.isfinite(tree.magnitude(values, values))
    with pytest.raises(ValueError, match="Out of range"):
        json.dumps(expression(math.inf).as_json(), allow_nan=False)
    assert json.dumps(number(math.inf).as_json(), allow_nan=False) == '["infinity"]'


def test_what_is_known_to_be_0_or_1_is_left_out() -> None:
    assert X + 0 == 0 + X == X * 1 == 1 * X == X / 1 == X - 0 == power(X, 1) == X
    assert X * 0 == 0 * X == 0 / X == expression(0)
    assert 0 - X == -X
    assert expression(2) * 3 == expression(6.0)


def test_at_a_tie_the_derivative_is_that_of_the_second() -> None:
    at_0 = {"x": 0.0, "y": 0.0, "w": 0.0}
    assert [at(tree.derivative("x"), at_0) for tree in (maximum(X, 0), maximum(0, X))] == [0, 1]
    assert [at(tree.derivative("x"), at_0) for tree in (minimum(X, 0), minimum(0, X))] == [0, 1]


def test_names_stand_in_reading_order_each_once() -> None:
    assert list((W * X + maximum(X, Y) * W).names()) == ["w", "x", "y"]


def test_values_are_written_in_place_of_names() -> None:
    assert (X * W).written({"x": "18", "w": "-0.5"}) == "18 * -0.5"
    assert power(X, 2).written({"x": "-0.5"}) == "(-0.5)^2"
    assert (-X).written({"x": "-0.5"}) == "-(-0.5)"


def test_arrays_are_broadcast_and_float64() -> None:
    result = (X * W + 1).evaluate({"x": np.ones((2, 1), np.float32), "w": np.arange(3)})  # type: ignore[arg-type]
    assert result.tolist() == [[1, 2, 3]] * 2
    assert result.dtype == np.float64


def test_sigmoid_does_not_overflow() -> None:
    assert at(sigmoid(X), {"x": -1000.0}) == 0
    assert at(sigmoid(X), {"x": 1000.0}) == 1
    assert at(sigmoid(X), {"x": math.log(3)}) == pytest.approx(0.75)


def test_magnitudes_by_hand() -> None:
    numbers = {"x": np.array(3.0), "w": np.array(-4.0), "y": np.array(12.0)}
    sizes = {name: np.abs(number) for name, number in numbers.items()}

    def size(tree: Expression) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(tree.magnitude(numbers, sizes))

    assert size(X + W) == 7  # though the sum is -1
    assert size((X + W) * Y) == 7 * 12
    assert size(Y - X * 4) == 24  # though the difference is 0
    assert size(Y / X) == 8  # 12/3 + 12*3/9
    assert size(exp(X + W)) == pytest.approx(math.exp(-1) * (1 + 7))
    # of 0: a rounding of 2^-24 * 24 changes the root by 2^-12 * sqrt(24)
    assert size(sqrt(Y + W * 3)) == pytest.approx(2**12 * math.sqrt(24))
    assert size(power(Y + W * 3, 0.5)) == pytest.approx(2**12 * math.sqrt(24))
    assert size(sqrt(X * 3 + Y * 4 - Y * 4)) == pytest.approx(105 / 6)  # by the slope, 1 / (2 * 3)
    assert size(sqrt(Y * 3)) == pytest.approx(6)
    assert size(where(greater(X, 5), Y / 0, X)) == 3
    assert 0 < size(exp(X * -100)) < 2**-100  # what underflow loses
    assert size(greater(X, W)) == 1
    assert size(erf(X + W)) == pytest.approx(1 + 2 / math.sqrt(math.pi) * math.exp(-1) * 7)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\(3,\) is neither a formula nor a number"):
        maximum(X, (3,))  # type: ignore[arg-type]
