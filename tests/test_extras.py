"""What an extra brings is missing in a plain installation: then a sentence names the extra."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pellucid
from pellucid import PellucidError, import_keras, serving
from pellucid.app import cli

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_code_and_the_docs_name_each_extra(extra: str) -> None:
    install = f"pip install 'pellucid[{extra}]'"
    code = [path for path in (ROOT / "src").rglob("*.py") if install in path.read_text(encoding="utf-8")]
    assert code, f"no error says how to get the extra {extra}"
    pages = [path for path in (ROOT / "docs").rglob("*.md") if install in path.read_text(encoding="utf-8")]
    assert pages or extra == "demo", f"no page says how to get the extra {extra}"


def test_a_keras_model_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(PellucidError, match=r"needs h5py: pip install 'pellucid\[keras\]'"):
        import_keras(tmp_path / "model.h5", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["uvicorn", "fastapi", "prometheus_client"])
def test_a_server_without_its_extra(
    trained: Path, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pellucid, "serving", serving)  # the import below would leave another there
    for name in list(sys.modules):
        if name.partition(".")[0] == package or name.startswith("pellucid.serving"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.main(["serve", str(trained), "--port", "0"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"pellucid: Serving needs the package {package}. Install it: pip install 'pellucid[serve]'\n"


@pytest.mark.skipif(shutil.which("make") is None, reason="NOT TESTED: what make test runs; there is no make")
def test_make_test_checks_style_types_and_behaviour() -> None:
    command = ["make", "--dry-run", "--always-make", "--directory", str(ROOT), "test"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for tool in ("ruff check .", "ruff format --check .", "pyright", "tsc --project .", "prettier", "-m pytest"):
        assert tool in shown, f"make test does not run {tool}"
