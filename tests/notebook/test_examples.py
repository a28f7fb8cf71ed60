"""Every notebook of examples/ runs from its first cell to its last in a kernel of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def test_there_are_the_six_that_the_readme_names() -> None:
    assert [path.stem.split("-", 1)[1] for path in NOTEBOOKS] == [
        "strip", "schedule", "region", "watch", "transformers", "attribution",
    ]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    # a kernel of this very interpreter, whatever kernels the machine has
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=180, kernel_name="python3").execute(cwd=str(tmp_path))
    shown = [cell for cell in notebook.cells if cell.get("outputs")]
    assert len(shown) >= 2
    for cell in shown:
        for output in cell["outputs"]:
            assert "Traceback" not in str(output.get("text", ""))
            data = output.get("data", {})
            if str(data.get("text/plain", "")).startswith("<Figure"):
                assert "image/png" in data, "a figure shows itself"
