"""Long tests of teams, for `make soak` (--every 1): twenty kills, an agent of two that dies, two network namespaces."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.training.team.members import free_port

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
NETWORK = "conv(4, 3, bias=false) batchnorm relu maxpool(2) flatten dropout(0.5) dense"
SETTINGS = ("--size", "12", "--batch", "8", "--validation", "0.25", "--test", "0.25", "--learning-rate", "0.001")
WORDS = ("--model", NETWORK, "--device", "cpu", "--precision", "float32", *SETTINGS)
KILLS = 20


@pytest.fixture(autouse=True)
def only_in_soak(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--every") != 1:
        pytest.skip("NOT TESTED: twenty kills and two nodes; `make soak`, or --every 1, takes minutes for them")


def train(photos: Path, folder: Path, out: str, epochs: int) -> list[str]:
    words = ["-m", "pellucid", "train", photos, *WORDS, "--epochs", epochs, "--out", folder / out]
    return [str(word) for word in (*words, "--cache", folder / "cache")]


def workers(process: int) -> list[int]:
    """The processes that an agent started."""
    tasks = Path(f"/proc/{process}/task")
    children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return [int(each) for each in children if b"pellucid" in Path(f"/proc/{each}/cmdline").read_bytes()]


def weights(model: Path) -> dict[str, np.ndarray]:
    return load_file(model / "model.safetensors")


def apart(one: Path, other: Path) -> float:
    first, second = weights(one), weights(other)
    return max(float(np.abs(first[name].astype(float) - second[name]).max()) for name in first)


@pytest.mark.timeout(7200)
def test_twenty_kills_change_no_bit(photos: Path, tmp_path: Path) -> None:
    launch = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", "--max-restarts", str(2 * KILLS)]
    epochs, chance = 40_000, random.Random(1)
    start = time.monotonic()
    subprocess.run([*launch, *train(photos, tmp_path, "whole", epochs)], check=True)
    print(f"without a kill: {time.monotonic() - start:.0f} s")
    start, killed = time.monotonic(), 0
    agent = subprocess.Popen([*launch, *train(photos, tmp_path, "killed", epochs)])
    while agent.poll() is None and killed < KILLS:
        time.sleep(chance.uniform(5, 30))
        if agent.poll() is None and (there := workers(agent.pid)):
            os.kill(chance.choice(there), signal.SIGKILL)
            killed += 1
    assert agent.wait() == 0
    print(f"with {killed} kills: {time.monotonic() - start:.0f} s")
    assert killed == KILLS, "the training ended before all kills: raise `epochs`"
    whole, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert {name: values.tobytes() for name, values in whole.items()} == {
        name: values.tobytes() for name, values in other.items()
    }
    histories = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("whole", "killed")]
    without_seconds = [[line.split(",")[:6] for line in lines] for lines in histories]
    assert without_seconds[0] == without_seconds[1]


def agents(port: int, nodes: str, *more: str) -> list[str]:
    meeting = f"--rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:{port} --rdzv-id=photos --max-restarts=5"
    conf = "last_call_timeout=20,keep_alive_interval=1,keep_alive_max_attempt=3"
    return [*TORCHRUN, f"--nnodes={nodes}", "--nproc-per-node=1", *meeting.split(), f"--rdzv-conf={conf}", *more]


@pytest.mark.timeout(3600)
def test_a_node_that_dies_leaves_the_other_one_to_finish(photos: Path, tmp_path: Path) -> None:
    """Two rendezvous agents; one is killed with its process, and the training goes on alone."""
    epochs, port = 12_000, free_port()
    alone = subprocess.run([sys.executable, *train(photos, tmp_path, "alone", epochs)], check=True)
    assert alone.returncode == 0
    command = [*agents(port, "1:2"), *train(photos, tmp_path, "two", epochs)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    until(lambda: answers(port))  # the first agent keeps the store, and must stay
    second = subprocess.Popen(command)
    until(lambda: len(list((tmp_path / "two" / "checkpoint").glob("*.safetensors"))) == 2)
    there = workers(second.pid)
    assert len(there) == 1, "the second agent has no process: the team was of one"
    os.kill(second.pid, signal.SIGKILL)
    os.kill(there[0], signal.SIGKILL)
    out, _ = first.communicate()
    second.wait()
    assert first.returncode == 0
    assert "2 processes on 2 machines share each step" in out
    assert "resumed at step" in out
    print(f"a node died: weights differ by {apart(tmp_path / 'alone', tmp_path / 'two'):.2g}")
    assert json.loads((tmp_path / "two" / "config.json").read_text())["training"]["complete"]


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them, 10.77.0.1 and 10.77.0.2."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("NOT TESTED: two network namespaces; that needs root and the command ip")
    names = f"pellucid-{os.getpid()}-1", f"pellucid-{os.getpid()}-2"
    made = [ip("netns", "add", name) for name in names]
    try:
        if not all(made) or not ip(
            "link", "add", "pl1", "netns", names[0], "type", "veth", "peer", "pl2", "netns", names[1]
        ):
            pytest.skip("NOT TESTED: two network namespaces; this machine's kernel does not make them")
        for number, name in enumerate(names, 1):
            for words in (
                ("addr", "add", f"10.77.0.{number}/24", "dev", f"pl{number}"),
                ("link", "set", f"pl{number}", "up"),
                ("link", "set", "lo", "up"),
            ):
                assert ip("-n", name, *words)
        yield names
    finally:
        for name in names:
            ip("netns", "delete", name)


def ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], capture_output=True).returncode == 0


@pytest.mark.timeout(3600)
def test_two_network_namespaces_train_together(photos: Path, tmp_path: Path) -> None:
    epochs = 50
    subprocess.run([sys.executable, *train(photos, tmp_path, "alone", epochs)], check=True)
    with namespaces() as names:
        running = []
        for number, name in enumerate(names, 1):
            launch = [*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", f"--node-rank={number - 1}"]
            launch += ["--master-addr=10.77.0.1", "--master-port=29400"]
            environment = {**os.environ, "GLOO_SOCKET_IFNAME": f"pl{number}"}
            command = ["ip", "netns", "exec", name, *launch, *train(photos, tmp_path, "two", epochs)]
            running.append(subprocess.Popen(command, env=environment))
        assert [each.wait() for each in running] == [0, 0]
    assert apart(tmp_path / "alone", tmp_path / "two") < 1e-3


def until(condition: object) -> None:
    end = time.monotonic() + 300
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
