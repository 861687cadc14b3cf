"""A trace shows what the module does: modules that differ from their exported graph."""

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
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

LABEL = 1


class Shared(nn.Module):
    """A convolution, a test's operation on its maps, and a dense layer."""

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
    ".data": lambda _, y: y.data * 2 + y,
    "torch's random numbers": lambda _, y: y * torch.rand(6, 1, 1),
    "Python's random numbers": lambda _, y: y * random.random(),
    "NumPy's random numbers": lambda _, y: y * float(np.random.rand()),
    "dropout": lambda _, y: F.dropout(y, 0.5, True),
}


def plain(module: nn.Module, image: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
    """(scores, gradients) of one plain run of the module itself."""
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


def _legacy(module: nn.Sequential) -> None:
    module[1].register_backward_hook(lambda _, inputs, outputs: (inputs[0] * 2,))


def _legacy_with_weights(module: nn.Sequential) -> None:
    def doubled(_: nn.Module, inputs: Any, outputs: Any) -> Any:
        return tuple(each * 2 if each is not None else None for each in inputs)

    module[4].register_backward_hook(doubled)


def _legacy_whole(module: nn.Sequential) -> None:
    module.register_backward_hook(lambda _, inputs, outputs: tuple(each * 2 for each in inputs))


def _hook_in_a_hook(module: nn.Sequential) -> None:
    module[1].register_forward_hook(lambda _, inputs, output: output.register_hook(lambda g: g * 2) and None)


HOOKS = [
    *(_hook_module, _hook_module_before, _hook_output, _hook_input, _hook_parameter, _hook_accumulated),
    *(_legacy, _legacy_with_weights, _legacy_whole, _hook_in_a_hook),
]


@pytest.mark.filterwarnings("ignore:Using a non-full backward hook")
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


def test_a_hook_on_the_last_operator_is_named_where_it_changes_a_gradient(image: Tensor) -> None:
    module = chain()
    _legacy(module)
    trace = explain(module, image, LABEL)
    place = ", ".join(map(str, trace.strongest("1")[0][0]))
    assert trace.gradient(f"0[{place}]").unwritten == ("the backward hook at 1",)
    assert trace.gradient(f"1[{place}]").complete


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
    ("plant", "message"),
    [
        (
            _hidden,
            r"of the scores, 5 of 5 .* gives different numbers when it runs again: .* It has a forward hook",
        ),
        (_at_the_accumulator, r"of the gradient of 0\.weight, .*that torch\.export does not record"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_cause(
    plant: Callable[[nn.Sequential], None], message: str, image: Tensor
) -> None:
    module = chain()
    plant(module)
    with pytest.raises(TraceError, match=message) as error:
        explain(module, image, LABEL)
    assert "report" not in str(error.value)


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (lambda _, y: InPlace.apply(y * 1), "InPlace, an autograd.Function, changes an array in place"),
        (lambda _, y: y * float(y.mean()), r"depends on the numbers in an array .*test_verify\.py:\d+"),
        (lambda _, y: y * 2 if y.mean() > 0 else y, r"depends on the numbers in an array"),
    ],
)
def test_what_no_graph_can_say_is_one_sentence(middle: Callable, message: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=message) as error:
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
    with pytest.raises(TraceError, match=r"The optimizer is (a|the) .*\. (Pass|Create) one"):
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
    """In training, spectral norm iterates under no_grad and overwrites its buffers, which stay unchanged here."""
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


class Twice(nn.Module):
    """Code before a torch.cond: counting batch norm, drawing dropout, a function, a change in place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(192, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = Straight.apply(F.dropout(self.norm(x.mul_(2.0)), 0.5, self.training))  # type: ignore[attr-defined]
        return torch.cond(h.sum() > -1e9, lambda a: self.head(a.flatten(1)), lambda a: -self.head(a.flatten(1)), (h,))


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_what_decides_a_condition_changes_nothing(image: Tensor) -> None:
    module, before = Twice(), image.clone()
    torch.manual_seed(3)
    trace = explain(module, image, LABEL)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert torch.equal(module.norm.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    assert torch.equal(image, before)
    assert np.array_equal(trace.values["input"][0], image.numpy())
    assert np.array_equal(trace.values["norm.running_mean"], np.zeros(3))


def test_a_module_that_writes_into_its_input_and_a_loss_into_its_scores(image: Tensor) -> None:
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(192, 5))
    trace = explain(module, image - 0.5, LABEL, loss=lambda scores: (scores.clone().div_(2.0) ** 2).sum())
    assert np.array_equal(trace.values["input"][0], (image - 0.5).numpy())
    assert_all_adds_up(trace)


def test_a_backward_that_is_still_to_come_works(image: Tensor) -> None:
    module = chain()
    waiting = module(image[None]).sum()
    explain(module, image, LABEL, optimizer=torch.optim.Adam(module.parameters()))
    waiting.backward()
    assert module[0].weight.grad is not None


class Warming(torch.optim.Optimizer):
    """Makes another optimizer's step with ten times the rate: the two share their groups."""

    def __init__(self, base: torch.optim.Optimizer) -> None:
        super().__init__(base.param_groups, {})
        self.base, self.param_groups = base, base.param_groups

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] *= 10
        return self.base.step()


