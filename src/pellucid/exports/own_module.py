"""Turn a user's own module into an ONNX graph by torch.onnx, between our resizing and our probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pellucid.errors import ExportError
from pellucid.network.onnx_graph import FORMAT, OPSET
from pellucid.runtime import quiet

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

_INPUT, _OUTPUT = "standardised", "rows"
NEEDED = ("onnx", "onnxscript")


def joined(front: bytes, classifier: Classifier, tail: bytes, metadata: Mapping[str, str]) -> bytes:
    """The ONNX model of a module between two graphs.

    `front`: its only output is the module's input, float32 (1, C, H, W). `tail`: its only input is the module's output,
    float32 (1, classes). Raises ExportError, with what the exporter says in a line.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ExportError(f"a Python module needs {' and '.join(missing)}: pip install 'pellucid[onnx]'")
    import onnx
    from onnx import compose

    first, last = onnx.load_from_string(front), onnx.load_from_string(tail)
    module = _plain(compose.add_prefix(_exported(classifier), "module."))
    for each in (first, last):
        each.ir_version = module.ir_version
    last = compose.add_prefix(last, "tail.", rename_outputs=False)
    (given_out,), (module_in,) = first.graph.output, module.graph.input
    (module_out,), (tail_in,) = module.graph.output, last.graph.input
    whole = compose.merge_models(first, module, [(given_out.name, module_in.name)])
    whole = compose.merge_models(whole, last, [(module_out.name, tail_in.name)])
    whole.ir_version, whole.producer_name = FORMAT, "pellucid"
    whole.graph.name = "pellucid"
    onnx.helper.set_model_props(whole, dict(metadata))
    return whole.SerializeToString()


def _exported(classifier: Classifier) -> Any:
    """The module as an ONNX model, for one picture."""
    import torch

    form = classifier.form
    example = torch.zeros(1, form.channels, form.height, form.width)
    try:
        with quiet.silent(), torch.no_grad():
            program = torch.onnx.export(
                classifier.module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[_INPUT],
                output_names=[_OUTPUT],
                verbose=False,
            )
            assert program is not None
            return program.model_proto
    except Exception as error:  # torch.onnx raises any exception of a module's code, and its own
        raise ExportError(f"torch.onnx cannot follow it: {quiet.first_line(error)}.") from error


def _plain(model: Any) -> Any:
    """The model without notes about the author's machine, such as the paths of source files."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for each in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del each.metadata_props[:]
    return model
