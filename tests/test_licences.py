"""Each file of others in the package is listed with its licence, and each package that pip installs with it."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/pellucid"
VENDORED = sorted(SOURCE.rglob("vendor"))
OURS = {".py", ".js", ".css", ".html", ".md", ".typed"}


def test_the_page_is_what_the_packages_say(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "docs/licences.py"), run_name="__main__")
    expected = capsys.readouterr().out
    assert (ROOT / "docs/licences.md").read_text() == expected, "run: python docs/licences.py > docs/licences.md"
    for path in VENDORED:
        assert all(name in expected for name in others(path))


def others(folder: Path) -> dict[str, str]:
    """The files of others in a folder -> their row in its README; "" where they have none."""
    rows = [line for line in (folder / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return {
        name: next((row for row in rows if f"`{name}`" in row.split("|")[1]), "")
        for name in names
        if name != "README.md" and not name.endswith("-LICENSE.txt")
    }


@pytest.mark.parametrize("folder", VENDORED, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_each_file_of_others_has_its_licence_beside_it(folder: Path) -> None:
    rows = others(folder)
    assert rows
    for name, row in rows.items():
        assert row, f"{folder}/README.md does not list {name}"
        texts = re.findall(r"`([\w.-]+-LICENSE\.txt)`", row.split("|")[-2])
        assert texts, f"the row of {name} names no file with its licence"
        assert all((folder / text).stat().st_size > 500 for text in texts)


def test_the_licence_of_the_whole_names_those_of_its_parts() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"].split(" AND ")
    parts = {row.split("|")[-2].split(",")[0].strip() for path in VENDORED for row in others(path).values()}
    assert whole[0] == "Apache-2.0"
    assert {part for each in parts for part in each.split(" AND ")} <= set(whole)


def test_what_others_made_lies_nowhere_else() -> None:
    """Weights, pictures and libraries would have other endings than our own files."""
    strange = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and path.suffix not in OURS and "vendor" not in path.parts and "__pycache__" not in path.parts
    }
    assert strange == set()
    for path in SOURCE.rglob("*.py"):
        assert "copyright" not in path.read_text(encoding="utf-8").lower(), f"{path} may be by others"
    scripts = [path for path in SOURCE.rglob("*.js") if "vendor" not in path.parts]
    assert len(scripts) > 50
    quoted = SOURCE / "web/classify/licence.js"  # our module; it shows the licence of ONNX Runtime, which a page holds
    assert [path for path in scripts if "copyright" in path.read_text(encoding="utf-8").lower()] == [quoted]
