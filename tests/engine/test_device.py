"""Device, precision and threads."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from pellucid.engine import device
from pellucid.engine.device import Engine
from pellucid.errors import RecipeError


@pytest.fixture(autouse=True)
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_every_automatic_choice_has_a_reason() -> None:
    engine = device.choose()
    assert engine.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert [reason.split(":")[0] for reason in engine.reasons] == [engine.device, engine.precision]
    assert device.choose("cpu", "float32").reasons == ()


def test_threads_are_set_and_told() -> None:
    assert device.choose("cpu", "float32", threads=1).threads == 1
    assert torch.get_num_threads() == 1
    assert device.choose("cpu", "float32").threads == 1  # stays as it is


@pytest.mark.parametrize(
    ("abilities", "precision"),
    [({}, "float32"), ({"avx512_bf16": False}, "float32"), ({"avx512_bf16": True}, "bfloat16")],
)
def test_bfloat16_only_where_the_hardware_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, bool], precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    engine = device.choose("cpu")
    assert engine.precision == precision
    assert engine.reasons[-1].startswith(f"{precision}: this processor")


OURS = nn.Sequential(nn.Conv2d(16, 16, 5, groups=16))  # depthwise, with kernels of ours
LEFT = nn.Sequential(nn.Conv2d(4, 8, 3, groups=4))  # depthwise, without
DENSE = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(1, 4, 3))


@pytest.mark.parametrize(
    ("module", "precision", "requested", "began", "ours", "expected"),
    [
        (OURS, "bfloat16", "auto", None, None, ("bfloat16", True)),
        (OURS, "float32", "auto", None, None, ("float32", True)),
        (OURS, "bfloat16", "auto", "float32", False, ("float32", False)),  # runs that an earlier Pellucid began
        (OURS, "bfloat16", "auto", "bfloat16", False, ("bfloat16", False)),
        (LEFT, "bfloat16", "auto", None, None, ("float32", False)),
        (LEFT, "bfloat16", "bfloat16", None, None, ("bfloat16", False)),
        (nn.Sequential(*OURS, *LEFT), "bfloat16", "auto", None, None, ("float32", True)),
        (DENSE, "bfloat16", "auto", None, None, ("bfloat16", False)),
        (DENSE, "bfloat16", "auto", "float32", False, ("float32", False)),
    ],
)
def test_how_depthwise_convolutions_train(
    module: nn.Module, precision: Any, requested: Any, began: Any, ours: Any, expected: tuple[str, bool]
) -> None:
    engine = device.for_steps(Engine("cpu", precision, 1, ("cpu: why",)), module, requested, began, ours)

    assert (engine.precision, engine.kernels) == expected
    assert len(engine.reasons) == 1 + (expected[0] != precision) + expected[1]
    on_gpu = device.for_steps(Engine("cuda", "bfloat16", 1, ()), module, "auto")
    assert (on_gpu.precision, on_gpu.kernels) == ("bfloat16", False)


@pytest.mark.parametrize("name", ["cuda:99", "quantum", "gpu"])
def test_a_device_that_is_not_there(name: str) -> None:
    for ask in (device.check, device.choose):
        with pytest.raises(RecipeError) as caught:
            ask(name)
        assert str(caught.value).startswith(f"device is {name!r}, which this machine does not have (")
        assert "\n" not in str(caught.value)


def test_autocast_computes_in_the_precision() -> None:
    linear = nn.Linear(2, 2)
    for precision, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with Engine("cpu", precision, 1, ()).autocast():  # type: ignore[arg-type]
            assert linear(torch.zeros(1, 2)).dtype == dtype


def test_filters_are_placed_channels_last() -> None:
    module = Engine("cpu", "float32", 1, ()).place(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2)))
    assert module.get_parameter("0.weight").is_contiguous(memory_format=torch.channels_last)
    assert not module.get_parameter("0.weight").is_contiguous()
