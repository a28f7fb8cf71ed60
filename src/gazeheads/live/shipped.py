"""comic-tiny for the browser, as it ships: its numbers are taken from the checkpoint beside it.

The matrices of an export are the checkpoint's, rounded to whole numbers. The package keeps of every
graph only what the checkpoint does not have, and where the matrices belong: nothing ships twice. A
whole file is given away only if its hash is the one that the export wrote down.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.files import appearing, write_json

DESCRIPTION = "model.json"
PLACES = "weights.json"
REST = ".rest"
"""Ends the name of a graph without its matrices."""
LEAST = 1024
"""Numbers of a matrix that is worth the trouble."""


@dataclass(frozen=True)
class MatrixPlace:
    """Where a matrix lies in a graph's file.

    Attributes:
        offset: of its first byte in the whole file.
        tensor: name in the checkpoint.
        turned: whether it is transposed.
        axis: whose numbers share a scale.
    """

    offset: int
    tensor: str
    turned: bool
    axis: int

    def data(self, tensors: dict[str, np.ndarray]) -> bytes:
        """The bytes at that place."""
        matrix = tensors[self.tensor].astype(np.float32)
        return whole_numbers(matrix.T if self.turned else matrix, self.axis)[0].tobytes()


def whole_numbers(matrix: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 numbers of a float32 matrix, and the float32 scale that those along an axis share."""
    scale = np.maximum(np.abs(matrix).max(axis, keepdims=True), 1e-12) / 127
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)


def whole_model(folder: Path, checkpoint: Path) -> dict[str, bytes]:
    """Every file of the export by its name, the graphs whole.

    Args:
        folder: what `keep_rest` wrote; empty or absent: no model ships.
        checkpoint: the file of weights.

    Raises:
        GazeheadsError: the checkpoint is not the one that was exported, or a file is damaged.
    """
    if not (folder / DESCRIPTION).is_file():
        return {}
    kept = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    places: dict[str, Any] = json.loads(kept.pop(PLACES))
    tensors = _tensors(checkpoint)
    for name, own in places.items():
        try:
            found = [MatrixPlace(**place) for place in own]
            kept[name] = _filled(kept.pop(name + REST), found, tensors)
        except (KeyError, TypeError, ValueError):
            raise _other(checkpoint) from None
    for file in json.loads(kept[DESCRIPTION])["files"]:
        if not sha256(kept.get(file["name"], b"")).hexdigest().startswith(file["hash"]):
            raise _other(checkpoint)
    return kept


def keep_rest(export: Path, folder: Path, checkpoint: Path) -> None:
    """Keeps an export of the checkpoint in a folder, without the matrices that the checkpoint has.

    Args:
        export: the folder `model` of what `gazeheads export web` wrote.
        folder: of the package; what it held is replaced.
        checkpoint: the file of weights.

    Raises:
        GazeheadsError: the export is of other weights.
    """
    tensors = _tensors(checkpoint)
    with appearing(folder) as new:
        places: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(export.iterdir()):
            data = path.read_bytes()
            if path.suffix != ".onnx":
                (new / path.name).write_bytes(data)
                continue
            found = _find(data, tensors)
            if not found:
                raise _other(checkpoint)
            places[path.name] = [asdict(place) for place in found]
            (new / (path.name + REST)).write_bytes(_without(data, found, tensors))
        write_json(new / PLACES, places)
        whole_model(new, checkpoint)


def _tensors(checkpoint: Path) -> dict[str, np.ndarray]:
    # the page of an export needs no checkpoint, and no library to read one
    from safetensors.numpy import load_file  # noqa: PLC0415

    return dict(load_file(checkpoint))


def _find(data: bytes, tensors: dict[str, np.ndarray]) -> list[MatrixPlace]:
    """Places that do not overlap, in order."""
    found: list[MatrixPlace] = []
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or tensor.size < LEAST or not tensor.any():
            continue
        for turned, axis in ((False, 0), (False, 1), (True, 0), (True, 1)):
            place = MatrixPlace(0, name, turned, axis)
            offset = data.find(place.data(tensors))
            if offset >= 0:
                found.append(MatrixPlace(offset, name, turned, axis))
                break
    free, chosen = 0, []
    for place in sorted(found, key=lambda each: each.offset):
        if place.offset >= free:
            chosen.append(place)
            free = place.offset + tensors[place.tensor].size
    return chosen


def _without(data: bytes, places: list[MatrixPlace], tensors: dict[str, np.ndarray]) -> bytes:
    rest, end = bytearray(), 0
    for place in places:
        rest += data[end : place.offset]
        end = place.offset + tensors[place.tensor].size
    return bytes(rest + data[end:])


def _filled(rest: bytes, places: list[MatrixPlace], tensors: dict[str, np.ndarray]) -> bytes:
    data, used = bytearray(), 0
    for place in places:
        before = place.offset - len(data)
        data += rest[used : used + before] + place.data(tensors)
        used += before
    return bytes(data + rest[used:])


def _other(checkpoint: Path) -> GazeheadsError:
    return GazeheadsError(
        f"the page's model is not the one in {checkpoint}, or a file is damaged: reinstall "
        "gazeheads, or run `python scripts/ship_model.py` in a clone of it"
    )
