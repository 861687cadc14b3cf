"""Find the line of the module's own code that made a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import fx

_OURS = Path(__file__).parents[1].as_posix()  # the glass box


def line(node: fx.Node) -> str:
    """`model.py:12: x = self.conv(x)`: the innermost line that is neither PyTorch's nor ours; "" for none."""
    lines = (node.meta.get("stack_trace") or "").strip().splitlines()
    places = [(where.strip(), code.strip()) for where, code in zip(lines[::2], lines[1::2], strict=False)]
    own = [(where, code) for where, code in places if not _foreign(where.replace("\\", "/"))]
    if not own:
        return ""
    where, code = own[-1]
    parts = where.split('"')
    number = parts[2].split(",")[1].replace("line", "").strip() if len(parts) > 2 else "?"
    return f"{Path(parts[1]).name if len(parts) > 1 else where}:{number}: {code}"


def _foreign(where: str) -> bool:
    import torch

    home = Path(torch.__file__).parent.as_posix()
    return f'"{home}/' in where or _OURS in where or "<eval_with_key>" in where
