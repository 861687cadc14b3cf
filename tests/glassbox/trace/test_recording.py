"""A recorded run is PyTorch's own, number by number, and does not change module, optimizer or caller."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.trace.recording import explain

SHAPE = (1, 3, 8, 8)


class Skipped(nn.Module):
    """Convolution, batch norm and a residual; one parameter without effect on the scores, one frozen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(192, 3)
        self.idle = nn.Parameter(torch.ones(2))
        self.conv.bias.requires_grad_(False)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.norm(self.conv(x)).relu() + x).flatten(1))


class Cumulative(nn.Module):
    """An op without a declaration in the middle."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 2, 3), nn.Linear(72, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.head((y.cumprod(2) + y).relu().flatten(1))


@pytest.fixture
def module() -> Skipped:
    return Skipped().eval()


@pytest.fixture
def sample() -> Tensor:
    torch.manual_seed(5)
    return torch.randn(SHAPE)


def stepped(module: nn.Module, optimizer: torch.optim.Optimizer, sample: Tensor, times: int) -> None:
    for label in range(times):
        optimizer.zero_grad()
        F.cross_entropy(module(sample), torch.tensor([label])).backward()
        optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("training", [False, True])
def test_logits_and_gradients_are_those_of_a_plain_run(module: Skipped, sample: Tensor, training: bool) -> None:
    module.train(training)
    trace = explain(module, sample, label=2)
    plain = copy.deepcopy(module)
    watched = sample.clone().requires_grad_()
    logits = plain(watched)
    F.cross_entropy(logits, torch.tensor([2])).backward()
    assert np.array_equal(trace.logits, logits[0].detach().numpy())
    assert np.array_equal(trace.gradients["input"], watched.grad.numpy())  # type: ignore[union-attr]
    with_gradient = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
    assert set(with_gradient) == {"conv.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert all(np.array_equal(trace.gradients[name], gradient.numpy()) for name, gradient in with_gradient.items())


def test_nothing_is_left_behind(module: Skipped, sample: Tensor) -> None:
    optimizer = torch.optim.Adam(module.parameters())
    stepped(module, optimizer, sample, 2)
    module.train()
    module.conv.weight.grad = torch.full_like(module.conv.weight, 7)
    before = copy.deepcopy((module.state_dict(), optimizer.state_dict()))
    untouched = sample.clone()
    explain(module, sample, optimizer=optimizer)
    after = module.state_dict(), optimizer.state_dict()
    assert all(torch.equal(before[0][name], tensor) for name, tensor in after[0].items())
    assert before[1]["param_groups"] == after[1]["param_groups"]
    assert all(
        torch.equal(value, after[1]["state"][number][key])
        for number, state in before[1]["state"].items()
        for key, value in state.items()
    )
    assert module.training
    assert torch.equal(sample, untouched)
    assert not sample.requires_grad
    assert module.conv.weight.grad.unique().tolist() == [7]
    assert all(p.grad is None for name, p in module.named_parameters() if name != "conv.weight")
    assert not module.conv.bias.requires_grad  # type: ignore[union-attr]


def test_a_frozen_parameter_has_neither_a_gradient_nor_an_update(module: Skipped, sample: Tensor) -> None:
    trace = explain(module, sample)
    assert "conv.bias" not in trace.gradients
    with pytest.raises(TraceError, match=r"conv\.bias is frozen and has no gradient"):
        trace.gradient("conv.bias[1]")
    with pytest.raises(TraceError, match=r"does not change conv\.bias\. conv\.bias is frozen"):
        trace.update("conv.bias[1]")
    module.requires_grad_(False)
    assert explain(module, sample).updates == {}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    assert explain(module, sample, optimizer=optimizer).updates == {}


def test_a_parameter_that_the_loss_does_not_depend_on(module: Skipped, sample: Tensor) -> None:
    trace = explain(module, sample)
    assert trace.unit("idle[1]").recorded == 1
    with pytest.raises(TraceError, match=r"The loss does not depend on idle. It has no"):
        trace.gradient("idle[1]")
    with pytest.raises(TraceError, match="does not change idle"):
        trace.update("idle[1]")


@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-12), (torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_modules_of_other_precisions_add_up_within_their_own_rounding(
    sample: Tensor, dtype: torch.dtype, relative: float
) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 2, 3), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)]
    module = nn.Sequential(*layers).to(dtype).eval()
    trace = explain(module, sample, optimizer=torch.optim.SGD(module.parameters(), lr=0.1))
    assert torch.equal(torch.from_numpy(trace.logits).to(dtype), module(sample.to(dtype))[0].detach())
    generator = np.random.default_rng(0)
    worst = 0.0
    for _ in range(60):
        name = ["0", "1", "2", "4", "0.weight", "loss"][generator.integers(6)]
        index = ", ".join(str(generator.integers(size)) for size in trace.shape(name))
        for working in (trace.unit(f"{name}[{index}]"), trace.gradient(f"{name}[{index}]")):
            worst = max(worst, working.bound / max(abs(working.recorded), 0.05))
    trace.update("0.weight[1, 0, 2, 2]")
    assert 0 < worst < 100 * relative, "the bound is that of the precision and no wider"


def test_images_of_every_form(module: Skipped, sample: Tensor) -> None:
    expected = explain(module, sample).logits
    for image in (sample[0], sample.numpy(), sample[0].numpy(), sample.double(), sample[0].tolist()):
        assert np.array_equal(explain(module, image).logits, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(2, 3, 8, 8), r"shape \(2, 3, 8, 8\); it must be \(C, H, W\) or \(1, C, H, W\)"),
        (torch.zeros(8, 8), r"shape \(8, 8\)"),
        (torch.zeros(()), r"shape \(\)"),
        (torch.zeros(3, 9, 9), "Skipped cannot be followed by torch.export on an input of 1x3x9x9"),
        (torch.zeros(4, 8, 8), "expected input.* to have 3 channels, but got 4 channels"),
        ("cat.jpg", "The image is a str"),
    ],
)
def test_images_of_a_wrong_form(module: Skipped, image: Tensor, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        explain(module, image)


@pytest.mark.parametrize("label", [3, -1, True, 1.0, "cat"])
def test_a_label_that_is_no_class(module: Skipped, sample: Tensor, label: int) -> None:
    with pytest.raises(TraceError, match=rf"The label is {label!r}; the 3 classes are 0 to 2\."):
        explain(module, sample, label)


def test_a_label_as_numpy_gives_it(module: Skipped, sample: Tensor) -> None:
    label: Any = np.int64(2)
    assert explain(module, sample, label).label == 2


def test_class_names(module: Skipped, sample: Tensor) -> None:
    trace = explain(module, sample, 1, classes=("ant", "bee", "cat"))
    assert trace.as_json()["label"] == "bee"
    assert explain(module, sample).classes == ("0", "1", "2")
    with pytest.raises(TraceError, match="There are 2 class names, but the module gives 3 scores"):
        explain(module, sample, classes=("ant", "bee"))


def weighted(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, torch.tensor([1.0, 2.0, 5.0]), label_smoothing=0.1)


@pytest.mark.parametrize(
    ("loss", "plain"),
    [
        (Loss(), F.cross_entropy),
        (Loss(label_smoothing=0.1, weights=(1, 2, 5)), weighted),
        (Loss("mse"), lambda logits, labels: ((logits.softmax(1) - F.one_hot(labels, 3)) ** 2).mean()),
        (Loss("difference", against=0), lambda logits, labels: logits[0, labels[0]] - logits[0, 0]),
    ],
)
def test_losses(module: Skipped, sample: Tensor, loss: Loss, plain: Callable[[Tensor, Tensor], Tensor]) -> None:
    trace = explain(module, sample, 2, loss=loss)
    expected = plain(module(sample), torch.tensor([2]))
    assert trace.loss == pytest.approx(float(expected.detach()), rel=1e-6)
    (gradient,) = torch.autograd.grad(expected, module.head.weight)
    assert np.allclose(trace.gradients["head.weight"], gradient.numpy(), rtol=1e-4, atol=1e-7)
    assert trace.unit("loss").total == pytest.approx(trace.loss, rel=1e-5)
    assert trace.gradient("head[1]").complete
    assert bool(trace.updates) == (loss.kind != "difference")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Loss(weights=(1, 2)), "2 class weights, and there are 3 classes"),
        (Loss(label_smoothing=1.5), "label_smoothing is 1.5; it must be from 0 to 1"),
        (Loss("difference"), "class to compare with is None; the classes are 0 to 2"),
        (Loss("difference", against=3), "class to compare with is 3"),
        (Loss("hinge"), "no loss 'hinge'; there are cross_entropy, mse, binary_cross_entropy, difference"),  # type: ignore[arg-type]
    ],
)
def test_losses_that_do_not_fit(module: Skipped, sample: Tensor, loss: Loss, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        explain(module, sample, 1, loss=loss)


def test_an_op_without_a_declaration_is_shown_and_the_rest_worked_out(sample: Tensor) -> None:
    module = Cumulative()
    trace = explain(module, sample, 1)
    node = trace.node("cumprod")
    assert (node.kind, node.written) == ("cumprod", False)
    assert not trace.as_json()["layers"][2]["arithmetic_written"]
    working = trace.unit("cumprod[1, 2, 3]")
    assert (working.unwritten, working.parts, working.complete) == (("cumprod",), (), False)
    assert working.recorded == pytest.approx(float(module.conv(sample).cumprod(2).detach()[0, 1, 2, 3]))
    assert json.loads(json.dumps(working.as_json(), allow_nan=False))["total"] is None

    through = trace.gradient("conv[1, 2, 3]")
    assert through.unwritten == ("cumprod",)
    assert [part.through for part in through.parts] == ["add"]
    for unit in ("conv[1, 2, 3]", "relu[1, 2, 3]", "head[2]", "loss"):
        assert trace.unit(unit).complete
    for unit in ("cumprod[1, 2, 3]", "add[1, 2, 3]", "conv.weight[1, 0, 2, 2]", "head.weight[2, 5]"):
        assert trace.gradient(unit).complete
    assert trace.update("conv.weight[1, 0, 2, 2]").complete


class Run(nn.Module):
    """Some code, followed by a dense layer of three classes."""

    def __init__(self, code: Callable[[Tensor], Tensor], units: int) -> None:
        super().__init__()
        self.code, self.head = code, nn.Linear(units, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.code(x).flatten(1))


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (lambda x: x.half() + x.float(), ["input", "to", "to@2"]),
        (lambda x: x * F.mse_loss(x, x.exp()), ["input", "exp", "broadcast_tensors", "broadcast_tensors@2"]),
    ],
)
def test_what_hands_back_its_input_has_a_gradient_of_its_own(code: Callable, names: list[str], sample: Tensor) -> None:
    """float() of floats is the same tensor, for which PyTorch would give the gradient of all its readers."""
    trace = explain(Run(code, sample.numel()), sample, 1)
    unwritten = {name for node in trace.nodes if not node.written for name in node.reads.values()}
    for name in names:
        result = trace.gradient(f"{name}[1, 2, 3]")
        assert result.recorded != 0
        assert result.complete == (name not in unwritten)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (lambda x: x * ((x > 0) + (x < 1)), "add"),  # true + true is true
        (lambda x: x + x.detach().view(torch.int32) * 0, "view"),  # other numbers from the same bytes
        (lambda x: F.rrelu(x, training=True), "rrelu"),  # each slope is drawn
    ],
)
def test_arguments_that_a_declaration_is_not_for(code: Callable, name: str, sample: Tensor) -> None:
    units = code(sample).numel()
    trace = explain(Run(code, units), sample, 1)
    assert not trace.node(name).written
    index = ", ".join("0" for _ in trace.shape(name))
    assert trace.unit(f"{name}[{index}]").unwritten == (name,)


def test_softplus_is_a_line_above_its_threshold(sample: Tensor) -> None:
    trace = explain(Run(nn.Softplus(threshold=0.5), sample.numel()).double(), sample * 3, 1)
    for unit, value in trace.strongest("code"):
        place = ", ".join(map(str, unit))
        assert value == trace.values["input"][0][unit]
        assert trace.unit(f"code[{place}]").difference == 0
        assert trace.gradient(f"input[{place}]").difference == 0


def test_what_has_no_gradient_at_all_has_values(sample: Tensor) -> None:
    class Still(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.detach().mean((2, 3))

    trace = explain(Still(), sample)
    assert trace.gradients == {}
    assert trace.unit("mean[0]").complete
    with pytest.raises(TraceError, match="No gradient reaches input: none goes through detach"):
        trace.gradient("input[0, 0, 0]")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (lambda x: x + x // 0.3, "cannot differentiate this module: derivative for aten::floor_divide"),
        (lambda x: x + x.sum(dtype=torch.int64), r"sum \(test_recording.py:\d+: .*cannot be followed: Autograd"),
    ],
)
def test_what_pytorch_cannot_differentiate_is_refused(code: Callable, message: str, sample: Tensor) -> None:
    with pytest.raises(TraceError, match=message):
        explain(Run(code, sample.numel()), sample)


def test_scores_that_are_no_numbers_are_refused_with_where_it_began(module: Skipped, sample: Tensor) -> None:
    with torch.no_grad():
        module.norm.bias[1] = torch.nan
    with pytest.raises(TraceError, match=r"scores are not finite numbers but \[nan, nan, nan\].* is norm.bias;"):
        explain(module, sample)
    with pytest.raises(TraceError, match="infinity is input;"):
        explain(Skipped().eval(), torch.full(SHAPE, torch.inf))


def test_an_infinite_mask_before_a_softmax_is_no_reason_to_refuse() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mask = torch.tensor([[0.0, -torch.inf, 0.0]])
            return (x.flatten(1) + mask).softmax(1)

    trace = explain(Masked(), torch.tensor([[1.0, 2.0, 3.0]]))
    assert trace.unit("add[1]").recorded == -np.inf
    assert trace.logits[2] == pytest.approx(float(torch.tensor(2.0).sigmoid()))
    everything = [trace.as_json(), trace.unit("add[1]").as_json()]
    assert "null" in json.dumps(everything, allow_nan=False)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_in_whatever_mode_the_caller_is(module: Skipped, sample: Tensor, mode: Callable) -> None:
    expected = explain(module, sample, 1).gradients["input"]
    with mode():
        assert np.array_equal(explain(module, sample.clone(), 1).gradients["input"], expected)


def optimizers(module: nn.Module) -> dict[str, torch.optim.Optimizer]:
    p = list(module.parameters())
    return {
        "SGD": torch.optim.SGD(p, lr=0.1),
        "SGD with momentum": torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
        "SGD with Nesterov momentum": torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "Adam": torch.optim.Adam(p, lr=torch.tensor(0.01), weight_decay=0.1),
        "AdamW": torch.optim.AdamW(p, lr=0.01, foreach=True),
        "RMSprop with momentum": torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    }


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("kind", list(optimizers(nn.Linear(1, 1))))
def test_first_and_later_steps(module: Skipped, sample: Tensor, kind: str, before: int) -> None:
    optimizer = optimizers(module)[kind]
    stepped(module, optimizer, sample, before)
    trace = explain(module, sample, 1, optimizer=optimizer)
    working = trace.update("conv.weight[2, 1, 0, 2]")
    assert working.kind == kind
    json.dumps(working.as_json(), allow_nan=False)
    assert working.settings.get("step") == (None if "SGD" in kind else before + 1)
    F.cross_entropy(module(sample), torch.tensor([1])).backward()
    optimizer.step()
    after = float(module.conv.weight.detach()[2, 1, 0, 2])
    assert working.recorded == pytest.approx(after, rel=1e-6)
    assert working.total == pytest.approx(after, rel=1e-5)


class SGD(torch.optim.Optimizer):
    """Another library's, with the same name and other settings."""

    def __init__(self, params: list[nn.Parameter]) -> None:
        super().__init__(params, {"lr": 0.5})

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.sign_()
                parameter.data -= group["lr"] * parameter.grad


