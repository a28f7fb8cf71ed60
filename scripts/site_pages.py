"""What the documentation site has besides docs/: hooks of MkDocs, named in mkdocs.yml.

Pages that lie elsewhere in the repository (changes, contributing, benchmarks, notebooks) get a
place on the site, and links to them lead there. The reference of the command line is written by
Typer; the live page and a report with its tables come along as they are, with a link back.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
ELSEWHERE = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "benchmarks/PROFILE.md": "profile.md",
}
"""Pages outside docs/, and where the site has them."""
NOTEBOOKS = {
    f"examples/{path.name}": f"notebooks/{path.stem}.md"
    for path in sorted((ROOT / "examples").glob("*.ipynb"))
}
PLACES = ELSEWHERE | NOTEBOOKS
COMMANDS = "reference/cli.md"
REPORT, LIVE = "report/", "live/"
REPORT_FILE = "GAZEHEADS_SITE_REPORT"
"""Environment variable with the report to show; scripts/docs.sh makes one."""
LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?(\))")
FENCE = re.compile(r"^(```.*?^```)$", re.DOTALL | re.MULTILINE)
BACK = (
    '<p style="margin:.5rem 1rem;font:14px sans-serif">'
    '<a href="../index.html">gazeheads: documentation</a></p>'
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Notebooks, and pages of docs/ that the navigation does not name, are put into it."""
    nav: list[dict[str, Any]] = config.nav  # type: ignore[assignment]
    sections = {name: part for entry in nav for name, part in entry.items()}
    sections["Notebooks"].extend({_title(ROOT / old): new} for old, new in NOTEBOOKS.items())
    named = set(_named(nav))
    for path in sorted((ROOT / "docs").glob("*.md")):
        if path.name not in named:
            sections["How to"].append(path.name)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what does not lie in docs/."""
    for old, new in ELSEWHERE.items():
        files.append(File.generated(config, new, content=(ROOT / old).read_text(encoding="utf-8")))
    for old, new in NOTEBOOKS.items():
        files.append(File.generated(config, new, content=_as_page(ROOT / old)))
    files.append(File.generated(config, COMMANDS, content=_commands()))
    for folder, own in ((REPORT, _report()), (LIVE, _live_page())):
        for path, data in own.items():
            files.append(File.generated(config, folder + path, content=data))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files of the repository lead to their place on the site."""
    del config, files
    here = page.file.src_uri
    source = {new: old for old, new in PLACES.items()}.get(here, f"docs/{here}")

    def moved(match: re.Match[str]) -> str:
        start, target, fragment, end = match.groups()
        if not target or ":" in target:
            return match[0]
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        place = PLACES.get(meant, meant.removeprefix("docs/"))
        own = posixpath.relpath(place, posixpath.dirname(here) or ".")
        return f"{start}{own}{fragment or ''}{end}"

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(moved, part) for part in parts)


def _named(nav: Any) -> Iterator[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for part in nav.values():
            yield from _named(part)
    else:
        for part in nav:
            yield from _named(part)


def _title(notebook: Path) -> str:
    first = "".join(json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"])
    return first.splitlines()[0].removeprefix("# ")


def _as_page(notebook: Path) -> str:
    """A notebook's cells, with the way to run it."""
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.append(f"The notebook is `examples/{notebook.name}`; its figures appear as it runs.")
    return "\n\n".join(parts)


def _commands() -> str:
    """Every command and option, as Typer documents them."""
    words = ["typer", "gazeheads.cli.main", "utils", "docs", "--name", "gazeheads"]
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", *words],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PluginError(f"the commands cannot be documented: {done.stderr.strip()}")
    # angle brackets are names of values here, and no elements of HTML
    told = re.sub(r"`[^`\n]*`|<", lambda m: m[0] if len(m[0]) > 1 else "&lt;", done.stdout)
    return "# Command line\n\n" + told.partition("\n")[2]


def _report() -> dict[str, str | bytes]:
    """The report, and the tables beside it that it leads to."""
    path = Path(os.environ.get(REPORT_FILE, ""))
    if not path.is_file():
        raise PluginError(f"{REPORT_FILE} names no report: build the site with scripts/docs.sh")
    page = path.read_text(encoding="utf-8")
    linked = {link for link in re.findall(r'href="([^"#:]+)"', page)}
    files: dict[str, str | bytes] = {
        link: (path.parent / link).read_bytes() for link in linked if (path.parent / link).is_file()
    }
    return files | {"index.html": _with_way_back(page)}


def _live_page() -> dict[str, str | bytes]:
    """The demo's page with the model that ships, which runs in the reader's browser."""
    from gazeheads.live.page import page_files  # noqa: PLC0415 - not needed to read this module

    files: dict[str, str | bytes] = dict(page_files())
    return files | {"index.html": _with_way_back(bytes(files["index.html"]).decode())}  # type: ignore[arg-type]


def _with_way_back(page: str) -> str:
    """A page with a link to the site at its end."""
    before, end, after = page.rpartition("</body>")
    return f"{before}{BACK}\n{end}{after}" if end else page + BACK
