"""The documentation's site: its list of pages, their links, the lists for programs, and the check of what was built.

`make docs` builds it, and `make soak` opens it in a browser; both take longer than a test may.
"""

import tomllib
from pathlib import Path

import pytest
from docs.site import build, check, contents, dialect, links

ROOT = contents.ROOT
LIST = """# Docs of a thing

> What it is,
> in two lines.

## Learn

- [Start](start.md): the first page
- [Whole](../README.md): the second page

## Look up

- [Table](table.md): the third page
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with three pages and their list."""
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / "docs/README.md").write_text(LIST)
    (tmp_path / "docs/start.md").write_text("# Start\n\nSee [the table](table.md#two-words-really).\n")
    (tmp_path / "docs/table.md").write_text("# Table\n\n## Two words, really\n\n![A picture](images/a.png)\n")
    (tmp_path / "docs/images/a.png").write_bytes(b"")
    (tmp_path / "README.md").write_text("# Whole\n\n[Its docs](docs/README.md)\n")
    return tmp_path


def test_every_page_is_on_the_list_and_every_link_leads_somewhere() -> None:
    listed = contents.read()
    assert contents.faults(listed) == []
    assert len(listed.entries) > 30
    assert [entry.section for entry in listed.entries if entry.path == "docs/tutorial.md"] == ["Tutorial"]
    assert list(dict.fromkeys(entry.section for entry in listed.entries)) == ["Tutorial", "How-to", "Reference", "Why"]
    assert contents.HOME in listed.pages
    assert len(links.links((ROOT / "docs/how-to.md").read_text(encoding="utf-8"))) > 15


def test_a_project_without_faults_has_none(project: Path) -> None:
    assert contents.faults(contents.read(project), project) == []


@pytest.mark.parametrize(
    ("page", "text", "fault"),
    [
        ("docs/new.md", "# New\n", "docs/new.md is not on the list in docs/README.md"),
        ("docs/README.md", f"{LIST}- [Gone](gone.md): no page\n", "lists docs/gone.md, which does not exist"),
        ("docs/README.md", f"{LIST}- [Again](start.md): once more\n", "lists docs/start.md twice"),
        ("docs/table.md", "# Table\n\n[x](gone.png)\n", "docs/table.md links to gone.png: there is no such file"),
        ("docs/start.md", "[x](table.md#gone)\n", "there is no section #gone"),
        ("docs/start.md", "# A b\n\n[x](#a-c)\n", "there is no section #a-c"),
        ("docs/start.md", "[x](../../gone.md)\n", "it lies outside of the project"),
        ("docs/start.md", "[x](../code.py)\n", "there is no such file"),
        ("docs/start.md", "[x](images)\n", "there is no such file"),  # a folder: a browser would list it
        ("docs/start.md", "# A – b\n\n[x](#a--b)\n", "there is no section #a--b"),  # GitHub has it, the site has a-b
        ("docs/start.md", "text\n- item\n", "line 2: a list needs an empty line before it"),
        ("docs/start.md", "- a\n  - b\n", "begins a list on GitHub alone"),
        ("docs/start.md", "- a number:\n  18. And on.\n", "begins a list on GitHub alone"),
        ("docs/start.md", "- a\n\n  ```\n  code\n  ```\n", "line 3: code in a list"),
    ],
)
def test_a_fault_is_told(project: Path, page: str, text: str, fault: str) -> None:
    (project / page).write_text(text)
    results = contents.faults(contents.read(project), project)
    assert any(fault in result for result in results), results


def test_a_page_outside_of_the_site_is_told(project: Path) -> None:
    (project / "other.md").write_text("# Other\n")
    (project / "code.py").write_text("")
    (project / "docs/start.md").write_text("[x](../other.md) [y](../code.py) [z](https://example.org/no.md)\n")
    assert contents.faults(contents.read(project), project) == [
        "docs/start.md links to ../other.md: that page is not on the site",
        "docs/start.md links to ../code.py: only pages and docs/images/ are on the site",
    ]


@pytest.mark.parametrize("line", ["- [Start](start.md) the first", "- Start: a page", "- [Start](#start): a page"])
def test_a_line_of_the_list_that_is_no_entry_is_told(project: Path, line: str) -> None:
    (project / "docs/README.md").write_text(f"{LIST}{line}\n")
    with pytest.raises(contents.SiteError, match="is not in a section, or not of the form"):
        contents.read(project)


