"""Ray's errors, each as one sentence."""

from __future__ import annotations

import pellucid
from pellucid.errors import ClusterError, PellucidError, StorageError
from pellucid.runtime.quiet import first_line


def plain(error: Exception) -> PellucidError:
    """An error of Ray's, as one sentence."""
    text = str(error)
    if "No module named 'pellucid" in text:
        return ClusterError(
            f"A machine of the cluster has no Pellucid {pellucid.__version__}. Install the same version on every one."
        )
    if "No space left on device" in text or "OutOfDisk" in type(error).__name__:
        return StorageError("The disk of a machine of the cluster is full. Free some space there and run again.")
    return ClusterError(f"The cluster could not do it: {first_line(_first_cause(error))}.")


def _first_cause(error: Exception) -> Exception:
    """What a worker raised. Ray wraps it several times."""
    inner = getattr(error, "cause", None) or error.__cause__
    return _first_cause(inner) if isinstance(inner, Exception) and inner is not error else error
