"""Arrays inside JSON records."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from gazeheads.study.disk import RunError


def packed(array: np.ndarray, kind: str = "<f4") -> dict[str, Any]:
    """An array as a JSON value: its numbers in base64, their kind and its shape."""
    data = base64.b64encode(np.ascontiguousarray(array).astype(kind).tobytes()).decode()
    return {"shape": list(array.shape), "kind": kind, "data": data}


def unpacked(record: Mapping[str, Any], name: str) -> np.ndarray:
    """The array under a name of a record, as float64.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        own = record[name]
        raw = base64.b64decode(own["data"], validate=True)
        return np.frombuffer(raw, own["kind"]).reshape(own["shape"]).astype(np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"the record of {record.get('unit')!r} is damaged: {error}") from error
