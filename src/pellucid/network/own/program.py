"""A module as a torch.export program: the calls that it makes, without its class and without its weights.

The weights are left out, as a number each that is repeated: they stand in model.safetensors, once. What the program
computes is what the module computes in evaluation mode, for any number of pictures of the size it was exported with.
PyTorch's loader may run code that a program brings along, so that whoever opens one has to trust who wrote it.
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
    """What a module computes, as bytes, and what has to be known beside it."""

    name: str
    """The module's class."""
    content: bytes = field(repr=False)
    """Of program.pt2."""
    plain: bool = False
    """Whether it takes its pictures in plain order of memory only, and not channels-last."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """A tensor's further names -> its first, where the module uses one in several places."""

    def as_json(self) -> dict[str, Any]:
        """All but the content, as config.json has it."""
        return {"name": self.name, "plain": self.plain, "shared": dict(self.shared)}


def export(module: nn.Module, example: Tensor, plain: bool) -> tuple[Program, str]:
    """A module in evaluation mode, followed on `example` (2 or more, C, H, W); and a digest of what it computes.

    Raises NetworkError where torch.export cannot follow it, with its reason in a sentence.
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
    except Exception as error:  # torch.export raises whatever the module's code raises, and some ten types of its own
        raise NetworkError(
            f"{name} cannot be saved. Saving needs torch.export, and torch.export cannot follow it: {_reason(error)}."
        ) from error
    return Program(name, content.getvalue(), plain, shared), digest


def opened(program: Program, state: Mapping[str, Tensor]) -> nn.Module:
    """The module that a program describes, in evaluation mode, with the tensors of `state`; parts keep their names.

    This may run what the program brings along. Raises NetworkError where it cannot be read or is of other weights.
    """
    import torch

    try:
        with quiet.silent():
            read = torch.export.load(io.BytesIO(program.content))
            flat = torch.export.unflatten(read)
    except Exception as error:  # of a damaged file, of another version of PyTorch: of any type
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
    """A hook before a module that reads its pictures with `view`, which needs them in plain order of memory."""
    return tuple(map(in_plain_order, inputs))


def in_plain_order(pictures: Tensor) -> Tensor:
    """float (n, C, H, W), row by row and channel after channel."""
    import torch

    # grey pictures are in both orders at once, and contiguous() would leave them in the other
    return pictures.clone(memory_format=torch.contiguous_format)


def _without_weights(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The same, each array of its state a single number that is repeated, and without the example.

    Nor does it tell where the module's code lies on its maker's machine.
    """
    from torch import fx, nn

    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    for name, tensor in list(program.state_dict.items()):
        repeated = tensor.new_zeros(()).expand(tensor.shape)
        is_parameter = isinstance(tensor, nn.Parameter)
        program.state_dict[name] = nn.Parameter(repeated, tensor.requires_grad) if is_parameter else repeated
    program.example_inputs = None
    return program


def _shared(module: nn.Module) -> dict[str, str]:
    """A tensor's further names in the state dict -> the first one."""
    first: dict[int, str] = {}
    tensors = module.state_dict(keep_vars=True)
    return {name: first[id(tensor)] for name, tensor in tensors.items() if first.setdefault(id(tensor), name) != name}


def _share(module: nn.Module, shared: Mapping[str, str]) -> None:
    """Make what was one tensor one tensor again, with one gradient."""
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
    """What torch.export reads, as a tree of modules that can be copied, hooked and followed like any others.

    A part that is a convolution alone becomes an nn.Conv2d: what looks for filters looks for these.
    """
    from torch import fx, nn

    for path, part in [(path, part) for path, part in flat.named_modules() if path and hasattr(part, "finalize")]:
        for node in part.graph.nodes:
            node.meta.clear()  # shapes with symbols in them, which cannot be copied
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
    for kind in ("_parameters", "_buffers", "_modules"):  # also what the graph has no use for, in the module's order
        there = getattr(made, kind)
        every = {key: there.get(key, value) for key, value in getattr(flat, kind).items()}
        there.clear()
        there.update(every)
    made._non_persistent_buffers_set = set(flat._non_persistent_buffers_set)
    return nn.Module.train(made, False)


def _return_one(graph: fx.Graph) -> None:
    """The root returns a tuple of one."""
    output = next(node for node in graph.nodes if node.op == "output")
    given: Any = output.args[0]
    if isinstance(given, tuple | list) and len(given) == 1:
        output.args = (given[0],)


def _convolution(part: nn.Module, graph: fx.Graph) -> nn.Module | None:
    import torch
    from torch import nn
    from torch.fx.operator_schemas import normalize_function

    calls = [node for node in graph.nodes if node.op.startswith("call")]
    if len(calls) != 1 or calls[0].target is not torch.ops.aten.conv2d.default or part._modules or part._buffers:
        return None
    call: Any = normalize_function(calls[0].target, calls[0].args, calls[0].kwargs, normalize_to_only_use_kwargs=True)
    given, weight, bias = call.kwargs, part._parameters.get("weight"), part._parameters.get("bias")
    read = [getattr(given[key], "target", None) for key in ("weight", "bias")]
    if weight is None or read != ["weight", "bias" if bias is not None else None] or given["input"].op != "placeholder":
        return None
    groups = int(given["groups"])
    size, stride = (int(weight.shape[2]), int(weight.shape[3])), tuple(given["stride"])
    with torch.device("meta"):
        made = nn.Conv2d(
            weight.shape[1] * groups,
            weight.shape[0],
            size,
            stride,  # type: ignore[arg-type]
            tuple(given["padding"]),  # type: ignore[arg-type]
            tuple(given["dilation"]),  # type: ignore[arg-type]
            groups,
            bias is not None,
        )
    made.weight = weight
    if bias is not None:
        made.bias = bias
    return made


def _reason(error: Exception) -> str:
    """What torch.export says, for people who do not know its inside, without a full stop."""
    text = str(error).strip()
    if "data-dependent" in text:
        return "what it computes next depends on the numbers in an array (it is data-dependent)"
    if "onstraints violated" in text or "specialized" in text:
        return "it takes a fixed number of pictures; read their number from the input, x.shape[0]"
    first = (text.splitlines() or [""])[0].rstrip(".: ")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
