"""Names that a reader can search for: a word of its own for each thing, and files short enough to read in one go."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid

SOURCE = Path(pellucid.__file__).parent
LONGEST = 400  # lines of a file
# what somebody did, not what the thing is: `found` may be matches, an evaluation or a summary
VAGUE = {"asked", "found", "given", "kept", "said", "told"}
ONCE = {"Part", "Rows", "State", "Step", "Store"}  # words of many things: each is one class's


def files(*endings: str) -> list[Path]:
    paths = (path for ending in endings for path in SOURCE.rglob(f"*{ending}"))
    return sorted(path for path in paths if path.parent.name != "vendor")


def bound(tree: ast.AST) -> Iterator[str]:
    """Every name that code gives to something: variables, arguments, functions, classes, attributes, imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(name, ast.Store()) | ast.Attribute(_, name, ast.Store()):
                yield name
            case ast.arg(name) | ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                yield name
            case ast.ExceptHandler(_, str(name)) | ast.MatchAs(_, str(name)) | ast.MatchStar(str(name)):
                yield name
            case ast.alias(name, None):
                yield name.rsplit(".", 1)[-1]
            case ast.alias(_, str(name)):
                yield name


def vague(names: Iterator[str]) -> set[str]:
    return {name for name in names if name.strip("_").lower() in VAGUE}


def test_names_say_what_a_thing_is() -> None:
    modules = {path.relative_to(SOURCE).as_posix(): path for path in files(".py")}
    assert len(modules) > 300
    assert {name for name in modules if Path(name).stem in VAGUE} == set()
    names = {name: vague(bound(ast.parse(path.read_text(encoding="utf-8")))) for name, path in modules.items()}
    assert {name: some for name, some in names.items() if some} == {}


@pytest.mark.parametrize(
    "code",
    [
        "found = 1",
        "self.found = 1",
        "for index, _found in pairs: pass",
        "FOUND = 256",
        "[found for found in some]",
        "if (found := look()): pass",
        "with look() as found: pass",
        "def look(found): pass",
        "def look(*, found=None): pass",
        "lambda found: found[0]",
        "def found(): pass",
        "class Found: found: int",
        "from pellucid import found",
        "import pellucid.found",
        "from pellucid import matches as found",
        "try: pass\nexcept ValueError as found: pass",
        "match some:\n    case [1, *found]: pass",
        "match some:\n    case {'a': found}: pass",
    ],
)
def test_a_vague_name_is_seen(code: str) -> None:
    assert {name.lower().strip("_") for name in vague(bound(ast.parse(code)))} == {"found"}


def test_words_and_keys_are_free() -> None:
    assert vague(bound(ast.parse('found_in = {"kept": matches.get("found"), "why": f"{path} was not found"}'))) == set()


def test_a_word_of_many_things_is_one_class() -> None:
    classes = Counter(
        name.lstrip("_")
        for path in files(".py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        for name in ([node.name] if isinstance(node, ast.ClassDef) else assigned(node))
    )
    assert {name: classes[name] for name in ONCE if classes[name] > 1} == {}


def assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_a_file_can_be_read_in_one_go() -> None:
    lines = {
        path.relative_to(SOURCE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(".py", ".js", ".css")
    }
    assert len(lines) > 400
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}
