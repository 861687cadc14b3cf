"""A user's module is tried before it is trained: its inputs, its outputs, its saved form."""

import re
import threading
import warnings
from copy import deepcopy

import pytest
import torch
from torch import nn

from pellucid.errors import NetworkError
from pellucid.network.own import own as owns
from pellucid.network.own import program as programs
from pellucid.network.own.own import Own, Ready


class Skip(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x))) + x


class Net(nn.Module):
    """Skip connections, a layer that runs twice, one under two names, one that is never used."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, groups=3)
        self.blocks = nn.ModuleList([Skip(6), Skip(6)])
        self.again = self.blocks[0].conv
        self.unused = nn.Linear(2, 2)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = self.blocks[1](self.again(x))
        return self.head(self.drop(x).mean((2, 3)))


class Views(nn.Module):
    """A pattern from tutorials: view() after a convolution, for grey pictures of 32x32."""

    def __init__(self, classes: int, channels: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 5)
        self.second = nn.Conv2d(6, 16, 5)
        self.head = nn.Linear(16 * 5 * 5, classes)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.first(x)), 2)
        x = torch.max_pool2d(torch.relu(self.second(x)), 2)
        return self.head(x.view(x.size(0), -1))


class Means(nn.Module):
    """Means of the channels, in a method that a subclass adds."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def ready(module: nn.Module, shape: tuple[int, ...] = (3, 16, 16), classes: int = 2) -> Ready:
    return Own("module:Net", module).ready(shape, classes)


