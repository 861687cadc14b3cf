"""A page of the folder `web` as one HTML file: its modules, its styles and its data inside, no request outside."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WEB = Path(__file__).parents[2] / "web"
"""The pages, their styles and the modules, as in the served page."""
CUT = "This file is not complete: it was cut off during the transfer. Copy it again, or save it again."
"""As in host.js. In a truncated file no module runs, so this message is at the file's start."""
END = '<template id="end"></template>'
_WATCH = f"""addEventListener("DOMContentLoaded", () => {{
  if (document.getElementById("end") || document.querySelector(".trouble")) return;
  const said = document.createElement("p");
  said.className = "trouble";
  said.setAttribute("role", "alert");
  said.textContent = {json.dumps(CUT)};
  document.querySelector(".waiting")?.remove();
  document.body.prepend(said);
}});"""
_IMPORT = re.compile(r"""(\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.\.?/[\w./-]+\.js)\2""")
_STYLE = re.compile(r"""<link\b[^>]*\bhref=["']\./([\w/-]+\.css)["'][^>]*>""")
_SCRIPT = re.compile(r"""<script\b[^>]*\bsrc=["']\./([\w/-]+\.js)["'][^>]*>\s*</script>""")


def assembled(elements: Mapping[str, str], web: Path, page: str = "index.html", policy: Mapping[str, str] = {}) -> str:
    """The file in ASCII. `elements`: JSON by the id of its script element. `page`: the HTML file in the folder `web`.

    `policy`: sources that the page's Content-Security-Policy allows beyond its own scripts, by directive.
    """
    text = (web / page).read_text(encoding="utf-8")
    (main,) = _SCRIPT.findall(text)
    digest = hashlib.sha256()
    for data in elements.values():
        digest.update(data.encode())
    nonce = b64encode(digest.digest()[:18]).decode()
    imports = {f"pellucid/{name}": _data_url(code) for name, code in sorted(modules(main, web).items())}

    def style(link: re.Match[str]) -> str:
        return f'<style nonce="{nonce}">\n{_escaped((web / link[1]).read_text(encoding="utf-8"))}\n</style>'

    modules_map = f'<script type="importmap" nonce="{nonce}">{as_json({"imports": imports})}</script>'
    # the main module comes last, because a truncated file must not start; END after it shows that it is complete
    blocks = [f'<script type="application/json" id="{name}">{data}</script>\n' for name, data in elements.items()]
    blocks += [f'<script type="module" nonce="{nonce}">import "pellucid/{main}";</script>\n', END, "\n"]
    sources = {"default-src": "'none'", "script-src": f"'nonce-{nonce}'", "style-src": f"'nonce-{nonce}'"}
    sources |= {"img-src": "data: blob:", "base-uri": "'none'", "form-action": "'none'"}
    for directive, more in policy.items():
        sources[directive] = f"{sources[directive]} {more}" if directive in sources else more
    rules = "; ".join(f"{directive} {allowed}" for directive, allowed in sources.items())
    text = _STYLE.sub(style, text)
    text = _once(_SCRIPT, modules_map, text, "its main module")
    text = _once(re.compile(r"</body>"), "".join([*blocks, "</body>"]), text, "</body>")
    meta = f'<meta http-equiv="Content-Security-Policy" content="{rules}">\n<script nonce="{nonce}">{_WATCH}</script>'
    text = _once(re.compile(r"<head\b[^>]*>"), f"<head>\n{meta}", text, "<head>")
    # every encoding that a mail program or a server may state reads ASCII alike
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def modules(main: str, web: Path) -> dict[str, str]:
    """A module and those that it imports, at once or later: their code by name, each after those that it imports.

    `main`: its path in the folder `web`. Their imports have the names `pellucid/PATH`.
    """
    ordered: dict[str, str] = {}
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        code = (web / name).read_text(encoding="utf-8")
        for _, _, target in _IMPORT.findall(code):
            add(posixpath.normpath(posixpath.join(posixpath.dirname(name), target)))
        ordered[name] = _renamed(code, name)

    add(main)
    return ordered


def _once(pattern: re.Pattern[str], replacement: str, page: str, what: str) -> str:
    page, count = pattern.subn(lambda _: replacement, page)
    assert count == 1, f"the page names {what} {count} times"
    return page


def _renamed(module: str, name: str) -> str:
    """A module's code with the import map's names in its imports."""

    def absolute(match: re.Match[str]) -> str:
        keyword, quote, target = match.groups()
        return (
            f"{keyword}{quote}{posixpath.normpath(posixpath.join('pellucid', posixpath.dirname(name), target))}{quote}"
        )

    return _IMPORT.sub(absolute, module)


def _escaped(style: str) -> str:
    """ASCII: a style has its own escapes, and no character references."""
    return re.sub(r"[^\x00-\x7f]", lambda match: f"\\{ord(match[0]):x} ", style)


def _data_url(module: str) -> str:
    return f"data:text/javascript;charset=utf-8;base64,{b64encode(module.encode()).decode('ascii')}"


def as_json(content: Any) -> str:
    """ASCII that cannot end a script element: < appears only as an escape."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
