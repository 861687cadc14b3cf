"""Arrays that an operator creates: by hand and against PyTorch."""

import numpy as np
import torch

from pellucid.glassbox.arithmetic.evaluator import everything
from pellucid.glassbox.arithmetic.ops import created


def test_by_hand() -> None:
    assert everything(created.zeros((2, 1)), {}).tolist() == [[0], [0]]
    assert everything(created.ones((2,)), {}).tolist() == [1, 1]
    assert everything(created.full((2,), -np.inf), {}).tolist() == [-np.inf] * 2
    assert everything(created.scalar_tensor((), 2.5), {}).tolist() == 2.5
    assert everything(created.arange((3,)), {}).tolist() == [0, 1, 2]
    assert created.full((2,), 0.5).inputs == ()


def test_rows_and_diagonals_agree_with_pytorch() -> None:
    for start, end, step in ((0, 5, 1), (-1, 2, 0.25), (3, -3, -2)):
        expected = torch.arange(start, end, step, dtype=torch.float64).numpy()
        np.testing.assert_allclose(everything(created.arange(expected.shape, start, step), {}), expected, rtol=1e-15)
    for shape in ((3, 3), (2, 4), (4, 2)):
        np.testing.assert_array_equal(everything(created.eye(shape), {}), torch.eye(*shape).numpy())
