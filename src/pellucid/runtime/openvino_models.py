"""Run and write models by OpenVINO, each run on the calling thread's own request. OpenVINO is imported on first use."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import ExportError
from pellucid.runtime.sessions import Outputs


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return find_spec("openvino") is not None


def read(graph: bytes, numbers: bytes) -> tuple[Any, dict[str, str]]:
    """(model, its texts in rt_info). `graph`, `numbers`: the contents of an .xml file and of the .bin file beside it.

    Raises ExportError if OpenVINO does not accept the model.
    """
    import openvino

    with _refusals():
        model = openvino.Core().read_model(io.BytesIO(graph), io.BytesIO(numbers))
        infos = model.get_rt_info().items()
        return model, {name: str(info.astype(str)) for name, info in infos if hasattr(info, "astype")}


def compiled(model: Any, outputs: Sequence[str]) -> Outputs:
    """A function from the only input of a model to the named outputs, computed in float32.

    Several threads may call it at once. Raises ExportError if OpenVINO does not accept the model.
    """
    import openvino

    cores = os.cpu_count() or 1
    # the default is bfloat16 where the processor has it, and threads that wait for each other
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores, "NUM_STREAMS": cores}
    with _refusals():
        ready = openvino.Core().compile_model(model, "CPU", settings)
        (pixels,), ports = ready.inputs, [ready.output(name) for name in outputs]
    of_thread = local()

    def run(image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        if not hasattr(of_thread, "request"):
            of_thread.request = ready.create_infer_request()
        results = of_thread.request.infer({pixels: image})
        return [np.array(results[port]) for port in ports]

    return run


def converted(model: bytes, texts: Mapping[str, str], digest: str) -> tuple[bytes, bytes]:
    """The contents of the .xml and the .bin file of an ONNX model, with its numbers in float32 and `texts` in rt_info.

    `digest`: the key in rt_info of the SHA-256 of the .bin file. Raises ExportError if OpenVINO does not accept the
    model.
    """
    import openvino

    with _refusals(), TemporaryDirectory() as folder:
        read = openvino.Core().read_model(io.BytesIO(model))
        read.set_friendly_name("pellucid")
        graph, numbers = (Path(folder) / name for name in ("model.xml", "model.bin"))
        openvino.serialize(read, graph, numbers)
        for key, text in {**texts, digest: files.sha256(numbers)}.items():
            read.set_rt_info(text, key)
        openvino.serialize(read, graph, numbers)
        return graph.read_bytes(), numbers.read_bytes()


@contextmanager
def _refusals() -> Iterator[None]:
    import openvino

    try:
        yield
    except Exception as error:  # OpenVINO's errors have no other common base
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else type(error).__name__
        raise ExportError(f"OpenVINO {openvino.__version__} does not accept it: {reason}") from error
