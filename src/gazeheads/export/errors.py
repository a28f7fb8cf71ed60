"""What can go wrong while a model is exported."""

from gazeheads.errors import GazeheadsError


class ExportError(GazeheadsError):
    """A model that cannot be exported, or an export that does not repeat the model."""
