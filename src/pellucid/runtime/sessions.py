"""ONNX graphs run by ONNX Runtime, each run on the thread that calls it.

A runtime's own threads wait for each other by spinning; here each core takes pictures of its own instead, as everywhere
in this package. ONNX Runtime is imported with the first session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ExportError

Run = Callable[[NDArray[Any]], NDArray[np.float32]]


def installed() -> bool:
    """Whether ONNX Runtime can be imported."""
    return find_spec("onnxruntime") is not None


def version() -> str:
    """Of the ONNX Runtime that is installed. Raises ImportError."""
    import onnxruntime

    return str(onnxruntime.__version__)


def opened(model: bytes, weights: Mapping[str, NDArray[Any]] | None = None) -> Run:
    """What runs a graph of one input; several threads may call it at once. It gives the first output.

    `model`: the graph's bytes. `weights`: the constants that the bytes do not hold, by name; their memory is used and
    not copied. Raises ExportError where ONNX Runtime does not take the graph.
    """
    return _run(_session(model, weights or {}), 0)


def with_metadata(model: bytes, output: str) -> tuple[Run, dict[str, str]]:
    """What runs a graph of one input and gives the output of that name, and the texts that the model carries.

    Raises ExportError where ONNX Runtime does not take the graph, or there is no such output.
    """
    session = _session(model, {})
    names = [each.name for each in session.get_outputs()]
    if output not in names:
        raise ExportError(f"it has no output {output!r}")
    return _run(session, names.index(output)), session.get_modelmeta().custom_metadata_map


def _session(model: bytes, weights: Mapping[str, NDArray[Any]]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised too
    try:
        if weights:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(numbers) for numbers in weights.values()]
            options.add_external_initializers(list(weights), values)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own kinds of error have no common base but this
        raise ExportError(f"ONNX Runtime {version()} does not take the graph: {error}") from error


def _run(session: Any, output: int) -> Run:
    (pixels,), name = session.get_inputs(), session.get_outputs()[output].name

    def run(numbers: NDArray[Any]) -> NDArray[np.float32]:
        return session.run([name], {pixels.name: numbers})[0]  # type: ignore[no-any-return]

    return run
