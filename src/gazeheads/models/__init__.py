"""Vision-language models, one small module per family."""

from gazeheads.attention.install import ModelError
from gazeheads.models.inputs import Encoded
from gazeheads.models.load import family_of, load, wrap
from gazeheads.models.rows import Generation, Piece
from gazeheads.models.vlm import VLM

__all__ = ["VLM", "Encoded", "Generation", "ModelError", "Piece", "family_of", "load", "wrap"]
