"""What a release is made of: one version everywhere, a small wheel, a quick import."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
import zlib
from pathlib import Path

import gazeheads

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MOST_BYTES = 15_000_000


def test_every_file_that_names_the_version_names_the_same() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "src/gazeheads/__init__.py"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    dated = re.search(r"^version: (\S+)\ndate-released: (\S+)$", citation, re.MULTILINE)
    assert dated
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d\S*), (\S+)$", changes, re.MULTILINE)
    assert released[0] == dated.groups() == (gazeheads.__version__, dated[2])
    assert changes.index("\n## Unreleased\n") < changes.index(f"\n## {released[0][0]},")


def test_the_wheel_is_small() -> None:
    """Deflated file by file, as a wheel is, without what is left out of it."""
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    total = 0
    for path in (ROOT / "src/gazeheads").rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        out = any(fnmatch.fnmatch(name, pattern) for pattern in wheel["exclude"])
        if path.is_file() and "__pycache__" not in name and not out:
            total += len(zlib.compress(path.read_bytes(), 6)) + 2 * len(name) + 100
    assert total <= MOST_BYTES


def test_the_import_takes_a_tenth_of_a_second() -> None:
    took = []
    for _ in range(5):
        told = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import gazeheads"],
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        took.append(int(told.splitlines()[-1].split("|")[1]))
    assert min(took) <= 100_000, "microseconds"


def test_no_address_is_claimed_that_the_project_does_not_have() -> None:
    """Links of the package's page work without knowing where the repository lies, or are told."""
    urls = PROJECT["project"]["urls"]
    assert urls["Paper"] == "https://arxiv.org/abs/2606.14703"
    assert all(address.startswith("https://") for address in urls.values())


def test_the_release_checks_the_wheel_it_publishes() -> None:
    workflow = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    assert "scripts/check_wheel.sh" in workflow and "id-token: write" in workflow
    assert f"-le {MOST_BYTES}" in (ROOT / "scripts/check_wheel.sh").read_text(encoding="utf-8")
