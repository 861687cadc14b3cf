"""A function in a Python file that makes a network: `net.py:build`. Making it runs the file."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pellucid.errors import NetworkError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

_REFERENCE = re.compile(r"(?P<path>.+\.py)(?::(?P<function>.*))?", re.DOTALL)
_EXAMPLE = "--model net.py:build"


@dataclass(frozen=True)
class Reference:
    """The place where a network is made: a function, or a class, in a Python file."""

    path: Path
    function: str

    def __str__(self) -> str:
        return f"{self.path}:{self.function}"


def reference(model: str) -> Reference | None:
    """The reference that `net.py:build` names; None for the name or the text of a network.

    Raises NetworkError if the file is named without a function.
    """
    match = _REFERENCE.fullmatch(model.strip())
    if match is None:
        return None
    if not match["function"]:
        raise NetworkError(
            f"{model.strip()} names a Python file. Name the function in it that makes the network too: {_EXAMPLE}."
        )
    return Reference(Path(match["path"]), match["function"])


def make(named: Reference, classes: int) -> nn.Module:
    """Run the file, call the function, and return its module.

    The function gets the number of classes if it takes an argument. Raises NetworkError if the file or function does
    not exist, if it raises (with the exception and the line), or if it does not return a module.
    """
    from torch import nn

    if not named.path.is_file():
        what = "is a folder" if named.path.is_dir() else "does not exist"
        raise NetworkError(f"{named.path} {what}. Name a Python file and a function in it: {_EXAMPLE}.")
    with _its_folder_first(named.path):
        file = _run(named.path)
        maker = getattr(file, named.function, None)
        if maker is None:
            raise NetworkError(_no_function(named, file))
        if isinstance(maker, nn.Module):
            return maker
        if not callable(maker):
            raise NetworkError(
                f"{named.function} in {named.path} is of type {type(maker).__name__}; name a function that returns a "
                "torch.nn.Module."
            )
        arguments = _arguments(named, maker, classes)
        call = f"{named.function}({', '.join(map(str, arguments))})"
        with _as_network_error(named.path, call):
            module = maker(*arguments)
    if not isinstance(module, nn.Module):
        raise NetworkError(
            f"{call} in {named.path} returns {_kind(module)}; it must return a torch.nn.Module, which takes pictures "
            "and gives a number for each class."
        )
    return module


def _run(path: Path) -> ModuleType:
    name = f"_pellucid_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    file = importlib.util.module_from_spec(spec)
    sys.modules[name] = file  # dataclasses and typing look there for the names of a class's own file
    with _as_network_error(path, "running it"):
        spec.loader.exec_module(file)
    return file


@contextmanager
def _its_folder_first(path: Path) -> Iterator[None]:
    """Make its neighbours importable, as when Python runs it, and leave no compiled copy beside it."""
    folder, writes = str(path.resolve().parent), sys.dont_write_bytecode
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        if folder in sys.path:
            sys.path.remove(folder)


@contextmanager
def _as_network_error(path: Path, what: str) -> Iterator[None]:
    """Turn exceptions of the user's code into a NetworkError with the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        text = str(error)
        if isinstance(error, SyntaxError) and _is(path, error.filename):
            text = error.msg  # str(error) names file and line too, as _where does
        message = (text.strip().splitlines() or [""])[0]
        kind = type(error).__name__
        raise NetworkError(
            f"{path}, {what}: {kind}{f': {message}' if message else ''}{_where(path, error)}."
        ) from error


def _where(path: Path, error: BaseException) -> str:
    """`, at line 12`: the innermost line of the user's own file."""
    if isinstance(error, SyntaxError) and _is(path, error.filename):
        return f", at line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f", at line {own[-1]}" if own else ""


def _is(path: Path, filename: str | None) -> bool:
    return bool(filename) and Path(str(filename)).resolve() == path.resolve()


def _arguments(named: Reference, maker: Callable[..., Any], classes: int) -> list[int]:
    """The number of classes, if the function takes an argument for it.

    That is its first argument, unless its default is not a whole number, such as pretrained=False.
    """
    try:
        parameters = list(inspect.signature(maker).parameters.values())
    except (TypeError, ValueError):  # the function is not written in Python
        return [classes]
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [each.name for each in parameters if each.default is each.empty and each.kind not in several]
    if len(needed) > 1 or (needed and needed[0] not in [each.name for each in places[:1]]):
        raise NetworkError(
            f"{named.function} in {named.path} needs {', '.join(needed)}; it gets one argument, the number of classes. "
            "Give the others defaults."
        )
    if needed or any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return [classes]
    default = places[0].default if places else None
    return [classes] if isinstance(default, int) and not isinstance(default, bool) else []


def _no_function(named: Reference, file: ModuleType) -> str:
    known = [name for name, value in vars(file).items() if callable(value) and not name.startswith("_")]
    hint = did_you_mean(named.function, known)
    own = [name for name in known if getattr(vars(file)[name], "__module__", None) == file.__name__]
    there = f" It has {', '.join(own)}." if own else " It has no function."
    return f"{named.path} has no function {named.function}.{hint}{there}"


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}, not an instance of it"
    if value is None:
        return "nothing"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
