"""Machine code from a file computes what the compiled function computes; what is damaged or needs more is refused."""

import math
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import carray, cfunc, types

import pellucid
from pellucid.pictures import decode, resample, resample_kernel
from pellucid.runtime import machine_code

HERE = sys.platform.startswith("linux") and platform.machine() == "x86_64"
pytestmark = pytest.mark.skipif(not HERE, reason="machine code is stored only on Linux with x86-64")


def _double(address: Any) -> None:
    numbers = carray(address, 8, np.float64)
    for i in range(8):
        numbers[i] = 2.5 * numbers[i] + i


def _sine(address: Any) -> None:
    numbers = carray(address, 8, np.float64)
    numbers[0] = math.sin(numbers[0])


@pytest.fixture(scope="module")
def double() -> Any:
    return cfunc(types.void(types.voidptr), error_model="numpy")(_double)


def test_it_computes_the_same_in_a_process_without_numba(double: Any, tmp_path: Path) -> None:
    machine_code.store([tmp_path / "new"], "1234", double)
    program = (
        "import sys, numpy as np; from pathlib import Path; from pellucid.runtime import machine_code as code\n"
        f"run = code.stored([Path({str(tmp_path)!r}), Path({str(tmp_path / 'new')!r})], '1234')\n"
        "numbers = np.arange(8.0); run(numbers.ctypes.data)\n"
        "print(*numbers); print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "0.0 3.5 7.0 10.5 14.0 17.5 21.0 24.5\nFalse False\n"


def test_a_damaged_or_missing_file_is_refused(double: Any, tmp_path: Path) -> None:
    machine_code.store([tmp_path], "1234", double)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    assert machine_code.stored([tmp_path], "1234") is not None
    assert machine_code.stored([tmp_path], "5678") is None
    for content in (b"", whole[:20], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(content)
        assert machine_code.stored([tmp_path], "1234") is None


def test_a_function_that_calls_another_is_not_stored(tmp_path: Path) -> None:
    calls = cfunc(types.void(types.voidptr), error_model="numpy")(_sine)
    assert machine_code.machine_code(calls) is None
    machine_code.store([tmp_path], "1234", calls)
    assert list(tmp_path.iterdir()) == []


def test_the_first_folder_that_can_be_written_gets_it(double: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine_code.store([tmp_path / "file" / "below", tmp_path / "second"], "1234", double)
    assert [path.name for path in (tmp_path / "second").iterdir()] == ["1234.code"]


def test_it_is_cleared_with_the_rest_of_the_cache(double: Any, tmp_path: Path) -> None:
    machine_code.store([tmp_path / machine_code.CACHED], "a", double)
    (code,) = (tmp_path / machine_code.CACHED).iterdir()
    size = code.stat().st_size
    assert pellucid.clear_cache(tmp_path) == size > 0
    assert list(tmp_path.iterdir()) == []


def test_another_processor_or_source_has_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source.py"
    source.write_text("one")
    first = machine_code.key([source], "Pillow 1")
    assert machine_code.key([source], "Pillow 1") == first
    others = {machine_code.key([source], "Pillow 2")}
    monkeypatch.setattr(machine_code, "_processor", lambda: "another")
    others.add(machine_code.key([source], "Pillow 1"))
    monkeypatch.undo()
    source.write_text("two")
    others.add(machine_code.key([source], "Pillow 1"))
    assert first not in others
    assert len(others) == 3


def test_elsewhere_nothing_is_stored_or_loaded(double: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine_code.store([tmp_path], "1234", double)
    monkeypatch.setattr(machine_code, "_processor", lambda: None)
    assert machine_code.stored([tmp_path], "1234") is None
    machine_code.store([tmp_path / "other"], "1234", double)
    assert not (tmp_path / "other").exists()


def test_the_resizing_kernel_is_stored_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resample.agrees()
    monkeypatch.setattr(machine_code, "folders", lambda source: iter([tmp_path]))
    monkeypatch.setattr(resample, "_kernel", None)
    monkeypatch.setattr(resample, "_compared", False)
    assert not resample.is_ready()
    resample.agrees.cache_clear()
    assert resample.agrees()  # compiled again, compared and stored
    assert [path.suffix for path in tmp_path.iterdir()] == [".code"]
    monkeypatch.setattr(resample, "_kernel", None)
    monkeypatch.setattr(resample, "_compared", False)
    assert resample.is_ready()
    assert resample._equals_pillow()


def test_a_resizing_kernel_that_differs_from_pillow_is_never_used(
    double: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[bool] = []

    def differs() -> bool:
        during.append(resample.is_ready())  # as another thread would ask meanwhile
        return False

    monkeypatch.setattr(machine_code, "folders", lambda source: iter([tmp_path]))
    monkeypatch.setattr(resample_kernel, "compiled", lambda: double)
    monkeypatch.setattr(resample, "_equals_pillow", differs)
    monkeypatch.setattr(resample, "_kernel", None)
    monkeypatch.setattr(resample, "_compared", False)
    monkeypatch.setattr(decode, "_compiled_resampling", None)
    resample.agrees.cache_clear()
    try:
        decode.expect_many()
        decode.expect_several()
        assert decode._compiled_resampling is None
        assert during == [False]
        assert not any(tmp_path.iterdir())
    finally:
        resample.agrees.cache_clear()