@pytest.mark.parametrize(
    "make",
    [
        torch.optim.Adafactor,
        SGD,
    ],
)
def test_a_step_whose_arithmetic_is_not_written_is_shown(module: Skipped, sample: Tensor, make: Callable) -> None:
    optimizer = make([p for p in module.parameters() if p.requires_grad and p is not module.idle])
    trace = explain(module, sample, 1, optimizer=optimizer)
    working = trace.update("conv.weight[2, 1, 0, 2]")
    assert working.unwritten == (type(optimizer).__name__,)
    assert working.parts == ()
    F.cross_entropy(module(sample), torch.tensor([1])).backward()
    assert np.array_equal(trace.gradients["conv.weight"], module.conv.weight.grad.numpy())  # type: ignore[union-attr]
    optimizer.step()
    assert working.recorded == float(module.conv.weight.detach()[2, 1, 0, 2])


def test_a_step_that_cannot_be_tried_says_so(module: Skipped, sample: Tensor) -> None:
    with pytest.raises(TraceError, match=r"step of LBFGS cannot be tried on a copy .*closure.*Leave the optimizer out"):
        explain(module, sample, optimizer=torch.optim.LBFGS(module.parameters()))


def test_an_optimizer_of_another_module(module: Skipped, sample: Tensor) -> None:
    optimizer = torch.optim.SGD(Skipped().parameters(), lr=0.1)
    with pytest.raises(TraceError, match=r"holds none of the module's parameters. Make it from this module"):
        explain(module, sample, optimizer=optimizer)


