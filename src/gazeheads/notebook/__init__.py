"""Notebooks: a picture on which a place is chosen and the answer read, and bars of progress.

Needs `gazeheads[notebook]`.
"""

from __future__ import annotations

from gazeheads.errors import GazeheadsError

try:
    from gazeheads.notebook.box_widget import BoxWidget
    from gazeheads.notebook.progress_bar import progress_bar
except ImportError as error:
    raise GazeheadsError(
        "gazeheads.notebook needs anywidget and tqdm: pip install 'gazeheads[notebook]'"
    ) from error

__all__ = ["BoxWidget", "progress_bar"]
