"""The code in the documentation runs: every bash block as a user would type it, every python block as it stands.

Most of a short command's time is importing torch. So a block of nothing but `pellucid` commands, or of Python, runs in
a process that is forked from one which has imported it already; all else runs in bash.
"""

import multiprocessing
import os
import re
import runpy
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.app.cli import COMMANDS, USAGE

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/tutorial.md", "docs/how-to.md", "docs/questions.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# set-up of a whole machine; CI runs these two themselves
NOT_HERE = {"make demo", "make test"}
SHELL = set("|&;<>()$`*?[]{}~=\\")  # outside quotes, what bash would make something of
WARM = multiprocessing.get_context("forkserver")
FILES = [f"pellucid.app.commands.{file}" for file in COMMANDS.values()]
WARM.set_forkserver_preload(["torch", "torch._dynamo", "pellucid.api", *FILES])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures that the pages speak of: cats are dark on the left, dogs on the right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
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
    return tmp_path


def write(path: Path, label: str, random: np.random.Generator) -> None:
    image = random.integers(0, 160, (48, 48, 3), dtype=np.uint8)
    half = slice(0, 24) if label == "cat" else slice(24, 48)
    image[:, half] += 90
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_on_a_page_runs(page: str, desk: Path) -> None:
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert {language for language, _ in blocks} <= {"bash", "python", "text", ""}
    for language, code in blocks:
        if language == "bash":
            run_bash(code)
        elif language == "python":
            run_python(code)


def run_bash(code: str) -> None:
    lines = [line for line in code.splitlines() if line.split("#")[0].strip() not in NOT_HERE]
    commands = [line for line in lines if line.strip() and not line.startswith("#")]
    if all(is_plain(line) for line in commands):
        for line in commands:
            run_command(line)
        return
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert result.returncode == 0, f"{code}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr


def is_plain(line: str) -> bool:
    """Whether bash would do nothing with a line but start pellucid with the words that stand there."""
    unquoted = re.sub(r"'[^']*'|\"[^\"$`\\]*\"|\s#.*", "", line)
    return line.startswith("pellucid ") and not SHELL & set(unquoted)


def run_command(line: str) -> None:
    words = ["pellucid", *shlex.split(line, comments=True)[1:]]
    run_warm(line, f"import sys\nfrom pellucid.app.cli import main\nsys.argv = {words}\nsys.exit(main())")


def run_python(code: str) -> None:
    run_warm(code, f'import warnings\nwarnings.simplefilter("error")\n{code}')


def run_warm(shown: str, code: str) -> None:
    """Run code in a process of its own, which has the folder, the environment and the output of a new one."""
    script, printed = Path("script.py").absolute(), Path("printed.txt").absolute()
    around = (
        f"import os\nos.chdir({str(Path.cwd())!r})\nos.environ.clear()\nos.environ.update({dict(os.environ)!r})\n"
        f"output = os.open({str(printed)!r}, os.O_WRONLY | os.O_CREAT)\nos.dup2(output, 1)\nos.dup2(output, 2)\n"
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


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in [*PAGES, "docs/reference.md", "benchmarks/README.md", *map(str, (ROOT / "docs/why").glob("*.md"))]:
        path = ROOT / page
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_every_command_on_a_page_is_one_that_there_is() -> None:
    commands = set(re.findall(r"^  pellucid (\w+)", USAGE, re.MULTILINE))
    assert commands == {
        "train",
        "predict",
        "evaluate",
        "explain",
        "open",
        "filters",
        "article",
        "plan",
        "import",
        "cache",
        "demo",
    }
    for page in PAGES:
        for line in re.findall(r"^pellucid .*$", (ROOT / page).read_text(), re.MULTILINE):
            assert shlex.split(line, comments=True)[1] in commands


def test_the_reference_is_what_the_code_says() -> None:
    made = subprocess.run([sys.executable, ROOT / "docs/reference.py"], capture_output=True, text=True, check=True)
    assert (ROOT / "docs/reference.md").read_text() == made.stdout, "run: python docs/reference.py > docs/reference.md"


def test_the_plan_on_the_first_page_is_what_it_prints() -> None:
    shown = next(code for language, code in BLOCK.findall((ROOT / "README.md").read_text()) if "maxpool1" in code)
    command = [sys.executable, "-m", "pellucid", "plan", "article", "--input", "300x300x3"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown in printed
