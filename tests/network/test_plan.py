"""The plan: the article's figures by hand, ResNet-18's published ones, and PyTorch as the judge of the rest."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pellucid.errors import NetworkError
from pellucid.network.layers import Conv, Dense, Shape
from pellucid.network.plan import Plan, parse_input, plan
from pellucid.network.text import parse
from pellucid.network.zoo import find

MIXED = (
    "conv(4, 3, padding=1) batchnorm relu residual(conv(6, 3, stride=2, padding=1) silu | conv(6, 1, stride=2)) relu "
    "residual(conv(6, 3, padding=same) tanh) residual(relu conv(6, 1)) maxpool(2) gelu l2pool(2) flatten dense(9) relu "
    "dense(5) sigmoid dense"
)


def article(classes: int, **settings: int) -> Plan:
    return plan(find("article").network, (3, 300, 300), classes, **settings)


def test_article_as_json() -> None:
    document = article(2).as_json()
    assert document["network"] == "conv(10, 5) relu maxpool(2) flatten dense"
    assert document["input"] == [3, 300, 300]
    assert document["classes"] == 2
    assert document["total_parameters"] == 438842
    assert [layer["output"] for layer in document["layers"]] == [
        [10, 296, 296], [10, 296, 296], [10, 148, 148], [219040], [2],
    ]  # fmt: skip
    assert document["layers"][0] == {
        "name": "conv1",
        "layer": "conv(10, 5)",
        "output": [10, 296, 296],
        "output_formula": "([300 - 5 + 2*0] / 1) + 1 = 296",
        "parameters": 760,
        "parameters_formula": "5*5*3*10 + 10 = 760",
        "forward_flops": 2 * 75 * 10 * 296 * 296,
        "backward_flops": 2 * 75 * 10 * 296 * 296,  # of the weights alone: nobody asks for the picture's gradient
        "forward_bytes": 4 * 10 * 296 * 296,
        "backward_bytes": 4 * 3 * 300 * 300,  # the picture
        "receptive_field": [5, 5],
    }
    assert [layer["receptive_field"] for layer in document["layers"]] == [
        [5, 5], [5, 5], [6, 6], [6, 6], [300, 300],
    ]  # fmt: skip


def test_article_with_one_unit() -> None:
    assert article(1).as_json()["total_parameters"] == 219801


def test_article_fully_connected_instead() -> None:
    instead = article(2).fully_connected
    assert instead is not None
    assert instead.formula == "300*300*3 * 296*296*10 + 296*296*10 = 236564076160"
    assert instead.parameters == 270000 * 876160 + 876160 == 236564076160
    assert instead.instead_of == "conv1"


def test_article_memory() -> None:
    """Kept: the picture, ReLU's output (which max pooling needs too), the winners' 8-byte indices, the pooled maps."""
    stored = 4 * 270000 + 4 * 876160 + 8 * 219040 + 4 * 219040
    widest = 4 * (876160 + 876160)  # ReLU's input and output, or their gradients
    # max pooling's backward: its gradients, and as the one that comes out of flatten is in plain order, its input and
    # the winners once more in that order; the pooled maps are gone
    step = 4 * 270000 + 4 * 876160 + 8 * 219040 + 4 * (219040 + 876160) + 4 * 876160 + 8 * 219040
    short, adam = article(2, batch=128), 4 * (438842 * 3 + 438082)  # the filters have no gradient yet
    training = round(1.03 * (adam + 128 * step))
    assert (short.kept_bytes, short.step_bytes, short.peak_bytes) == (stored, step, widest)
    assert short.training_bytes == training
    assert short.training_formula == (
        f"4 bytes * (438842 parameters * (1 value + 2 of the optimizer) + 438082 gradients) "
        f"+ 128 pictures * {step} bytes + 3% = {training}"
    )
    assert short.predicting_bytes == 4 * 438842 + 128 * widest
    fewer = article(2, batch=128, optimizer_states=1).training_bytes
    assert fewer == round(1.03 * (adam - 4 * 438842 + 128 * step))


@pytest.mark.parametrize(
    ("text", "shape", "batch", "optimizer"),
    [
        ("conv(10, 5) relu maxpool(2) flatten dense", (3, 60, 60), 32, "adam"),
        ("conv(8, 3, padding=1) batchnorm relu conv(8, 3, padding=1) relu globalavgpool dense", (3, 40, 40), 32, "sgd"),
        (
            "conv(8, 3, padding=1) relu residual(conv(8, 3, padding=1) batchnorm relu conv(8, 3, padding=1)) relu "
            "residual(conv(16, 3, stride=2, padding=1) | conv(16, 1, stride=2)) relu globalavgpool dense",
            (3, 40, 40),
            32,
            "adamw",
        ),
        ("conv(16, 3) relu avgpool(2) flatten dense", (3, 40, 40), 32, "adam"),
        ("conv(16, 3) maxpool(2) dropout(0.2) flatten dense", (3, 40, 40), 32, "sgd"),
        ("flatten dense(300) relu dense(300) relu dense", (3, 24, 24), 16, "adamw"),
        (
            "conv(16, 3, bias=false) relu gate(globalavgpool dense(4) relu dense(16) hardsigmoid) "
            "conv(24, 1) gate(globalavgpool sigmoid) globalavgpool dense",
            (3, 40, 40),
            32,
            "sgd",
        ),
        (
            "conv(24, 4, stride=4) layernorm residual(conv(24, 7, padding=3, groups=24) layernorm conv(96, 1) gelu "
            "conv(24, 1) scale) layernorm conv(48, 2, stride=2) globalavgpool layernorm dense",
            (3, 64, 64),
            32,
            "adamw",
        ),
        ("conv(16, 3) silu avgpool(2) conv(32, 3) gelu l2pool(2) flatten dense", (3, 32, 32), 32, "sgd"),
        ("conv(16, 3) conv(16, 3) flatten dense", (3, 32, 32), 32, "sgd"),
        ("conv(16, 3) conv(16, 3) globalavgpool dense", (3, 32, 32), 32, "adam"),
        ("conv(32, 5, dilation=2) sigmoid conv(64, 5, dilation=2) tanh flatten dense", (1, 32, 32), 8, "adam"),
        ("conv(16, 3, dilation=2) tanh conv(16, 3, dilation=2) sigmoid globalavgpool dense", (3, 40, 40), 32, "adam"),
        ("conv(16, 3) elu conv(16, 3) hardswish dropout(0.2) globalavgpool dense", (3, 40, 40), 32, "adam"),
        ("conv(16, 3) tanh residual(conv(16, 3, padding=1)) tanh flatten dense", (3, 40, 40), 32, "adam"),
        (
            "conv(16, 3) relu residual(conv(16, 3, padding=1) | conv(16, 1)) globalavgpool dense",
            (3, 40, 40),
            32,
            "adam",
        ),
    ],
)
def test_training_takes_what_is_planned_or_a_tenth_less(text: str, shape: Shape, batch: int, optimizer: str) -> None:
    """Against PyTorch's own count of its allocator's memory; benchmarks/memory.py measures more networks."""
    path = Path(__file__).parents[2] / "benchmarks" / "memory.py"
    spec = importlib.util.spec_from_file_location("benchmarks_memory", path)
    assert spec is not None
    assert spec.loader is not None
    memory = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(memory)
    peak = memory.measure(text, shape, batch, optimizer)
    states = 1 if optimizer == "sgd" else 2
    planned = plan(parse(text), shape, memory.CLASSES, batch, states).training_bytes
    assert 1.0 <= planned / peak <= 1.1


def test_resnet18() -> None:
    """11,689,512 parameters and 1.8 billion multiply-adds (He et al. 2015, table 1); receptive field 435."""
    resnet = plan(find("resnet18").network, (3, 224, 224), 1000)
    assert resnet.parameters == 11_689_512
    weighted = [row.cost.forward_flops // 2 for row in resnet.rows if row.layer.startswith(("conv", "dense"))]
    assert sum(weighted) == 1_814_073_344
    last = next(row for row in resnet.rows if row.name == "residual8")
    assert last.receptive_field == (435, 435)
    names = [row.name for row in resnet.rows if row.name.startswith("residual3")]
    assert names == [
        "residual3.body.conv1", "residual3.body.batchnorm1", "residual3.body.relu1", "residual3.body.conv2",
        "residual3.body.batchnorm2", "residual3.shortcut.conv1", "residual3.shortcut.batchnorm1", "residual3",
    ]  # fmt: skip
    row = resnet.rows[[row.name for row in resnet.rows].index("residual3")]
    assert (row.layer, row.output_formula, row.parameters) == ("addition", "shortcut + body", 0)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (MIXED, (3, 17, 20)),
        (str(find("lenet5").network), (1, 32, 32)),
        ("maxpool(2) dropout conv(2, 3) dropout flatten dense", (1, 9, 9)),
        ("gate(globalavgpool sigmoid) gate(globalavgpool dense(3)) relu flatten dense", (3, 6, 6)),
        ("conv(4, 3) relu gate(globalavgpool dense(3) relu dense(4) hardsigmoid) conv(5, 1) flatten dense", (3, 9, 9)),
        ("conv(4, 3) gate(globalavgpool dense(4) sigmoid) gate(globalavgpool) relu flatten dense", (3, 9, 9)),
        (
            "conv(4, 3) scale tanh residual(gate(globalavgpool tanh) | relu) conv(5, 2) scale(1) flatten dense",
            (3, 9, 9),
        ),
        ("conv(4, 3) globalavgpool layernorm dense(6) gate(hardsigmoid) dense", (3, 9, 9)),
        ("conv(4, 1) relu residual(tanh | conv(4, 1)) flatten dense", (3, 6, 6)),
        ("residual(tanh | conv(1, 1)) relu flatten dense", (1, 9, 9)),
        (
            "residual(tanh | relu) residual(conv(2, 3, padding=1) | conv(2, 1)) residual(tanh relu) flatten dense",
            (2, 6, 6),
        ),
    ],
)
def test_operations_and_memory_are_pytorchs(text: str, shape: Shape) -> None:
    """FLOPs of convolutions and dense layers, forward and backward, and the bytes that autograd keeps."""
    network, batch = parse(text), 4
    planned = plan(network, shape, 3)
    module = network.module(shape, 3)
    weights = {each.untyped_storage().data_ptr() for each in [*module.parameters(), *module.buffers()]}
    stored: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and tensor.dim() > 1:  # batch norm keeps a mean a channel too
            stored[storage.data_ptr()] = storage
        return tensor

    x = torch.rand(batch, *shape)
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, FlopCounterMode(display=False) as forward:
        output = module(x)
    with FlopCounterMode(display=False) as backward:
        output.sum().backward()
    steps = [row for row in planned.rows if row.layer.startswith((Conv.word, Dense.word))]
    assert forward.get_total_flops() == batch * sum(row.cost.forward_flops for row in steps)
    assert backward.get_total_flops() == batch * sum(row.cost.backward_flops for row in steps)
    assert sum(storage.nbytes() for storage in stored.values()) == batch * planned.kept_bytes
    assert planned.parameters == sum(weight.numel() for weight in module.parameters())


def test_a_residual_costs_what_its_rows_cost() -> None:
    residual = parse("residual(conv(6, 3, padding=1) relu | conv(6, 1))").layers[0]
    rows = plan(parse(f"{residual} flatten dense"), (3, 8, 8), 2).rows[:-2]
    cost = residual.cost((3, 8, 8), first=True)
    assert cost.forward_flops == sum(row.cost.forward_flops for row in rows)
    assert cost.backward_flops == sum(row.cost.backward_flops for row in rows)
    assert cost.backward_bytes == sum(row.cost.backward_bytes for row in rows)
    assert residual.parameters((3, 8, 8)) == sum(row.parameters for row in rows) == 3 * 3 * 3 * 6 + 6 + 3 * 6 + 6
    assert residual.parameters_formula((3, 8, 8)) == "168 + 24 = 192"


def test_peak_counts_what_waits_for_the_addition() -> None:
    """While the shortcut runs, the input and the body's output are in memory besides its own."""
    planned = plan(parse("residual(conv(6, 1) | conv(6, 1)) flatten dense"), (3, 10, 10), 2)
    assert planned.peak_bytes == 4 * 100 * (3 + 6 + 6 + 6)  # the addition: input, two branches, sum
    identity = plan(parse("residual(relu relu) flatten dense"), (3, 10, 10), 2)
    assert identity.peak_bytes == 4 * 100 * (3 + 3 + 3)


