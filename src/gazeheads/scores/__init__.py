"""Scores of heads from recorded attention."""

from gazeheads.scores.gaze import discover

__all__ = ["discover"]
