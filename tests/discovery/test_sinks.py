"""Sinks are found where they were planted, told apart by kind, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gazeheads import GazeheadsError, HeadSet
from gazeheads.attention.install import attention_layers
from gazeheads.discovery.sinks import find_sinks

HEADS = HeadSet.of([(1, 0), (1, 2), (2, 1)])


@contextmanager
def planted(vlm: Any, token: int, picture: torch.Tensor | None = None) -> Iterator[None]:
    """Makes every query find the key of one image token, on one picture or on all.

    Equal parts are added to all queries and to that key, where the rotary embedding hardly turns
    them, so that it works at any distance.
    """
    layers = attention_layers(vlm.model)
    marker = int(vlm.model.config.image_token_id)
    latest: dict[str, torch.Tensor] = {}

    def read(module: Any, args: Any, kwargs: Any) -> None:
        latest["ids"] = kwargs["input_ids"]

    def see(module: Any, args: Any, kwargs: Any) -> None:
        latest["pixels"] = args[0] if args else kwargs["hidden_states"]

    def shifted(output: torch.Tensor, rows: Any) -> torch.Tensor:
        changed = output.clone()
        size = output.shape[-1]
        for part in (size // 2 - 1, size - 1):
            changed[(*rows, slice(None), part)] += 8.0
        return changed

    def turn_queries(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        return shifted(output, (slice(None), slice(None)))

    def turn_key(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        seen = picture is None or torch.equal(latest["pixels"].float(), picture.float())
        if output.shape[1] == 1 or not seen:
            return output
        columns = [(ids == marker).nonzero()[token].item() for ids in latest["ids"]]
        return shifted(output, (torch.arange(len(columns)), torch.tensor(columns)))

    handles = [
        vlm.model.register_forward_pre_hook(read, with_kwargs=True),
        vlm.model.model.visual.register_forward_pre_hook(see, with_kwargs=True),
    ]
    for layer in {head.layer for head in HEADS}:
        handles.append(layers[layer].q_norm.register_forward_hook(turn_queries))
        handles.append(layers[layer].k_norm.register_forward_hook(turn_key))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def test_a_plain_model_has_no_sinks(vlm: Any, strip: Any) -> None:
    found = find_sinks(vlm, strip.image, HEADS)
    assert len(found) == 0 and "none of the" in found.told()
    assert found.draw.shape == (len(vlm.encode(strip.image, "x").tokens),)


@pytest.mark.parametrize("token", [0, 3])
def test_a_planted_sink_is_found_and_nothing_else(vlm: Any, strip: Any, token: int) -> None:
    encoded = vlm.encode(strip.image, "What is it?")
    with planted(vlm, token):
        trace = vlm.watch(strip.image, "What is it?", HEADS, max_new_tokens=4)
        found = find_sinks(vlm, strip.image, HEADS, trace)
    assert found.tokens.tolist() == [token] and found.placed[token] and not found.bound.any()
    assert found.draw[token] > 5 and "1 by their place" in found.told()
    assert found.queries == 4 + len(trace)
    # what is left is the map without it, and nothing else changed
    kept = trace.without(found.tokens)
    rest = np.delete(np.arange(len(encoded.tokens)), token)
    assert (kept.attention[:, :, token] == 0).all() and kept.dropped == (token,)
    assert np.array_equal(kept.attention[:, :, rest], trace.attention[:, :, rest])


def test_what_draws_on_one_picture_only_is_told_apart(vlm: Any, strip: Any) -> None:
    pixels = vlm.encode(strip.image, "x").inputs["pixel_values"]
    with planted(vlm, 2, pixels):
        found = find_sinks(vlm, strip.image, HEADS)
    assert np.flatnonzero(found.bound).tolist() == [2] and not found.placed.any()
    assert "in this picture" in found.told()


def test_wrong_input_is_refused(vlm: Any, strip: Any) -> None:
    with pytest.raises(GazeheadsError, match="factor must be above 1"):
        find_sinks(vlm, strip.image, HEADS, factor=1)
    other = vlm.watch(Image.new("RGB", (64, 64)), "x", HEADS, max_new_tokens=1)
    with pytest.raises(GazeheadsError, match="image tokens"):
        find_sinks(vlm, strip.image, HEADS, other)
