"""The walls of the house: which room may import which. Function-level imports count too."""

import ast
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import pellucid

SOURCE = Path(pellucid.__file__).parent

# room -> the rooms it may import; a file directly in the package is a room with its own name
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "texts": set(),
    "steps": set(),
    "hub": {"errors", "files"},
    "runtime": {"errors", "files"},
    "pictures": {"errors", "files", "runtime", "texts", "steps"},
    "network": {"errors", "runtime"},
    "engine": {"errors", "runtime", "network"},
    "training": {"errors", "files", "runtime", "texts", "steps", "pictures", "network", "engine"},
    "glassbox": {"errors", "files", "steps", "runtime", "texts", "network"},
    "lessons": {"errors", "files", "network", "glassbox"},
    "classifier": {
        "errors",
        "files",
        "runtime",
        "texts",
        "steps",
        "hub",
        "pictures.ahead",
        "pictures.decode",
        "pictures.listing",
        "pictures.places",
        "pictures.reading",
        "pictures.shards",
        "pictures.walk",
        "pictures.table",
        "network",
        "engine",
        "glassbox",
    },
    "exports": {
        "errors",
        "files",
        "hub",
        "runtime",
        "network",
        "pictures.decode",
        "pictures.interpolate",
        "pictures.png",
        "glassbox.page.one_file",
        "classifier",
    },
    "pretrained": {"errors", "files", "texts", "hub", "network", "pictures.decode", "classifier"},
    "collecting": {"errors", "files", "texts", "pictures"},
    "keras": {"errors", "files", "texts", "network", "pictures.decode", "classifier"},
    "runs": {
        "errors",
        "files",
        "runtime",
        "texts",
        "steps",
        "pictures",
        "network",
        "engine",
        "training",
        "glassbox.arithmetic.loss",
        "classifier",
        "pretrained",
    },
    "live": {
        "errors",
        "files",
        "runtime",
        "texts",
        "steps",
        "pictures",
        "network",
        "engine",
        "training",
        "classifier",
        "runs",
    },
    "debugging": {
        "errors",
        "files",
        "texts",
        "steps",
        "hub.reference",
        "pictures",
        "network",
        "training",
        "glassbox",
        "classifier",
        "runs",
    },
    "life": {
        "errors",
        "files",
        "runtime",
        "texts",
        "steps",
        "pictures",
        "network",
        "engine",
        "training",
        "classifier",
        "pretrained",
        "glassbox",
        "runs",
        "debugging",
    },
    "api": {
        "errors",
        "files",
        "texts",
        "steps",
        "runtime",
        "pictures",
        "network",
        "engine",
        "training",
        "glassbox",
        "lessons",
        "classifier",
        "pretrained",
        "exports",
        "keras",
        "runs",
        "debugging",
    },
    "serving": {
        "errors",
        "runtime",
        "network.scores",
        "pictures.decode",
        "pictures.png",
        "glassbox",
        "classifier",
        "api",
    },
    "replay": {"training"},
    "whatif": {"glassbox"},
    "scale": {
        "errors",
        "files",
        "texts",
        "steps",
        "runtime",
        "pictures",
        "training",
        "classifier",
        "runs",
        "api",
    },
    "ray": {"scale"},
    "app": {
        "errors",
        "files",
        "texts",
        "steps",
        "api",
        "whatif",
        "classifier",
        "collecting",
        "debugging",
        "engine.probe",
        "exports.browser_runtime",
        "glassbox",
        "hub.reference",
        "keras.importing",
        "lessons",
        "life",
        "live",
        "network.own.file",
        "network.plan",
        "pictures.listing",
        "pictures.places",
        "pictures.png",
        "pictures.shards",
        "pictures.sides",
        "pictures.store",
        "pictures.tabular",
        "pretrained.cache",
        "pretrained.lite0",
        "runs",
        "runtime.memory",
        "runtime.threads",
        "scale",
        "serving",
        "training",
    },
    # public names, imported on first use
    "__init__": {
        "errors",
        "api",
        "debugging",
        "life",
        "ray",
        "replay",
        "whatif",
        "network",
        "classifier",
        "glassbox",
        "keras",
        "pictures.shards",
        "training",
    },
    "__main__": {"app"},
}


# a folder with one door -> nobody outside imports what is behind it
DOORS = ("engine.blocks",)


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
    faults = []
    for name in names:
        if not name.startswith("pellucid."):
            continue
        target = name.removeprefix("pellucid.")
        other = target.split(".")[0]
        if other == "__version__":
            continue
        if other != room and not any(target == may or target.startswith(may + ".") for may in ALLOWED[room]):
            faults.append(f"{module} imports {name}")
        doors = [door for door in DOORS if behind(door, module, target)]
        faults += [f"{module} imports {name}, behind the door of {door}" for door in doors]
    return faults


