"""Text heads: how much a head looks at the line of plain text that the question asks about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gazeheads import prompts
from gazeheads.discovery.gaze import DiscoveryError

if TYPE_CHECKING:
    from gazeheads.data.strip import Strip
    from gazeheads.models import VLM

TEXT = "text heads"


def same_length(strips: Sequence[Strip]) -> Sequence[Strip]:
    """The strips.

    Raises:
        DiscoveryError: they do not have equally many panels.
    """
    for strip in strips:
        if len(strip) != len(strips[0]):
            raise DiscoveryError(
                f"strips must have equally many panels: {strips[0].id!r} has {len(strips[0])}, "
                f"{strip.id!r} has {len(strip)}"
            )
    return strips


def lines_of(strip: Strip) -> list[str]:
    """One numbered line per panel, from its first caption.

    Raises:
        DiscoveryError: the strip has no captions.
    """
    if strip.captions is None or not all(strip.captions):
        raise DiscoveryError(
            f"strip {strip.id!r} has no captions to tell it in text with: bring strips with a "
            "captions.jsonl that has a caption for every panel, or drawn ones"
        )
    # a line break inside a caption would make two lines of it
    return [f"{k}. {' '.join(own[0].split())}" for k, own in enumerate(strip.captions, 1)]


def text_matrices(vlm: VLM, lines: Sequence[str]) -> np.ndarray:
    """(L, H, lines, lines) mass from the last prompt token, per line asked about, to each line."""
    import torch  # noqa: PLC0415 - slow to load

    from gazeheads.attention.plan import plain_plan  # noqa: PLC0415 - loads torch
    from gazeheads.attention.recorder import Recorder  # noqa: PLC0415 - loads torch

    count = len(lines)
    found = np.zeros((vlm.num_layers, vlm.num_heads, count, count))
    for k in range(1, count + 1):
        ids, spans = encoded_lines(vlm, lines, prompts.discovery(k, count))
        positions = np.concatenate(spans)
        table = np.zeros((len(positions), count), dtype=np.float32)
        table[np.arange(len(positions)), np.repeat(np.arange(count), [*map(len, spans)])] = 1.0
        recorder = Recorder((positions,), groups=(table,), when="prefill")
        given = torch.tensor([ids], device=vlm.device)
        with torch.no_grad(), vlm.state.running(plain_plan(1, len(ids), recorder)):
            vlm.model(input_ids=given, use_cache=False, logits_to_keep=1)
        mass = recorder.attention()[0].reshape(len(vlm.attention_layers), vlm.num_heads, count)
        found[list(vlm.attention_layers), :, k - 1] = mass
    return found


def encoded_lines(
    vlm: VLM, lines: Sequence[str], question: str
) -> tuple[list[int], list[np.ndarray]]:
    """Token ids of the lines with a question after them, and the tokens of each line.

    A token belongs to the line that holds its first character that is no space.

    Raises:
        DiscoveryError: the tokenizer tells no offsets, or the template changes the lines.
    """
    from gazeheads.models.messages import read, render  # noqa: PLC0415 - loads torch

    told = "\n".join(lines)
    content = [{"type": "text", "text": f"{told}\n\n{question}"}]
    _, conversation = read([], [{"role": "user", "content": content}])
    text = render(vlm.family, vlm.processor, conversation, vlm.encoder.template)
    start = text.find(told)
    if start < 0 or not vlm.tokenizer.is_fast:
        raise DiscoveryError(
            f"the tokens of a line cannot be told apart in the prompts of {vlm.name}: text heads "
            "need a fast tokenizer and a chat template that leaves text as it is"
        )
    bos = vlm.tokenizer.bos_token
    special = not (bos and text.startswith(bos))
    out = vlm.tokenizer(text, return_offsets_mapping=True, add_special_tokens=special)
    firsts = [b - len(text[a:b].lstrip()) if b > a else -1 for a, b in out["offset_mapping"]]
    spans, at = [], start
    for line in lines:
        inside = [i for i, first in enumerate(firsts) if at <= first < at + len(line)]
        spans.append(np.array(inside, dtype=np.int64))
        at += len(line) + 1
    return list(out["input_ids"]), spans
