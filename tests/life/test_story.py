"""The life of a weight adds up: values, updates by formula, and the pushes of the pictures."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from tests.life.conftest import Train
from tests.life.test_again import KINDS

import pellucid
from pellucid.errors import PellucidError, RecipeError, TraceError
from pellucid.glassbox.arithmetic.evaluator import Evaluator
from pellucid.glassbox.trace import optimizing
from pellucid.life import recorded as records
from pellucid.life.again import Again, opened
from pellucid.life.recorded import Place, recording
from pellucid.life.story import Life, living
from pellucid.life.updates import STATES, Moves, Rule, at_once, formula, split
from pellucid.steps import Steps, result_of

WEIGHTS = ("conv1.weight[3, 0, 2, 2]", "batchnorm1.weight[1]", "dense2.bias[0]", "dense1.weight[5, 20]")
SGD = {"momentum": 0.9, "nesterov": True, "dampening": 0, "weight_decay": 0.05}
ADAM = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.05}
RULES = {
    "sgd": Rule("sgd", {**SGD, "momentum": 0.0, "nesterov": False}),
    "nesterov": Rule("sgd", SGD),
    "momentum": Rule("sgd", {**SGD, "nesterov": False}),
    "adam": Rule("adam", ADAM),
    "adamw": Rule("adamw", ADAM),
    "rmsprop": Rule("rmsprop", {"alpha": 0.99, "momentum": 0.9, "eps": 1e-8, "weight_decay": 0.05}),
}
MADE = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}


@pytest.mark.parametrize("kind", ["adamw", "sgd", "momentum", "adam", "rmsprop", "bfloat16", "minutes"])
def test_first_value_and_updates_are_the_saved_weight(again: Callable[..., Again], kind: str) -> None:
    made = again(**KINDS[kind])
    watched = Steps(living(made, WEIGHTS))
    assert list(watched) == [(step, made.last) for step in range(1, made.last + 1)]
    saved = made.material.classifier.module.state_dict()
    for life in watched.result:
        name, _, index = life.weight.rstrip("]").partition("[")
        value = float(saved[name][tuple(map(int, index.split(",")))])
        updates = [Fraction(b) - Fraction(a) for a, b in zip(life.values, life.values[1:], strict=False)]
        assert Fraction(life.first) + sum(updates, Fraction(0)) == Fraction(value) == Fraction(life.saved or math.nan)
        assert life.exact
        assert len(life.gradients) == len(life.rates) == len(updates) == life.steps == made.last
        rounded = 1e-6 if kind != "bfloat16" else 2e-4
        assert life.moved == pytest.approx(life.pushed + life.decay, abs=rounded)
        assert sum(each.times for each in life.pushers) == sum(len(made.rows(step + 1)) for step in range(made.last))


@pytest.mark.parametrize("kind", RULES)
def test_the_split_is_linear_and_exact(kind: str) -> None:
    """Beside PyTorch's own optimizer in float64; the second half begins with the momentum of the first."""
    rule, random, count = RULES[kind], np.random.default_rng(3), 40
    weight = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    settings = {name: value for name, value in rule.settings.items() if name != "dampening"}
    optimizer = MADE[rule.name]([weight], lr=0.1, **settings)
    values, gradients, rates, states = [0.7], [], [], []
    for _ in range(count):
        state = optimizer.state.get(weight, {})
        states.append({name: float(state[name]) for name in STATES if state.get(name) is not None})
        rates.append(float(random.uniform(0.01, 0.1)))
        gradients.append(float(random.normal()))
        optimizer.param_groups[0]["lr"] = rates[-1]
        weight.grad = torch.tensor([gradients[-1]], dtype=torch.float64)
        optimizer.step()
        values.append(weight.item())
    for begin in (0, count // 2):
        state = {name: np.array([each.get(name, 0.0) for each in states[begin:]]) for name in STATES}
        moves = Moves(np.array(values[begin:-1]), np.array(gradients[begin:]), np.array(rates[begin:]), state)
        made = formula(rule, moves)
        np.testing.assert_allclose(moves.before + made.update, values[begin + 1 :], atol=1e-12)
        assert (np.abs(made.update) <= made.size * (1 + 1e-12)).all()
        shares = split(rule, moves, made)
        whole = shares.coefficients @ moves.gradients + shares.decay + shares.earlier
        assert whole == pytest.approx(values[-1] - values[begin], abs=1e-12)
        assert (shares.earlier == 0) == (begin == 0 or kind == "sgd")
        # a little more gradient in a step changes the weight by `at_once` there, its divisor held
        last = at_once(rule, moves, made)[-1]
        assert last == pytest.approx(shares.coefficients[-1], rel=1e-12)


@pytest.mark.parametrize("kind", ["adamw", "momentum", "adam", "rmsprop"])
def test_the_largest_steps_are_the_glass_boxs_arithmetic(again: Callable[..., Again], kind: str) -> None:
    """The formulas here and those of the glass box are written twice: they agree at every step that is shown."""
    made = again(**KINDS[kind])
    (life,) = result_of(living(made, ["conv1.weight[3, 0, 2, 2]"], largest=3))
    sizes = [abs(step.update) for step in life.largest]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == max(abs(b - a) for a, b in zip(life.values, life.values[1:], strict=False))
    for step in life.largest:
        weight = torch.tensor(step.before, requires_grad=True)
        settings = {name: value for name, value in life.settings.items() if name != "dampening"}
        optimizer = MADE[life.optimizer]([weight], lr=step.rate, **settings)
        state = {name: torch.tensor(value) for name, value in step.state.items()}
        op, remembered, _ = optimizing.described(optimizer, optimizer.param_groups[0], state, weight)
        assert op is not None
        arrays: dict[str, Any] = {"weight": step.before, "gradient": step.gradient, **remembered}
        arrays = {name: np.asarray(value, np.float64) for name, value in arrays.items()}
        value, _ = Evaluator(op, arrays).value("out", ())
        assert value == pytest.approx(step.before + step.formula, abs=1e-9)
        assert step.after == pytest.approx(value, abs=1e-6)
        assert step.before == life.values[step.step - 1]
        assert step.after == life.values[step.step]
        assert [p.row for p in step.pictures] != made.rows(step.step).tolist() or len(step.pictures) == 1
        assert sorted(p.row for p in step.pictures) == sorted(made.rows(step.step).tolist())
        assert math.fsum(p.part for p in step.pictures) == pytest.approx(step.gradient, abs=1e-6)
        strengths = [abs(p.part) for p in step.pictures]
        assert strengths == sorted(strengths, reverse=True)
        for each in step.pictures:
            assert each.path.split("/")[0] == each.label
            assert each.push * each.part <= 0


def test_the_steps_between_two_and_what_came_before_them(again: Callable[..., Again]) -> None:
    (whole,) = result_of(living(again(**KINDS["adam"]), ["conv1.weight[0, 0, 0, 0]"]))
    (some,) = result_of(living(again(**KINDS["adam"]), ["conv1.weight[0, 0, 0, 0]"], steps=(3, 5)))
    assert some.values == whole.values[2:6]
    assert (some.begin, some.saved, some.exact) == (2, None, True)
    assert some.earlier != 0
    assert some.moved == pytest.approx(some.pushed + some.decay + some.earlier, abs=1e-6)
    assert {each.step for each in some.largest} == {3, 4, 5}
    for wrong in ((0, 3), (5, 3), (3, whole.steps + 1)):
        with pytest.raises(RecipeError, match=f"steps are {wrong[0]}:{wrong[1]}, but the training made steps 1 to"):
            result_of(living(again(**KINDS["adam"]), ["conv1.weight[0, 0, 0, 0]"], steps=wrong))


def test_another_end_is_no_exact_claim(again: Callable[..., Again]) -> None:
    made = again(**KINDS["adam"])
    with torch.no_grad():
        made.material.classifier.module.get_parameter("dense1.bias")[2] += 0.5
    try:
        (life,) = result_of(living(made, ["conv1.weight[0, 0, 0, 0]"]))
    finally:
        with torch.no_grad():
            made.material.classifier.module.get_parameter("dense1.bias")[2] -= 0.5
    assert life.drift is not None
    assert life.drift.where == "dense1.bias[2]"
    assert not life.exact
    assert life.as_json()["drift"]["different"] == 1
    assert life.saved == life.last


def test_an_update_or_a_part_that_does_not_add_up_is_an_error(
    again: Callable[..., Again], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(rule: Rule, moves: Moves) -> Any:
        made = formula(rule, moves)
        made.update[3] *= 1.01
        return made

    with monkeypatch.context() as patch:
        patch.setattr(records, "formula", changed)
        with pytest.raises(TraceError, match=r"Step 4 took conv1\.weight\[0, .* by the formula of adam "):
            result_of(living(again(**KINDS["adam"]), ["conv1.weight[0, 0, 0, 0]"]))
    monkeypatch.setattr(records.parts, "of_weight", lambda runs, name, index: np.ones(8))
    with pytest.raises(TraceError, match=r"At step 1 the gradient of .* pictures add up to 8"):
        result_of(living(again(**KINDS["adam"]), ["conv1.weight[0, 0, 0, 0]"]))


def test_the_json_reads_back_to_the_same_numbers(again: Callable[..., Again]) -> None:
    (life,) = result_of(living(again(**KINDS["adamw"]), ["conv1.weight[3, 0, 2, 2]"], largest=2))
    content = json.loads(json.dumps(life.as_json(pictures=3, pushers=4)))
    assert content["values"] == list(life.values)
    assert [float(np.float32(value)) for value in content["values"]] == content["values"]
    assert content["first"] + content["moved"] == pytest.approx(content["saved"], abs=1e-12)
    assert (content["shape"], content["optimizer"]) == ([4, 3, 3, 3], "adamw")
    assert content["settings"]["betas"] == [0.9, 0.999]
    for step in content["largest"]:
        assert len(step["pictures"]) == 3
        parts = sum(each["part"] for each in step["pictures"]) + step["others"]["part"]
        assert parts == pytest.approx(step["gradient"], abs=1e-6)
        assert step["state"].keys() == {"exp_avg", "exp_avg_sq", "step"}
    others = content["other_pushers"]
    listed = sum(each["up"] + each["down"] for each in content["pushers"])
    assert listed + others["up"] + others["down"] == pytest.approx(content["pushed"])
    assert others["count"] + 4 == len(life.pushers)
    strengths = [abs(each.net) for each in life.pushers]
    assert strengths == sorted(strengths, reverse=True)


def test_known_weights_begin_where_the_backbone_was_taken_over(again: Callable[..., Again]) -> None:
    made = again(**KINDS["known weights"])
    weights = ("conv1.weight[3, 0, 2, 2]", "dense1.weight[0, 7]")
    backbone, head = result_of(living(made, weights))
    for life in (backbone, head):
        assert life.exact
        assert life.moved == pytest.approx(life.pushed + life.decay + life.earlier, abs=1e-6)
    if made.last:
        assert backbone.begins.startswith("known weights of efficientnet_lite0")
        assert head.begins.startswith("the head that was fitted")
    else:
        assert backbone.values == (backbone.saved,)
        assert "No step changed it" in backbone.note
        assert head.optimizer == "lbfgs"


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (
            "conv1.weight",
            r"'conv1\.weight' has no index: conv1\.weight has filters 0 to 3, channels 0 to 2, ",
        ),
        (
            "conv1.weight[4, 0, 0, 0]",
            r"is not a weight: conv1\.weight has .* such as conv1\.weight\[2, 1, 1, 1",
        ),
        ("conv1.weight[-1,0,0,0]", "is not a weight"),
        ("dense1.weight[1]", r"is not a weight: dense1\.weight has outputs 0 to 5, inputs 0 to 255"),
        ("conv1.weigth[0, 0, 0, 0]", r"There is no weight 'conv1\.weigth'\. Nearest: conv1\.weight"),
        ("dense1.bias[one]", "an index consists of whole numbers"),
        ("[0]", "names no weight"),
    ],
)
def test_a_weight_that_there_is_not(train: Train, weight: str, says: str) -> None:
    model = train()
    with pytest.raises(TraceError, match=says):
        result_of(opened(model, model.parent / "cache", [weight]))
    with pytest.raises(PellucidError, match=says):
        pellucid.life_of(model, weight, cache=model.parent / "cache")


def test_the_verb(train: Train) -> None:
    model = train(**KINDS["adam"])
    life = pellucid.life_of(model, " conv1.weight[0,0,0,0] ", largest=1, cache=model.parent / "cache")
    assert isinstance(life, Life)
    assert life.exact
    assert len(life.largest) == 1
    assert life.begins == "random weights, drawn by seed 0"


def test_several_weights_are_recorded_in_one_repeat(again: Callable[..., Again]) -> None:
    made = again(**KINDS["sgd"])
    places = [
        Place("conv1.weight[0, 0, 0, 0]", "conv1.weight", (0, 0, 0, 0)),
        Place("dense2.bias[1]", "dense2.bias", (1,)),
    ]
    first, second = result_of(recording(made, places, 0, made.last))
    assert len(first.values) == len(second.values) == made.last + 1
    assert (first.values != second.values).all()
