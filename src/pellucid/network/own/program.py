"""A module as a torch.export program: the calls that it makes, without its class and without its weights.

Each weight is replaced by one repeated number: the weights are in model.safetensors, once. The program computes what
the module computes in evaluation mode, for any number of pictures of the exported size. PyTorch's loader may run code
from a program, so whoever opens one must trust its author.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pellucid.errors import NetworkError
from pellucid.runtime import quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor, fx, nn


@dataclass(frozen=True)
class Program:
    """A module's computation, as bytes, and what else is needed to open it."""

    name: str
    """The module's class."""
    content: bytes = field(repr=False)
    """The bytes of program.pt2."""
    plain: bool = False
    """Whether it takes pictures only in plain memory order, not channels-last."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """A tensor's further names -> its first, if the module uses one in several places."""

    def as_json(self) -> dict[str, Any]:
        """Everything but the content, for config.json."""
        return {"name": self.name, "plain": self.plain, "shared": dict(self.shared)}


def export(module: nn.Module, example: Tensor, plain: bool) -> tuple[Program, str]:
    """Trace a module in evaluation mode on `example` (2 or more, C, H, W); also returns a digest of its computation.

    Raises NetworkError with the reason in a sentence if torch.export cannot trace it.
    """
    import torch

    batch = torch.export.Dim("batch", min=1)
    name = type(module).__name__
    try:
        with quiet.silent(), torch.enable_grad():
            program = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: batch},))
        shared = _shared(module)
        digest = hashlib.sha256(str(program.graph).encode()).hexdigest()
        content = io.BytesIO()
        with quiet.silent():
            torch.export.save(_without_weights(program), content)
    except Exception as error:  # torch.export raises any exception of the module's code, and some ten types of its own
        raise NetworkError(
            f"{name} cannot be saved. Saving needs torch.export, and torch.export cannot follow it: {_reason(error)}."
        ) from error
    return Program(name, content.getvalue(), plain, shared), digest


def opened(program: Program, state: Mapping[str, Tensor]) -> nn.Module:
    """The module of a program, in evaluation mode, with the tensors of `state`; parts keep their names.

    This may run code from the program. Raises NetworkError if it cannot be read or belongs to other weights.
    """
    import torch

    try:
        with quiet.silent():
            read = torch.export.load(io.BytesIO(program.content))
            flat = torch.export.unflatten(read)
    except Exception as error:  # of any type, from a damaged file or another version of PyTorch
        raise NetworkError(f"PyTorch {torch.__version__} cannot open it: {_reason(error)}") from error
    full = {**state, **{name: state[first] for name, first in program.shared.items() if first in state}}
    module = _plain(flat, program.name)
    _check(module, full)
    for name, tensor in full.items():
        path, _, last = name.rpartition(".")
        part = module.get_submodule(path)
        if last in part._parameters:
            part._parameters[last] = _parameter(part._parameters[last], tensor)
        else:
            part._buffers[last] = tensor
    _share(module, program.shared)
    if program.plain:
        module.register_forward_pre_hook(reorder)
    return module


