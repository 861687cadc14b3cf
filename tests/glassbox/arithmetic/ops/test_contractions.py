"""Einsum and its kin: by hand, against PyTorch, and by differences."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import contractions as c

MANY = settings(max_examples=20, deadline=None)
SIZES = st.integers(1, 4)


def test_a_matrix_and_a_vector_by_hand() -> None:
    op = c.einsum("rc,c->r", [(2, 2), (2,)])
    assert op is not None
    arrays = {"tensors0": np.array([[1.0, 2], [3, 4]]), "tensors1": np.array([5.0, 7])}
    assert everything(op, arrays).tolist() == [1 * 5 + 2 * 7, 3 * 5 + 4 * 7]
    evaluator = Evaluator(op, arrays, np.array([10.0, 100]))
    (terms,) = evaluator.backward("tensors1", (1,))
    assert terms.values.tolist() == [10 * 2, 100 * 4]
    assert str(terms.formula) == "gradient of out * tensors0"


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bchw,dc->bdhw", [(2, 3, 2, 4), (5, 3)]),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ba,cb", [(2, 3), (4, 2)]),
        ("i,i->", [(4,), (4,)]),
        ("i,j->ij", [(4,), (3,)]),
        ("ii->i", [(4, 4)]),
        ("ii", [(4, 4)]),
        ("iji->j", [(3, 2, 3)]),
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
        ("i...,...i->...", [(4, 2, 3), (3, 4)]),
        ("b...->...", [(3, 2, 2)]),
        ("...", [(3, 2)]),
        ("a b , b -> a", [(2, 3), (3,)]),
        ("ab,bc,cd->ad", [(2, 3), (3, 4), (4, 2)]),
        ("ab,ab->ab", [(2, 3), (1, 3)]),
        ("aB,Bc->ca", [(2, 3), (3, 4)]),
    ],
)
def test_einsum_agrees_with_pytorch(oracle, equation, shapes) -> None:
    op = c.einsum(equation, shapes)
    oracle.agrees(op, lambda *arrays: torch.einsum(equation, *arrays), at=5)
    oracle.by_differences(op)


@MANY
@given(st.data())
def test_any_two_arrays_agree_with_pytorch(oracle, data) -> None:
    sizes = {label: data.draw(SIZES) for label in "abcd"}
    parts = [data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)) for _ in range(2)]
    used = sorted({label for part in parts for label in part})
    out = data.draw(st.permutations(data.draw(st.lists(st.sampled_from(used), unique=True))))
    equation = ",".join("".join(part) for part in parts) + "->" + "".join(out)
    op = c.einsum(equation, [tuple(sizes[label] for label in part) for part in parts])
    oracle.agrees(op, lambda *arrays: torch.einsum(equation, *arrays))


def test_too_few_arrays_are_not_written() -> None:
    assert c.einsum("ij,jk->ik", [(2, 3)]) is None


@MANY
@given(st.lists(SIZES, max_size=2), SIZES, SIZES, SIZES, st.booleans())
def test_bilinear_agrees_with_pytorch(oracle, lead, first, second, out, bias) -> None:
    op = c.bilinear((*lead, first), (*lead, second), (out, first, second), (out,) if bias else None)
    arrays = oracle.numbers(op)
    order = [name for name in ("input1", "input2", "weight", "bias") if name in arrays]

    def function(*inputs: torch.Tensor) -> torch.Tensor:
        named = dict(zip(op.inputs, inputs, strict=True))
        return F.bilinear(*(named[name] for name in order))

    oracle.agrees(op, function, arrays)


ADDED: dict[str, Any] = {
    "addmm": (c.addmm, torch.addmm, [(3, 5), (5, 4)], [(3, 4), (4,), (3, 1), ()]),
    "baddbmm": (c.baddbmm, torch.baddbmm, [(2, 3, 5), (2, 5, 4)], [(2, 3, 4), (3, 4), (1, 1, 4)]),
    "addbmm": (c.addbmm, torch.addbmm, [(2, 3, 5), (2, 5, 4)], [(3, 4), (4,)]),
    "addmv": (c.addmv, torch.addmv, [(3, 5), (5,)], [(3,), (1,)]),
    "addr": (c.addr, torch.addr, [(3,), (4,)], [(3, 4), (4,)]),
}


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize(("beta", "alpha"), [(1, 1), (0.5, 2), (0, 3)])
def test_products_with_something_added_agree_with_pytorch(oracle, name, beta, alpha) -> None:
    make, function, factors, added = ADDED[name]
    for shape in added:
        op = make(shape, *factors, beta, alpha)
        arrays = oracle.numbers(op) | {"input": oracle.random.standard_normal(shape)}
        assert ("input" in op.inputs) == (beta != 0)
        tensors = [torch.from_numpy(arrays["input"]).requires_grad_()]

        def plain(*inputs: torch.Tensor, op=op, tensors=tensors) -> torch.Tensor:
            named = dict(zip(op.inputs, inputs, strict=True))
            rest = [each for each_name, each in named.items() if each_name != "input"]
            return function(named.get("input", tensors[0]), *rest, beta=beta, alpha=alpha)

        oracle.agrees(op, plain, arrays)


def test_an_addition_by_hand() -> None:
    op = c.addmm((2,), (1, 2), (2, 2), 10, 100)
    arrays = {"input": np.array([1.0, 2]), "mat1": np.array([[3.0, 4]]), "other": np.array([[5.0, 6], [7, 8]])}
    # 10*1 + 100*(3*5 + 4*7), 10*2 + 100*(3*6 + 4*8)
    assert everything(op, arrays).tolist() == [[4310, 5020]]
    assert len(Evaluator(op, arrays).forward((0, 1))) == 2


@pytest.mark.parametrize(
    ("op", "function"),
    [
        (c.mv((3, 4), (4,)), torch.mv),
        (c.dot((4,), (4,)), torch.dot),
        (c.vdot((4,), (4,)), torch.vdot),
        (c.outer((3,), (4,)), torch.outer),
        (c.inner((2, 3, 4), (5, 4)), torch.inner),
        (c.inner((4,), (4,)), torch.inner),
        (c.kron((2, 3), (3, 2)), torch.kron),
        (c.kron((3,), (2, 2)), torch.kron),
        (c.kron((2, 2, 2), (3,)), torch.kron),
        (c.tensordot((3, 4, 5), (5, 3, 2), [2, 0], [0, 1]), lambda a, b: torch.tensordot(a, b, ([2, 0], [0, 1]))),
        (c.tensordot((3, 4), (2,), [], []), lambda a, b: torch.tensordot(a, b, 0)),
        (c.multi_dot([(2, 3), (3, 4), (4, 2)]), lambda *a: torch.linalg.multi_dot(a)),
        (c.multi_dot([(3,), (3, 4), (4,)]), lambda *a: torch.linalg.multi_dot(a)),
    ],
)
def test_other_products_agree_with_pytorch(oracle, op, function) -> None:
    oracle.agrees(op, function, at=6)
    oracle.by_differences(op)


def test_kroneckers_product_by_hand() -> None:
    op = c.kron((1, 2), (2, 1))
    arrays = {"input": np.array([[2.0, 3]]), "other": np.array([[5.0], [7]])}
    assert everything(op, arrays).tolist() == [[10, 15], [14, 21]]
    assert op.shapes[OUT] == (2, 2)
