"""The optimizers' updates of one weight, as PyTorch computes them: from its gradient to its new value.

Arrays are single numbers. The inputs are `weight`, `gradient`, and the optimizer's state of the weight. "out" is the
new weight; the new state is among the intermediate numbers: "momentum_after" for "momentum". State that PyTorch has
once per parameter (NAdam's product) is a constant of the op.

Three arguments mean the same everywhere. `decay` is the weight decay, 0 or more. `maximize` goes up the gradient.
`precision` is PyTorch's dtype: an intermediate number that it cannot hold becomes infinite or 0, as in PyTorch. A
`rate` or `step` that is a tensor is computed in its own precision, as in PyTorch.
"""

from pellucid.glassbox.arithmetic.ops.optimizers.adagrad import adadelta, adagrad, rmsprop
from pellucid.glassbox.arithmetic.ops.optimizers.adam import adam, adamax, adamw
from pellucid.glassbox.arithmetic.ops.optimizers.rectified import nadam, radam
from pellucid.glassbox.arithmetic.ops.optimizers.sgd import asgd, rprop, sgd

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd"]
