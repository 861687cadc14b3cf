"""The start and the end of a trace: inputs of any rank, one score or many, any loss; and its questions."""

import copy
import json
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.answering import answering
from tests.patience import PATIENCE
from torch import Tensor, nn

import pellucid
from pellucid.errors import StorageError, TraceError
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.page.opened import Opened
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace


def chain(*last: nn.Module, classes: int = 5) -> nn.Sequential:
    torch.manual_seed(0)
    pooled = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), pooled, nn.Flatten(), nn.Linear(6, classes), *last)


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 8, 8)


def assert_ends_add_up(trace: Trace) -> None:
    loss = trace.roles["loss"]
    assert trace.unit(loss).complete
    for node in trace.nodes:
        for unit, _ in trace.strongest(node.name, 2):
            name = f"{node.name}[{', '.join(map(str, unit))}]" if unit else node.name
            assert trace.unit(name).complete, name
            if node.name in trace.gradients:
                assert trace.gradient(name).complete, name


@pytest.mark.parametrize("squashed", [False, True])
@pytest.mark.parametrize("label", [None, 0, 1])
def test_one_score_stands_for_two_classes(label: int | None, squashed: bool, image: Tensor) -> None:
    module = chain(*([nn.Sigmoid()] if squashed else []), classes=1)
    trace = explain(module, image, label)
    score = module(image[None])
    p = float((score if squashed else score.sigmoid()).detach())
    assert trace.classes == ("0", "1")
    assert trace.probabilities == pytest.approx([1 - p, p])
    assert trace.predicted == int(p > 0.5)
    target = torch.tensor([[float(trace.label)]])
    assert trace.label == (trace.predicted if label is None else label)
    measure = F.binary_cross_entropy if squashed else F.binary_cross_entropy_with_logits
    loss = measure(score, target)
    loss.backward()
    assert trace.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    assert trace.gradients["4.weight"] == pytest.approx(module[4].weight.grad.numpy(), rel=1e-6)  # type: ignore[union-attr]
    assert np.abs(trace.gradients["0.weight"]).max() > 0
    assert_ends_add_up(trace)
    json.dumps(trace.as_json(), allow_nan=False)


def test_the_binary_cross_entropy_of_many_scores(image: Tensor) -> None:
    module = chain()
    trace = explain(module, image, 3, loss=Loss("binary_cross_entropy"))
    target = F.one_hot(torch.tensor([3]), 5).float()
    assert trace.loss == pytest.approx(
        float(F.binary_cross_entropy_with_logits(module(image[None]).detach(), target)), rel=1e-6
    )
    assert_ends_add_up(trace)


def test_two_names_for_one_score(image: Tensor) -> None:
    assert explain(chain(classes=1), image, classes=("cat", "dog")).classes == ("cat", "dog")
    with pytest.raises(TraceError, match="There are 1 class names, but the module gives one score, which stands"):
        explain(chain(classes=1), image, classes=("cat",))
    with pytest.raises(TraceError, match=r"The loss 'mse' needs a score for each class"):
        explain(chain(classes=1), image, loss=Loss("mse"))


