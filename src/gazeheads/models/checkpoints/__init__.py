"""Checkpoints whose published layout only their own code reads, brought into native classes.

Their modelling code bypasses transformers' attention interface, so it could not be steered. It is
neither needed nor run here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gazeheads.models.checkpoints import bunny, ovis15

Reader = Callable[[str, Mapping[str, Any], bool, Mapping[str, Any]], tuple[Any, Any, list[str]]]
"""From (source, config.json, offline, further arguments of from_pretrained) to the model, its
processor and the names of weights that the checkpoint lacks."""


def reader_of(config: Mapping[str, Any]) -> Reader | None:
    """What reads a checkpoint of that config.json; None: transformers does."""
    if bunny.is_bunny(config):
        return bunny.load_bunny
    if ovis15.is_ovis15(config):
        return ovis15.load_ovis15
    return None
