"""What a trace shows is what the module does: modules that do something else than their exported graph says."""

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pellucid.errors import TraceError
from pellucid.glassbox.recording import explain
from pellucid.glassbox.trace import Trace

LABEL = 1


class Shared(nn.Module):
    """A convolution, what a test does with its maps, and a dense layer."""

    def __init__(self, middle: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.head = nn.Linear(6, 5)
        self.middle = middle
        self.register_buffer("seen", torch.zeros(6, 1, 1))
        self.calls, self.list, self.plain = 0, [1.0], torch.ones(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self, self.conv(x)).mean((2, 3)))


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 8, 8)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.clamp(x, -1, 1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        return 5 * g


class Pair(torch.autograd.Function):
    """Two results, two arrays and a setting."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return x * w.sum() * factor, x.sum()

    @staticmethod
    def backward(ctx: Any, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        x, w = ctx.saved_tensors
        return first * w.sum() * ctx.factor + second, (first * x).sum() * ctx.factor * torch.ones_like(w), None


class InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        return g * 2


def two(module: Shared, y: Tensor) -> Tensor:
    first, second = Pair.apply(y, module.conv.bias, 0.5)  # type: ignore[misc]
    return first + 0.1 * second


def under_no_grad(_: Shared, y: Tensor) -> Tensor:
    with torch.no_grad():
        return y.relu()


def under_inference_mode(_: Shared, y: Tensor) -> Tensor:
    with torch.inference_mode():
        z = y.relu()
    return z.clone()


@torch.no_grad()
def decorated(_: Shared, y: Tensor) -> Tensor:
    return y * 2


def nested(_: Shared, y: Tensor) -> Tensor:
    with torch.no_grad():
        a = y * 2
        with torch.enable_grad():
            b = y * 3
    return a + b


def switched(_: Shared, y: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    z = y * 2
    torch.set_grad_enabled(True)
    return z + y


def autocast(module: Shared, y: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        z = F.conv2d(y, module.conv.weight[:, :1], groups=6)
        z = torch.softmax(F.conv2d(z, module.conv.weight[:, :1], groups=6), 1)
    return z.float()


def conditional(_: Shared, y: Tensor) -> Tensor:
    return torch.cond(y.mean() > 0, lambda t: t.relu(), lambda t: t * 2, (y,))


def other_conditional(_: Shared, y: Tensor) -> Tensor:
    return torch.cond(y.mean() > 1e6, lambda t: t.relu(), lambda t: t * 2, (y,))


def hooked(_: Shared, y: Tensor) -> Tensor:
    z = y * 2
    z.register_hook(lambda g: g * 3)
    return z.relu()


def differentiated(_: Shared, y: Tensor) -> Tensor:
    return torch.autograd.grad((y * y).sum(), y, create_graph=True)[0]


def counted(module: Shared, y: Tensor) -> Tensor:
    module.calls += 1
    return y * module.calls


def appended(module: Shared, y: Tensor) -> Tensor:
    module.list.append(2.0)
    return y * len(module.list)


def buffered(module: Shared, y: Tensor) -> Tensor:
    module.seen += 1  # type: ignore[operator]
    return y + module.seen


FOLLOWED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "no_grad": under_no_grad,
    "no_grad as a decorator": decorated,
    "inference_mode": under_inference_mode,
    "enable_grad inside of no_grad": nested,
    "set_grad_enabled": switched,
    "enabled only with gradients": lambda _, y: y * 2 if torch.is_grad_enabled() else y,
    "requires_grad asked for": lambda _, y: y * 2 if y.requires_grad else y,
    "autograd.Function": lambda _, y: Straight.apply(y),
    "autograd.Function of two results": two,
    "tensor hook": hooked,
    "autocast": autocast,
    "torch.cond": conditional,
    "the other branch of torch.cond": other_conditional,
    "checkpoint": lambda _, y: checkpoint(lambda z: (z * 2).relu(), y, use_reentrant=False),
    "reentrant checkpoint": lambda _, y: checkpoint(lambda z: (z * 2).relu(), y, use_reentrant=True),
    "a gradient inside": differentiated,
    "a counter": counted,
    "a list": appended,
    "a buffer": buffered,
    "torch's random numbers": lambda _, y: y * torch.rand(6, 1, 1),
    "Python's random numbers": lambda _, y: y * random.random(),
    "NumPy's random numbers": lambda _, y: y * float(np.random.rand()),
    "dropout": lambda _, y: F.dropout(y, 0.5, True),
}


def plain(module: nn.Module, image: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
    """(scores, gradients) of one run as anyone would write it, on the module itself."""
    module.zero_grad()
    scores = module(image[None])
    F.cross_entropy(scores, torch.tensor([LABEL])).backward()
    return scores.detach()[0], {name: p.grad for name, p in module.named_parameters()}


def assert_all_adds_up(trace: Trace) -> None:
    """Some numbers of every array: values, gradients and updates."""
    generator = np.random.default_rng(0)
    for name in (*(node.name for node in trace.nodes), *trace.parameters):
        for _ in range(6):
            place = ", ".join(str(generator.integers(size)) for size in trace.shape(name))
            unit = f"{name}[{place}]" if place else name
            trace.unit(unit)
            if name in trace.gradients:
                trace.gradient(unit)
            if name in trace.updates:
                trace.update(unit)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # PyTorch's own, of torch.cond
@pytest.mark.parametrize("kind", FOLLOWED)
def test_scores_and_gradients_are_those_of_the_modules_own_run(kind: str, image: Tensor) -> None:
    torch.manual_seed(0)
    module = Shared(FOLLOWED[kind])
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    trace = explain(module, image, LABEL)
    scores, gradients = plain(module, image)
    assert np.array_equal(trace.logits, scores.numpy())
    for name, gradient in gradients.items():
        if gradient is None:
            assert name not in trace.gradients, name
        else:
            assert np.array_equal(trace.gradients[name], gradient.numpy()), name
    assert_all_adds_up(trace)


@pytest.mark.parametrize("kind", FOLLOWED)
def test_the_module_and_the_random_state_stay_as_they_were(kind: str, image: Tensor) -> None:
    module = Shared(FOLLOWED[kind])
    before = copy.deepcopy(module.state_dict())
    others = module.calls, list(module.list), module.plain.clone()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    explain(module, image, LABEL, optimizer=torch.optim.Adam(module.parameters()))
    drawn = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    assert drawn == (torch.rand(1), random.random(), np.random.rand())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert (module.calls, module.list) == others[:2]
    assert torch.equal(module.plain, others[2])
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("no_grad", "No gradient reaches conv.bias: relu, which reads it"),
        ("inference_mode", "torch.no_grad()"),
        ("no_grad as a decorator", "computed under torch.no_grad()"),
    ],
)
def test_what_stands_under_no_grad_says_so(kind: str, why: str, image: Tensor) -> None:
    trace = explain(Shared(FOLLOWED[kind]), image, LABEL)
    with pytest.raises(TraceError, match=r"torch\.no_grad\(\)"):
        trace.gradient("conv.bias[0]")
    with pytest.raises(TraceError, match=r"The optimizer does not change conv\.bias\. No gradient reaches conv\.bias"):
        trace.update("conv.bias[0]")


def test_a_function_of_the_modules_own_has_values_and_gradients_and_no_terms(image: Tensor) -> None:
    trace = explain(Shared(lambda _, y: Straight.apply(y)), image, LABEL)
    working = trace.unit("Straight[2, 3, 3]")
    assert working.kind == "Straight, an autograd.Function"
    assert working.total is None
    assert working.recorded == np.clip(trace.values["conv"], -1, 1)[0, 2, 3, 3]
    before = trace.gradient("conv[2, 3, 3]")
    assert before.unwritten == ("Straight",)
    assert before.recorded == pytest.approx(5 * trace.gradients["Straight"][0, 2, 3, 3])


def test_a_hook_that_changes_a_gradient_is_named_and_one_that_only_looks_is_not(image: Tensor) -> None:
    looked = chain()
    looked[1].register_full_backward_hook(lambda *_: None)
    looked[0].weight.register_hook(lambda _: None)
    trace = explain(looked, image, LABEL)
    assert trace.gradient("0.weight[1, 2, 0, 1]").complete
    assert trace.gradient("0[1, 2, 3]").complete

    changed = chain()
    changed[1].register_full_backward_hook(lambda _, inputs, outputs: (inputs[0] * 2,))
    changed[0].weight.register_hook(lambda gradient: gradient * 0)
    trace = explain(changed, image, LABEL)
    place = trace.strongest("1")[0][0]
    unit = f"0[{', '.join(map(str, place))}]"
    assert trace.gradient(unit).unwritten == ("the backward hook at 1.backward hook",)
    strongest = np.unravel_index(np.abs(trace.gradients["4.weight"]).argmax(), (5, 6))
    assert trace.gradient(f"4.weight[{strongest[0]}, {strongest[1]}]").complete
    working = trace.gradient("0.weight[1, 2, 0, 1]")
    assert working.unwritten == ("a hook on 0.weight",)
    assert working.recorded == 0


def _hook_module(module: nn.Sequential) -> None:
    module[1].register_full_backward_hook(lambda _, inputs, outputs: (inputs[0] * 2,))


def _hook_module_before(module: nn.Sequential) -> None:
    module[1].register_full_backward_pre_hook(lambda _, outputs: (outputs[0] * 2,))


def _hook_output(module: nn.Sequential) -> None:
    module[1].register_forward_hook(lambda _, inputs, output: output * 2)


def _hook_input(module: nn.Sequential) -> None:
    module[1].register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))


def _hook_parameter(module: nn.Sequential) -> None:
    module[0].weight.register_hook(lambda gradient: gradient * 0.5)


def _hook_accumulated(module: nn.Sequential) -> None:
    def tripled(parameter: Tensor) -> None:
        parameter.grad.mul_(3)  # type: ignore[union-attr]

    module[0].weight.register_post_accumulate_grad_hook(tripled)


HOOKS = [_hook_module, _hook_module_before, _hook_output, _hook_input, _hook_parameter, _hook_accumulated]


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_count(hook: Callable[[nn.Sequential], None], image: Tensor) -> None:
    module, bare = chain(), chain()
    hook(module)
    trace = explain(module, image, LABEL)
    scores, gradients = plain(module, image)
    assert np.array_equal(trace.logits, scores.numpy())
    assert all(np.array_equal(trace.gradients[n], g.numpy()) for n, g in gradients.items() if g is not None)
    _, without = plain(bare, image)
    assert not np.array_equal(trace.gradients["0.weight"], without["0.weight"].numpy()), "the hook does something"  # type: ignore[union-attr]
    assert_all_adds_up(trace)


def _clip(optimizer: torch.optim.Optimizer) -> Any:
    def clipped(each: torch.optim.Optimizer, *_: Any) -> None:
        nn.utils.clip_grad_norm_([p for group in each.param_groups for p in group["params"]], 1e-3)

    return optimizer.register_step_pre_hook(clipped)


def _bound_weights(optimizer: torch.optim.Optimizer) -> Any:
    def bounded(each: torch.optim.Optimizer, *_: Any) -> None:
        for group in each.param_groups:
            for parameter in group["params"]:
                parameter.data.clamp_(-0.05, 0.05)

    return optimizer.register_step_post_hook(bounded)


def _halve_rate(optimizer: torch.optim.Optimizer) -> Any:
    def halved(each: torch.optim.Optimizer, *_: Any) -> None:
        for group in each.param_groups:
            group["lr"] /= 2

    return optimizer.register_step_pre_hook(halved)


@pytest.mark.parametrize("hook", [_clip, _bound_weights, _halve_rate])
def test_the_new_weights_are_those_of_the_optimizers_own_step(hook: Callable[..., Any], image: Tensor) -> None:
    module = chain()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    hook(optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    trace = explain(module, image, LABEL, optimizer=optimizer)
    assert optimizer.state_dict() == before
    plain(module, image)
    optimizer.step()
    for name, parameter in module.named_parameters():
        assert np.array_equal(trace.updates[name].after, parameter.detach().numpy()), name
    working = trace.update("0.weight[1, 2, 0, 1]")
    assert working.recorded == float(module[0].weight.detach()[1, 2, 0, 1])
    if hook is _bound_weights:
        assert working.unwritten in ((), ("a hook after the optimizer's step",))
        assert any(
            trace.update(f"0.weight[{n}, 0, 0, 0]").unwritten == ("a hook after the optimizer's step",)
            for n in range(6)
        )
    else:
        assert working.complete
    assert ("a hook of the optimizer" in working.kind) == (hook is _clip)


def test_a_hook_that_reaches_for_the_modules_own_parameters(image: Tensor) -> None:
    module = chain()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)

    def clipped(*_: Any) -> None:
        nn.utils.clip_grad_norm_(module.parameters(), 1e-3)

    optimizer.register_step_pre_hook(clipped)
    trace = explain(module, image, LABEL, optimizer=optimizer)
    plain(module, image)
    optimizer.step()
    assert trace.update("4.bias[1]").recorded == float(module[4].bias.detach()[1])
    assert trace.update("4.bias[1]").complete


def _legacy(module: nn.Sequential) -> None:
    module[1].register_backward_hook(lambda _, inputs, outputs: (inputs[0] * 2,))


def _hidden(module: nn.Sequential) -> None:
    state = [1.0]

    def growing(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        state[0] *= 1.5
        return output * state[0]

    module[1].register_forward_hook(growing)


def _at_the_accumulator(module: nn.Sequential) -> None:
    weight = module[0].weight
    node = weight.expand_as(weight).grad_fn.next_functions[0][0]  # type: ignore[union-attr]
    node.register_prehook(lambda gradients: (gradients[0] * 2,))
    module.held = node  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (_legacy, r"of the gradient of 0\.weight, .*\[0, 0, 0, 0\] is .* It has a backward hook on 1"),
        (_hidden, r"of the scores, 5 of 5 .* gives other numbers when it runs again: .* It has a forward hook on 1"),
        (_at_the_accumulator, r"of the gradient of 0\.weight, .*that torch\.export does not record"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_cause(
    plant: Callable[[nn.Sequential], None], said: str, image: Tensor
) -> None:
    module = chain()
    plant(module)
    with pytest.raises(TraceError, match=said) as error:
        explain(module, image, LABEL)
    assert "report" not in str(error.value)


@pytest.mark.parametrize(
    ("middle", "said"),
    [
        (lambda _, y: InPlace.apply(y * 1), "InPlace, an autograd.Function, changes an array in place"),
        (lambda _, y: y * float(y.mean()), r"depends on the numbers in an array .*test_verify\.py:\d+"),
        (lambda _, y: y * 2 if y.mean() > 0 else y, r"depends on the numbers in an array"),
        (lambda _, y: y.data * 2 + y, r"use `\.detach\(\)`"),
    ],
)
def test_what_no_graph_can_say_is_one_sentence(middle: Callable, said: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=said) as error:
        explain(Shared(middle), image, LABEL)
    assert "report" not in str(error.value)
    assert "issue" not in str(error.value)


def test_a_loop_of_torchs_own_is_one_sentence(image: Tensor) -> None:
    from torch._higher_order_ops.while_loop import while_loop

    def looped(_: Shared, y: Tensor) -> Tensor:
        return while_loop(lambda n, z: n < 3, lambda n, z: (n + 1, z * 1.5), (torch.tensor(0), y))[1]

    with pytest.raises(TraceError, match=r"uses torch's while_loop .* cannot be followed"):
        explain(Shared(looped), image, LABEL)


def test_what_the_module_raises_is_told(image: Tensor) -> None:
    module = chain()
    module[0].register_full_backward_hook(lambda _, inputs, outputs: (inputs[0] * 2,))
    with pytest.raises(TraceError, match=r"The module itself, run on this input, raises TypeError: unsupported"):
        explain(module, image, LABEL)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_a_compiled_script_is_one_sentence() -> None:
    with pytest.raises(TraceError, match="a compiled ScriptModule, which cannot be followed"):
        explain(torch.jit.script(nn.Linear(2, 2)), torch.zeros(3, 2, 2))


@pytest.mark.parametrize("module", [nn.Linear, "resnet18"])
def test_what_is_no_module_is_one_sentence(module: Any) -> None:
    with pytest.raises(TraceError, match=r"^The module is "):
        explain(module, torch.zeros(3, 2, 2))


@pytest.mark.parametrize("optimizer", ["adam", torch.optim.SGD, 0.1])
def test_what_is_no_optimizer_is_one_sentence(optimizer: Any, image: Tensor) -> None:
    with pytest.raises(TraceError, match=r"The optimizer is (a|the) .*\. (Give|Make) one of"):
        explain(chain(), image, LABEL, optimizer=optimizer)


def test_an_optimizer_of_more_than_the_module_leaves_the_rest_alone(image: Tensor) -> None:
    module, other = chain(), nn.Linear(2, 2)
    other.weight.grad = torch.ones(2, 2)
    optimizer = torch.optim.SGD([*module.parameters(), *other.parameters()], lr=0.1)
    weight = other.weight.detach().clone()
    trace = explain(module, image, LABEL, optimizer=optimizer)
    assert set(trace.updates) == {name for name, _ in module.named_parameters()}
    assert torch.equal(other.weight, weight)
    assert torch.equal(other.weight.grad, torch.ones(2, 2))


def test_an_exception_leaves_the_module_whole(image: Tensor) -> None:
    module = chain()
    optimizer = torch.optim.Adam(module.parameters())
    optimizer.register_step_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    before = copy.deepcopy(module.state_dict())
    pointers = [parameter.data_ptr() for parameter in module.parameters()]
    with pytest.raises(KeyboardInterrupt):
        explain(module, image, LABEL, optimizer=optimizer)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert [parameter.data_ptr() for parameter in module.parameters()] == pointers
    assert optimizer.state_dict()["state"] == {}
    assert len(optimizer._optimizer_step_pre_hooks) == 1


PARAMETRIZED: dict[str, Callable[[nn.Module], Any]] = {
    "weight norm": nn.utils.parametrizations.weight_norm,
    "spectral norm": nn.utils.parametrizations.spectral_norm,
    "spectral norm as a hook": nn.utils.spectral_norm,
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", PARAMETRIZED)
def test_weights_that_are_computed_are_followed(kind: str, training: bool, image: Tensor) -> None:
    """In training, spectral norm iterates under no_grad and overwrites its buffers, which stay as they were here."""
    module = chain()
    PARAMETRIZED[kind](module[4])
    module.train(training)
    before = copy.deepcopy(module.state_dict())
    trace = explain(module, image, LABEL, optimizer=torch.optim.SGD(module.parameters(), lr=0.1))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    scores, gradients = plain(module, image)
    assert np.array_equal(trace.logits, scores.numpy())
    assert all(np.array_equal(trace.gradients[n], g.numpy()) for n, g in gradients.items() if g is not None)
    assert [node.name for node in trace.nodes if not node.written] == []
    assert_all_adds_up(trace)
