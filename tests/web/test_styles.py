"""The pages' styles: a list in each page's HTML file, which the server's page and the offline files follow."""

import re
from pathlib import Path

from pellucid.glassbox.page.offline import WEB, offline
from pellucid.glassbox.trace.trace import Trace

OTHERS = ("classify.html", "teach.html")
"""Pages with a list of their own. Their own styles are in the folder of their name."""


def linked(page: str = "index.html") -> list[str]:
    """The styles in a page's order."""
    return re.findall(r'<link rel="stylesheet" href="\./([^"]+)">', (WEB / page).read_text(encoding="utf-8"))


def test_a_page_lists_every_style_once() -> None:
    there = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.css")}
    others = {page: linked(page) for page in OTHERS}
    own = {name for page, names in others.items() for name in names if name.startswith(f"{Path(page).stem}/")}
    assert sorted(linked()) == sorted(there - own)
    assert {*linked(), *own} == there
    for names in others.values():
        assert set(names) <= there
        assert len(set(names)) == len(names)


def test_the_base_comes_first_and_paper_last() -> None:
    for page in ("index.html", *OTHERS):
        assert (linked(page)[0], linked(page)[-1]) == ("base.css", "print.css")


def test_the_offline_file_has_the_same_styles_in_the_same_order(walk: Trace) -> None:
    styles = re.findall(r"<style nonce=[^>]*>\n(.*?)\n</style>", offline(walk), re.DOTALL)
    assert len(styles) == len(linked())
    for name, style in zip(linked(), styles, strict=True):
        text = (WEB / name).read_text(encoding="utf-8")
        assert style.strip() == re.sub(r"[^\x00-\x7f]", lambda sign: f"\\{ord(sign[0]):x} ", text).strip(), name


def test_a_style_stands_beside_the_view_that_it_styles() -> None:
    for name in {*linked(), *(name for page in OTHERS for name in linked(page))}:
        folder = (WEB / name).parent
        assert any(folder.glob("*.js")), f"{name} has no module beside it"
        assert len((WEB / name).read_text(encoding="utf-8").splitlines()) <= 400, name


def test_no_class_is_styled_by_two_views() -> None:
    """Views are on one page: a rule for a bare class of one view would also apply to the other's."""
    for page in ("index.html", "teach.html"):
        texts = {name: (WEB / name).read_text(encoding="utf-8") for name in linked(page)}
        no_class_is_styled_twice(texts)


def no_class_is_styled_twice(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        for each in set(re.findall(r"^\.([a-z-]+) \{", text, re.MULTILINE)):
            bare = rf"^\.{each} \{{" if name == "base.css" else rf"^\.{each} \{{|[\w)\]]\.{each}(?![\w-])"
            others = [other for other in texts if other != name and re.search(bare, texts[other], re.MULTILINE)]
            assert others == [], f".{each} of {name} is a class in {others} too"
