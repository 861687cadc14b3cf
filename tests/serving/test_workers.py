"""The whole command, with several processes: what they share, what ends, what is replaced."""

import gc
import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from tests.forked import WARM, Command, run
from tests.patience import PATIENCE
from tests.serving.conftest import base64_of
from tests.serving.test_metrics import values
from tests.serving.test_reload import warmer

import pellucid.serving
from pellucid.app.commands.serve import run as serve_command
from pellucid.app.exits import Exit
from pellucid.app.serving import named
from pellucid.errors import PellucidError, RecipeError
from pellucid.serving import workers
from pellucid.serving.messages import MESSAGES, SERVICE
from pellucid.serving.served import version_of

Png = Callable[[int], bytes]


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT TESTED: workers; this system cannot fork")


@contextmanager
def serving(*words: object) -> Iterator[tuple[Command, int]]:
    """The command, and the port that it says it listens at. It must end with success."""
    with Command("serve", *words, "--port", "0") as command:
        try:
            line = command.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:(\d+) ", line)
            assert address, line + command.stderr.read()
            yield command, int(address[1])
        finally:
            if command.poll() is None:
                command.send_signal(signal.SIGTERM)
            try:
                command.wait(PATIENCE)
            except TimeoutError:
                command.kill()
                raise


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def alive(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            f"/{SERVICE}/ServerLive", response_deserializer=MESSAGES["ServerLiveResponse"].FromString
        )
        return ask(b"", wait_for_ready=True, timeout=PATIENCE).live


def version(port: int, png: Png) -> str:
    return json.loads(ask(port, "POST", "/v1/predict", png(0))[1])["version"]


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def children(process: int) -> set[int]:
    return {int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="NOT TESTED: the workers; there is no /proc to count them"
)
def test_several_processes_answer_share_counters_reload_and_are_replaced(model: Path, png: Png) -> None:
    with serving(model, "--workers", 2, "--grpc-port", 0) as (command, port):
        address = re.fullmatch(r"gRPC at (127\.0\.0\.1:\d+)\n", command.stdout.readline())
        assert address
        assert command.stdout.readline().startswith("There is no page at / with several workers")
        for _ in range(8):  # each on a connection of its own, which either process may take
            assert alive(address[1])
        wait_until(lambda: len(children(command.pid)) == 2)
        before = version_of(model)
        for _ in range(20):
            assert version(port, png) == before
        counted = values(ask(port, "GET", "/metrics")[1])
        assert counted["pellucid_requests_total{code=200,dialect=predict}"] == 20
        assert counted["pellucid_pictures_total{model=model,outcome=answered}"] == 20

        warmer(model)
        command.send_signal(signal.SIGHUP)
        wait_until(lambda: all(version(port, png) == version_of(model) for _ in range(10)))

        time.sleep(1.1)  # one that ends within a second of its start ends the server: it would only end again
        lost = min(children(command.pid))
        os.kill(lost, signal.SIGKILL)
        wait_until(lambda: len(children(command.pid)) == 2 and lost not in children(command.pid))
        assert version(port, png)
        assert values(ask(port, "GET", "/metrics")[1])["pellucid_requests_total{code=200,dialect=predict}"] > 30
    said = command.stderr.read() if not command.stderr.closed else ""
    assert "Traceback" not in said
    assert command.returncode == Exit.OK


def led() -> None:
    """Two idle workers. Another thread hears SIGTERM, while the first one waits for their end."""

    class Idle(workers._Crew):
        def _work(self, worker: int, signals: set[signal.Signals]) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            self._end_with_leader()
            while True:
                signal.pause()

    def end() -> None:
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    sys.exit(Idle(cast(Any, None), cast(Any, None)).lead(2, threading.Thread(target=end).start))


@FORKS
def test_a_signal_is_heard_that_does_not_wake_the_leader() -> None:
    """As when it comes in the moment before the leader sleeps."""
    process = WARM.Process(target=led)
    process.start()
    try:
        process.join(PATIENCE)
        assert process.exitcode == 0
    finally:
        process.kill()


@FORKS
def test_workers_do_not_outlive_the_one_that_leads_them(trained: Path, png: Png) -> None:
    with serving(trained, "--workers", 2) as (command, port):
        assert ask(port, "POST", "/v1/predict", png(0))[0] == 200
        command.kill()
        command.wait()

        def refused() -> bool:
            try:
                ask(port, "GET", "/v2")
            except OSError:
                return True
            return False

        wait_until(refused)


