"""The exported graphs under ONNX Runtime: what the browser engine does, for checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from gazeheads.attention.intervention import Intervention, InterventionAt

FAR = 20_000.0
"""Distance between target, text and the rest of the image when only the target counts: a softmax
gives what is so far below exactly nothing, and half precision still holds twice as much."""


@dataclass(frozen=True, eq=False)
class Exported:
    """One prompt, ready for the graphs.

    Attributes:
        rgba: (R, cell, C, cell, 4) uint8 pixels.
        ids: (S,) tokens.
        positions: (3, 1, S).
        next_position: of the first new token.
    """

    rgba: np.ndarray
    ids: np.ndarray
    positions: np.ndarray
    next_position: int


@dataclass(frozen=True, eq=False)
class Decoded:
    """What came out: tokens, and the logits each was chosen by."""

    tokens: list[int]
    logits: np.ndarray


class Runner:
    """Greedy generation with the exported graphs, on the CPU."""

    def __init__(self, vision: Path, decoder: Path) -> None:
        self._vision = _session(vision)
        self._decoder = _session(decoder)
        inputs = {each.name: each for each in self._decoder.get_inputs()}
        self._flags = tuple(inputs["head_flags"].shape)
        self._past = [each for name, each in inputs.items() if name.startswith("past_")]

    def image(self, rgba: np.ndarray) -> list[np.ndarray]:
        """Image tokens (N, D) and deepstack features (levels, N, D)."""
        found: list[np.ndarray] = self._vision.run(None, {"rgba": rgba})
        return found

    def generate(
        self,
        prompt: Exported,
        tokens: int,
        intervention: InterventionAt = lambda step, decoding: None,
    ) -> Decoded:
        """So many tokens, whatever they are.

        Args:
            prompt: what to answer.
            tokens: how many.
            intervention: what acts, by step; its heads are also those that are watched.
        """
        image, deepstack = self.image(prompt.rgba)
        none = np.zeros(self._flags, np.float32)
        feed: dict[str, Any] = {"image_embeds": image, "deepstack": deepstack, "watch": none}
        for each in self._past:
            kind = np.float16 if each.type == "tensor(float16)" else np.float32
            feed[each.name] = np.zeros((1, each.shape[1], 0, each.shape[3]), kind)
        ids, positions = prompt.ids[None], prompt.positions
        chosen: list[int] = []
        kept = []
        for step in range(tokens):
            acting = intervention(step, step > 0)
            feed |= {"input_ids": ids, "position_ids": positions}
            feed["key_bias"] = key_bias(acting, len(prompt.ids) + step)
            flags = none if acting is None else acting.head_mask.astype(np.float32)
            feed |= {"head_flags": flags, "watch": flags}
            logits, _, *present = self._decoder.run(None, feed)
            feed |= {each.name: cache for each, cache in zip(self._past, present, strict=True)}
            chosen.append(int(logits.argmax()))
            kept.append(logits)
            ids = np.array([[chosen[-1]]], np.int64)
            positions = np.full((3, 1, 1), prompt.next_position + step, np.int64)
        return Decoded(chosen, np.stack(kept))


def key_bias(acting: Intervention | None, keys: int) -> np.ndarray:
    """(keys,) float32: what the graphs add to a steered head's scores."""
    bias = np.zeros(keys, np.float32)
    if acting is None:
        return bias
    sign = acting.key_sign.astype(np.float32)
    strength = FAR if np.isinf(acting.delta) else acting.delta
    bias[: len(sign)] = sign * strength
    return bias - FAR if np.isinf(acting.delta) else bias


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
