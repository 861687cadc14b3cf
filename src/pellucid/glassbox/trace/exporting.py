"""Trace a module with torch.export: any torch.nn.Module, without inheritance or registration."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.trace import chance, frozen_copy, graph, marks, measured, naming, regions, transforms
from pellucid.glassbox.trace.borrowed import borrowed
from pellucid.glassbox.trace.graph import Graph
from pellucid.runtime import quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@frozen_copy.gradients()
def capture(module: torch.nn.Module, sample: Tensor, loss: Callable[[Tensor], Tensor] | None = None) -> Graph:
    """Trace a module on an input (N, ...) of the shape that it will run on; weights may change afterwards.

    It is traced as it trains: with gradients, unless it disables them itself. For torch.cond, the branch that this
    input takes is traced. `loss`: a function of the module's scores, traced after them. Raises TraceError if
    torch.export cannot trace either, with the reason and the line of the code.
    """
    import torch

    sample = sample.clone() if sample.is_inference() else sample
    followed = module if loss is None else measured.together(module, loss)
    try:
        # tracing may change what the module keeps in plain attributes
        with (
            quiet.silent(),
            borrowed(followed),
            chance.preserved(),
            transforms.written_out(),
            marks.marking() as placed,
        ):
            standing = _standing(followed)
            program = torch.export.export(followed, (sample,))
            names = _names(followed, program, measured.MODULE if loss is not None else "")
            for name, constant in program.constants.items():
                program.constants[name] = standing.get(_place(constant), constant)
    except TraceError:
        raise
    except Exception as error:  # torch.export raises any exception of the module's code, and some ten types of its own
        if loss is not None:
            with quiet.silent(), borrowed(followed), chance.preserved():
                refusal = measured.refusal(followed, sample)
            if refusal:
                raise TraceError(refusal) from error
        raise TraceError(_reason(module, sample, error)) from error
    with chance.preserved():  # the condition of a torch.cond may draw random numbers
        flat = regions.flattened(program, _values(program, sample), placed)
    if loss is not None:
        measured.separate(flat)
    beside = [name for name in names if loss is not None and not name.startswith(f"{measured.MODULE}.")]
    return graph.read(program, flat, placed, names, beside)


def _standing(module: torch.nn.Module) -> dict[Any, Tensor]:
    """Copies of the tensors in the module's plain attributes: tracing makes the module's changes to them."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = [leaf for part in module.modules() for leaf in tree_leaves(dict(vars(part)))]
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and _place(leaf) is not None]
    return {_place(tensor): tensor.detach().clone() for tensor in tensors}


def _place(tensor: Any) -> tuple[int, tuple[int, ...]] | None:
    """The memory address and shape of a tensor's numbers; None if it has none."""
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or not tensor.numel():
        return None
    return tensor.data_ptr(), tuple(tensor.shape)


def _values(program: torch.export.ExportedProgram, sample: Tensor) -> dict[str, Any]:
    """The arrays of the program's placeholders."""
    values: dict[str, Any] = {}
    for spec in program.graph_signature.input_specs:
        target = str(spec.target)
        if spec.kind.name == "USER_INPUT":
            values[spec.arg.name] = sample.clone()
        elif target in program.state_dict:
            values[spec.arg.name] = _copied(program.state_dict[target])
        elif target in program.constants:
            constant: Any = program.constants[target]
            values[spec.arg.name] = constant.clone()
    return values


def _copied(tensor: Tensor) -> Tensor:
    import torch

    copy = tensor.detach().clone()
    return torch.nn.Parameter(copy) if isinstance(tensor, torch.nn.Parameter) and tensor.requires_grad else copy


def _names(module: torch.nn.Module, program: torch.export.ExportedProgram, within: str) -> dict[str, str]:
    """The program's name of a parameter, buffer or constant -> its name in the trace.

    Parts may be shared: each array has its first name. `within`: the user's part of the module, whose names are
    unchanged. A constant that is a parameter, which the code reaches in another way, has the parameter's name.
    """
    everything = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    first: dict[int, str] = {}
    places: dict[Any, str] = {}
    for name, tensor in everything:
        first.setdefault(id(tensor), name)
        if (place := _place(tensor)) is not None:
            places.setdefault(place, first[id(tensor)])
    names = {name: first[id(tensor)] for name, tensor in everything}
    for name, constant in program.constants.items():
        place = _place(constant)
        names.setdefault(name, places.get(place, name) if place is not None else name)
    if not within:
        return names
    used = {name.removeprefix(f"{within}.") for name in first.values() if name.startswith(f"{within}.")}
    others = {
        name: naming.free(name, used) for name in dict.fromkeys(names.values()) if not name.startswith(f"{within}.")
    }
    return {name: others.get(each) or each.removeprefix(f"{within}.") for name, each in names.items()}


def _reason(module: torch.nn.Module, sample: Tensor, error: Exception) -> str:
    import torch

    home = str(Path(torch.__file__).parent)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(home)]
    own = [frame for frame in own if Path(frame.filename).resolve().parent != Path(__file__).resolve().parent]
    own = [frame for frame in own if not _standard(frame.filename)]
    own = [frame for frame in own if frame.line]  # code that was generated at run time has none
    reason = _plainly(str(error).strip().splitlines() or [type(error).__name__])
    where = f" At {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}." if own else _quoted(str(error))
    name = type(module).__name__
    shape = "x".join(map(str, sample.shape))
    return f"{name} cannot be followed by torch.export on an input of {shape}: {reason.rstrip('.')}.{where}"


def _standard(file: str) -> bool:
    """Whether a file belongs to Python's standard library."""
    return file.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in file


def _plainly(lines: list[str]) -> str:
    """The first line of torch.export's message, reworded for people who do not know its internals."""
    if "data-dependent" in lines[0]:
        return "what it computes next depends on the numbers in an array (it is data-dependent)"
    if "fake tensor in the exported program constant" in lines[0]:
        return "it takes an array out of PyTorch's sight, as `.data` does; use `.detach()`"
    return lines[0]


def _quoted(message: str) -> str:
    """The line of the module's code in a message of torch.export, if there is one."""
    lines = message.splitlines()
    for number, line in enumerate(lines[:-1]):
        if line.strip().startswith('File "') and "/torch/" not in line:
            return f" At {line.strip().removeprefix('File ')}: {lines[number + 1].strip()}."
    return ""
