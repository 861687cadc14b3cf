"""Trace torch.vmap and torch.func.grad, vjp and jacrev: as loops, and as computed gradients.

PyTorch runs them on wrapped arrays, which torch.export does not record. Here they compute the same from ordinary calls:
the function of each slice, stacked, and the gradient of a function at its arguments.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def written_out() -> Iterator[None]:
    """Within the context, this thread's calls of torch.func consist of ordinary calls."""
    from torch._functorch import apis, eager_transforms

    ours = threading.get_ident()
    places = [
        (apis, "vmap_impl", _looped),
        (eager_transforms, "grad_and_value_impl", _with_gradient),
        (eager_transforms, "_vjp_with_argnums", _with_backward),
        (eager_transforms, "_jvp_with_argnums", _refused),
    ]
    known = [getattr(module, name) for module, name, _ in places]

    def either(own: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: (own if threading.get_ident() == ours else original)(*args, **kwargs)

    for (module, name, own), original in zip(places, known, strict=True):
        setattr(module, name, either(own, original))
    try:
        yield
    finally:
        for (module, name, _), original in zip(places, known, strict=True):
            setattr(module, name, original)


def _looped(
    func: Callable[..., Any], in_dims: Any, out_dims: Any, randomness: str, _: Any, *args: Any, **kwargs: Any
) -> Any:
    """vmap: the function of each slice in order, with stacked results."""
    import torch
    from torch._functorch.vmap import _process_batched_inputs
    from torch.utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_unflatten

    if randomness != "error":
        raise TraceError(
            f"The module uses torch.vmap with randomness={randomness!r}, which cannot be followed. Draw the numbers "
            "before it."
        )
    count, dims, flat, spec = _process_batched_inputs(in_dims, args, func)
    results = []
    for number in range(count):
        slices = [each if dim is None else each.select(dim, number) for each, dim in zip(flat, dims, strict=True)]
        results.append(tree_flatten(func(*tree_unflatten(slices, spec), **kwargs)))
    shape = results[0][1]
    stacked_at = _broadcast_to_and_flatten(out_dims, shape) or []
    pieces = zip(*(leaves for leaves, _ in results), strict=True)
    stacked = [
        several[0] if dim is None else torch.stack(several, dim)
        for several, dim in zip(pieces, stacked_at, strict=True)
    ]
    return tree_unflatten(stacked, shape)


def _with_gradient(
    func: Callable[..., Any], argnums: Any, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    """grad_and_value: (the gradient with respect to the arguments with these numbers, the function's result)"""
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    with torch.enable_grad():
        args = _watched(args, numbers)
        result = func(*args, **kwargs)
        value = result[0] if has_aux else result
        chosen = args[argnums] if isinstance(argnums, int) else tuple(args[number] for number in numbers)
        leaves, spec = tree_flatten(chosen)
        gradients = _gradients([value], leaves, None)
    return tree_unflatten(gradients, spec), result


def _with_backward(func: Callable[..., Any], *primals: Any, argnums: Any = None, has_aux: bool = False) -> Any:
    """vjp: the function's result, and a function from its gradients to those of the arguments."""
    import torch
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

    numbers = tuple(range(len(primals))) if argnums is None else (argnums,) if isinstance(argnums, int) else argnums
    with torch.enable_grad():
        args = _watched(primals, numbers)
        result = func(*args)
    value = result[0] if has_aux else result
    chosen = args[argnums] if isinstance(argnums, int) else tuple(args[number] for number in numbers)
    leaves, spec = tree_flatten(chosen)

    def back(gradients: Any, *_: Any, **__: Any) -> Any:
        with torch.enable_grad():
            return tree_unflatten(_gradients(tree_leaves(value), leaves, tree_leaves(gradients)), spec)

    return (value, back, result[1]) if has_aux else (value, back)


def _refused(*_: Any, **__: Any) -> Any:
    raise TraceError(
        "The module uses torch.func.jvp or jacfwd. Forward derivatives cannot be followed. Use vjp or jacrev."
    )


def _watched(args: tuple[Any, ...], numbers: tuple[int, ...]) -> tuple[Any, ...]:
    """The arguments with these numbers as separate arrays: what is reached in another way does not count."""
    import torch
    from torch.utils._pytree import tree_map

    def own(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.view_as(value) if value.requires_grad else value.detach().requires_grad_()

    places = {number % len(args) for number in numbers}
    return tuple(tree_map(own, each) if place in places else each for place, each in enumerate(args))


def _gradients(values: list[Tensor], leaves: list[Tensor], gradients: list[Tensor] | None) -> list[Tensor]:
    import torch

    results = torch.autograd.grad(values, leaves, gradients, create_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if each is None else each for leaf, each in zip(leaves, results, strict=True)]
