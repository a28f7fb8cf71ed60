"""Weights in four bits, in the block format that ONNX Runtime multiplies with directly.

A matrix is rounded once, in the model itself, before it is traced. Packing the traced matrices then
finds the very same numbers, so that the graphs repeat the rounded model token for token; how far
the rounded model is from the full one is another question.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from gazeheads.export.errors import ExportError
from gazeheads.export.storing import constant, is_matrix

BLOCK = 32
"""Numbers along a row that share a scale."""
DOMAIN = "com.microsoft"


def round_weights(model: nn.Module) -> None:
    """Rounds every linear layer and the words of a model to four bits, in place."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) or name.endswith("embed_tokens"):
            weight = module.get_parameter("weight")
            codes, scales = _blocks(weight.detach().numpy())
            rounded = (codes.astype(np.float32) - 8) * scales[..., None].astype(np.float32)
            rows = rounded.reshape(weight.shape[0], -1)[:, : weight.shape[1]]
            with torch.no_grad():
                weight.copy_(torch.from_numpy(rows))


def pack(model: ir.Model) -> None:
    """Stores the matrices of a traced graph in four bits and multiplies with them as they are."""
    for value in list(model.graph.initializers.values()):
        if is_matrix(value):
            _pack_matrix(model.graph, value)
    model.graph.opset_imports[DOMAIN] = 1


def _pack_matrix(graph: ir.Graph, value: ir.Value) -> None:
    tensor = value.const_value
    if tensor is None:
        return
    uses = [use.node for use in value.uses()]
    matrix = tensor.numpy()
    if all(node.op_type == "MatMul" for node in uses):
        matrix = np.ascontiguousarray(matrix.T)
    codes, scales = _blocks(matrix)
    name = str(value.name)
    packed = constant(graph, f"{name}_codes", codes[..., 0::2] | (codes[..., 1::2] << 4))
    flat = constant(graph, f"{name}_scales", scales.reshape(-1))
    for node in uses:
        make = _looked_up if node.op_type == "Gather" else _multiplied
        nodes = make(graph, node, packed, flat, matrix.shape)
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], nodes, [node.outputs[0]], [nodes[-1].outputs[0]]
        )
    graph.initializers.pop(name)


def _multiplied(
    graph: ir.Graph, node: ir.Node, packed: ir.Value, scales: ir.Value, shape: tuple[int, ...]
) -> list[ir.Node]:
    """What a product with the matrix, transposed, becomes."""
    del graph
    sizes = {"N": shape[0], "K": shape[1], "bits": 4, "block_size": BLOCK}
    inputs = [node.inputs[0], packed, scales]
    nodes = [ir.node("MatMulNBits", inputs, sizes, domain=DOMAIN)]
    if node.op_type == "Gemm" and len(node.inputs) > 2:
        nodes.append(ir.node("Add", [nodes[0].outputs[0], node.inputs[2]]))
    return nodes


def _looked_up(
    graph: ir.Graph, node: ir.Node, packed: ir.Value, scales: ir.Value, shape: tuple[int, ...]
) -> list[ir.Node]:
    """What a lookup of rows becomes; it reads the same bytes as a product with the matrix."""
    if shape[1] % BLOCK:
        raise ExportError(f"words of {shape[1]} numbers do not fill blocks of {BLOCK}")
    rows = constant(graph, f"{packed.name}_rows", np.array([shape[0], -1], np.int64))
    codes = ir.node("Reshape", [packed, rows])
    scale = ir.node("Reshape", [scales, rows])
    sizes = {"bits": 4, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
    inputs = [codes.outputs[0], node.inputs[1], scale.outputs[0]]
    return [codes, scale, ir.node("GatherBlockQuantized", inputs, sizes, domain=DOMAIN)]


def _blocks(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K / 32, 32) codes from 0 to 15, 8 for zero, and (N, K / 32) scales.

    The largest number of a block becomes code 0, so that rounding a rounded matrix changes nothing.
    """
    rows, size = matrix.shape
    filled = np.pad(matrix.astype(np.float32), ((0, 0), (0, -size % BLOCK)))
    blocks = filled.reshape(rows, -1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    scales = (largest / -8).astype(matrix.dtype)
    safe = np.where(scales == 0, 1, scales).astype(np.float32)
    codes = np.clip(np.rint(blocks / safe) + 8, 0, 15).astype(np.uint8)
    return codes, scales[..., 0]