def test_what_two_attributes_share_their_copies_share(image: Tensor) -> None:
    module = chain()
    optimizer = Warming(torch.optim.SGD(module.parameters(), lr=0.01))
    trace = explain(module, image, LABEL, optimizer=optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.01
    plain(module, image)
    optimizer.step()
    assert np.array_equal(trace.updates["4.weight"].after, module[4].weight.detach().numpy())


def test_two_weights_in_one_storage_move_together(image: Tensor) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, 5))
    module[2].weight.data = module[1].weight.data
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    trace = explain(module, image, LABEL, optimizer=optimizer)
    plain(module, image)
    optimizer.step()
    assert np.array_equal(trace.updates["1.weight"].after, module[1].weight.detach().numpy())


def test_an_array_that_autocast_casts_for_two_calls(image: Tensor) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.a, self.b = nn.Conv2d(3, 4, 3), nn.Linear(144, 5), nn.Linear(144, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.conv(x)).flatten(1)
            with torch.autocast("cpu", torch.bfloat16):
                return (self.a(h) + self.b(h) + self.a(h)).float()

    module = Both()
    trace = explain(module, image, LABEL)
    _, gradients = plain(module, image)
    assert all(np.array_equal(trace.gradients[n], g.numpy()) for n, g in gradients.items() if g is not None)


def test_a_hook_that_is_removed_again_and_one_on_a_frozen_weight(image: Tensor) -> None:
    module = Shared(lambda _, y: (y.register_hook(lambda g: g * 3).remove(), y)[1])
    module.conv.bias.register_hook(lambda g: g * 2)  # type: ignore[union-attr]
    module.conv.bias.requires_grad_(False)  # type: ignore[union-attr]
    trace = explain(module, image, LABEL)
    _, gradients = plain(module, image)
    assert np.array_equal(trace.gradients["conv.weight"], gradients["conv.weight"].numpy())  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_module_without_numbers_is_one_sentence(image: Tensor) -> None:
    for module in (nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), chain().to("meta")):
        with pytest.raises(TraceError, match="parameters without numbers"):
            explain(module, image)


def test_a_loss_with_weights_is_left_as_it_was(image: Tensor) -> None:
    weight = torch.ones(5, requires_grad=True)
    explain(chain(), image, loss=lambda scores: F.cross_entropy(scores * weight, torch.tensor([1])))
    assert weight.grad is None

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5))
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, scores: Tensor) -> Tensor:
            self.calls += 1  # type: ignore[operator]
            return F.cross_entropy(scores * self.weight, torch.tensor([1]))

    loss = Counted()
    trace = explain(chain(), image, loss=loss)
    assert (float(loss.calls), loss.weight.grad) == (0, None)  # type: ignore[arg-type]
    assert "loss.weight" in trace.values


def test_a_loss_that_draws_is_followed(image: Tensor) -> None:
    trace = explain(chain(), image, loss=lambda scores: F.cross_entropy(F.dropout(scores, 0.5), torch.tensor([1])))
    assert trace.loss > 0


def test_what_is_asked_afterwards_is_of_the_same_run(image: Tensor) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 5))
    trace = explain(module, image)
    torch.rand(3)
    assert trace.difference(0, 1).difference == pytest.approx(float(trace.logits[0] - trace.logits[1]), abs=1e-6)
    with torch.no_grad():
        module[4].bias += 1
    with pytest.raises(TraceError, match="weights have changed since"):
        trace.difference(0, 1)
    with pytest.raises(TraceError, match="weights have changed since"):
        trace.attribute()


