"""The estimate of a training, measured with a fake clock."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from pellucid.engine import probe
from pellucid.engine.device import Engine, Precision
from pellucid.engine.probe import Probe
from pellucid.errors import NetworkError
from pellucid.network import text
from pellucid.network.network import Network

ENGINE = Engine("cpu", "float32", 1, ())


def test_rates_come_from_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)

    def perf_counter() -> float:
        clock.now += 0.25
        return clock.now

    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=perf_counter))
    network = text.parse("conv(2, 3) batchnorm relu flatten dropout(0.5) dense")
    measured = probe.measure(network, (3, 8, 8), classes=2, batch=4, engine=ENGINE, seconds=2.0)
    assert measured.training_images_per_second == 16  # four pictures a quarter of a second
    assert measured.predicting_images_per_second == 16
    assert (measured.device, measured.precision, measured.threads, measured.batch) == ("cpu", "float32", 1, 4)
    assert measured.training_bytes > 10_000_000  # PyTorch alone is more


def test_the_steps_have_the_precision_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)

    def perf_counter() -> float:
        clock.now += 1.0
        return clock.now

    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=perf_counter))
    engine = replace(ENGINE, precision="bfloat16")
    depthwise = text.parse("conv(4, 3) conv(4, 5, groups=4) relu flatten dense")
    plain = text.parse("conv(4, 3) conv(4, 3) relu flatten dense")

    def taken(network: Network, requested: Precision) -> str:
        return probe.measure(network, (3, 8, 8), 2, 2, engine, 1.0, requested).precision

    assert taken(depthwise, "auto") == "float32"
    assert taken(depthwise, "bfloat16") == "bfloat16"
    assert taken(plain, "auto") == "bfloat16"


def test_at_least_two_calls_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 22.0])
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    calls: list[None] = []
    assert probe._seconds_a_call(lambda: calls.append(None), 1.0, ENGINE) == 11.0
    assert len(calls) == 3  # the first is not counted


def test_seconds_by_hand() -> None:
    result = Probe("cpu", "float32", 2, 32, 200.0, 700.0, 10**9)
    assert result.seconds(pictures=1000, epochs=30) == 150.0
    report = result.as_json(pictures=1000, epochs=30)
    assert (report["seconds"], report["pictures"], report["training_images_per_second"]) == (150.0, 1000, 200.0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried …"),
    ],
)
def test_a_batch_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "rand", full)
    with pytest.raises(NetworkError, match=r"A batch of 64 does not fit into memory\. Try --batch 16\."):
        probe.measure(text.parse("flatten dense"), (3, 8, 8), 2, 64, ENGINE)


def test_other_faults_are_not_called_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("unsupported memory format")

    monkeypatch.setattr(torch, "rand", wrong)
    with pytest.raises(RuntimeError, match="unsupported memory format"):
        probe.measure(text.parse("flatten dense"), (3, 8, 8), 2, 64, ENGINE)
