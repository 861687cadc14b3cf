"""The bytes of a model, read by onnx's own parser and run by ONNX Runtime."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from pellucid.network.onnx_graph import FORMAT, OPSET, TYPES, GraphWriter, Place, Value, described
from pellucid.runtime import sessions


def add(writer: GraphWriter, numbers: np.ndarray) -> bytes:
    """A model that adds numbers to its input."""
    writer.add("Add", ["x", writer.weight("a.weight", numbers)], "y")
    shape = numbers.shape
    return writer.model([Value("x", "float32", shape)], [Value("y", "float32", shape)], {"name": "größer\n", "": ""})


def test_onnx_reads_what_was_written() -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = onnx.load_from_string(add(GraphWriter(), numbers))
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version, model.producer_name) == (FORMAT, OPSET, "pellucid")
    assert np.array_equal(numpy_helper.to_array(model.graph.initializer[0]), numbers)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"name": "größer\n", "": ""}
    (taken,) = model.graph.input
    assert [dimension.dim_value for dimension in taken.type.tensor_type.shape.dim] == [2, 3]


@given(st.dictionaries(st.text(max_size=300), st.text(max_size=300), max_size=4))
def test_metadata_can_be_appended_to_a_model(texts: dict[str, str]) -> None:
    model = onnx.load_from_string(GraphWriter().model([], []) + described(texts))
    written = {key.encode("utf-8", "backslashreplace").decode(): value for key, value in texts.items()}
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        key: value.encode("utf-8", "backslashreplace").decode() for key, value in written.items()
    }


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.floats(width=32, allow_nan=False),
    st.text(max_size=200),
)
def test_attributes_of_every_kind(whole: int, several: list[int], fraction: float, text: str) -> None:
    writer = GraphWriter()
    writer.add("Any", ["a", "b"], i=whole, ints=several, f=fraction, s=text)
    (node,) = onnx.load_from_string(writer.model([], [])).graph.node
    attributes = {
        each.name: onnx.helper.get_attribute_value(each) for each in node.attribute if each.ints or each.name != "ints"
    }
    assert attributes["i"] == whole
    assert list(attributes.get("ints", [])) == several
    assert attributes["f"] == fraction
    assert attributes["s"] == text.encode("utf-8", "backslashreplace")


@pytest.mark.parametrize("kind", TYPES)
def test_constants_of_every_type(kind: str) -> None:
    numbers = np.array([[0, 1, 1], [1, 0, 1]]).astype(kind)
    writer = GraphWriter()
    writer.constant("c", numbers.T)  # not in row-major order
    writer.constant("big", numbers.astype(np.dtype(kind).newbyteorder(">")))
    first, second = onnx.load_from_string(writer.model([], [])).graph.initializer
    assert np.array_equal(numpy_helper.to_array(first), numbers.T)
    assert np.array_equal(numpy_helper.to_array(second), numbers)
    assert numpy_helper.to_array(first).dtype == kind


def test_every_value_has_a_different_name() -> None:
    writer = GraphWriter()
    names = [writer.add("Relu", ["x"]), writer.add("Relu", ["x"]), writer.scalar(1), writer.scalar(2)]
    assert len(set(names)) == 4


def test_external_weights_come_from_the_file_or_from_memory(tmp_path) -> None:
    numbers = np.array([1, 2, 3], np.float32)
    (tmp_path / "numbers.bin").write_bytes(b"head" + numbers.tobytes() + b"tail")
    writer = GraphWriter(lambda name: Place("numbers.bin", 4, 12))
    content = add(writer, numbers)
    (tmp_path / "model.onnx").write_bytes(content)
    loaded = onnx.load(str(tmp_path / "model.onnx"))
    assert np.array_equal(numpy_helper.to_array(loaded.graph.initializer[0]), numbers)
    run = sessions.opened(content, {"a.weight": numbers * 2})
    assert run(np.array([0, 0, 1], np.float32)).tolist() == [2, 4, 7]
