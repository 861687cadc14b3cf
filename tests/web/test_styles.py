"""The page's styles: one list in index.html, which the server's page and the offline file both follow."""

import re

from pellucid.glassbox.page.offline import WEB, offline
from pellucid.glassbox.trace.trace import Trace


def linked() -> list[str]:
    """The styles in the page's order."""
    return re.findall(r'<link rel="stylesheet" href="\./([^"]+)">', (WEB / "index.html").read_text(encoding="utf-8"))


def test_the_page_lists_every_style_once() -> None:
    there = sorted(path.relative_to(WEB).as_posix() for path in WEB.rglob("*.css"))
    assert sorted(linked()) == there


def test_the_base_comes_first_and_paper_last() -> None:
    assert (linked()[0], linked()[-1]) == ("base.css", "print.css")


def test_the_offline_file_has_the_same_styles_in_the_same_order(walk: Trace) -> None:
    styles = re.findall(r"<style nonce=[^>]*>\n(.*?)\n</style>", offline(walk), re.DOTALL)
    assert len(styles) == len(linked())
    for name, style in zip(linked(), styles, strict=True):
        text = (WEB / name).read_text(encoding="utf-8")
        assert style.strip() == re.sub(r"[^\x00-\x7f]", lambda sign: f"\\{ord(sign[0]):x} ", text).strip(), name


def test_a_style_stands_beside_the_view_that_it_styles() -> None:
    for name in linked():
        folder = (WEB / name).parent
        assert any(folder.glob("*.js")), f"{name} has no module beside it"
        assert len((WEB / name).read_text(encoding="utf-8").splitlines()) <= 400, name
