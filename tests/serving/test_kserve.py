"""KServe's client, unmodified, over HTTP and gRPC."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.serving.conftest import Running

import pellucid

FOLDER = Path(sys.prefix) / "kserve"
SCRIPT = Path(__file__).parent / "kserve_asks.py"


@pytest.mark.skipif(
    not (FOLDER / "installed").is_file(), reason="NOT TESTED: KServe's client; `make kserve` installs it"
)
def test_kserves_client_gets_what_predict_gives(
    served: Running, trained: Path, png: Callable[[int], bytes], tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(0))
    words = [str(FOLDER), served.address, str(served.rpc), str(file), "small"]
    ended = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    truth = list((pellucid.load(trained).predict(png(0)).probabilities or {}).values())
    for way, learned in json.loads(ended.stdout.splitlines()[-1]).items():
        assert [learned[each] for each in ("live", "ready", "model ready", "other ready")] == [True, True, True, False]
        assert learned["answers"].keys() == {"BYTES, binary", "BYTES, listed", "FP32, binary", "FP32, listed"}
        for name, row in learned["answers"].items():
            assert row == pytest.approx(truth, rel=0, abs=1e-6), (way, name)