def behind(door: str, module: str, target: str) -> bool:
    """Whether `target` is a file inside the folder `door` and `module` is not."""
    if not target.startswith(door + ".") or module.startswith(door + "."):
        return False
    first = target.removeprefix(door + ".").split(".")[0]
    return (SOURCE / door.replace(".", "/") / f"{first}.py").is_file()


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
    for inside in ("chain", "chain.forward"):
        assert broken("engine.device", iter([f"pellucid.engine.blocks.{inside}"])) == [
            f"engine.device imports pellucid.engine.blocks.{inside}, behind the door of engine.blocks"
        ]
    assert broken("engine.device", iter(["pellucid.engine.blocks.run"])) == []
    assert broken("engine.blocks.trial", iter(["pellucid.engine.blocks.chain"])) == []


# ---- no cycle


def run_time_imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that can run, at any depth: all except those for the type checker alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from run_time_imports(ast.Module(node.orelse, []))
        else:
            yield from run_time_imports(node)


def import_graph(package: Path) -> dict[str, list[str]]:
    """Module -> the modules of the same package that it imports, by their full names."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in files.items():
        names = []
        for node in run_time_imports(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            else:  # from a import b: the module a.b where there is one, else a name of a
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                names += [name if name in files else str(node.module) for name in full]
        graph[module] = [name for name in dict.fromkeys(names) if name in files and name != module]
    return graph


def cycle(imports: Mapping[str, list[str]]) -> list[str]:
    """The first cycle, as a path that ends where it begins; empty if there is none."""
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


def test_no_module_imports_itself_through_others() -> None:
    assert " -> ".join(cycle(import_graph(SOURCE))) == ""


def test_the_walker_sees_a_cycle(tmp_path: Path) -> None:
    """Through a function, a branch and a package; an import for the type checker does not count."""
    package = tmp_path / "house"
    (package / "rooms").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "rooms" / "__init__.py").write_text("def door():\n    from house.rooms import kitchen\n")
    (package / "rooms" / "kitchen.py").write_text("try:\n    import house.stairs\nexcept ImportError:\n    pass\n")
    (package / "stairs.py").write_text("class Stairs:\n    def up(self):\n        from house.roof import chimney\n")
    (package / "roof.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.rooms import door\nchimney = 1\n"
    )
    assert cycle(import_graph(package)) == []
    (package / "roof.py").write_text("def chimney():\n    from house.rooms import door\n")
    rooms = ("house.rooms", "house.rooms.kitchen", "house.stairs", "house.roof")
    ways = {" -> ".join([*rooms[at:], *rooms[: at + 1]]) for at in range(len(rooms))}
    assert " -> ".join(cycle(import_graph(package))) in ways


# ---- what is imported when


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


def test_the_map_has_a_line_for_every_room() -> None:
    lines = re.findall(r"^    (\w+(?:, \w+)*)  +\S", str(pellucid.__doc__), re.MULTILINE)
    rooms = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    rooms -= {"__init__", "__main__"}
    assert sorted(room for line in lines for room in line.split(", ")) == sorted(rooms)
    assert rooms <= ALLOWED.keys()


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    names = {path.stem for _, path in modules()}
    assert names & {"utils", "util", "helpers", "misc", "common"} == set()


WEB = SOURCE / "web"
# `import x from "./a.js"`, `export ... from`, `import "./a.js"`, `import("./a.js")`; also a type's, from its
# declaration
IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*(["'`])(\.\.?/[^"'`]+)\1""")


def page_imports(folder: Path) -> dict[str, list[str]]:
    """Each JavaScript module under a folder -> its imports, at once or later. Paths from the folder."""
    imports = {}
    for path in sorted(folder.rglob("*.js")):
        name = path.relative_to(folder).as_posix()
        targets = [target for _, target in IMPORT.findall(path.read_text(encoding="utf-8"))]
        imports[name] = [posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) for target in targets]
    return imports


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


# a cast that allows any property to be read from an element, or set on it
EXPANDO = re.compile(r"""@type \{any\} \*/\s*\([^()]+\)\s*(?:\.\w|\[)""")


def test_nothing_is_attached_to_elements() -> None:
    code = {path.name: path.read_text(encoding="utf-8") for path in WEB.rglob("*.js") if path.parent.name != "vendor"}
    assert {name for name, text in code.items() if EXPANDO.search(text)} == set()
    assert EXPANDO.search("/** @type {any} */ (item).draw = () => draw(item);")
    assert EXPANDO.search('/** @type {any} */ (entry.target)["draw"]();')
