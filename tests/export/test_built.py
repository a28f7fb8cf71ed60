"""The built files in the package are those of the sources in web/."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gazeheads.live.page import STATIC

WEB = Path(__file__).parents[2] / "web"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node: apt-get install nodejs npm")
@pytest.mark.skipif(
    not (WEB / "node_modules").is_dir(), reason="needs the Node packages: npm ci in web/"
)
def test_built_files_are_up_to_date(tmp_path: Path) -> None:
    vite = WEB / "node_modules" / "vite" / "bin" / "vite.js"
    environment = os.environ | {"NODE_ENV": "production"}
    subprocess.run(
        ["node", vite, "build", "--outDir", tmp_path / "static", "--logLevel", "error"],
        cwd=WEB,
        env=environment,
        check=True,
    )

    def files(folder: Path) -> dict[str, bytes]:
        found = (path for path in folder.rglob("*") if path.is_file())
        named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        return {name: data for name, data in named.items() if not name.startswith("model/")}

    built, shipped = files(tmp_path / "static"), files(STATIC)
    assert sorted(built) == sorted(shipped), "run `npm run build` in web/"
    assert [name for name in built if built[name] != shipped[name]] == []
