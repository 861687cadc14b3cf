"""The contenders: Pellucid, and each peer in its own environment, made from a pinned list."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ours
from measuring import Measured, measure

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Contender:
    title: str  # in the tables
    script: str  # in peers/
    packages: str  # in peers/
    backend: str | None = None  # Keras reads KERAS_BACKEND
    compiled: bool | None = None  # for the tuned PyTorch

    def environment(self, folder: Path) -> dict[str, str]:
        """The process's environment variables; a compiler's cache stays in the benchmark's folder between runs."""
        own = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "compiled"), "TF_CPP_MIN_LOG_LEVEL": "3"}
        return {**own, "KERAS_BACKEND": self.backend} if self.backend else own


OURS = "pellucid"
CONTENDERS = {
    "keras-tensorflow": Contender("Keras on TensorFlow", "keras3.py", "keras-tensorflow.txt", "tensorflow"),
    "keras-jax": Contender("Keras on JAX", "keras3.py", "keras-jax.txt", "jax"),
    "keras-torch": Contender("Keras on PyTorch", "keras3.py", "keras-torch.txt", "torch"),
    "torch-plain": Contender("PyTorch, as its tutorial has it", "torch_plain.py", "torch.txt"),
    "torch-tuned": Contender("PyTorch, tuned", "torch_tuned.py", "torch.txt", compiled=False),
    "torch-compiled": Contender("PyTorch, tuned and compiled", "torch_tuned.py", "torch.txt", compiled=True),
    "onnxruntime": Contender("ONNX Runtime, OpenCV", "onnxruntime_opencv.py", "onnxruntime.txt"),
    "openvino": Contender("OpenVINO, OpenCV", "openvino_opencv.py", "openvino.txt"),
    "transfer-tutorial": Contender("PyTorch, features in every epoch", "torch_transfer.py", "torch-transfer.txt"),
    "transfer-once": Contender("PyTorch, features once", "torch_transfer.py", "torch-transfer.txt"),
}
TITLES = {OURS: "Pellucid", **{name: each.title for name, each in CONTENDERS.items()}}


def perform(name: str, verb: str, settings: dict[str, Any], environments: Path, limit: float) -> Measured:
    """Run a contender's verb, and measure it. `failed` says what could not be installed."""
    if name == OURS:
        measured = measure(ours.command(verb, settings), limit)
        return measured if measured.failed else with_answer(measured, ours.answer(verb, settings))
    contender = CONTENDERS[name]
    python = installed(contender.packages, environments)
    if isinstance(python, str):
        return Measured(0.0, 0.0, None, 0.0, {}, f"cannot be installed: {python}")
    if contender.compiled is not None:
        settings = {**settings, "compiled": contender.compiled}
    if verb == "minutes":
        settings = {**settings, "began": time.time()}
    command = [str(python), str(PEERS / contender.script), verb, json.dumps(settings)]
    return measure(command, limit, contender.environment(environments))


def with_answer(measured: Measured, answer: dict[str, Any]) -> Measured:
    return Measured(**{**measured.__dict__, "answer": {**measured.answer, **answer}})


@functools.cache
def installed(packages: str, environments: Path) -> Path | str:
    """The Python of an environment with exactly this list, created if missing; or else why it cannot be."""
    text = (PEERS / packages).read_text()
    key = hashlib.sha256(f"{sys.version}\n{text}".encode()).hexdigest()[:8]
    folder = environments / f"{packages.removesuffix('.txt')}-{key}"
    python, whole = folder / "bin" / "python", folder / "whole"
    if whole.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing {packages} into {folder}", file=sys.stderr, flush=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(PEERS / packages)],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
            return lines[-1].removeprefix("ERROR: ") if lines else f"{command[0]} ended with {result.returncode}"
    whole.touch()
    return python
