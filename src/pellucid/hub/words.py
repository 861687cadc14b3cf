"""What a hub's client reports, in our words: what was wrong, and what to do."""

from __future__ import annotations

import time

INSTALL = "pip install 'pellucid[hub]'"
LOGIN = "log in by `hf auth login` or set HF_TOKEN"
PAUSE = 2.0  # seconds before a busy hub is called again
BUSY = 429  # and from 500 on: the same request may succeed later


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def offline(error: Exception) -> str:
    """Why there is no answer, as the end of a sentence."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE says not to connect"
    return f"there is no connection to the hub ({first_line(error).rstrip('.')})"


def status_of(error: Exception) -> int:
    """The HTTP status behind an error; 0 if there was no answer."""
    from huggingface_hub import errors

    return error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0


def is_busy(status: int) -> bool:
    """Whether the hub may answer the same request later."""
    return status >= 500 or status == BUSY


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment: the hub is busy, or has hung up. An absent hub stays absent."""
    import httpx2

    return is_busy(status_of(error)) or isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError)


def pause() -> None:
    """Wait before the same request is sent again."""
    time.sleep(PAUSE)
