"""The graph resizes like `Form.apply`, bit for bit, with every fit, filter and proportion."""

from itertools import product

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.exports.expressions import Expression
from pellucid.exports.pairs import Pair
from pellucid.exports.resizing import resized
from pellucid.network.onnx_graph import GraphWriter, Value
from pellucid.pictures.decode import Form
from pellucid.runtime import sessions

SIZES = ((1, 1), (3, 300), (300, 3), (40, 64), (97, 150), (150, 97), (400, 33), (1, 50), (5, 7))


def graph(form: Form, numbers: type[Expression] | type[Pair] = Expression) -> bytes:
    writer = GraphWriter()
    writer.add("Identity", [resized(writer, form, "image", numbers)], "y")
    shape = (1, form.channels, form.height, form.width)
    return writer.model([Value("image", "uint8", ("height", "width", 3))], [Value("y", "float32", shape)])


def by_graph(run: sessions.Run, image: np.ndarray) -> np.ndarray:
    return run(image)[0].transpose(1, 2, 0)


@pytest.mark.parametrize(
    "form",
    [
        *(
            Form(40, 64, 3, fit, 1.0, kernel)
            for fit, kernel in product(("pad", "crop", "stretch"), ("bilinear", "plain"))
        ),
        *(Form(40, 64, 1, fit, 1.0, "bicubic") for fit in ("pad", "crop", "stretch")),
        Form(32, 32, 3, "crop", 0.875, "bicubic"),
        Form(7, 5, 3, "pad"),
    ],
    ids=str,
)
def test_the_same_bytes(form: Form) -> None:
    run, numbers = sessions.opened(graph(form)), np.random.default_rng(0)
    for size in SIZES:
        image = numbers.integers(0, 256, (*size, 3), np.uint8)
        expected = form.apply(image)
        assert np.array_equal(by_graph(run, image), expected), size
        sharp = np.where(image > 127, 255, 0).astype(np.uint8)  # makes overshoots, and sums that end in a half
        assert np.array_equal(by_graph(run, sharp), form.apply(sharp)), size


@pytest.mark.parametrize(
    "form", [Form(40, 64, 3, "pad"), Form(32, 30, 1, "crop", 0.875, "bicubic"), Form(9, 10, 3, "stretch", 1.0, "plain")]
)
def test_pairs_of_float32_give_the_same_bytes(form: Form) -> None:
    """They are for OpenVINO, but ONNX Runtime computes them too."""
    run, numbers = sessions.opened(graph(form, Pair)), np.random.default_rng(0)
    for size in (*SIZES, (36, 45), (45, 36), (1000, 750)):  # among them sides that are a half of a pixel after scaling
        image = numbers.integers(0, 256, (*size, 3), np.uint8)
        assert np.array_equal(by_graph(run, image), form.apply(image)), size


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from(["pad", "crop", "stretch"]),
    st.sampled_from(["bilinear", "bicubic", "plain"]),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_no_byte_differs_by_more_than_one(size, wanted, fit, kernel, seed) -> None:
    form = Form(*wanted, 3, fit, 1.0, kernel)
    image = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    difference = np.abs(by_graph(sessions.opened(graph(form)), image) - form.apply(image))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.01 or (difference > 0).sum() <= 1


def test_a_large_picture_with_windows_of_hundreds_of_numbers() -> None:
    form = Form(8, 8, 3, "stretch")
    image = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    assert np.abs(by_graph(sessions.opened(graph(form)), image) - form.apply(image)).max() <= 1


def test_onnx_accepts_the_graph() -> None:
    onnx.checker.check_model(onnx.load_from_string(graph(Form(8, 8, 1, "pad", 1.0, "bicubic"))), full_check=True)
