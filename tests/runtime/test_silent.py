"""ONNX Runtime reports nothing about its use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ONNX Runtime keeps its identifier in other places")
def test_it_leaves_no_identifier_and_no_events_in_the_users_cache(tmp_path: Path) -> None:
    """In a process of its own, because a runtime reads its switch once, when it is loaded."""
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    home.pop("ORT_DISABLE_TELEMETRY", None)
    code = "from pellucid.runtime import sessions; print(sessions.version())"
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert done.stderr == ""
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