def state(module: nn.Module, result: Ready) -> dict[str, torch.Tensor]:
    assert result.program is not None
    return {name: each for name, each in module.state_dict().items() if name not in result.program.shared}


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Net(2), (3, 16, 16)),
        (lambda: Views(2), (1, 32, 32)),
        (lambda: Views(2, 3), (3, 32, 32)),
        (lambda: Means(2), (3, 9, 7)),
    ],
)
def test_a_program_is_the_module_for_any_number_of_pictures(make, shape: tuple[int, ...]) -> None:
    module = make()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    prepared = ready(module, shape)
    again = programs.opened(prepared.program, state(module, prepared))
    assert list(again.state_dict()) == list(module.state_dict())
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in module.named_parameters()]
    assert not any(part.training for part in again.modules())
    for count in (1, 2, 5):
        example = torch.randn(count, *shape)
        for pictures in (example, example.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)):
            expected = module.eval()(example)
            torch.testing.assert_close(again(pictures), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(deepcopy(again)(example), expected, rtol=0, atol=1e-5)


def test_parts_of_a_program_keep_their_names_and_convolutions_are_convolutions() -> None:
    module = Net(2)
    prepared = ready(module)
    again = programs.opened(prepared.program, state(module, prepared))
    names = [name for name, part in again.named_modules() if isinstance(part, nn.Conv2d)]
    assert {"stem", "blocks.1.conv"} <= set(names)
    assert again.get_submodule("stem").groups == 3
    # one tensor under two names stays one, with one gradient
    assert prepared.program.shared == {"again.weight": "blocks.0.conv.weight", "again.bias": "blocks.0.conv.bias"}
    assert again.get_parameter("again.weight") is again.get_parameter("blocks.0.conv.weight")


def test_the_weights_are_not_in_the_program() -> None:
    small, large = (nn.Sequential(nn.Flatten(), nn.Hardtanh(), nn.Linear(192, n), nn.Linear(n, 2)) for n in (4, 4096))
    sizes = [len(ready(each, (3, 8, 8)).program.content) for each in (small, large)]
    assert abs(sizes[0] - sizes[1]) < 500


def test_a_program_does_not_tell_where_the_code_lies() -> None:
    content = ready(Net(2)).program.content
    assert __file__.encode() not in content


def test_the_digest_is_of_what_it_computes_and_not_of_its_weights() -> None:
    class Other(Net):
        def forward(self, x):
            return super().forward(x) * 2

    assert ready(Net(2)).digest == ready(Net(2)).digest
    assert ready(Net(2)).digest != ready(Other(2)).digest


def test_the_users_module_stays_as_it_is() -> None:
    module = Net(2)
    before = deepcopy(module.state_dict())
    random = torch.get_rng_state()
    prepared = ready(module)
    assert module.training
    assert all(torch.equal(before[name], each) for name, each in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not module._forward_pre_hooks
    assert all(one is not other for one, other in zip(module.parameters(), prepared.module.parameters(), strict=True))
    assert all(
        torch.equal(one, other) for one, other in zip(module.parameters(), prepared.module.parameters(), strict=True)
    )


def test_lazy_layers_learn_their_sizes_and_keep_what_they_drew() -> None:
    module = nn.Sequential(nn.LazyConv2d(4, 3), nn.Hardtanh(), nn.Flatten(), nn.LazyLinear(2))
    torch.manual_seed(4)
    one = ready(module, (3, 8, 8))
    torch.manual_seed(4)
    other = ready(module, (3, 8, 8))
    assert one.module[3].in_features == 144
    assert torch.equal(one.module[3].weight, other.module[3].weight)


def test_frozen_weights_stay_frozen() -> None:
    module = Net(2)
    module.stem.requires_grad_(False)
    prepared = ready(module)
    assert not prepared.module.stem.weight.requires_grad
    again = programs.opened(prepared.program, state(module, prepared))
    assert not again.stem.weight.requires_grad
    assert again.head.weight.requires_grad


def test_the_size_that_it_takes_is_looked_for() -> None:
    assert Own("m", Net(2)).taken((3, 100, 100)) == (3, 100, 100)
    assert Own("m", Views(2)).taken((3, 100, 100)) == (1, 32, 32)
    assert Own("m", Views(2)).taken((3, 32, 32)) == (1, 32, 32)
    assert Own("m", Views(2, 3)).taken((3, 35, 35)) == (3, 35, 35)
    assert Own("m", Views(2, 4)).taken((3, 32, 32)) is None


class Returns(nn.Module):
    """Returns a function of its scores."""

    def __init__(self, function) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.function = function

    def forward(self, x):
        return self.function(self, self.head(x.mean((2, 3))), x)


class Counts(Means):
    def __init__(self, persistent: bool) -> None:
        super().__init__()
        self.register_buffer("runs", torch.zeros(1), persistent=persistent)

    def forward(self, x):
        if self.training:
            self.runs += 1
        return super().forward(x)


class Extra(Means):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


def _not_copied() -> nn.Module:
    module = Means()
    module.lock = threading.Lock()
    return module


REFUSED = {
    "too many numbers": (
        lambda: Means(1000),
        "Means returns [2, 1000] for 2 pictures, and 2 classes need [2, 2]: it gives 1,000 numbers a picture. "
        "Build it for 2 classes.",
    ),
    "maps": (lambda: nn.Conv2d(3, 2, 3), "Conv2d returns [2, 2, 14, 14] for 2 pictures, and 2 classes need [2, 2]."),
    "no tensor": (
        lambda: Returns(lambda _, y, __: {"logits": y}),
        "Returns returns a dict while it trains; it must return one tensor",
    ),
    "more while it trains": (
        lambda: Returns(lambda m, y, _: (y, y) if m.training else y),
        "Returns returns a tuple while it trains; it must return one tensor",
    ),
    "whole numbers": (
        lambda: Returns(lambda m, y, _: y if m.training else y.long()),
        "Returns returns int64; the score of a class is a float.",
    ),
    "nothing to train": (lambda: nn.Sequential(nn.Flatten(), nn.Hardtanh()), "Sequential has nothing to train: "),
    "all frozen": (lambda: Means().requires_grad_(False), "Means has nothing to train: it has no weights, or all are"),
    "raises": (
        lambda: Returns(lambda *_: 1 / 0),
        "Returns does not take pictures of 16x16x3: ZeroDivisionError: division by zero (test_own.py:",
    ),
    "raises while it trains": (
        lambda: Returns(lambda m, y, _: 1 / 0 if m.training else y),
        "Returns cannot be trained on pictures of 16x16x3: ZeroDivisionError: division by zero (test_own.py:",
    ),
    "other pictures": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)),
        "Sequential does not take pictures of 16x16x3: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    ),
    "another size": (lambda: Views(2, 3), "It takes 32x32x3: give size=32."),
    "another size, grey": (lambda: Views(2), "It takes 32x32x1: give size=32 and channels=1."),
    "depends on numbers": (
        lambda: Returns(lambda _, y, x: y if x.sum() > 0 else -y),
        "Returns cannot be saved. Saving needs torch.export, and torch.export cannot follow it: what "
        "it computes next depends on the numbers in an array",
    ),
    "a fixed number of pictures": (
        lambda: Returns(lambda _, y, __: y.view(2, 2)),
        "cannot follow it: it takes a fixed number of pictures; read their number from the input, x.shape[0].",
    ),
    "chance": (
        lambda: Returns(lambda _, y, __: y + torch.randn(2)),
        "Returns cannot be saved: its program and the module give different numbers. In evaluation mode, its output",
    ),
    "other pictures in the batch": (
        lambda: nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(768, 2)),
        "Sequential cannot be saved: its program and the module give different numbers. In evaluation mode, its output",
    ),
    "a buffer that would be lost": (
        lambda: Counts(persistent=False),
        "Counts cannot be trained: it changes its buffer runs, which its state_dict leaves out",
    ),
    "a state that is no tensor": (
        Extra,
        "Extra cannot be saved: _extra_state in its state_dict is a dict, and only tensors are saved.",
    ),
    "no copy": (_not_copied, "Means cannot be copied: TypeError: cannot pickle"),
    "doubles": (lambda: Means().double(), "Means does not take pictures of 16x16x3: RuntimeError: "),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_trained_or_saved_is_refused_in_a_line(why: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, message = REFUSED[why]
    with pytest.raises(NetworkError, match=re.escape(message)) as caught:
        ready(make())
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert capfd.readouterr() == ("", "")


def test_a_buffer_that_is_kept_may_change() -> None:
    module = Counts(persistent=True)
    prepared = ready(module)
    assert "runs" in prepared.module.state_dict()
    assert prepared.module.state_dict()["runs"].item() == 0


def test_a_program_of_other_weights_is_told() -> None:
    prepared = ready(Means(2))
    good = Means(2).state_dict()
    for wrong, message in (
        ({}, "the program needs head.weight, which is missing."),
        ({**good, "more": torch.zeros(1)}, "there is more, which the program does not know."),
        ({**good, "head.bias": torch.zeros(3)}, r"head.bias is float32 (3,) where the program needs float32 (2,)."),
        ({**good, "head.bias": torch.zeros(2).double()}, "head.bias is float64 (2,) where the program needs float32"),
    ):
        with pytest.raises(NetworkError, match=re.escape(message)):
            programs.opened(prepared.program, wrong)


def test_what_is_no_program_is_told() -> None:
    for content in (b"", b"PK\x03\x04", b"no zip at all"):
        with pytest.raises(NetworkError, match=r"PyTorch .* cannot open it: "):
            programs.opened(programs.Program("Net", content), {})


def test_a_compiled_module_is_taken_out_of_its_wrapper() -> None:
    with warnings.catch_warnings():  # of PyTorch's own compiler, when it is imported
        warnings.simplefilter("ignore")
        compiled = torch.compile(Means())
    assert owns.label(compiled) == "module:Means"
    result = owns.find("module:Means", compiled, 2, 0)
    assert result is not None
    assert list(result.ready((3, 8, 8), 2).module.state_dict()) == ["head.weight", "head.bias"]


def test_a_module_that_was_not_passed_again() -> None:
    assert owns.label(Means()) == "module:Means"
    assert owns.find("compact", None, 2, 0) is None
    with pytest.raises(NetworkError, match=r"began with a module from Python, Means, .* Pass it again"):
        owns.find("module:Means", None, 2, 0)