def test_step_counts_the_gradients_that_wait_for_the_other_branch() -> None:
    """The body's first ReLU runs backward, with everything kept before it, while the shortcut's gradient waits."""
    planned = plan(parse("conv(6, 1) residual(relu relu) flatten dense"), (3, 10, 10), 2)
    picture, map_ = 4 * 100 * 3, 4 * 100 * 6
    # first ReLU: it is kept; its two gradients, and the one that waits. The second works on the very one that waits.
    # As many maps stand there when dense goes back, and two scores with them
    assert planned.step_bytes == picture + map_ + 3 * map_ + 4 * 2


def test_step_counts_the_bodys_gradient_that_waits_for_the_shortcut() -> None:
    planned = plan(parse("conv(6, 1) residual(relu | relu conv(24, 1) relu conv(6, 1)) flatten dense"), (3, 10, 10), 2)
    stored = 3 + 6 + 6 + 24  # the picture, the body's ReLU, the shortcut's two
    assert planned.step_bytes == 4 * 100 * (stored + 24 + 24 + 6)  # its second ReLU: two gradients, and the body's


def test_no_convolution_nothing_to_compare() -> None:
    planned = plan(parse("flatten dense"), (1, 8, 8), 10)
    assert planned.fully_connected is None
    assert planned.as_json()["fully_connected_parameters"] is None


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(NetworkError, match="or a picture of at least 6x6"):
        plan(find("article").network, (3, 4, 4), 2)


