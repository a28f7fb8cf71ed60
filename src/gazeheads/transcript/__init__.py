"""The transcript page: a text whose phrases show where the heads looked while saying them."""

from gazeheads.transcript.page import write_transcript

__all__ = ["write_transcript"]
