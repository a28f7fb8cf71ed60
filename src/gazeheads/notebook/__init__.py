"""Notebooks: a picture on which a box is drawn and the answer read. Needs `gazeheads[notebook]`."""

from __future__ import annotations

from gazeheads.errors import GazeheadsError

try:
    from gazeheads.notebook.box_widget import BoxWidget
except ImportError as error:
    raise GazeheadsError("the widget needs anywidget: pip install 'gazeheads[notebook]'") from error

__all__ = ["BoxWidget"]
