"""Make the site of these docs: python -m docs.site.build ZENSICAL [--out build/site]

ZENSICAL is the generator's program, in an environment that requirements.docs.lock describes; `make docs` makes one. The
site holds each page as HTML and as Markdown, llms.txt, and a network to click on, which is trained here. Any warning is
an error, and then the site that was there before stays.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.site import check, contents, dialect
from docs.site.contents import Contents, SiteError

from pellucid import files

ROOT = contents.ROOT
HERE = Path(__file__).parent
LIVE = "docs/live.md"
EMBEDDED = re.compile(r"<!-- live: (\S+) -->\n.*?\n<!-- end -->", re.DOTALL)
FRAME = '<iframe class="live" title="The glass box of a network that reads digits" src="{}"></iframe>'
WIDE = "---\nhide:\n  - navigation\n  - toc\n---\n\n"
UNUSED = ("404.html", "sitemap.xml")  # they need to know the site's address


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zensical", type=Path, help="the generator's program")
    parser.add_argument("--out", type=Path, default=ROOT / "build/site", help="the site's folder, which is replaced")
    arguments = parser.parse_args()
    try:
        build(arguments.zensical.absolute(), arguments.out)
    except SiteError as error:
        sys.exit(f"The site was not built. {error}")
    print(f"the site: {arguments.out / 'index.html'}")


def build(zensical: Path, out: Path) -> None:
    """Write the whole site to the folder `out`. Raises SiteError, after which `out` is as it was."""
    listed = contents.read()
    refuse(contents.faults(listed))
    with tempfile.TemporaryDirectory(prefix="pellucid-docs-") as folder:
        work = Path(folder)
        stage(listed, work / "pages")
        (work / "zensical.toml").write_text(configuration(listed), encoding="utf-8")
        generate(zensical, work)
        finish(listed, work / "site")
        refuse(check.faults(work / "site"))
        out.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing_folder(out) as place:
            shutil.copytree(work / "site", place, dirs_exist_ok=True)


def refuse(faults: list[str]) -> None:
    if faults:
        raise SiteError("\n".join([f"{len(faults)} faults:", *faults]))


def stage(listed: Contents, pages: Path) -> None:
    """Collect what the generator reads, in the project's own folders."""
    for page in listed.pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        place = pages / page
        place.parent.mkdir(parents=True, exist_ok=True)
        text = dialect.for_the_generator(text)
        place.write_text(live(text) if page == LIVE else text, encoding="utf-8")
    shutil.copytree(ROOT / "docs/images", pages / "docs/images")
    (pages / "assets").mkdir()
    for extra in (HERE / "site.css", HERE / "site.js", *(HERE / "vendor").glob("iframe-worker*")):
        shutil.copy(extra, pages / "assets")
    teaching = pages / "docs/teaching.html"
    run([sys.executable, "-m", "pellucid", "lessons", "--html", str(teaching)])


def live(text: str) -> str:
    """The page with the network itself where its Markdown has a picture. Raises SiteError if it names no place."""
    page, count = EMBEDDED.subn(lambda match: FRAME.format(match[1]), text)
    if count != 1:
        raise SiteError(f"{LIVE} needs one `<!-- live: ADDRESS -->` with its `<!-- end -->`; it has {count}.")
    return WIDE + page


def configuration(listed: Contents) -> str:
    """zensical.toml beside this file, with the navigation and the summary from the list of pages."""
    begin = "[project]\n"
    text = (HERE / "zensical.toml").read_text(encoding="utf-8")
    more = f'{contents.navigation(listed)}\ndocs_dir = "pages"\nsite_dir = "site"\n'
    return text.replace(begin, f"{begin}{contents.description(listed)}\n{more}", 1)


def generate(zensical: Path, work: Path) -> None:
    output = run([str(zensical), "build", "--strict", "--clean"], work)
    if "warning" in output.lower():
        raise SiteError(output)


def run(command: list[str], folder: Path | None = None) -> str:
    """The output of a program. Raises SiteError with it, if the program fails or is not there."""
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        raise SiteError(f"{command[0]} does not start: {error.strerror}. `make docs` installs what it needs.") from None
    if done.returncode:
        raise SiteError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{done.stdout}")
    return done.stdout


def finish(listed: Contents, site: Path) -> None:
    """Add each page's Markdown and the lists for programs; remove what a site without an address cannot use."""
    for page in listed.pages:
        (site / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / page, site / page)
        if Path(page).name == contents.HOME:
            shutil.copy(ROOT / page, (site / page).with_name("index.md"))
    (site / "llms.txt").write_text(contents.llms_txt(listed), encoding="utf-8")
    (site / "llms-full.txt").write_text(contents.llms_full_txt(listed), encoding="utf-8")
    for page in site.rglob("*.html"):
        if page.name not in check.ELSEWHERE:  # a heading without text is none
            html = page.read_text(encoding="utf-8").replace("<th></th>", "<td></td>")
            page.write_text(html, encoding="utf-8")
    for name in UNUSED:
        (site / name).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
