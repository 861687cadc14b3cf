"""Sums of products over named axes: einsum, and its special cases in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import Expression, expression, names


def einsum(equation: str, tensors: Sequence[Shape]) -> Op | None:
    """out[labels after ->] = sum over the other labels of the product of the tensors, each at its own labels.

    As in torch.einsum: "..." stands for unlabelled axes, a label twice in one tensor for its diagonal; without "->" the
    output has the labels that occur once, in alphabetical order.
    """
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(tensors):
        return None
    most = max(len(shape) - len(part.replace("...", "")) for part, shape in zip(parts, tensors, strict=True))
    labels = [_labels(part, len(shape), most) for part, shape in zip(parts, tensors, strict=True)]
    if arrow:
        out = _labels(right, len(right.replace("...", "")) + most * ("..." in right), most)
    else:
        letters = sorted(letter for letter in set(left) if letter.isalpha() and left.count(letter) == 1)
        out = [*(f"b{axis}_" for axis in range(most)), *letters]
    operands = {f"tensors{number}": each for number, each in enumerate(labels)}
    shapes = {f"tensors{number}": shape for number, shape in enumerate(tensors)}
    return contraction("sum of products", operands, shapes, out)


def _labels(part: str, axes: int, most: int) -> list[str]:
    """A label for each axis; those of "..." are counted from the last, to align as in broadcasting."""
    before, dots, after = part.partition("...")
    unnamed = axes - len(before) - len(after)
    return [*before, *(f"b{axis}_" for axis in range(most - unnamed, most) if dots), *after]


def contraction(
    kind: str,
    operands: Mapping[str, Sequence[str]],
    shapes: Mapping[str, Shape],
    out: Sequence[str],
    factor: float = 1,
    added: tuple[str, Shape, float] | None = None,
) -> Op:
    """out[out's labels] = factor * sum over the other labels of the product of the operands, each at its labels.

    An axis of length 1 is broadcast, as in NumPy. `added`: the name, shape and factor of an array to add, broadcast to
    out; with factor 0 it is not read.
    """
    sizes: dict[str, int] = {}
    for name, labels in operands.items():
        for label, size in zip(labels, shapes[name], strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    maps = {
        name: at(*(0 if size == 1 else label for label, size in zip(labels, shapes[name], strict=True)))
        for name, labels in operands.items()
    }
    term: Expression = expression(1)
    for name in operands:
        term = term * names(name)[0]
    order = [*out, *(label for label in sizes if label not in out)]
    ranges = {label: sizes[label] for label in order}
    result = tuple(sizes[label] for label in out)
    stages = [Stage(OUT, ranges, {OUT: at(*out), **maps}, term * factor)]
    every = {name: shapes[name] for name in operands}
    inputs = tuple(operands)
    if added is not None and added[2] != 0:
        name, shape, weight = added
        place = at(
            *(0 if size == 1 else label for label, size in zip(out[len(out) - len(shape) :], shape, strict=True))
        )
        alone = {label: sizes[label] for label in out}
        stages.append(Stage(OUT, alone, {OUT: at(*out), name: place}, names(name)[0] * weight))
        every, inputs = {**every, name: shape}, (*inputs, name)
    return Op(kind, {**every, OUT: result}, inputs, tuple(stages))


def bilinear(input1: Shape, input2: Shape, weight: Shape, bias: Shape | None = None) -> Op:
    """out[.., o] = bias[o] + sum over i, j of input1[.., i] * weight[o, i, j] * input2[.., j]."""
    lead = [f"b{axis or ''}" for axis in range(len(input1) - 1)]
    operands = {"input1": [*lead, "i"], "weight": ["o", "i", "j"], "input2": [*lead, "j"]}
    shapes = {"input1": input1, "input2": input2, "weight": weight}
    added = None if bias is None else ("bias", bias, 1.0)
    return contraction("bilinear", operands, shapes, [*lead, "o"], added=added)


def addmm(input: Shape, mat1: Shape, other: Shape, beta: float = 1, alpha: float = 1) -> Op:
    """beta * input + alpha * the matrix product."""
    operands, shapes = {"mat1": ["r", "i"], "other": ["i", "c"]}, {"mat1": mat1, "other": other}
    return contraction("matrix product", operands, shapes, ["r", "c"], alpha, ("input", input, beta))


def baddbmm(input: Shape, batch1: Shape, batch2: Shape, beta: float = 1, alpha: float = 1) -> Op:
    """beta * input + alpha * the matrix products of a batch."""
    operands, shapes = {"batch1": ["b", "r", "i"], "batch2": ["b", "i", "c"]}, {"batch1": batch1, "batch2": batch2}
    return contraction("matrix product", operands, shapes, ["b", "r", "c"], alpha, ("input", input, beta))


def addbmm(input: Shape, batch1: Shape, batch2: Shape, beta: float = 1, alpha: float = 1) -> Op:
    """beta * input + alpha * the sum over a batch of its matrix products."""
    operands, shapes = {"batch1": ["b", "r", "i"], "batch2": ["b", "i", "c"]}, {"batch1": batch1, "batch2": batch2}
    return contraction("sum of matrix products", operands, shapes, ["r", "c"], alpha, ("input", input, beta))


def addmv(input: Shape, mat: Shape, vec: Shape, beta: float = 1, alpha: float = 1) -> Op:
    """beta * input + alpha * the product of a matrix and a vector."""
    operands, shapes = {"mat": ["r", "i"], "vec": ["i"]}, {"mat": mat, "vec": vec}
    return contraction("matrix product", operands, shapes, ["r"], alpha, ("input", input, beta))


def addr(input: Shape, vec1: Shape, vec2: Shape, beta: float = 1, alpha: float = 1) -> Op:
    """beta * input + alpha * the outer product of two vectors."""
    operands, shapes = {"vec1": ["r"], "vec2": ["c"]}, {"vec1": vec1, "vec2": vec2}
    return contraction("outer product", operands, shapes, ["r", "c"], alpha, ("input", input, beta))


def mv(input: Shape, vec: Shape) -> Op:
    """out[r] = sum over i of input[r, i] * vec[i]."""
    return contraction("matrix product", {"input": ["r", "i"], "vec": ["i"]}, {"input": input, "vec": vec}, ["r"])


def dot(input: Shape, tensor: Shape) -> Op:
    """out = sum over i of input[i] * tensor[i]."""
    return contraction("dot product", {"input": ["i"], "tensor": ["i"]}, {"input": input, "tensor": tensor}, [])


def vdot(input: Shape, other: Shape) -> Op:
    """The same for real numbers."""
    return contraction("dot product", {"input": ["i"], "other": ["i"]}, {"input": input, "other": other}, [])


def outer(input: Shape, vec2: Shape) -> Op:
    """out[r, c] = input[r] * vec2[c]."""
    return contraction("outer product", {"input": ["r"], "vec2": ["c"]}, {"input": input, "vec2": vec2}, ["r", "c"])


def inner(input: Shape, other: Shape) -> Op:
    """out[rows of input, rows of other] = sum over their last axis of the products."""
    first = [f"a{axis}" for axis in range(len(input) - 1)]
    second = [f"b{axis}" for axis in range(len(other) - 1)]
    operands = {"input": [*first, "i"], "other": [*second, "i"]}
    return contraction("inner product", operands, {"input": input, "other": other}, [*first, *second])


def tensordot(input: Shape, other: Shape, dims_self: Sequence[int], dims_other: Sequence[int]) -> Op:
    """The sum over pairs of axes, one of each array, of the products."""
    first = [f"a{axis}" for axis in range(len(input))]
    second = [f"b{axis}" for axis in range(len(other))]
    for left, right in zip(dims_self, dims_other, strict=True):
        second[right % len(other)] = first[left % len(input)]
    summed = {first[axis % len(input)] for axis in dims_self}
    out = [label for label in (*first, *second) if label not in summed]
    return contraction("sum of products", {"input": first, "other": second}, {"input": input, "other": other}, out)


def multi_dot(tensors: Sequence[Shape]) -> Op:
    """One matrix product after the other; the first and the last may be vectors."""
    labels = [[f"i{number}", f"i{number + 1}"] for number in range(len(tensors))]
    if len(tensors[0]) == 1:
        labels[0] = labels[0][1:]
    if len(tensors[-1]) == 1:
        labels[-1] = labels[-1][:1]
    operands = {f"tensors{number}": each for number, each in enumerate(labels)}
    shapes = {f"tensors{number}": shape for number, shape in enumerate(tensors)}
    out = [label for label in ("i0", f"i{len(tensors)}") if any(label in each for each in labels)]
    return contraction("matrix products", operands, shapes, out)


def kron(input: Shape, other: Shape) -> Op:
    """out[r * R + i, c * C + j] = input[r, c] * other[i, j], other being R x C: Kronecker's product."""
    count = max(len(input), len(other))
    left, right = (1,) * (count - len(input)) + tuple(input), (1,) * (count - len(other)) + tuple(other)
    outer, own = [f"a{axis}" for axis in range(count)], [f"b{axis}" for axis in range(count)]
    to = tuple(Axis(((a, size), (b, 1))) for a, b, size in zip(outer, own, right, strict=True))
    maps = {OUT: to, "input": at(*outer[count - len(input) :]), "other": at(*own[count - len(other) :])}
    ranges = dict(zip((*outer, *own), (*left, *right), strict=True))
    first, second = names("input", "other")
    out = tuple(a * b for a, b in zip(left, right, strict=True))
    assert prod(out) == prod(input) * prod(other)
    return Op(
        "Kronecker product",
        {"input": input, "other": other, OUT: out},
        ("input", "other"),
        (Stage(OUT, ranges, maps, first * second),),
    )
