"""The seal of an exported ONNX file: its last metadata entry, the SHA-256 of all bytes before that entry.

ONNX has no checksum of its own. A changed byte of the weights would give other probabilities without an error.
"""

from __future__ import annotations

import hashlib

from pellucid.network.onnx_graph import described

KEY = "sha256"


def sealed(content: bytes) -> bytes:
    """The bytes of an ONNX model with its seal. The model has none yet."""
    return content + _seal(content)


def broken(content: bytes) -> bool:
    """Whether a seal is there that does not fit. Files of earlier versions have none."""
    length = len(_seal(b""))
    start = length - hashlib.sha256().digest_size * 2
    end = content[-length:]
    return end[:start] == _seal(b"")[:start] and end != _seal(content[:-length])


def _seal(content: bytes) -> bytes:
    return described({KEY: hashlib.sha256(content).hexdigest()})
