"""Following a module by torch.export: any torch.nn.Module, nothing inherited or registered."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox import chance, graph, marks, regions, still
from pellucid.glassbox.borrowed import borrowed
from pellucid.glassbox.graph import Graph
from pellucid.runtime import quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@still.gradients()
def capture(module: torch.nn.Module, input: Tensor) -> Graph:
    """Follow a module on an input (N, ...) of the shape that it will be run on; weights may change afterwards.

    It is followed as it trains: with gradients, unless it says otherwise itself. Of torch.cond the branch is followed
    that this input takes. Raises TraceError where torch.export cannot follow it, with the reason and the line of the
    module's code.
    """
    import torch

    input = input.clone() if input.is_inference() else input
    try:
        # what the module keeps in plain attributes, it may change while it is followed
        with quiet.silent(), borrowed(module), chance.kept(), marks.marking() as placed:
            program = torch.export.export(module, (input,))
    except TraceError:
        raise
    except Exception as error:  # torch.export raises whatever the module's code raises, and some ten types of its own
        raise TraceError(_reason(module, input, error)) from error
    with chance.kept():  # what decides a torch.cond may draw
        flat = regions.flattened(program, _values(program, input), placed)
    return graph.read(program, flat, placed, _first_names(module))


def _values(program: torch.export.ExportedProgram, input: Tensor) -> dict[str, Any]:
    """The arrays behind the program's placeholders."""
    found: dict[str, Any] = {}
    for spec in program.graph_signature.input_specs:
        target = str(spec.target)
        if spec.kind.name == "USER_INPUT":
            found[spec.arg.name] = input.clone()
        elif target in program.state_dict:
            found[spec.arg.name] = _copied(program.state_dict[target])
        elif target in program.constants:
            constant: Any = program.constants[target]
            found[spec.arg.name] = constant.clone()
    return found


def _copied(tensor: Tensor) -> Tensor:
    import torch

    copy = tensor.detach().clone()
    return torch.nn.Parameter(copy) if isinstance(tensor, torch.nn.Parameter) and tensor.requires_grad else copy


def _first_names(module: torch.nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer -> the first name of the same one: parts may be shared."""
    everything = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    first: dict[int, str] = {}
    for name, tensor in everything:
        first.setdefault(id(tensor), name)
    return {name: first[id(tensor)] for name, tensor in everything}


def _reason(module: torch.nn.Module, input: Tensor, error: Exception) -> str:
    import torch

    home = str(Path(torch.__file__).parent)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(home)]
    own = [frame for frame in own if Path(frame.filename).resolve().parent != Path(__file__).resolve().parent]
    own = [frame for frame in own if not _standard(frame.filename)]
    own = [frame for frame in own if frame.line]  # code that was made while running has none
    said = _plainly(str(error).strip().splitlines() or [type(error).__name__])
    where = f" At {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}." if own else _quoted(str(error))
    name = type(module).__name__
    shape = "x".join(map(str, input.shape))
    return f"{name} cannot be followed by torch.export on an input of {shape}: {said.rstrip('.')}.{where}"


def _standard(file: str) -> bool:
    """Whether a file is of Python's own library."""
    return file.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in file


def _plainly(said: list[str]) -> str:
    """The first line of what torch.export says, or the same for people who do not know its inside."""
    if "data-dependent" in said[0]:
        return "what it computes next depends on the numbers in an array (it is data-dependent)"
    if "fake tensor in the exported program constant" in said[0]:
        return "it takes an array out of PyTorch's sight, as `.data` does; use `.detach()`"
    return said[0]


def _quoted(message: str) -> str:
    """The line of the module's code that torch.export names in its message, where it names one."""
    lines = message.splitlines()
    for number, line in enumerate(lines[:-1]):
        if line.strip().startswith('File "') and "/torch/" not in line:
            return f" At {line.strip().removeprefix('File ')}: {lines[number + 1].strip()}."
    return ""
