"""The page's files, as they ship: what the server serves and what an export copies."""

from __future__ import annotations

from pathlib import Path

from gazeheads.errors import GazeheadsError

HERE = Path(__file__).parent
STATIC = HERE / "static"
GALLERY = HERE / "gallery"
MODEL = HERE / "model"
"""comic-tiny's export, if it ships: what `gazeheads export web` writes into its folder `model`."""
DESCRIPTION = "model/model.json"


def page_files(static: Path = STATIC, model: Path | None = MODEL) -> dict[str, bytes]:
    """Every file of the page by its path in a URL.

    Args:
        static: what Vite built from `web/`.
        model: of a model that runs in the browser, if there is one.

    Raises:
        GazeheadsError: the page was not built.
    """
    if not (static / "index.html").is_file():
        raise GazeheadsError(
            f"the page is not in this installation (no {static / 'index.html'}): reinstall, or "
            "build it with `npm ci && npm run build` in web/"
        )
    roots = [(static, ""), (GALLERY, "gallery/")]
    if model is not None and model.is_dir():
        roots.append((model, "model/"))
    return {
        prefix + path.relative_to(root).as_posix(): path.read_bytes()
        for root, prefix in roots
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
