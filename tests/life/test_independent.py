"""The life of a weight beside a training written here, from plain PyTorch alone.

Only what the command prints (JSON) is compared. The networks, the order of the pictures, the rates, the optimizer's
arithmetic and the parts of the pictures are written a second time. Of Pellucid's own it uses the decoded and varied
pictures, and the drawn first weights.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tests.life.conftest import Train
from torch import Tensor, nn

import pellucid
from pellucid.life.again import Again
from pellucid.life.story import living
from pellucid.pictures.augment import augment_stored
from pellucid.steps import result_of

WEIGHTS = 50
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.05, "weight_decay": 0.01},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.02, "weight_decay": 0.01},
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw"},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "teaching": {"model": "conv(8, 3) relu maxpool(2) flatten dense", "size": 8, "channels": 1},
    "dropout": {"model": "conv(4, 3) relu maxpool(2) flatten dropout(0.4) dense", "size": 8},
    "lenet5": {"model": "lenet5", "size": 32},
    "compact": {"model": "compact", "size": 32, "epochs": 1},
}
CASES = [
    *((network, kind) for network in ("teaching", "lenet5", "compact") for kind in OPTIMIZERS),
    ("dropout", "momentum"),
]


class Sum(nn.Module):
    """Two ways whose results are added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images) + self.shortcut(images)


def plain(network: str) -> nn.Module:
    """The network from PyTorch's own layers, its parameters in the order of the text."""
    if network in ("teaching", "dropout"):
        filters, channels = (8, 1) if network == "teaching" else (4, 3)
        layers: list[nn.Module] = [nn.Conv2d(channels, filters, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        layers += [nn.Dropout(0.4)] if network == "dropout" else []
        return nn.Sequential(*layers, nn.Linear(filters * 9, 2))
    if network == "lenet5":
        return nn.Sequential(
            *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 2)),
        )

    def conv(before: int, after: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(before, after, size, stride, size // 2, bias=False), nn.BatchNorm2d(after)]

    def residual(before: int, after: int, stride: int) -> list[nn.Module]:
        body = nn.Sequential(*conv(before, after, stride=stride), nn.ReLU(), *conv(after, after))
        shortcut = nn.Identity() if before == after else nn.Sequential(*conv(before, after, 1, stride))
        return [Sum(body, shortcut), nn.ReLU()]

    layers = [*conv(3, 16, stride=2), nn.ReLU(), *conv(16, 32, stride=2), nn.ReLU(), *residual(32, 32, 1)]
    layers += [*residual(32, 64, 2), *residual(64, 128, 2), *residual(128, 256, 2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2))


def rate_of(recipe: dict[str, Any], step: int, steps: int) -> float:
    """A linear warm-up, then half a cosine; at the middle of a step that is counted from 0."""
    done, warm = (step + 0.5) / steps, recipe["warmup"]
    if done < warm:
        return recipe["learning_rate"] * done / warm
    return recipe["learning_rate"] * 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))


def optimizer_of(recipe: dict[str, Any], module: nn.Module) -> torch.optim.Optimizer:
    """PyTorch's own, with weight decay on filters and matrices only."""
    kind, momentum = recipe["optimizer"], recipe["momentum"]
    groups = [
        {"params": [p for p in module.parameters() if (p.ndim > 1) == decays], "weight_decay": decay}
        for decays, decay in ((True, recipe["weight_decay"]), (False, 0.0))
    ]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=momentum > 0, fused=True)
    made = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    return made(groups, lr=1.0, betas=(momentum, 0.999), fused=True)


