"""Numbers, times and names as people read them."""

from pathlib import Path

from pellucid import api


def printable(path: str | Path) -> str:
    """A path as it can be printed, also where it is not valid UTF-8."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def share(metrics: api.Metrics) -> str:
    """Accuracy with count and interval, in one phrase."""
    low, high = metrics.interval
    return f"{metrics.accuracy:.1%} of {metrics.pictures:,} pictures, 95 % interval {low:.1%} to {high:.1%}"


def duration(seconds: float) -> str:
    """42 s, 3:05 min, 2:10 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02} h"


def operations(count: int) -> str:
    """1.31 G for 1,314,240,000."""
    return _scaled(count, ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")), "")


def size(count: int) -> str:
    """Bytes, in steps of a thousand: 1.76 MB."""
    return _scaled(count, ((1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB")), " B")


def _scaled(count: int, units: tuple[tuple[float, str], ...], plain: str) -> str:
    return next((f"{count / limit:.3g}{unit}" for limit, unit in units if count >= limit), f"{count}{plain}")
