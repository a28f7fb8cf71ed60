"""The documentation site is built without a network, a warning or a broken link."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Command

from docs.blocks import ROOT

pytest.importorskip("mkdocs", reason="needs pip install 'gazeheads[docs]'")
RUNS = ROOT / "tests/study/data/runs-0.1"


@pytest.fixture
def site(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(RUNS, tmp_path / "runs")
    code, _, told = command("report", tmp_path / "runs", "--out", tmp_path / "report.html")
    assert code == 0, told
    monkeypatch.setenv("GAZEHEADS_SITE_REPORT", str(tmp_path / "report.html"))
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")  # the theme's word about its successor
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "WARNING -" not in done.stderr, done.stderr
    return tmp_path / "site"


class _Parts(HTMLParser):
    """What a page fetches, where it leads, and the anchors it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.ids |= {own[name] for name in ("id", "name") if name in own}
        if tag == "a" and "href" in own:
            self.links.append(own["href"])
        elif tag == "link" and own.get("rel") != "canonical" and "href" in own:
            self.fetched.append(own["href"])
        elif "src" in own:
            self.fetched.append(own["src"])


@pytest.mark.slow
def test_the_site_has_everything_and_leads_nowhere_that_is_not(site: Path) -> None:
    pages = {path: _Parts(path) for path in site.rglob("*.html") if path.name != "404.html"}
    for page in ("start", "ideas", "changes", "benchmarks", "reference/cli", "live/index"):
        assert site / f"{page}.html" in pages
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.with_suffix(".html").name) in pages
    wrong = []
    for path, parts in pages.items():
        for address in (*parts.links, *parts.fetched):
            file, _, anchor = address.partition("#")
            if re.match(r"[a-z]+:", address):
                continue
            target = (path.parent / file.split("?")[0]).resolve() if file else path
            known = pages.get(target)
            if not target.exists() or (anchor and known and anchor not in known.ids | {"__top"}):
                wrong.append(f"{path.relative_to(site)}: {address}")
        wrong += [f"{path.name} fetches {a}" for a in parts.fetched if a.startswith(("http", "//"))]
    assert wrong == []
    check_reference(site)


def check_reference(site: Path) -> None:
    """The reference and the commands are written out."""
    commands = (site / "reference/cli.html").read_text(encoding="utf-8")
    assert "gazeheads strips write-prompts" in commands and "--overwrite" in commands
    models = (site / "reference/models.html").read_text(encoding="utf-8")
    for name in ("load", "vlm.VLM.steer", "vlm.VLM.watch"):
        assert f"gazeheads.models.{name}" in models
    assert "Raises" in models and "ModelError" in models
    for copied in ("report/index.html", "live/index.html"):
        assert 'href="../index.html"' in (site / copied).read_text(encoding="utf-8")