class Weighted(nn.Module):
    """A loss with its own weight."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, scores: Tensor) -> Tensor:
        return (scores * self.scale).logsumexp(1).mean()


OWN: dict[str, Callable[[Tensor], Tensor]] = {
    "squared": lambda scores: (scores**2).sum(),
    "cross-entropy": lambda scores: F.cross_entropy(scores, torch.tensor([2])),
    "smoothed": lambda scores: F.cross_entropy(scores, torch.tensor([2]), label_smoothing=0.1),
    "one score": lambda scores: -scores[0, 2],
    "probabilities": lambda scores: ((scores.softmax(1) - torch.eye(5)[2]) ** 2).sum(),
    "hinge": lambda scores: (1 - scores[0, 2] + scores[0]).clamp(min=0).sum(),
    "a module": Weighted(),
}


@pytest.mark.parametrize("kind", OWN)
def test_any_function_of_the_scores_is_a_loss(kind: str, image: Tensor) -> None:
    module = chain()
    trace = explain(module, image, loss=OWN[kind])
    loss = OWN[kind](module(image[None]))
    loss.backward()
    assert trace.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    for name, parameter in module.named_parameters():
        assert np.array_equal(trace.gradients[name], parameter.grad.numpy()), name  # type: ignore[union-attr]
    assert trace.nodes[-1].name == "loss"
    assert_ends_add_up(trace)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.CrossEntropyLoss(), r"called with the scores \(1, 5\) alone, raises TypeError: .*'target'"),
        (lambda scores: scores, r"The loss returns \(1, 5\); it must return one number"),
        (lambda scores: 3.0, "The loss returns float; it must return one number"),
        ("mse", "The loss is 'mse'; it must be a pellucid.Loss"),
        (3, "The loss is 3; it must be a pellucid.Loss"),
    ],
)
def test_what_is_no_loss_is_one_sentence(loss: Any, message: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=message):
        explain(chain(), image, loss=loss)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Conv1d(2, 4, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 5)), (2, 20)),
        (nn.Sequential(nn.Conv1d(1, 4, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 5)), (1, 20)),
        (nn.Sequential(nn.Linear(7, 8), nn.Tanh(), nn.Linear(8, 5)), (7,)),
        (nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Flatten(), nn.Linear(80, 5)), (10, 6)),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)), (1, 9, 9)),
        (nn.Sequential(nn.Conv3d(2, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 5)), (2, 5, 6, 7)),
        (nn.Sequential(nn.Conv3d(1, 4, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 5)), (1, 5, 6, 7)),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_inputs_of_any_rank(module: nn.Module, shape: tuple[int, ...], batched: bool) -> None:
    torch.manual_seed(0)
    sample = torch.randn((1, *shape) if batched else shape)
    trace = explain(module, sample, 1)
    whole = sample if batched else sample[None]
    assert np.array_equal(trace.logits, module(whole)[0].detach().numpy())
    # a module of dense layers takes any number of leading axes, and then the first form is used
    assert trace.shape("input") in (shape, (1, *shape))
    assert_ends_add_up(trace)


def test_an_incomplete_working_has_no_total(image: Tensor) -> None:
    class Unwritten(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.cumprod(1).sum((2, 3)) + x.sum((2, 3))

    trace = explain(Unwritten(), image[:, :2, :2], 1)
    working = trace.gradient("input[0, 1, 1]")
    assert working.unwritten == ("cumprod",)
    assert working.parts, "what is written is there"
    assert working.total is None
    assert working.difference is None
    content = working.as_json()
    assert (content["total"], content["difference"]) == (None, None)


def test_numbers_between_that_are_left_out_are_counted(image: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.glassbox.trace import working

    trace = explain(nn.Sequential(nn.Flatten(), nn.Linear(192, 1000)), image, 1)
    whole = trace.unit("loss")
    assert whole.left_out == 0
    assert sum(part.of == "power" for part in whole.between) == 1000
    monkeypatch.setattr(working, "LINES", 100)
    cut = trace.unit("loss")
    assert cut.left_out == 901  # of the powers; the largest is looked at before them, and the total after
    assert cut.as_json()["left_out"] == 901
    assert (cut.total, cut.complete) == (whole.total, True)


def test_a_trace_shows_where_the_network_looked_and_what_made_the_difference(image: Tensor) -> None:
    module = chain()
    before = copy.deepcopy(module.state_dict())
    trace = pellucid.explain(module, image, classes=("a", "b", "c", "d", "e"))
    attribution = trace.attribute("b", "integrated_gradients")
    assert attribution.map.shape == (8, 8)
    assert attribution.logit == pytest.approx(float(trace.logits[1]))
    assert trace.attribute().target == trace.predicted
    difference = trace.difference("b", 3)
    assert difference.difference == pytest.approx(float(trace.logits[1] - trace.logits[3]), abs=1e-6)
    assert abs(difference.remainder) < 1e-5
    other = trace.difference(trace.predicted)
    assert other.second == trace.classes[int(np.argsort(-trace.logits)[1])]
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    with pytest.raises(TraceError, match="'f' is not a class; the 5 classes are a, b"):
        trace.attribute("f")
    with pytest.raises(TraceError, match="'b' cannot be compared with itself"):
        trace.difference("b", 1)
    with pytest.raises(TraceError, match="cannot be compared with itself; name two classes with scores"):
        explain(chain(classes=1), image).difference(0, 1)


def test_a_trace_is_served_until_it_is_stopped(image: Tensor) -> None:
    trace = pellucid.explain(chain(), image)
    with answering(Opened(trace, "mine")) as server:
        with urllib.request.urlopen(f"{server.address}api/document", timeout=PATIENCE) as answer:
            document = json.loads(answer.read())
        assert document["model"]["name"] == "mine"
        assert document["fixed"] is True
        with urllib.request.urlopen(f"{server.address}api/array?name=value/0&channel=2", timeout=PATIENCE) as answer:
            numbers = np.frombuffer(answer.read(), "<f4")
        assert np.array_equal(numbers, trace.values["0"][0, 2].ravel())
        request = urllib.request.Request(f"{server.address}api/picture", data=b"", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=PATIENCE)
        assert refused.value.code == 409
        assert "accepts nothing" in json.loads(refused.value.read())["error"]
        with pytest.raises(StorageError, match=f"Port {server.server_port} cannot be used"):
            Opened(trace, "mine", server.server_port)


def test_open_says_where_and_ends_with_ctrl_c(
    image: Tensor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Opened) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Opened, "serve_forever", interrupted)
    pellucid.explain(chain(), image).open(browser=False)
    assert capsys.readouterr().out.startswith("Sequential is open at http://127.0.0.1:")


def test_one_score_has_a_map_for_the_class_that_it_speaks_for(image: Tensor) -> None:
    module = chain(classes=1)
    with torch.no_grad():
        module[4].bias -= 5
    trace = pellucid.explain(module, image)
    assert trace.predicted == 0
    attribution = trace.attribute()
    assert attribution.target == 1
    assert attribution.logit == pytest.approx(float(trace.logits[0]))
    with pytest.raises(TraceError, match="The only score is for '1'"):
        trace.attribute(0)
    with pytest.raises(TraceError, match=r"1\.5 is not a class"):
        trace.attribute(1.5)  # type: ignore[arg-type]
