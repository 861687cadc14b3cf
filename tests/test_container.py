"""The Dockerfile: its steps are parsed, and what it starts runs here, outside a container.

No image is built: this needs no container engine and no network.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.patience import PATIENCE

import pellucid

ROOT = Path(__file__).parents[1]
TOKEN = "a-token-of-the-tests"


def steps(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments; a line that ends with a backslash goes on."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


STEPS = steps((ROOT / "Dockerfile").read_text())


def step(name: str) -> str:
    (argument,) = [argument for each, argument in STEPS if each == name]
    return argument


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(step("ENV")))


def test_it_installs_the_wheel_and_nothing_else_of_ours() -> None:
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", step("FROM")), "the base names its Python and its Debian"
    source, target = step("COPY").split()
    wheel = f"pellucid-{pellucid.__version__}-py3-none-any.whl"
    assert Path("dist", wheel).match(source)
    install = step("RUN").split(" && ")[0]
    # as the shell of the image reads it, where the wheel is
    words = shlex.split(install.replace(f"$(echo {target}pellucid-*.whl)", f"{target}{wheel}"))
    assert words[:2] == ["pip", "install"]
    assert words[-1] == f"{target}{wheel}[serve]"
    assert Requirement(f"pellucid[serve] @ file://{words[-1].removesuffix('[serve]')}").extras == {"serve"}


def test_it_runs_as_somebody_who_owns_nothing() -> None:
    user, group = step("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    order = [name for name, _ in STEPS]
    assert order.index("RUN") < order.index("USER") < order.index("ENTRYPOINT")
    assert step("EXPOSE") == environment()["PORT"]


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen
    environment: dict[str, str]

    def ask(self, path: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, dict]:
        address = f"http://127.0.0.1:{self.environment['PORT']}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture(scope="module")
def started(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """What the container starts, with its places moved into a folder; the model cannot be written there."""
    folder = tmp_path_factory.mktemp("container")
    model, token = folder / "model", folder / "token"
    shutil.copytree(trained, model)
    for path in (*model.rglob("*"), model):
        path.chmod(0o555 if path.is_dir() else 0o444)
    token.write_text(f"{TOKEN}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = {**environment(), "HOME": str(folder / "home"), "PORT": port}
    variables["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    moved = {"/model": str(model), "/run/secrets/token": str(token), "0.0.0.0": "127.0.0.1"}
    words = json.loads(step("ENTRYPOINT"))
    for place, here in moved.items():
        assert sum(place in word for word in words) == 1
        words = [word.replace(place, here) for word in words]
    further = ["--max-pictures", "3"]  # of `docker run`
    process = subprocess.Popen(
        [*words, *further], env=variables, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("model served at ")
        yield Started(process, variables)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        for path in (model, *model.rglob("*")):
            path.chmod(0o755)


def test_what_it_starts_answers_whoever_has_the_token(started: Started, photos: Path) -> None:
    picture = (photos / "red" / "0.png").read_bytes()
    assert started.ask("/v1/predict", {}, picture)[0] == 401
    status, answer = started.ask("/v1/predict", {"Authorization": f"Bearer {TOKEN}"}, picture)
    assert (status, answer["model"]) == (200, "model")
    assert set(answer["predictions"][0]["probabilities"]) == {"blue", "red"}


def test_further_words_of_docker_run_are_flags(started: Started) -> None:
    body = json.dumps({"pictures": ["AAAA"] * 4}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert started.ask("/v1/predict", headers, body)[0] == 413


def test_the_health_check_says_whether_it_answers_and_its_signal_ends_it(started: Started) -> None:
    """The last test of `started`."""
    kind, _, words = step("HEALTHCHECK").partition("CMD ")
    assert re.fullmatch(r"(--[\w-]+=\w+ )*", kind)
    check = [sys.executable if word == "python" else word for word in json.loads(words)]

    def health() -> int:
        return subprocess.run(check, env=started.environment, stderr=subprocess.DEVNULL, timeout=PATIENCE).returncode

    assert health() == 0
    assert started.process.poll() is None
    started.process.send_signal(signal.Signals[step("STOPSIGNAL")])
    begin = time.monotonic()
    while started.process.poll() is None and time.monotonic() - begin < PATIENCE:
        time.sleep(0.02)
    assert started.process.returncode == 0
    assert health() == 1