def test_ctrl_c_is_an_ordinary_end(trained: Path, png: Png) -> None:
    with serving(trained) as (command, port):
        assert ask(port, "POST", "/v1/predict", png(0))[0] == 200
        command.send_signal(signal.SIGINT)
        assert command.wait() == Exit.OK


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=FORKS)])
def test_it_ends_as_usual_right_after_it_has_said_where_it_listens(trained: Path, workers: int) -> None:
    with serving(trained, "--workers", workers) as (command, _):
        pass
    assert command.returncode == Exit.OK


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=FORKS)])
def test_a_second_ctrl_c_does_not_wait_for_the_requests_in_work(trained: Path, workers: int) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    with (
        serving(trained, "--workers", workers) as (command, port),
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection,
    ):
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100"), "it waits for the body now"
        command.send_signal(signal.SIGINT)
        assert '"event": "ending"' in command.stderr.readline()
        command.send_signal(signal.SIGINT)
        assert command.wait() == Exit.STOPPED


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none"], "none does not exist"),
        (["{model}", "--host", "0.0.0.0"], "requires a token"),
        (["{model}", "--token", ""], "empty"),
        (["{model}", "--token-file", "none"], "cannot be read"),
        (["{model}", "--token", "a", "--token-file", "b"], "Remove one"),
        (["{model}", "{model}"], "Two models are called"),
        (["{model}", "--port", "70000"], "--port is 70000"),
        (["{model}", "--workers", "0"], "--workers is 0"),
        (["{model}", "--queue", "3"], "would never be taken"),
        (["{model}", "--max-mb", "0"], "above 0"),
        (["{model}", "--max-mb", "inf"], "--max-mb is inf"),
        (["{model}", "--timeout", "nan"], "--timeout is nan"),
        (["{model}", "--host", "a..b", "--token", "a"], "cannot be used"),
        (["{model}", "--host", "no.such.host.invalid", "--token", "a"], "cannot be used"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(trained: Path, tmp_path: Path, words: list[str], says: str) -> None:
    ended = run("serve", "--port", "0", *[word.replace("{model}", str(trained)) for word in words])
    assert ended.returncode == Exit.ERROR
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr


def test_without_its_packages_it_says_how_to_get_them(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("workers", "running"):
        monkeypatch.delitem(sys.modules, f"pellucid.serving.{name}", raising=False)
        monkeypatch.delattr(pellucid.serving, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(PellucidError, match=r"needs the package uvicorn\. .*pip install 'pellucid\[serve\]'"):
        serve_command([str(trained), "--port", "0"])


def test_a_model_is_served_under_its_folders_name_or_another(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "a=b").mkdir()
    found = named((str(tmp_path / "cats"), f"dogs={tmp_path / 'cats'}", str(tmp_path / "a=b")))
    assert found == {"cats": tmp_path / "cats", "dogs": tmp_path / "cats", "a=b": tmp_path / "a=b"}
    for wrong in ("=x", "x=", "a/b=x", "a\n=x", "a\udcff=x"):
        with pytest.raises(RecipeError, match="printable text without a slash"):
            named((wrong,))


def test_the_picture_of_a_wrong_request_is_not_in_the_log(trained: Path, png: Png) -> None:
    secret = base64_of(png(0))
    with serving(trained) as (command, port):
        assert ask(port, "POST", "/v1/predict", secret.encode())[0] == 400
        command.send_signal(signal.SIGTERM)
        said = command.stderr.read()
    assert '"status": 400' in said
    assert secret[:50] not in said


@pytest.mark.parametrize("processes", [1, 2])
def test_collections_leave_what_was_loaded_alone(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full collection would write to each loaded object, which copies the memory that the processes share."""
    frozen = []

    class Crew:
        def __init__(self, *_: object) -> None: ...

        def lead(self, *_: object) -> int:
            return frozen.append(gc.get_freeze_count()) or 0

    monkeypatch.setattr(workers, "answer", Crew().lead)
    monkeypatch.setattr(workers, "_Crew", Crew)
    try:
        workers.run(*[cast(Any, None)] * 2, processes, lambda: None)
    finally:
        gc.unfreeze()
    assert frozen[0] > 10_000
