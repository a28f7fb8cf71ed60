"""Vision-language models, one small module per family."""

from gazeheads.attention.install import ModelError
from gazeheads.models.inputs import Encoded, Inputs
from gazeheads.models.load import family_of, load, wrap
from gazeheads.models.rows import UNSTEERED, Generation, Piece
from gazeheads.models.vlm import VLM

__all__ = [
    "UNSTEERED",
    "VLM",
    "Encoded",
    "Generation",
    "Inputs",
    "ModelError",
    "Piece",
    "family_of",
    "load",
    "wrap",
]
