"""Scores of heads from recorded attention."""

from gazeheads.discovery.gaze import discover

__all__ = ["discover"]
