"""From a loaded Qwen3-VL to two ONNX models in memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

import onnx_ir
import torch
from torch.export import Dim
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from gazeheads.export import decoder, vision
from gazeheads.export.decoder import DecoderGraph
from gazeheads.export.vision import VisionGraph

OPSET = 20
# sizes to trace with: all different and above 1, so that none of them is taken for a constant
QUERIES, PAST, IMAGE, ROWS, COLUMNS = 7, 5, 4, 3, 2


def trace_vision(graph: VisionGraph) -> onnx_ir.Model:
    """The vision graph: `rgba` to `image_embeds` and `deepstack`."""
    rgba = torch.zeros(ROWS, graph.cell, COLUMNS, graph.cell, 4, dtype=torch.uint8)
    shapes = ({0: Dim("rows"), 2: Dim("columns")},)
    return _trace(graph, (rgba,), shapes, ["rgba"], ["image_embeds", "deepstack"])


def trace_decoder(graph: DecoderGraph, config: Any, levels: int) -> onnx_ir.Model:
    """The decoder graph; caches are `past_0`, ... and `present_0`, ...: key, value per layer.

    Args:
        graph: to trace.
        config: of the language model.
        levels: of deepstack.
    """
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    dtype = graph.text.embed_tokens.weight.dtype
    cached = torch.zeros(1, config.num_key_value_heads, PAST, config.head_dim, dtype=dtype)
    inputs = (
        torch.zeros(1, QUERIES, dtype=torch.long),
        torch.zeros(3, 1, QUERIES, dtype=torch.long),
        torch.zeros(IMAGE, config.hidden_size, dtype=dtype),
        torch.zeros(levels, IMAGE, config.hidden_size, dtype=dtype),
        torch.zeros(layers, heads),
        torch.zeros(PAST + QUERIES),
        torch.zeros(layers, heads),
        [cached.clone() for _ in range(2 * layers)],
    )
    queries, past, image = Dim("queries"), Dim("past"), Dim("image")
    shapes: tuple[Any, ...] = (
        {1: queries},
        {2: queries},
        {0: image},
        {1: image},
        {},
        {0: Dim.DYNAMIC},
        {},
        [{2: past} for _ in range(2 * layers)],
    )
    names = ["input_ids", "position_ids", "image_embeds", "deepstack", "head_flags", "key_bias"]
    names += ["watch", *(f"past_{i}" for i in range(2 * layers))]
    outputs = ["logits", "attention", *(f"present_{i}" for i in range(2 * layers))]
    return _trace(graph, inputs, shapes, names, outputs)


@contextmanager
def exportable(model: Any) -> Iterator[None]:
    """While in force, the model's attention functions are those of the graphs."""
    AttentionInterface.register(vision.ATTENTION, vision.one_image_attention)
    AttentionInterface.register(decoder.ATTENTION, decoder.flagged_attention)
    AttentionMaskInterface.register(decoder.ATTENTION, sdpa_mask)
    parts = {"text_config": model.config.text_config, "vision_config": model.config.vision_config}
    before = {name: part._attn_implementation for name, part in parts.items()}
    parts["text_config"]._attn_implementation = decoder.ATTENTION
    parts["vision_config"]._attn_implementation = vision.ATTENTION
    try:
        yield
    finally:
        for name, part in parts.items():
            part._attn_implementation = before[name]


def _trace(
    graph: torch.nn.Module, inputs: tuple[Any, ...], shapes: Any, names: list[str], out: list[str]
) -> onnx_ir.Model:
    with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            graph.eval(),
            inputs,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=names,
            output_names=out,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave nothing back")
    without_traces(program.model)
    return program.model


def without_traces(model: onnx_ir.Model) -> None:
    """Takes off what the exporter notes of the source code: paths of the machine it ran on."""
    owners: list[onnx_ir.Graph | onnx_ir.Function] = [model.graph, *model.functions.values()]
    for owner in owners:
        owner.metadata_props.clear()
        for node in onnx_ir.traversal.RecursiveGraphIterator(owner):
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
