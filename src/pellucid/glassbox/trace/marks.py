"""Mark in the graph what torch.export drops silently: hooks and a module's own autograd.Function.

During the export, a module's arrays are stand-ins without numbers, and code that acts only on gradients leaves no call.
Here each such place becomes a call of one of two operators of ours, with the number of its mark:

    marked(tensors, number) -> tensors    an autograd.Function, or the two ends of a module with backward hooks
    hooked(tensor, number)                Tensor.register_hook inside of a forward(), or Module.register_backward_hook,
                                          which changes the gradients from the tensor's last operator to its inputs

torch.inference_mode, which leaves no trace either, is exported as torch.no_grad(): both stop gradients. Likewise
`.data` is exported as detach(), and an assignment to it as a change of detach()'s result.

When the graph runs (recording.py), the mark does the same as the module: it calls the function, or sets the hooks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError

if TYPE_CHECKING:
    from torch import Tensor

MARKED, HOOKED = "marked", "hooked"
FUNCTION, HOOKS, LAST = "function", "backward hook", "hook on the last operator"


@dataclass(frozen=True)
class Mark:
    """One marked place. `run` takes the tensors there, in order, and returns their replacements."""

    kind: str
    """FUNCTION, HOOKS, HOOKED for a tensor's own hook, or LAST for one on the operator that made it."""
    called: str
    """Its everyday name: the function's class, or "backward hook"."""
    run: Callable[[list[Tensor]], list[Tensor]]


Followed = Callable[[Any], bool]
"""Whether an export of this thread runs with these arguments."""
_active = threading.local()


@contextmanager
def marking() -> Iterator[list[Mark]]:
    """Within the context, exports in this thread leave marks in the list that it yields, by number."""
    _operators()
    marks: list[Mark] = []
    ours = threading.get_ident()

    def followed(args: Any) -> bool:
        return threading.get_ident() == ours and _followed(args)

    _active.marks = marks
    try:
        with (
            _functions(marks, followed),
            _module_hooks(marks, followed),
            _tensor_hooks(marks, followed),
            _last_hooks(marks, followed),
            _inference_mode(ours),
            _data(followed),
        ):
            yield marks
    finally:
        del _active.marks


@contextmanager
def _functions(marks: list[Mark], followed: Followed) -> Iterator[None]:
    """A call of a module's own autograd.Function leaves a mark."""
    import torch

    known = torch.autograd.Function.__dict__["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        original = known.__func__
        if not followed(args):
            return original(cls, *args, **kwargs)
        if cls.__module__ == "torch.utils.checkpoint":  # it saves memory, and computes the same as its function
            return args[0](*args[2:])
        if cls.__module__.startswith("torch."):
            return original(cls, *args, **kwargs)
        return _function(marks, cls, lambda *inputs: original(cls, *inputs, **kwargs), args)

    torch.autograd.Function.apply = classmethod(apply)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        torch.autograd.Function.apply = known


@contextmanager
def _module_hooks(marks: list[Mark], followed: Followed) -> Iterator[None]:
    """The two ends of a module with backward hooks leave a mark each."""
    hooks = _backward_hook()
    known = hooks.setup_input_hook, hooks.setup_output_hook

    def enter(self: Any, args: Any) -> Any:
        if not followed(args):
            return known[0](self, args)
        self.pellucid_pair = pair = _Pair(self, *known)
        return tuple(_placed(marks, HOOKS, "backward hook", pair.enter, tuple(args)))

    def leave(self: Any, result: Any) -> Any:
        if not hasattr(self, "pellucid_pair"):
            return known[1](self, result)
        several = isinstance(result, tuple)
        placed = _placed(marks, HOOKS, "backward hook", self.pellucid_pair.leave, result if several else (result,))
        return tuple(placed) if several else placed[0]

    hooks.setup_input_hook, hooks.setup_output_hook = enter, leave
    try:
        yield
    finally:
        hooks.setup_input_hook, hooks.setup_output_hook = known


@contextmanager
def _tensor_hooks(marks: list[Mark], followed: Followed) -> Iterator[None]:
    """A tensor's own hook leaves a mark."""
    import torch

    known = torch.Tensor.register_hook

    def register(self: Tensor, each: Callable[..., Any]) -> Any:
        if not followed((self,)):
            return known(self, each)
        marks.append(Mark(HOOKED, "hook", lambda tensors: [tensors[0].register_hook(each) and tensors[0]]))
        torch.ops.pellucid.hooked(self, len(marks) - 1)
        return _Handle(marks, len(marks) - 1)

    torch.Tensor.register_hook = register  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        torch.Tensor.register_hook = known


@contextmanager
def _last_hooks(marks: list[Mark], followed: Followed) -> Iterator[None]:
    """A hook that a module sets on its last operator leaves a mark."""
    import torch
    from torch.nn.modules.module import _WrappedHook
    from torch.utils._pytree import tree_leaves

    known = torch.nn.Module._maybe_warn_non_full_backward_hook

    def on_last(self: Any, args: Any, result: Any, grad_fn: Any) -> None:
        tensor = next((leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)), None)
        if not followed((tensor,)):
            return known(self, args, result, grad_fn)
        wrapped = [_WrappedHook(each, self) for each in self._get_backward_hooks()[1]]

        def set_hooks(tensors: list[Tensor]) -> list[Tensor]:
            for each in wrapped:
                tensors[0].grad_fn.register_hook(each)  # type: ignore[union-attr]
            return tensors

        marks.append(Mark(LAST, "hook", set_hooks))
        torch.ops.pellucid.hooked(tensor, len(marks) - 1)
        return None

    torch.nn.Module._maybe_warn_non_full_backward_hook = on_last  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.nn.Module._maybe_warn_non_full_backward_hook = known


