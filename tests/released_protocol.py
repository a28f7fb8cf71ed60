"""The study's protocol on a stock model, by itself: nothing here uses gazeheads.

Strips are laid out, tokens given to panels, and attention biased as the released code describes it:
a transformers model with an eager attention of its own, +delta and -delta added to the mask of some
heads, and transformers' own greedy `generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from transformers import (
    AttentionInterface,
    AutoModelForImageTextToText,
    AutoProcessor,
)
from transformers.masking_utils import AttentionMaskInterface, eager_mask

DELTA, HEIGHT, GAP, WHOLE = 10_000.0, 256, 6, 32
Heads = Sequence[tuple[int, int]]


@dataclass
class Plan:
    """What the attention function does at present.

    Attributes:
        heads: (layer, head) pairs.
        panels: positions of every panel's tokens.
        targets: panels, from 0, one after the other.
        every: decode steps until the next target.
        prefill: whether the prompt is steered too.
        decoded: decode passes that have begun.
    """

    heads: Heads = ()
    panels: Sequence[Sequence[int]] = ()
    targets: Sequence[int] = ()
    every: int = 10**9
    prefill: bool = False
    decoded: int = 0
    by_layer: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer, head in self.heads:
            self.by_layer.setdefault(layer, []).append(head)

    def bias(self, layer: int, queries: int, keys: int, heads: int) -> torch.Tensor | None:
        """(heads, 1, keys) what is added to the scores of a pass."""
        if layer == 0 and queries == 1:
            self.decoded += 1
        if layer not in self.by_layer or not (self.prefill or queries == 1):
            return None
        passed = max(0, self.decoded - 1)  # the first decode pass still counts as step 0
        target = self.targets[min(passed // self.every, len(self.targets) - 1)]
        added = torch.zeros(heads, 1, keys)
        for head in self.by_layer[layer]:
            for panel, positions in enumerate(self.panels):
                added[head, 0, list(positions)] = DELTA if panel == target else -DELTA
        return added


PLAN = Plan()


def attention(
    module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float, **_: Any
) -> Any:
    """Eager attention with the plan's bias."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    bias = PLAN.bias(module.layer_idx, query.shape[2], key.shape[2], query.shape[1])
    if bias is not None:
        mask = bias if mask is None else mask + bias
    scores = query @ key.transpose(2, 3) * scaling
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def strip_of(panels: Sequence[Image.Image]) -> tuple[Image.Image, list[int]]:
    """Panels side by side, and their widths in pixels."""
    widths = [
        max(WHOLE, WHOLE * round(int(panel.width * HEIGHT / panel.height) / WHOLE))
        for panel in panels
    ]
    page = Image.new("RGB", (sum(widths), HEIGHT), "white")
    at = 0
    for panel, width in zip(panels, widths, strict=True):
        page.paste(panel.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS), (at, 0))
        at += width
    draw, at = ImageDraw.Draw(page), 0
    for width in widths[:-1]:
        at += width
        draw.rectangle([at - GAP // 2, 0, at + GAP - GAP // 2 - 1, HEIGHT - 1], fill="white")
    return page, widths


def columns_of(widths: Sequence[int], columns: int) -> list[int]:
    """The panel of every column of tokens: the nearest borders, and one column at least."""
    borders = [0]
    for i in range(1, len(widths)):
        nearest = round(columns * sum(widths[:i]) / sum(widths))
        least, most = borders[-1] + 1, columns - (len(widths) - i)
        borders.append(min(max(nearest, least), most))
    borders.append(columns)
    return [i for i in range(len(widths)) for _ in range(borders[i], borders[i + 1])]


class Released:
    """A stock Qwen3-VL model and its processor."""

    def __init__(self, folder: Path) -> None:
        AttentionInterface.register("released_eager", attention)
        AttentionMaskInterface.register("released_eager", eager_mask)
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        self.model.set_attn_implementation({"text_config": "released_eager"})
        self.model.eval()

    def text(
        self,
        panels: Sequence[Image.Image],
        prompt: str,
        heads: Heads,
        targets: Sequence[int],
        tokens: int,
        every: int = 10**9,
        prefill: bool = True,
    ) -> str:
        """A greedy text with the heads pointed at panels (from 0)."""
        global PLAN  # noqa: PLW0603 - the attention function of transformers takes no state
        image, widths = strip_of(panels)
        content = [{"type": "image", "image": image}, {"type": "text", "text": prompt}]
        inputs = self.processor.apply_chat_template(
            [[{"role": "user", "content": content}]],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        (_, rows, columns), merge = inputs["image_grid_thw"][0].tolist(), 2
        own = columns_of(widths, columns // merge) * (rows // merge)
        ids = inputs["input_ids"][0].tolist()
        first = ids.index(self.processor.tokenizer.convert_tokens_to_ids("<|image_pad|>"))
        places = [[first + i for i, p in enumerate(own) if p == k] for k in range(len(widths))]
        PLAN = Plan(heads, places, targets, every, prefill)
        try:
            with torch.no_grad():
                out = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        finally:
            PLAN = Plan()
        new = out[0, inputs["input_ids"].shape[1] :]
        return str(self.processor.tokenizer.decode(new, skip_special_tokens=True)).strip()
