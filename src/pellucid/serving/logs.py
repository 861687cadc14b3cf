"""A line of JSON on standard error for each event, without pictures, their names, and what an address asks for."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any


def line(event: str, level: str = "info", **fields: Any) -> None:
    """One event. Written in one piece, so lines of several processes do not mix."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    text = json.dumps({"time": time, "level": level, "event": event, **fields}, default=str)
    with suppress(OSError, ValueError, AttributeError):  # nobody reads the log any more; requests are still answered
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class Lines(logging.Handler):
    """What a library logs, as such lines."""

    def emit(self, record: logging.LogRecord) -> None:
        line("library", record.levelname.lower(), source=record.name, message=record.getMessage().split("\n")[0])


def take_over() -> None:
    """uvicorn's and gRPC's own logs go through here; asyncio's too, which reports callbacks that failed."""
    for name in ("uvicorn", "uvicorn.error", "asyncio", "grpc"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [Lines(logging.WARNING)], False
