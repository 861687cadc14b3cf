"""Arrays in JSON, exact and short: base64 of their bytes beside the shape."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(array: NDArray[np.float32]) -> dict[str, Any]:
    """`{"shape": [...], "dtype": "float32", "base64": "..."}`: little-endian, last index fastest.

    In Python: `np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)`. In JavaScript:
    `new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer)`.
    """
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return {"shape": list(array.shape), "dtype": "float32", "base64": b64encode(data).decode("ascii")}
