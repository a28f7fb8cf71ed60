"""How a graph's weights are stored: smaller than they are computed with."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx_ir as ir

from gazeheads.live.shipped import whole_numbers

Weights = Literal["float32", "float16", "int8", "int4"]
KEPT = "patch_weight"
"""The matrix every pixel goes through stays as it is."""
SMALL = 1024
"""Matrices with fewer numbers stay as they are."""


def store(model: ir.Model, weights: Weights) -> None:
    """Stores the matrices of products and embeddings in fewer bits; the graph widens them again.

    A runtime does so once, while it loads the graph.

    Args:
        model: changed in place.
        weights: "float16": rounded; "int8": whole numbers with a scale per row or column, whichever
            comes closer; "float32": nothing is done. For "int4" see `fourbit`.
    """
    if weights == "float32":
        return
    for value in list(model.graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or tensor.dtype != ir.DataType.FLOAT or not is_matrix(value):
            continue
        matrix = tensor.numpy()
        if weights == "float16":
            _widened(model.graph, value, matrix.astype(np.float16), None)
        else:
            _widened(model.graph, value, *_closest(matrix))


def is_matrix(value: ir.Value) -> bool:
    """Whether an initializer is the weight of a product or an embedding of words."""
    tensor = value.const_value
    if tensor is None or len(tensor.shape) != 2 or tensor.size < SMALL or value.name == KEPT:
        return False
    places = {"MatMul": 1, "Gemm": 1, "Gather": 0}
    uses = [(use.node.op_type, use.idx) for use in value.uses()]
    is_table = any(op == "Gather" for op, _ in uses) and "embed_tokens" not in str(value.name)
    return bool(uses) and not is_table and all(places.get(op) == place for op, place in uses)


def _closest(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 numbers and the float32 scale of each row or column."""
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for axis in (0, 1):
        whole, scale = whole_numbers(matrix, axis)
        error = float(np.square(whole * scale - matrix).sum())
        if best is None or error < best[0]:
            best = error, whole, scale
    if best is None:
        raise AssertionError("unreachable: there are two axes")
    return best[1], best[2]


def _widened(
    graph: ir.Graph, value: ir.Value, stored: np.ndarray, scale: np.ndarray | None
) -> None:
    """Replaces an initializer by a stored one, cast to float32 and multiplied by its scale."""
    uses = [(use.node, use.idx) for use in value.uses()]
    name = str(value.name)
    graph.initializers.pop(name)
    cast = ir.node("Cast", [constant(graph, f"{name}_stored", stored)], {"to": ir.DataType.FLOAT})
    nodes = [cast]
    if scale is not None:
        factor = constant(graph, f"{name}_scale", scale)
        nodes.append(ir.node("Mul", [cast.outputs[0], factor]))
    graph.insert_before(graph[0], nodes)
    for node, index in uses:
        node.replace_input_with(index, nodes[-1].outputs[0])


def constant(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """A new initializer."""
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value