@pytest.mark.parametrize(
    ("text", "shape"),
    [("300x300x3", (3, 300, 300)), (" 28 x 32 X 1 ", (1, 28, 32)), ("8×9×3", (3, 8, 9))],
)
def test_input_sizes(text: str, shape: Shape) -> None:
    assert parse_input(text) == shape


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("300", "The input size '300' is not HEIGHTxWIDTHxCHANNELS; write 300x300x3."),
        ("300x300", "The input size '300x300' is not HEIGHTxWIDTHxCHANNELS; write 300x300x3."),
        ("3ax4x3", "The input size '3ax4x3' is not HEIGHTxWIDTHxCHANNELS; write 300x300x3."),
        ("", "The input size '' is not HEIGHTxWIDTHxCHANNELS; write 300x300x3."),
        (
            "0x300x3",
            "The input size '0x300x3' has a side that is not from 1 to 100,000 pixels; write 300x300x3.",
        ),
        (
            "3x300x300",
            "The input size '3x300x300' has 300 channels; write 3 for colour, 1 for grey: 3x300x3.",
        ),
    ],
)
def test_input_sizes_refused(text: str, message: str) -> None:
    with pytest.raises(NetworkError) as raised:
        parse_input(text)
    assert str(raised.value) == message


def test_planning_needs_no_torch() -> None:
    program = (
        "import sys; from pellucid.network import plan, zoo; "
        "plan.plan(zoo.find('resnet18').network, (3, 224, 224), 2).as_json(); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
