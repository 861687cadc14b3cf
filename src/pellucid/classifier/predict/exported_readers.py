"""Read each kind of exported file: its metadata, and a function from an image to its outputs."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from pellucid.classifier.predict import seal
from pellucid.errors import ArtefactError, ExportError
from pellucid.runtime import openvino_models, sessions, torch_programs

CLASSES, ABOUT, CARD = "classes", "pellucid", "card"  # keys of the metadata
NUMBERS = "numbers"  # in an .xml file, the SHA-256 of the .bin file
PROBABILITIES, LOGITS = OUTPUTS = ("probabilities", "logits")


def _onnx(path: Path, trust: bool) -> tuple[sessions.Outputs, Mapping[str, str]]:
    if not sessions.installed():
        raise ArtefactError(f"{path} needs ONNX Runtime, which is not installed: pip install onnxruntime")
    content = _content(path)
    if seal.broken(content):
        raise ArtefactError(
            f"{path} is damaged, or another program changed it: its checksum is wrong. Export the model again."
        )
    try:
        return sessions.with_metadata(content, OUTPUTS)
    except ExportError as error:
        raise ArtefactError(f"{path} is damaged, or not an ONNX file: {error}") from error


def _openvino(path: Path, trust: bool) -> tuple[sessions.Outputs, Mapping[str, str]]:
    beside = path.with_suffix(".bin")
    if not openvino_models.installed():
        raise ArtefactError(f"{path} needs OpenVINO, which is not installed: pip install 'pellucid[openvino]'")
    graph, numbers = _content(path), _content(beside)
    try:
        model, texts = openvino_models.read(graph, numbers)
        if ABOUT in texts and texts.get(NUMBERS) != hashlib.sha256(numbers).hexdigest():
            raise ArtefactError(f"{beside} is damaged, or does not belong to {path}. Export the model again.")
        return openvino_models.compiled(model, OUTPUTS), texts
    except ExportError as error:
        raise ArtefactError(f"{path} is damaged, or not an OpenVINO file: {error}") from error


def _torch(path: Path, trust: bool) -> tuple[sessions.Outputs, Mapping[str, str]]:
    """Nothing of a program runs before the caller trusts it: its metadata are read without torch."""
    content = _content(path)
    texts = program_texts(path, content)
    if ABOUT in texts and not trust:
        raise ArtefactError(
            f"{path} holds a program. Opening it may run code from this file. If you trust its maker, add --trust, or "
            "trust=True in Python."
        )
    if ABOUT not in texts:
        raise ArtefactError(f"{path} was not exported by Pellucid: its metadata does not name the classes.")
    try:
        return torch_programs.opened(content, OUTPUTS), texts
    except ExportError as error:
        raise ArtefactError(f"{path}: {error}") from error


def program_texts(path: Path, content: bytes) -> dict[str, str]:
    """The metadata of a .pt2 file; {} if it has none. Raises ArtefactError if it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise ArtefactError(f"{path} is damaged: the checksum of {damaged} in it is wrong.")
            names = (name for name in archive.namelist() if Path(name).parent.name == "extra")
            return {Path(name).name: archive.read(name).decode("utf-8", "replace") for name in names}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        raise ArtefactError(f"{path} is damaged, or not a torch.export program: {error}.") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error


Reader = Callable[[Path, bool], tuple[sessions.Outputs, Mapping[str, str]]]
"""(path, whether it may run code) -> (function from an image to OUTPUTS, metadata). Raises ArtefactError."""

READERS: dict[str, Reader] = {".onnx": _onnx, ".xml": _openvino, ".pt2": _torch}