def test_groups_with_settings_of_their_own_and_parameters_in_none(module: Skipped, sample: Tensor) -> None:
    groups = [{"params": [module.head.weight]}, {"params": [module.conv.weight], "lr": 0.5, "weight_decay": 0.1}]
    trace = explain(module, sample, 1, optimizer=torch.optim.SGD(groups, lr=0.1))
    assert set(trace.updates) == {"head.weight", "conv.weight"}
    assert trace.update("head.weight[1, 1]").settings["learning_rate"] == 0.1
    working = trace.update("conv.weight[0, 0, 0, 0]")
    weight, gradient = trace.values["conv.weight"][0, 0, 0, 0], trace.gradients["conv.weight"][0, 0, 0, 0]
    assert working.total == pytest.approx(weight - 0.5 * (gradient + 0.1 * weight), rel=1e-6)
    left = trace.update("head.bias[0]")
    assert left.total == left.recorded == trace.values["head.bias"][0]
    assert left.note.startswith("Nothing changes: head.bias is not among the optimizer's parameters")


def test_scores_must_be_one_row() -> None:
    with pytest.raises(TraceError, match=r"returns \(1, 3, 8, 8\); scores of the classes for one picture are"):
        explain(nn.ReLU(), torch.zeros(SHAPE))
    assert explain(nn.Flatten(), torch.zeros(SHAPE)).updates == {}
