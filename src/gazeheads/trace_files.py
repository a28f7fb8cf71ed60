"""Traces as files: everything a `GazeTrace` holds but the picture, as a NumPy archive."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from gazeheads.files import write_bytes
from gazeheads.heads import Head
from gazeheads.regions import ImageTokens
from gazeheads.trace import GazeTrace, TraceError

FORMAT = 1


def save_trace(trace: GazeTrace, path: str | os.PathLike[str]) -> Path:
    """Writes a trace as NPZ, atomically.

    Its arrays: `attention` (steps, heads, T) float32, `norms` (heads, T) unless none were
    recorded, `heads` (heads, 2), `pieces` (steps,), `steered_to` (steps,), `dropped`, and of the
    image tokens `positions`, `boxes` (T, 4) in pixels, `image_index` and `sizes`.
    """
    tokens = trace.tokens
    arrays = {
        "format": np.array(FORMAT),
        "attention": trace.attention.astype(np.float32),
        "heads": np.array([list(head) for head in trace.heads], dtype=np.int64).reshape(-1, 2),
        "pieces": np.array(trace.pieces, dtype=np.str_),
        "steered_to": np.array([to or "" for to in trace.steered_to], dtype=np.str_),
        "dropped": np.array(trace.dropped, dtype=np.int64),
        "positions": tokens.positions,
        "boxes": tokens.boxes,
        "image_index": tokens.image_index,
        "sizes": np.array(tokens.sizes, dtype=np.int64),
    }
    if trace.norms is not None:
        arrays["norms"] = trace.norms.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return write_bytes(path, buffer.getvalue())


def load_trace(path: str | os.PathLike[str]) -> GazeTrace:
    """Reads a trace written by `save_trace`; it does not know its picture.

    Raises:
        TraceError: the file cannot be read, is none, or is of a later version.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            data = {name: found[name] for name in found.files}
        if int(data["format"]) > FORMAT:
            raise TraceError(f"{path} was written by a later gazeheads: update gazeheads")
        tokens = ImageTokens(
            data["positions"],
            data["boxes"],
            tuple((int(width), int(height)) for width, height in data["sizes"]),
            data["image_index"],
        )
        return GazeTrace(
            data["attention"],
            data.get("norms"),
            tuple(Head(int(layer), int(head)) for layer, head in data["heads"]),
            tokens,
            tuple(map(str, data["pieces"])),
            tuple(str(to) or None for to in data["steered_to"]),
            dropped=tuple(map(int, data["dropped"])),
        )
    except OSError as error:
        raise TraceError(f"cannot read {path}: {error.strerror or error}") from error
    except (KeyError, ValueError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise TraceError(f"{path} is no trace written by gazeheads: {error}") from error
