"""Batch norm with its ReLU by kernels of ours, held against PyTorch's in float64."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pellucid.engine import kernels, norms
from pellucid.network import text
from pellucid.runtime import team

pytestmark = pytest.mark.skipif(not team.is_there(), reason="PyTorch's threads are not GNU's here")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of any size, in several jobs."""
    monkeypatch.setattr(norms, "SMALLEST", 1)
    monkeypatch.setattr(norms, "JOB_BYTES", 4096)
    norms._plan.cache_clear()


@pytest.fixture(autouse=True)
def forget() -> Any:
    yield
    norms._plan.cache_clear()  # of the small jobs


def made(channels: int, relu: nn.Module) -> nn.Sequential:
    norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.3)
    for numbers, low, high in ((norm.weight, -1, 2), (norm.bias, -1, 1), (norm.running_mean, 0, 1)):
        assert numbers is not None
        numbers.data.uniform_(low, high)
    assert norm.running_var is not None
    norm.running_var.uniform_(1, 2)
    return nn.Sequential(norm, relu)


def stepped(call: Any, module: nn.Module, images: Tensor, grad: Tensor) -> list[Tensor]:
    """Output, gradients of the pictures and the parameters, and the buffers after that."""
    given = images.clone().requires_grad_()
    output = call(given)
    output.backward(grad)
    assert given.grad is not None
    gradients = [each.grad for each in module.parameters() if each.grad is not None]
    return [output.detach(), given.grad, *gradients, *module.buffers()]


# channels that fill vectors, that take two or four places for it, and places that leave a job of one row
@pytest.mark.parametrize(("count", "channels", "side"), [(3, 32, 9), (2, 24, 10), (4, 4, 6)])
@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU6(), nn.Identity()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("by_batch", [True, False])
def test_every_number_is_that_of_pytorch(
    count: int, channels: int, side: int, relu: nn.Module, dtype: torch.dtype, by_batch: bool
) -> None:
    torch.manual_seed(3)
    module = made(channels, relu).train(by_batch)
    exact = copy.deepcopy(module).double()
    # far from 0, with an outlier where a job's first row is
    images = torch.randn(count, channels, side, side) * 2 + 5
    images[0, :, 0, 0] = 100
    images = images.to(dtype).contiguous(memory_format=torch.channels_last)
    grad = torch.randn(count, channels, side, side).to(dtype)

    ours = [stepped(kernels.forward(one, one, n), one, images, grad) for n, one in enumerate(twice(module), 1)]
    theirs = stepped(exact, exact, images.double(), grad.double())

    assert len(ours[0]) == len(theirs) == 7
    for number, (one, two, right) in enumerate(zip(*ours, theirs, strict=True)):
        assert torch.equal(one, two)  # the number of threads changes no bit
        assert one.dtype == (dtype if number < 2 else torch.int64 if number == 6 else torch.float32)
        most = 0.006 if number < 2 and dtype == torch.bfloat16 else 1e-5
        assert float((one.double() - right).norm()) <= most * float(right.double().norm())


def twice(module: nn.Module) -> list[nn.Module]:
    return [copy.deepcopy(module), copy.deepcopy(module)]


def taken(module: nn.Module, images: Tensor) -> int:
    """How many batch norms are computed by kernels of ours."""
    seen, left = set(), [kernels.forward(module, module, 1)(images).grad_fn]
    while left:
        here: Any = left.pop()
        if here is not None and here not in seen:
            seen.add(here)
            left += [before for before, _ in here.next_functions]
    return sum("_NormBackward" in here.name() for here in seen)


class Twice(nn.Module):
    """Uses what the norm gives beside the ReLU: nothing may be rectified before."""

    def __init__(self) -> None:
        super().__init__()
        self.row = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        return self.row[0](images) + self.row(images)