def parts_of(module: nn.Module, images: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Each picture's part in each gradient, (n, *shape): every picture runs through copies of the weights of its own.

    Batch norm still takes the mean and deviation over the batch, as it does in the step.
    """
    copies = {
        name: each.detach()[None].repeat(len(images), *[1] * each.ndim).requires_grad_()
        for name, each in module.named_parameters()
    }
    names = {layer: name for name, layer in module.named_modules()}

    def one_by_one(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        (x,), name = inputs, names[layer]
        weight, bias = (copies.get(f"{name}.{own}") for own in ("weight", "bias"))
        assert weight is not None
        if isinstance(layer, nn.BatchNorm2d):
            assert bias is not None
            even = F.batch_norm(x, None, None, training=True, eps=layer.eps)
            return even * weight[:, :, None, None] + bias[:, :, None, None]
        run: Any = F.linear if isinstance(layer, nn.Linear) else F.conv2d
        more = {} if isinstance(layer, nn.Linear) else {"stride": layer.stride, "padding": layer.padding}
        each = [run(x[n : n + 1], weight[n], None if bias is None else bias[n], **more) for n in range(len(x))]
        return torch.cat(each)

    layers = [each for each in module.modules() if isinstance(each, nn.Conv2d | nn.Linear | nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(one_by_one) for layer in layers]  # type: ignore[arg-type]
    gradients = torch.autograd.grad(loss(module(images)), list(copies.values()))
    for hook in hooks:
        hook.remove()
    return dict(zip(copies, gradients, strict=True))


def training(
    model: Path, network: str, first: dict[str, Tensor], cache: Path
) -> Iterator[tuple[nn.Module, list[str], dict[str, Tensor]]]:
    """Train as the model's config.json says; after each step (module, paths of its pictures, parts of these)."""
    config = json.loads((model / "config.json").read_text())
    recipe, prepared = config["recipe"], config["preprocessing"]
    module = plain(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        for own, tensor in zip(module.parameters(), first.values(), strict=True):
            own.copy_(tensor)
    optimizer, classifier = optimizer_of(recipe, module), pellucid.load(model)
    with (model / "split.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["side"] == "train"]
    images = np.stack([classifier.prepared(Path(config["data"]["root"]) / row["path"]) for row in rows])
    labels = torch.tensor([config["classes"].index(row["class"]) for row in rows])
    per_epoch = min(math.ceil(len(rows) / recipe["batch"]), len(rows) // 2)
    steps, module = per_epoch * recipe["epochs"], module.train()
    for step in range(steps):
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((recipe["seed"], 0, epoch)).permutation(len(rows))
        chosen = np.array_split(order, per_epoch)[position]
        seed = int(np.random.SeedSequence((recipe["seed"], 1, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))
        generator = torch.Generator().manual_seed(seed)
        scale = tuple(prepared["mean"]), tuple(prepared["deviation"])
        share: Any = lambda task, jobs: [task(job) for job in jobs]  # noqa: E731
        seen = augment_stored(images[chosen], recipe["augment"], generator, *scale, share)

        def loss(logits: Tensor, chosen: Any = chosen) -> Tensor:
            return F.cross_entropy(logits, labels[chosen], label_smoothing=recipe["label_smoothing"])

        sums = {name: each.clone() for name, each in module.named_buffers()}
        torch.manual_seed(seed)  # dropout's
        parts = parts_of(module, seen, loss)
        for name, each in module.named_buffers():
            each.copy_(sums[name])
        torch.manual_seed(seed)
        optimizer.zero_grad()
        loss(module(seen)).backward()
        for group in optimizer.param_groups:
            group["lr"] = rate_of(recipe, step, steps)
        optimizer.step()
        yield module, [rows[row]["path"] for row in chosen.tolist()], parts


def formula(recipe: dict[str, Any], life: dict[str, Any]) -> list[float]:
    """Every value of a weight from the one before it by the optimizer's formula, in float64 with its state carried on.

    PyTorch rounds the state to float32, so these may differ in the last digits.
    """
    decay, m, v, values = life["settings"]["weight_decay"], 0.0, 0.0, []
    for step, (w, g, r) in enumerate(zip(life["values"], life["gradients"], life["rates"], strict=False), 1):
        if recipe["optimizer"] == "sgd":
            g += decay * w
            m = recipe["momentum"] * m + g
            values.append(w - r * (g + recipe["momentum"] * m))
            continue
        if recipe["optimizer"] == "adam":
            g += decay * w
        else:
            w -= r * decay * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        values.append(w - r * (m / (1 - 0.9**step)) / (math.sqrt(v / (1 - 0.999**step)) + 1e-8))
    return values


@pytest.mark.parametrize(("network", "kind"), CASES)
def test_fifty_weights_of_an_independent_training(
    train: Train, again: Callable[..., Again], network: str, kind: str
) -> None:
    settings = {"epochs": 2, "validation": 0, **NETWORKS[network], **OPTIMIZERS[kind]}
    model, made = train(**settings), again(**settings)
    first = {name: each.detach().clone() for name, each in made.state.module.named_parameters()}
    random = np.random.default_rng(7)
    names = list(first)
    texts: dict[str, tuple[str, tuple[int, ...]]] = {}
    while len(texts) < WEIGHTS:
        name = names[len(texts) % len(names)]
        index = tuple(int(random.integers(size)) for size in first[name].shape)
        while (text := f"{name}[{', '.join(map(str, index))}]") in texts:
            name = names[int(random.integers(len(names)))]
            index = tuple(int(random.integers(size)) for size in first[name].shape)
        texts[text] = name, index
    lives = result_of(living(made, list(texts), largest=1000))
    contents = [json.loads(json.dumps(life.as_json(pictures=1000, pushers=1000))) for life in lives]
    assert [life["weight"] for life in contents] == list(texts)
    saved, recipe = load_file(model / "model.safetensors"), json.loads((model / "config.json").read_text())["recipe"]

    # 1. the sum of the updates is the saved weight, in exact arithmetic; each update is the optimizer's formula
    for life in contents:
        name, index = texts[life["weight"]]
        values = [Fraction(value) for value in life["values"]]
        updates = [after - before for before, after in pairwise(values)]
        assert Fraction(float(first[name][index])) + sum(updates) == Fraction(float(saved[name][index]))
        assert life["exact"]
        np.testing.assert_allclose(formula(recipe, life), life["values"][1:], rtol=2e-6, atol=2e-6)

    # 2. the same values and parts in a training that knows nothing of all this
    plain_names = dict(zip(names, [name for name, _ in plain(network).named_parameters()], strict=True))
    moments = [{step["step"]: step for step in life["largest"]} for life in contents]
    pushed: dict[tuple[str, str], list[float]] = {}
    for step, (module, paths, parts) in enumerate(training(model, network, first, model.parent / "cache"), 1):
        parameters = dict(module.named_parameters())
        for life, moment in zip(contents, moments, strict=True):
            name, index = texts[life["weight"]]
            own = parameters[plain_names[name]]
            assert own.grad is not None
            assert life["values"][step] == float(own.detach()[index])
            assert life["gradients"][step - 1] == float(own.grad[index])
            assert [each["path"] for each in sorted(moment[step]["pictures"], key=lambda each: each["path"])] == sorted(
                paths
            )
            shares = {each["path"]: each["part"] for each in moment[step]["pictures"]}
            theirs = parts[plain_names[name]][(slice(None), *index)].double()
            size = float(theirs.abs().sum())
            assert sum(shares.values()) == pytest.approx(float(own.grad[index]), abs=2e-5 * size + 1e-8)
            for path, part in zip(paths, theirs.tolist(), strict=True):
                assert shares[path] == pytest.approx(part, abs=2e-5 * size + 1e-8)
                pushed.setdefault((life["weight"], path), [0.0] * life["steps"])[step - 1] = part

    # 3. with SGD, a picture's pushes are where PyTorch's optimizer goes with its parts alone, from 0 and without decay
    for life in contents if recipe["optimizer"] == "sgd" else ():
        assert life["first"] + life["pushed"] + life["weight_decay"] == pytest.approx(life["last"], abs=1e-6)
        for pusher in life["pushers"][:2]:
            alone = torch.zeros(1, dtype=torch.float64, requires_grad=True)
            momentum = recipe["momentum"]
            optimizer = torch.optim.SGD([alone], lr=1.0, momentum=momentum, nesterov=momentum > 0)
            for rate, part in zip(life["rates"], pushed[life["weight"], pusher["path"]], strict=True):
                optimizer.param_groups[0]["lr"] = rate
                alone.grad = torch.tensor([part], dtype=torch.float64)
                optimizer.step()
            assert pusher["up"] + pusher["down"] == pytest.approx(alone.item(), rel=1e-3, abs=1e-7)
