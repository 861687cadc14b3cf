"""The pages' styles: a list in each page's HTML file, which the server's page and the offline files follow."""

import re

from pellucid.glassbox.page.offline import WEB, offline
from pellucid.glassbox.trace.trace import Trace


def linked(page: str = "index.html") -> list[str]:
    """The styles in a page's order."""
    return re.findall(r'<link rel="stylesheet" href="\./([^"]+)">', (WEB / page).read_text(encoding="utf-8"))


def test_a_page_lists_every_style_once() -> None:
    there = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.css")}
    other = linked("classify.html")
    assert sorted(linked()) == sorted(there - {name for name in other if name.startswith("classify/")})
    assert {*linked(), *other} == there
    assert len(set(other)) == len(other)


def test_the_base_comes_first_and_paper_last() -> None:
    for page in ("index.html", "classify.html"):
        assert (linked(page)[0], linked(page)[-1]) == ("base.css", "print.css")


def test_the_offline_file_has_the_same_styles_in_the_same_order(walk: Trace) -> None:
    styles = re.findall(r"<style nonce=[^>]*>\n(.*?)\n</style>", offline(walk), re.DOTALL)
    assert len(styles) == len(linked())
    for name, style in zip(linked(), styles, strict=True):
        text = (WEB / name).read_text(encoding="utf-8")
        assert style.strip() == re.sub(r"[^\x00-\x7f]", lambda sign: f"\\{ord(sign[0]):x} ", text).strip(), name


def test_a_style_stands_beside_the_view_that_it_styles() -> None:
    for name in {*linked(), *linked("classify.html")}:
        folder = (WEB / name).parent
        assert any(folder.glob("*.js")), f"{name} has no module beside it"
        assert len((WEB / name).read_text(encoding="utf-8").splitlines()) <= 400, name


def test_no_class_is_styled_by_two_views() -> None:
    """Views are on one page: a rule for a bare class of one view would also apply to the other's."""
    texts = {name: (WEB / name).read_text(encoding="utf-8") for name in linked()}
    for name, text in texts.items():
        for each in set(re.findall(r"^\.([a-z-]+) \{", text, re.MULTILINE)):
            bare = rf"^\.{each} \{{" if name == "base.css" else rf"^\.{each} \{{|[\w)\]]\.{each}(?![\w-])"
            others = [other for other in texts if other != name and re.search(bare, texts[other], re.MULTILINE)]
            assert others == [], f".{each} of {name} is a class in {others} too"
