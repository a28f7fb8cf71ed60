"""A published checkpoint's files, weights and room for tokens its tokenizer did not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from transformers import AddedToken, AutoTokenizer

from gazeheads.attention.install import ModelError

EMBEDDINGS = "model.language_model.embed_tokens.weight"
_FILES = ["*.json", "*.safetensors", "*.bin", "*.txt", "*.model"]


def folder_of(source: str, offline: bool) -> Path:
    """The folder of a checkpoint; from the hub, files of code are left out."""
    if Path(source).is_dir():
        return Path(source)
    return Path(snapshot_download(source, allow_patterns=_FILES, local_files_only=offline))


def tokenizer_with(folder: Path, tokens: list[str]) -> Any:
    """The checkpoint's tokenizer with further special tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    added = [AddedToken(token, special=True, normalized=False) for token in tokens]
    tokenizer.add_special_tokens({"additional_special_tokens": added})
    return tokenizer


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a checkpoint's folder, by their published names.

    Raises:
        ModelError: there are none.
    """
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights.update(load_file(path))
    if not weights:
        for path in sorted(folder.glob("pytorch_model*.bin")):
            weights.update(torch.load(path, map_location="cpu", weights_only=True))
    if not weights:
        raise ModelError(f"no weights in {folder}: want *.safetensors or pytorch_model*.bin")
    return weights


def make_room(weights: dict[str, torch.Tensor], text: Any, last: int) -> int:
    """Adds embeddings up to token id `last` if the vocabulary is full.

    Args:
        weights: by their native names.
        text: config of the language model.
        last: highest token id.

    Returns:
        the vocabulary's old size.
    """
    vocabulary = len(weights[EMBEDDINGS])
    more = last + 1 - vocabulary
    if more > 0:
        text.vocab_size = last + 1
        for name in (EMBEDDINGS, "lm_head.weight"):
            if name in weights:
                rows = weights[name].new_zeros(more, weights[name].shape[1])
                weights[name] = torch.cat([weights[name], rows])
    return vocabulary


def trim_head(model: Any, vocabulary: int) -> None:
    """Added tokens can be read but never written."""
    head = model.lm_head
    if len(head.weight) > vocabulary:
        head.weight = torch.nn.Parameter(head.weight[:vocabulary])