@contextmanager
def _inference_mode(ours: int) -> Iterator[None]:
    """torch.inference_mode in the thread `ours` only switches gradients off, as an export can follow."""
    import torch

    known = torch.inference_mode.__enter__, torch.inference_mode.__exit__

    def begin(self: Any) -> None:
        if threading.get_ident() == ours:
            self.pellucid_before = torch.is_grad_enabled()
            torch.set_grad_enabled(not self.mode and self.pellucid_before)
        else:
            known[0](self)

    def end(self: Any, *error: Any) -> None:
        if hasattr(self, "pellucid_before"):
            torch.set_grad_enabled(self.pellucid_before)
        else:
            known[1](self, *error)

    torch.inference_mode.__enter__, torch.inference_mode.__exit__ = begin, end  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.inference_mode.__enter__, torch.inference_mode.__exit__ = known  # type: ignore[method-assign]


@contextmanager
def _data(followed: Followed) -> Iterator[None]:
    """A tensor's `data` is a detached tensor, and what is assigned to it is copied into it."""
    import torch

    known: Any = torch._C.TensorBase.data

    def detached(self: Tensor) -> Tensor:
        return self.detach() if followed((self,)) else known.__get__(self)

    def assigned(self: Tensor, value: Tensor) -> None:
        if followed((self,)):
            self.detach().copy_(value)
        else:
            known.__set__(self, value)

    torch.Tensor.data = property(detached, assigned)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        del torch.Tensor.data


@dataclass(frozen=True)
class _Handle:
    """The return value of register_hook."""

    marks: list[Mark]
    number: int

    def remove(self) -> None:
        """Do nothing: a hook that is set and removed has no effect."""
        self.marks[self.number] = Mark(HOOKED, "hook", lambda tensors: tensors)


class _Pair:
    """The two ends of a module with backward hooks: one of PyTorch's BackwardHooks for each run."""

    def __init__(self, hook: Any, enter: Callable[..., Any], leave: Callable[..., Any]) -> None:
        self._made_of = hook.module, hook.user_hooks, hook.user_pre_hooks
        self._enter, self._leave = enter, leave
        self._running: Any = None

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self._running = _backward_hook()(*self._made_of)
        return tuple(self._enter(self._running, args))

    def leave(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        result = self._leave(self._running, args if len(args) != 1 else args[0])
        return result if isinstance(result, tuple) else (result,)


def _backward_hook() -> Any:
    from torch.utils.hooks import BackwardHook

    return BackwardHook


def _followed(args: Any) -> bool:
    """Whether the arguments include an export's stand-ins."""
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.utils._pytree import tree_leaves

    return any(isinstance(leaf, FakeTensor) for leaf in tree_leaves(args))


def _function(marks: list[Mark], cls: Any, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A module's own autograd.Function: one call, whatever happens inside."""
    import torch
    from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing
    from torch.utils._pytree import tree_flatten, tree_unflatten

    leaves, spec = tree_flatten(args)
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    versions = [leaves[place]._version for place in places]
    # without the second, a no_grad() inside the function would extend over what follows
    with disable_proxy_modes_tracing(), torch._C.DisableTorchFunction():
        result = call(*args)
    if versions != [leaves[place]._version for place in places]:
        raise TraceError(
            f"{cls.__name__}, an autograd.Function, changes an array in place, which cannot be followed. Let its "
            "forward return a new array."
        )
    made, shape = tree_flatten(result)
    results = [place for place, leaf in enumerate(made) if isinstance(leaf, torch.Tensor)]

    def run(tensors: list[Tensor]) -> list[Tensor]:
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        answer, _ = tree_flatten(call(*tree_unflatten(filled, spec)))
        return [answer[place] for place in results]

    marks.append(Mark(FUNCTION, cls.__name__, run))
    _active.results = [made[place] for place in results]
    marked = torch.ops.pellucid.marked([leaves[place] for place in places], len(marks) - 1)
    for place, tensor in zip(results, marked, strict=True):
        made[place] = tensor
    return tree_unflatten(made, shape)


def _placed(
    marks: list[Mark], kind: str, called: str, run: Callable[[tuple[Any, ...]], tuple[Any, ...]], args: tuple[Any, ...]
) -> list[Any]:
    """The same arguments, with their tensors passed through a mark."""
    import torch

    places = [place for place, arg in enumerate(args) if isinstance(arg, torch.Tensor)]
    if not places:
        return list(args)

    def through(tensors: list[Tensor]) -> list[Tensor]:
        filled = list(args)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        answer = run(tuple(filled))
        return [answer[place] for place in places]

    marks.append(Mark(kind, called, through))
    tensors = [args[place] for place in places]
    _active.results = tensors
    answer = list(args)
    for place, tensor in zip(places, torch.ops.pellucid.marked(tensors, len(marks) - 1), strict=True):
        answer[place] = tensor
    return answer


@cache
def _operators() -> Any:
    """The operators, made once per process; `overwritten` is from changes.py."""
    import torch
    from torch.fx.node import has_side_effect

    library = torch.library.Library("pellucid", "FRAGMENT")
    library.define(f"{MARKED}(Tensor[] tensors, int number) -> Tensor[]")
    library.define(f"{HOOKED}(Tensor tensor, int number) -> ()")
    library.define("overwritten(Tensor input, Tensor value) -> Tensor")

    def shapes(tensors: list[Tensor], number: int) -> list[Tensor]:
        return [torch.empty_like(result) for result in _active.results]

    torch.library.register_fake(f"pellucid::{MARKED}", shapes, lib=library)
    torch.library.register_fake(f"pellucid::{HOOKED}", lambda tensor, number: None, lib=library)
    has_side_effect(torch.ops.pellucid.hooked.default)  # else it would be removed: nothing reads its result
    return library