def test_what_else_reads_the_norm_sees_it_unrectified() -> None:
    torch.manual_seed(4)
    module, images = Twice(), torch.randn(4, 16, 6, 6)
    other = copy.deepcopy(module)
    grad = torch.randn(4, 16, 6, 6)
    ours, theirs = (
        stepped(kernels.forward(module, module, 1), module, images, grad),
        stepped(other, other, images, grad),
    )
    for one, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, right, rtol=1e-4, atol=1e-5)
    assert float(ours[0].min()) < 0


def test_one_norm_in_two_places() -> None:
    torch.manual_seed(5)
    norm, images = nn.BatchNorm2d(16), torch.randn(4, 16, 6, 6)
    module = nn.Sequential(norm, nn.Tanh(), norm, nn.ReLU())
    other = copy.deepcopy(module)
    torch.testing.assert_close(kernels.forward(module, module, 1)(images), other(images), rtol=1e-4, atol=1e-5)
    module = nn.Sequential(norm, nn.ReLU(), norm)
    other = copy.deepcopy(module)
    torch.testing.assert_close(kernels.forward(module, module, 1)(images), other(images), rtol=1e-4, atol=1e-5)


def test_whoever_watches_sees_the_norms_own_output() -> None:
    torch.manual_seed(6)
    module = made(16, nn.ReLU())
    seen: list[Tensor] = []
    module[0].register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    output = kernels.forward(module, module, 1)(torch.randn(4, 16, 6, 6))
    assert float(seen[0].min()) < 0
    assert torch.equal(output, seen[0].clamp_min(0))


def test_a_whole_network() -> None:
    torch.manual_seed(7)
    written = (
        "conv(16, 3, stride=2, padding=same) batchnorm relu "
        "residual(conv(16, 3, padding=1) batchnorm relu6 conv(16, 1) batchnorm) relu "
        "residual(conv(24, 3, padding=1) batchnorm | conv(24, 1) batchnorm) globalavgpool dense"
    )
    module = text.parse(written).module((3, 12, 12), 2)
    other = copy.deepcopy(module).double()
    images, grad = torch.randn(4, 3, 12, 12), torch.randn(4, 2)
    assert taken(copy.deepcopy(module), images) == 5
    assert len(norms.Norms(module, 1).relus) == 2
    ours = stepped(kernels.forward(module, module, 1), module, images, grad)
    theirs = stepped(other, other, images.double(), grad.double())
    for one, right in zip(ours, theirs, strict=True):
        assert float((one.double() - right).norm()) <= 1e-4 * float(right.double().norm()) + 1e-5


def test_what_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randn(3, 24, 5, 5)  # 75 places do not fill rows of two
    assert taken(made(24, nn.ReLU()), images) == 0
    assert taken(made(24, nn.ReLU()).double(), images[:2].double()) == 0
    assert taken(nn.Sequential(nn.BatchNorm2d(24, affine=False), nn.Conv2d(24, 1, 1)), images[:2]) == 0
    assert taken(nn.Sequential(nn.BatchNorm2d(24, track_running_stats=False)), images[:2]) == 1
    assert taken(made(24, nn.ReLU()), images[:2]) == 1
    monkeypatch.setattr(norms, "SMALLEST", images[:2].numel() + 1)
    assert taken(made(24, nn.ReLU()), images[:2]) == 0


def test_a_number_that_is_none_stays_one() -> None:
    module = made(16, nn.ReLU6())
    images = torch.randn(2, 16, 4, 4)
    images[0, 3, 1, 1] = torch.nan
    output = kernels.forward(module, module, 1)(images)
    assert torch.isnan(output).any(dim=(0, 2, 3)).tolist() == [channel == 3 for channel in range(16)]
    assert torch.isnan(output[:, 3]).all()


def test_it_is_told() -> None:
    assert kernels.described(made(16, nn.ReLU())) == ("batch norm with its ReLU",)
    assert kernels.described(nn.Sequential(nn.Conv2d(16, 16, 5, groups=16), nn.BatchNorm2d(16))) == (
        "batch norm with its ReLU",
        "gradients of depthwise convolutions",
    )
    assert kernels.described(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())) == ()
