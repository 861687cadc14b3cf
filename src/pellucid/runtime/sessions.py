"""Run ONNX graphs by ONNX Runtime, each run on the calling thread.

ONNX Runtime's own threads would spin while they wait for each other. So each core takes its own pictures instead, as
everywhere in this package. ONNX Runtime is imported with the first session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ExportError

Run = Callable[[NDArray[Any]], NDArray[np.float32]]
"""The graph's input, in the type and shape that the graph declares -> one of its outputs."""

Outputs = Callable[[NDArray[np.uint8]], Sequence[NDArray[np.float32]]]
"""An image, uint8 (H, W, 3) -> the requested outputs of an exported file, in order."""


def installed() -> bool:
    """Whether ONNX Runtime can be imported."""
    return find_spec("onnxruntime") is not None


def version() -> str:
    """The version of the installed ONNX Runtime. Raises ImportError if there is none."""
    import onnxruntime

    return str(onnxruntime.__version__)


def opened(model: bytes, weights: Mapping[str, NDArray[Any]] | None = None, optimised: bool = True) -> Run:
    """A function from the only input of a graph to its first output. Several threads may call it at once.

    `model`: the graph's bytes. `weights`: the constants that these bytes do not hold, by name; their memory is used,
    not copied. `optimised`: False opens the graph as it is, which takes less time than a few pictures would save.
    Raises ExportError if ONNX Runtime does not accept the graph.
    """
    options = _options(optimised)
    if weights:
        import onnxruntime

        values = [onnxruntime.OrtValue.ortvalue_from_numpy(numbers) for numbers in weights.values()]
        options.add_external_initializers(list(weights), values)
    return _run(_session(model, options), 0)


def opened_beside(model: bytes, file: str, content: bytes) -> Run:
    """The same, not optimised, for a graph whose constants are in one file. `content`: the bytes of `file`."""
    options = _options(optimised=False)
    options.add_external_initializers_from_files_in_memory([file], [content], [len(content)])
    return _run(_session(model, options), 0)


def with_metadata(model: bytes, outputs: Sequence[str]) -> tuple[Outputs, dict[str, str]]:
    """(function from the only input of a graph to the named outputs, the model's metadata). `model`: the bytes.

    Several threads may call the function at once. Raises ExportError if ONNX Runtime does not accept the graph, or if
    the graph lacks an output.
    """
    session = _session(model, _options())
    try:
        names, inputs = [each.name for each in session.get_outputs()], session.get_inputs()
        texts = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError as error:
        raise ExportError(f"a name or text in it is not UTF-8: {error}") from error
    missing = [name for name in outputs if name not in names]
    if missing:
        raise ExportError(f"it has no output {missing[0]!r}")
    if len(inputs) != 1:
        raise ExportError(f"it has {len(inputs)} inputs instead of one")

    def run(image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        return session.run(list(outputs), {inputs[0].name: image})  # type: ignore[no-any-return]

    return run, texts


def _options(optimised: bool = True) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal only: errors are raised as well
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _session(model: bytes, options: Any) -> Any:
    import onnxruntime

    try:
        # the fallback would print the error and try the same again
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # the runtime's errors have no other common base
        raise ExportError(f"ONNX Runtime {version()} does not accept the graph: {error}") from error


def _run(session: Any, output: int) -> Run:
    (pixels,), name = session.get_inputs(), session.get_outputs()[output].name

    def run(numbers: NDArray[Any]) -> NDArray[np.float32]:
        return session.run([name], {pixels.name: numbers})[0]  # type: ignore[no-any-return]

    return run