def reorder(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A hook before a module that uses `view` on its pictures, which must then be in plain memory order."""
    return tuple(map(in_plain_order, inputs))


def in_plain_order(pictures: Tensor) -> Tensor:
    """float (n, C, H, W), row by row and channel after channel."""
    import torch

    # grey pictures are in both orders at once, and contiguous() would not change their strides
    return pictures.clone(memory_format=torch.contiguous_format)


def _without_weights(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program with each array of its state replaced by one repeated number, and without traces."""
    from torch import nn

    without_traces(program)
    for name, tensor in list(program.state_dict.items()):
        repeated = tensor.new_zeros(()).expand(tensor.shape)
        is_parameter = isinstance(tensor, nn.Parameter)
        program.state_dict[name] = nn.Parameter(repeated, tensor.requires_grad) if is_parameter else repeated
    return program


def without_traces(program: torch.export.ExportedProgram) -> None:
    """Remove what the file need not reveal: the example, and where the code is on its author's machine."""
    from torch import fx

    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    program.example_inputs = None


def _shared(module: nn.Module) -> dict[str, str]:
    """A tensor's further names in the state dict -> the first one."""
    first: dict[int, str] = {}
    tensors = module.state_dict(keep_vars=True)
    return {name: first[id(tensor)] for name, tensor in tensors.items() if first.setdefault(id(tensor), name) != name}


def _share(module: nn.Module, shared: Mapping[str, str]) -> None:
    """Join tensors that were one tensor again, with one gradient."""
    for name, other in shared.items():
        path, _, last = name.rpartition(".")
        part = module.get_submodule(path)
        there = part._parameters if last in part._parameters else part._buffers
        there[last] = dict(module.state_dict(keep_vars=True))[other]


def _parameter(old: Any, tensor: Tensor) -> nn.Parameter:
    from torch import nn

    return nn.Parameter(tensor, requires_grad=old.requires_grad)


def _check(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raises NetworkError unless these are the tensors that the module needs."""
    needed = module.state_dict()
    for name, tensor in needed.items():
        if name not in state:
            raise NetworkError(f"the program needs {name}, which is missing.")
        if (state[name].shape, state[name].dtype) != (tensor.shape, tensor.dtype):
            raise NetworkError(f"{name} is {_described(state[name])} where the program needs {_described(tensor)}.")
    if extra := sorted(state.keys() - needed.keys()):
        raise NetworkError(f"there is {', '.join(extra)}, which the program does not know.")


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _plain(flat: Any, name: str) -> nn.Module:
    """The result of torch.export as a tree of modules that can be copied, hooked and traced like any others.

    A part that is only a convolution becomes an nn.Conv2d, because the search for filters looks for this class.
    """
    from torch import fx, nn

    for path, part in [(path, part) for path, part in flat.named_modules() if path and hasattr(part, "finalize")]:
        for node in part.graph.nodes:
            node.meta.clear()  # shapes with symbols, which cannot be copied
        convolution = _convolution(part, part.graph)
        if convolution is not None:
            flat.set_submodule(path, convolution)
        elif any(node.op == "output" for node in part.graph.nodes):
            part._run_with_interpreter = False  # ten times as slow as the graph's own code
            part.finalize()
    for node in flat.graph.nodes:
        node.meta.clear()
    _return_one(flat.graph)
    made = fx.GraphModule(flat, flat.graph, name if name.isidentifier() else "Module")
    for kind in ("_parameters", "_buffers", "_modules"):  # even if the graph does not use them, in the module's order
        there = getattr(made, kind)
        every = {key: there.get(key, value) for key, value in getattr(flat, kind).items()}
        there.clear()
        there.update(every)
    made._non_persistent_buffers_set = set(flat._non_persistent_buffers_set)
    return nn.Module.train(made, False)


def _return_one(graph: fx.Graph) -> None:
    """Return the single output, which the root wraps in a tuple."""
    output = next(node for node in graph.nodes if node.op == "output")
    result: Any = output.args[0]
    if isinstance(result, tuple | list) and len(result) == 1:
        output.args = (result[0],)


def _convolution(part: nn.Module, graph: fx.Graph) -> nn.Module | None:
    import torch
    from torch import nn
    from torch.fx.operator_schemas import normalize_function

    calls = [node for node in graph.nodes if node.op.startswith("call")]
    if len(calls) != 1 or calls[0].target is not torch.ops.aten.conv2d.default or part._modules or part._buffers:
        return None
    call: Any = normalize_function(calls[0].target, calls[0].args, calls[0].kwargs, normalize_to_only_use_kwargs=True)
    arguments, weight, bias = call.kwargs, part._parameters.get("weight"), part._parameters.get("bias")
    read = [getattr(arguments[key], "target", None) for key in ("weight", "bias")]
    if (
        weight is None
        or read != ["weight", "bias" if bias is not None else None]
        or arguments["input"].op != "placeholder"
    ):
        return None
    groups = int(arguments["groups"])
    size, stride = (int(weight.shape[2]), int(weight.shape[3])), tuple(arguments["stride"])
    with torch.device("meta"):
        made = nn.Conv2d(
            weight.shape[1] * groups,
            weight.shape[0],
            size,
            stride,  # type: ignore[arg-type]
            tuple(arguments["padding"]),  # type: ignore[arg-type]
            tuple(arguments["dilation"]),  # type: ignore[arg-type]
            groups,
            bias is not None,
        )
    made.weight = weight
    if bias is not None:
        made.bias = bias
    return made


def _reason(error: Exception) -> str:
    """torch.export's reason for users who do not know its internals, without a full stop."""
    text = str(error).strip()
    if "data-dependent" in text:
        return "what it computes next depends on the numbers in an array (it is data-dependent)"
    if "onstraints violated" in text or "specialized" in text:
        return "it takes a fixed number of pictures; read their number from the input, x.shape[0]"
    return quiet.first_line(error)
