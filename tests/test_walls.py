"""The walls of the house: who may import whom. Function-level imports count too."""

import ast
import posixpath
import re
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
        ("import pellucid.app.commands", {"torch", "sklearn", "matplotlib", "scipy"}),
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


WEB = SOURCE / "web"
# `import x from "./a.js"`, `export ... from`, `import "./a.js"`, `import("./a.js")`; a type's too: where it is declared
IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*(["'`])(\.\.?/[^"'`]+)\1""")


def page_imports(folder: Path) -> dict[str, list[str]]:
    """Each JavaScript module under a folder -> those that it imports, at once or later. Paths from the folder."""
    found = {}
    for path in sorted(folder.rglob("*.js")):
        name = path.relative_to(folder).as_posix()
        targets = [target for _, target in IMPORT.findall(path.read_text(encoding="utf-8"))]
        found[name] = [posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) for target in targets]
    return found


def cycle(imports: dict[str, list[str]]) -> list[str]:
    """The first cycle found, as a path that ends where it begins; empty where there is none."""
    closed: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in closed:
            return []
        for target in imports.get(name, []):
            if way := search(target, [*path, name]):
                return way
        closed.add(name)
        return []

    for name in imports:
        if way := search(name, []):
            return way
    return []


def test_the_pages_modules_import_each_other_in_no_circle() -> None:
    imports = page_imports(WEB)
    assert len(imports) > 50
    assert {target for targets in imports.values() for target in targets} <= set(imports), "a module is not there"
    way = cycle(imports)
    assert way == [], " -> ".join(way)


@pytest.mark.parametrize(
    "back",
    [
        'import { a } from "../a.js";',
        "import '../a.js';",
        'export * from "../a.js";',
        'import {\n  a,\n  b,\n} from "../a.js";',
        'export const late = () => import("../a.js");',
        "export const late = () => import(\n  `../a.js`\n);",
        'import "./c.js";',
        '/** @typedef {import("../a.js").A} A */',
    ],
)
def test_a_circle_of_modules_is_seen_and_its_path_told(tmp_path: Path, back: str) -> None:
    (tmp_path / "view").mkdir()
    (tmp_path / "a.js").write_text('import { b } from "./view/b.js";\nimport { c } from "./view/c.js";')
    (tmp_path / "view" / "b.js").write_text(back)
    (tmp_path / "view" / "c.js").write_text('import("../a.js");' if "c.js" in back else "export const c = 1;")
    way = ["a.js", "view/b.js", "view/c.js", "a.js"] if "c.js" in back else ["a.js", "view/b.js", "a.js"]
    assert cycle(page_imports(tmp_path)) == way


def test_modules_that_meet_in_a_leaf_are_no_circle(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import "./b.js"; import "./c.js";')
    (tmp_path / "b.js").write_text('import "./c.js";')
    (tmp_path / "c.js").write_text("export const c = 1;")
    assert page_imports(tmp_path) == {"a.js": ["b.js", "c.js"], "b.js": ["c.js"], "c.js": []}
    assert cycle(page_imports(tmp_path)) == []


# a cast that lets anything be read from an element, or be left on it
EXPANDO = re.compile(r"""@type \{any\} \*/\s*\([^()]+\)\s*(?:\.\w|\[)""")


def test_nothing_is_attached_to_elements() -> None:
    code = {path.name: path.read_text(encoding="utf-8") for path in WEB.rglob("*.js") if path.parent.name != "vendor"}
    assert {name for name, text in code.items() if EXPANDO.search(text)} == set()
    assert EXPANDO.search("/** @type {any} */ (item).draw = () => draw(item);")
    assert EXPANDO.search('/** @type {any} */ (entry.target)["draw"]();')
