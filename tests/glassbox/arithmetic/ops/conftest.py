"""Two oracles for every declaration: PyTorch, and differences of the declaration's own forward."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, Terms, everything

Arrays = dict[str, np.ndarray]


class Oracle:
    """Draws numbers for a declaration and compares it with PyTorch's function on the same inputs."""

    @property
    def random(self) -> np.random.Generator:
        """The same numbers each time, because Hypothesis must be able to repeat a failure."""
        return np.random.default_rng(11)

    def numbers(self, op: Op, **inputs: Any) -> Arrays:
        """Every input, float64: normal numbers, or those passed in."""
        random = self.random
        drawn = {name: random.standard_normal(op.shapes[name]) for name in op.inputs}
        return drawn | {name: np.asarray(array, np.float64) for name, array in inputs.items()}

    def agrees(
        self,
        op: Op | None,
        function: Callable[..., torch.Tensor],
        arrays: Arrays | None = None,
        *,
        tolerance: float = 1e-11,
        at: int = 3,
    ) -> None:
        """Compare the shape, and `at` random numbers of out and of every input's gradient.

        `function` takes the inputs in order. The tolerance is relative to the scale of the terms.
        """
        assert op is not None
        arrays = self.numbers(op) if arrays is None else arrays
        tensors = [torch.tensor(arrays[name], requires_grad=True) for name in op.inputs]
        out = function(*tensors)
        assert tuple(out.shape) == op.shapes[OUT]
        gradient = torch.tensor(self.random.standard_normal(op.shapes[OUT]))
        gradients = torch.autograd.grad(out, tensors, gradient, allow_unused=True)
        evaluator = Evaluator(op, arrays, gradient.numpy())
        for index in self.indices(op.shapes[OUT], at):
            parts = evaluator.forward(index)
            self.hangs_together(parts)
            close(parts, out[index].item(), tolerance, evaluator.value(OUT, index))
        for name, tensor, result in zip(op.inputs, tensors, gradients, strict=True):
            result = torch.zeros_like(tensor) if result is None else result
            for index in self.indices(tensor.shape, at):
                parts = evaluator.backward(name, index)
                self.hangs_together(parts)
                close(parts, result[index].item(), tolerance, evaluator.gradient_of(name, index))

    def indices(self, shape: tuple[int, ...], count: int) -> Iterator[tuple[int, ...]]:
        random = np.random.default_rng([count, *shape])
        if np.prod(shape):
            for _ in range(count):
                yield tuple(int(random.integers(size)) for size in shape)

    @staticmethod
    def hangs_together(parts: tuple[Terms, ...]) -> None:
        """The shown columns give the terms by the shown formula; and the scale is at least as large."""
        for part in parts:
            if part.pick == "sum":
                values = {column.name: column.values for column in part.columns}
                with np.errstate(all="ignore"):  # in what a condition does not choose
                    again = np.broadcast_to(part.formula.evaluate(values), part.values.shape)
                np.testing.assert_array_equal(again, part.values)
                assert part.scale >= np.abs(part.values).sum() * (1 - 1e-12)
            for column in part.columns:
                assert len(column.indices) == len(column.values) == len(column.inside) == len(part)
                assert not column.values[~column.inside].any()

    def by_differences(self, op: Op | None, arrays: Arrays | None = None, tolerance: float = 1e-7) -> None:
        """Compare backward with central differences of forward, in float64, without PyTorch."""
        assert op is not None
        arrays = self.numbers(op) if arrays is None else arrays
        gradient = self.random.standard_normal(op.shapes[OUT])
        evaluator = Evaluator(op, arrays, gradient)

        def loss(name: str, index: tuple[int, ...], step: float) -> float:
            moved = arrays[name].copy()
            moved[index] += step
            return float((everything(op, arrays | {name: moved}) * gradient).sum())

        step = 1e-5
        for name in op.inputs:
            for index in self.indices(op.shapes[name], 2):
                measured = (loss(name, index, step) - loss(name, index, -step)) / (2 * step)
                result, scale = evaluator.gradient_of(name, index)
                assert result == pytest.approx(measured, rel=0, abs=tolerance * (scale + 1)), (name, index)


def close(parts: tuple[Terms, ...], expected: float, tolerance: float, value: tuple[float, float]) -> None:
    total, scale = sum(part.total for part in parts), sum(part.scale for part in parts)
    assert value == pytest.approx((total, scale), rel=1e-12, abs=1e-12 * scale)
    assert total == pytest.approx(expected, rel=0, abs=tolerance * scale + 1e-300)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    return Oracle()
