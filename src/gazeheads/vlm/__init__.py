"""Vision-language models, one small module per family."""

from gazeheads.vlm.attaching import ModelError
from gazeheads.vlm.base import VLM
from gazeheads.vlm.encoding import Encoded
from gazeheads.vlm.loading import family_of, load, wrap
from gazeheads.vlm.rows import Generation, Piece

__all__ = ["VLM", "Encoded", "Generation", "ModelError", "Piece", "family_of", "load", "wrap"]
