"""Tables for pandas, which is installed with `gazeheads[results]` and loaded when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(
    rows: Mapping[str, Any] | Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> DataFrame:
    """A table of rows, or of columns by name.

    Args:
        rows: one mapping per row, or one of equally long columns.
        columns: their order; None: as they come.

    Raises:
        GazeheadsError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as error:
        raise GazeheadsError("tables need pandas: pip install 'gazeheads[results]'") from error
    return pd.DataFrame(rows, columns=None if columns is None else list(columns))


def frame_of_heads(heads: Sequence[tuple[int, int]], **tables: np.ndarray | None) -> DataFrame:
    """One row per head: `rank` (from 1), `layer`, `head`, and its cell of every table.

    Args:
        heads: (layer, head), best first.
        tables: (L, H) by column; None where nothing is known: the column is empty.
    """
    layers, numbers = np.array(heads, dtype=np.int64).reshape(-1, 2).T
    cells = {name: None if own is None else own[layers, numbers] for name, own in tables.items()}
    ranks = np.arange(1, len(layers) + 1)
    return data_frame({"rank": ranks, "layer": layers, "head": numbers, **cells})
