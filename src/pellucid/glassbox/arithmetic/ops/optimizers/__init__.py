"""The optimizers' updates of one weight, as PyTorch computes them: from its gradient to its new value.

Arrays are single numbers. `weight` and `gradient` come in, with what the optimizer remembers of the weight from step
to step; "out" is the new weight, and what will be remembered stands among the numbers between: "momentum_after" for
"momentum". What PyTorch remembers once for a whole parameter (NAdam's product) is a constant of the op.

Three arguments mean the same everywhere. `decay` is the weight decay, 0 or more. `maximize` goes up the gradient.
`precision` is the dtype that PyTorch computes in: a number between that it cannot hold becomes infinite or 0, as in
PyTorch. A `rate` or `step` that is a tensor is computed with in its own precision, as PyTorch does.
"""

from pellucid.glassbox.arithmetic.ops.optimizers.adagrad import adadelta, adagrad, rmsprop
from pellucid.glassbox.arithmetic.ops.optimizers.adam import adam, adamax, adamw
from pellucid.glassbox.arithmetic.ops.optimizers.rectified import nadam, radam
from pellucid.glassbox.arithmetic.ops.optimizers.sgd import asgd, rprop, sgd

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd"]