def test_links_in_code_are_none() -> None:
    text = "a [b](c.md) `[d](e.md)`\n\n```text\n[f](g.md)\n```\n\n![h](i.png) [j](https://k.org) [l](m.md 'n')\n"
    assert links.links(text) == ["c.md", "i.png", "m.md"]
    assert links.anchors("# A `b`, c\n\n## Again\n\n```\n# no\n```\n\n## Again\n") == {"a-b-c", "again"}


def test_the_list_for_programs(project: Path) -> None:
    listed = contents.read(project)
    assert contents.llms_txt(listed) == (
        "# Docs of a thing\n\n> What it is, in two lines.\n\n"
        "## Learn\n\n- [Start](docs/start.md): the first page\n- [Whole](README.md): the second page\n\n"
        "## Look up\n\n- [Table](docs/table.md): the third page\n"
    )
    full = contents.llms_full_txt(listed, project)
    assert full.index("<!-- docs/start.md -->\n\n# Start") < full.index("# Whole") < full.index("# Table")


def test_what_the_generator_gets() -> None:
    listed = contents.read()
    project = tomllib.loads(build.configuration(listed))["project"]
    pages = [
        page for part in project["nav"] for entries in part.values() for entry in entries for page in entry.values()
    ]
    assert sorted(pages) == sorted(listed.pages)
    assert project["site_description"] == listed.about
    assert not project["use_directory_urls"]
    assert not project["theme"]["font"]
    assert "offline" in project["plugins"]
    extras = [
        *project["extra_css"],
        *project["extra_javascript"],
        *(each["path"] for each in project["extra"]["polyfills"]),
    ]
    assert all(
        (build.HERE / Path(extra).name).is_file() or (build.HERE / "vendor" / Path(extra).name).is_file()
        for extra in extras
    )
    assert project["validation"] == {"invalid_links": True, "invalid_link_anchors": True}
    page = build.live((ROOT / build.LIVE).read_text(encoding="utf-8"))
    assert 'src="teaching.html#/conv1/' in page
    assert "<!--" not in page
    with pytest.raises(contents.SiteError, match="it has 0"):
        build.live("# A page\n")
    assert dialect.for_the_generator("a `b \\| c`\n| `b \\| c` \\| d |\n") == "a `b \\| c`\n| `b | c` \\| d |\n"


def test_a_built_site_is_checked(tmp_path: Path) -> None:
    assert check.faults(tmp_path) == ["there is no page"]
    for name, body in {
        "index.html": '<h1 id="a b">A</h1><a href="docs/one.html#two">1</a><a href="#a%20b">2</a><a href="https://x.org">',
        "docs/one.html": '<p id="two"><img src="x.png"><iframe src="teaching.html#/conv1/1,2"></iframe>',
        "docs/teaching.html": "<script src='https://example.org/no.js'></script>",  # checked by its own tests
        "docs/x.png": "",
        "index.md": "",
        "docs/one.md": "",
        "llms.txt": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(body)
    assert check.faults(tmp_path) == []
    (tmp_path / "bad.html").write_text(
        '<script src="//cdn.org/a.js"></script><link rel="stylesheet" href="https://fonts.org/b.css">'
        '<a href="./">up</a><img src="gone.png"><a href="docs/one.html#three">3</a>'
    )
    assert check.faults(tmp_path) == [
        "bad.html has no Markdown beside it",
        "bad.html loads //cdn.org/a.js from elsewhere",
        "bad.html loads https://fonts.org/b.css from elsewhere",
        "bad.html loads gone.png: there is no such file",
        "bad.html links to ./: there is no such file",
        "bad.html links to docs/one.html#three: there is no section #three",
    ]


def test_a_failed_build_leaves_the_site_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("before")
    monkeypatch.setattr(build, "stage", lambda listed, pages: pages.mkdir())
    with pytest.raises(contents.SiteError, match=r"does not start: .*`make docs` installs"):
        build.build(tmp_path / "zensical", tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert (tmp_path / "site/index.html").read_text() == "before"
