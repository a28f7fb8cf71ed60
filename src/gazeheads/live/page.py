"""The page's files, as they ship: what the server serves and what an export copies."""

from __future__ import annotations

from pathlib import Path

from gazeheads.errors import GazeheadsError

HERE = Path(__file__).parent
STATIC = HERE / "static"
GALLERY = HERE / "gallery"
DESCRIPTION = "model/model.json"
"""Of the model that ships with the page, if one does: the folder `model` of an export."""


def page_files(static: Path = STATIC) -> dict[str, bytes]:
    """Every file of the page by its path in a URL.

    Args:
        static: what Vite built from `web/`, and the folder `model` if a model ships.

    Raises:
        GazeheadsError: the page was not built.
    """
    if not (static / "index.html").is_file():
        raise GazeheadsError(
            f"the page is not in this installation (no {static / 'index.html'}): reinstall, or "
            "build it with `npm ci && npm run build` in web/"
        )
    return {
        prefix + path.relative_to(root).as_posix(): path.read_bytes()
        for root, prefix in ((static, ""), (GALLERY, "gallery/"))
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
