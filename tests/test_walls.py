"""The walls of the house: who may import whom. Function-level imports count too."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid

SOURCE = Path(pellucid.__file__).parent

# room -> the rooms it may import; a file directly in the package is a room of its own name
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "memory": set(),
    "compiled": set(),
    "texts": set(),
    "vectors": set(),
    "quiet": set(),
    "pictures": {"errors", "files", "memory", "compiled", "vectors", "texts"},
    "network": {"errors", "quiet"},
    "engine": {"errors", "memory", "compiled", "vectors", "network"},
    "training": {"errors", "files", "texts", "pictures", "network", "engine"},
    "glassbox": {"errors", "files", "quiet", "network"},
    "classifier": {
        "errors",
        "files",
        "memory",
        "texts",
        "pictures.decode",
        "pictures.cores",
        "network",
        "engine",
        "glassbox",
    },
    "pretrained": {"errors", "files", "network", "pictures.decode", "classifier"},
    "keras": {"errors", "files", "texts", "network", "pictures.decode", "classifier"},
    "describing": {"errors", "files", "texts", "classifier", "predicting"},
    "predicting": {"errors", "classifier", "pictures.walk", "pictures.table"},
    "kept": {"errors", "files", "pictures", "classifier"},
    "evaluating": {"errors", "texts", "pictures", "training", "classifier", "kept", "outcome"},
    "outcome": {"errors", "files", "pictures", "training", "classifier"},
    "place": {"errors", "files", "training", "classifier"},
    "transfer": {"errors", "pictures", "network", "engine", "training", "pretrained", "kept"},
    "told": {"pictures", "training"},
    "run": {
        "errors",
        "files",
        "pictures",
        "network",
        "engine",
        "training",
        "classifier",
        "outcome",
        "place",
        "told",
        "transfer",
    },
    "folds": {"errors", "files", "pictures", "training", "classifier", "outcome", "place", "run"},
    "api": {
        "errors",
        "files",
        "texts",
        "pictures",
        "network",
        "engine",
        "training",
        "glassbox",
        "classifier",
        "pretrained",
        "keras",
        "predicting",
        "kept",
        "evaluating",
        "outcome",
        "place",
        "run",
        "folds",
    },
    "app": {"errors", "files", "texts", "api", "predicting", "describing", "glassbox.serving", "glassbox.replies"},
    # public names, imported when first used
    "__init__": {"errors", "api", "predicting", "classifier", "glassbox", "training"},
    "__main__": {"app"},
}


def modules() -> list[tuple[str, Path]]:
    return [(".".join(path.relative_to(SOURCE).with_suffix("").parts), path) for path in sorted(SOURCE.rglob("*.py"))]


def imports(tree: ast.AST) -> Iterator[str]:
    """Full names of everything imported, at any depth; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def broken(module: str, names: Iterator[str]) -> list[str]:
    room = module.split(".")[0]
    found = []
    for name in names:
        if not name.startswith("pellucid."):
            continue
        target = name.removeprefix("pellucid.")
        other = target.split(".")[0]
        if other == "__version__":
            continue
        if other != room and not any(target == may or target.startswith(may + ".") for may in ALLOWED[room]):
            found.append(f"{module} imports {name}")
    return found


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_no_wall_is_broken(module: str, path: Path) -> None:
    assert broken(module, imports(ast.parse(path.read_text()))) == []


def test_the_walker_sees_a_broken_wall() -> None:
    code = "def f():\n    from pellucid.training import loop\n    import pellucid.app.cli\n"
    assert broken("pictures.store", imports(ast.parse(code))) == [
        "pictures.store imports pellucid.training.loop",
        "pictures.store imports pellucid.app.cli",
    ]
    assert broken("classifier.card", iter(["pellucid.pictures.store.Store"])) != []
    assert broken("classifier.card", iter(["pellucid.pictures.decode.Form"])) == []


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("from pellucid.app.cli import main; main(['--help'])", {"torch", "numpy", "PIL", "rich", "tyro"}),
        ("import pellucid", {"torch", "numpy", "PIL", "rich", "tyro"}),
        ("import pellucid.app.commands.train", {"torch", "sklearn", "matplotlib", "scipy"}),
        ("import pellucid; pellucid.predict", {"torch", "sklearn", "matplotlib", "scipy", "rich", "tyro"}),
        ("import pellucid; pellucid.plan('article')", {"torch", "sklearn", "matplotlib", "scipy"}),
    ],
)
def test_heavy_imports_wait_for_the_verb(code: str, absent: set[str]) -> None:
    code += "\nimport sys; print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.splitlines()[-1].split())
    assert "pellucid" in loaded
    assert loaded & absent == set()


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    names = {path.stem for _, path in modules()}
    assert names & {"utils", "util", "helpers", "misc", "common"} == set()