def test_a_module_that_is_followed_in_one_thread_predicts_in_another(tmp_path: Any) -> None:
    from threading import Thread

    from pellucid.glassbox.trace import verify

    module, image = chain(), torch.randn(1, 3, 8, 8)

    def runs() -> None:
        for _ in range(20):
            verify.run(copy.deepcopy(module), image, lambda scores: scores.sum())

    import warnings

    before = list(warnings.filters)
    threads = [Thread(target=runs) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_pytorch_has_what_is_replaced_while_a_module_is_followed() -> None:
    """Private names of PyTorch: this fails first where a new version lacks one."""
    import inspect

    from torch.autograd.grad_mode import _unsafe_preserve_version_counter
    from torch.optim import optimizer as optimizers
    from torch.utils.hooks import BackwardHook

    assert list(inspect.signature(BackwardHook.__init__).parameters)[1:] == ["module", "user_hooks", "user_pre_hooks"]
    assert list(inspect.signature(BackwardHook.setup_input_hook).parameters) == ["self", "args"]
    assert list(inspect.signature(BackwardHook.setup_output_hook).parameters) == ["self", "args"]
    assert isinstance(torch.autograd.Function.__dict__["apply"], classmethod)
    assert callable(torch.inference_mode.__enter__)
    assert "data" not in torch.Tensor.__dict__, "and it is PyTorch's own again afterwards"
    warning = inspect.signature(nn.Module._maybe_warn_non_full_backward_hook)
    assert list(warning.parameters) == ["self", "inputs", "result", "grad_fn"]
    assert callable(_unsafe_preserve_version_counter)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    assert optimizer._optimizer_step_pre_hooks == optimizer._optimizer_step_post_hooks == {}
    assert optimizers._global_optimizer_pre_hooks == optimizers._global_optimizer_post_hooks == {}


class Inside(torch.autograd.Function):
    """Like reversible networks: it computes gradients inside its forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        with torch.enable_grad():
            y = (x.detach().requires_grad_() * 2).detach()
        with torch.no_grad():
            return y + 1

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        return g * 2


def dropped_paths(module: Shared, y: Tensor) -> Tensor:
    """timm's DropPath in training."""
    return y * y.new_empty(y.shape[0], 1, 1, 1).bernoulli_(0.7).div_(0.7)


def noisy(module: Shared, y: Tensor) -> Tensor:
    return y + torch.empty_like(y).normal_() * 0.1


@pytest.mark.parametrize("middle", [lambda _, y: Inside.apply(y), dropped_paths, noisy])
def test_functions_with_modes_of_their_own_and_arrays_that_are_filled(middle: Callable, image: Tensor) -> None:
    module = Shared(middle)
    torch.manual_seed(4)
    trace = explain(module, image, LABEL)
    scores, gradients = plain(module, image)
    assert np.array_equal(trace.logits, scores.numpy())
    assert all(np.array_equal(trace.gradients[n], g.numpy()) for n, g in gradients.items() if g is not None)
    assert_all_adds_up(trace)


class Raising(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 1

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        raise ValueError("no way back")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shared(lambda _, y: Raising.apply(y)), "cannot differentiate this module: no way back"),
        (lambda: nn.Sequential(nn.Flatten(), torch.jit.script(nn.Linear(192, 5))), "Its part 1 is a compiled"),
    ],
)
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_what_a_module_holds_or_raises_is_told(make: Callable[[], nn.Module], message: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=message):
        explain(make(), image, LABEL)


def test_a_dictionary_of_scores_is_one_sentence(image: Tensor) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = chain()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"scores": self.inner(x)}

    with pytest.raises(TraceError, match="The module returns a dict; it must return one tensor of class scores"):
        explain(Named(), image, LABEL)


def test_pictures_as_arrays_of_any_order(image: Tensor) -> None:
    module = chain()
    expected = explain(module, image.flip(2), LABEL).logits
    turned = image.numpy()[..., ::-1]
    for array in (turned, turned.astype(">f4"), np.asfortranarray(turned)):
        assert np.array_equal(explain(module, array, LABEL).logits, expected)
    for other in (image.to(torch.complex64), image.to_sparse(), image.to("meta")):
        with pytest.raises(TraceError, match="must be a plain array of real numbers"):
            explain(module, other, LABEL)


def test_the_callers_autocast_is_left_out(image: Tensor) -> None:
    module = chain()
    expected = explain(module, image, LABEL)
    with torch.autocast("cpu", torch.bfloat16):
        trace = explain(module, image, LABEL)
        assert torch.is_autocast_enabled("cpu")
    assert np.array_equal(trace.logits, expected.logits)
    assert_all_adds_up(trace)


def test_boolean_arrays_and_infinite_losses_are_json(image: Tensor) -> None:
    import json

    trace = explain(Shared(lambda _, y: y.masked_fill(y > 0, 0.0)), image, LABEL)
    json.dumps(trace.as_json(), allow_nan=False)
    endless = explain(chain(), image, LABEL, loss=lambda scores: scores.sum() * torch.inf)
    assert endless.as_json()["loss"] is None
    with pytest.raises(TraceError, match="3 names no unit"):
        trace.unit(3)  # type: ignore[arg-type]


def test_a_trace_shows_itself_in_a_line() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        module[1].weight.zero_()
        module[1].bias.copy_(torch.tensor([0.0, 50.0]))
    trace = explain(module, torch.rand(3, 2, 2), 1)
    name, arrays = trace.classes[1], len(trace.nodes)
    assert str(trace) == f"<Trace: {name!r} 100.0%, loss 0 for {name!r}, {arrays} arrays, 2 parameters>"
    assert repr(trace) == str(trace)
