"""Several questions about one image in one sequence, each blind to the others.

The image costs more than a question, so a training sequence holds the image once and then as
many question-answer segments as fit. A segment sees the image prefix and itself only and
starts at the same position, so that to the model each is an ordinary conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from gazeheads.tiny.questions import QA

IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """A batch of packed sequences. B images, S tokens, n answers.

    Attributes:
        input_ids: (B, S) token ids.
        position_ids: (3, B, S) multimodal rotary positions.
        mask: (B, 1, S, S) True where a query may attend to a key.
        targets: (B, S) id of the next token where it belongs to an answer, else -100.
        answer_of: (B, S) number of the answer (row-wise) that a target belongs to, else -1.
        kinds: Per image, the kind of each answer.
        image_mask: (B, S) True at image tokens.
    """

    input_ids: Tensor
    position_ids: Tensor
    mask: Tensor
    targets: Tensor
    answer_of: Tensor
    kinds: tuple[tuple[str, ...], ...]
    image_mask: Tensor


class Packer:
    """Builds packed batches with one tokenizer; the chat template is spelled out in token ids."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        self._encode = lru_cache(maxsize=100_000)(
            lambda text: tuple(tokenizer(text, add_special_tokens=False).input_ids)
        )
        ids = tokenizer.convert_tokens_to_ids
        self.image_token = ids("<|image_pad|>")
        self._pad = ids("<|endoftext|>")
        (self.newline,) = self._encode("\n")
        self._end = ids("<|im_end|>")
        self._before = (*self._encode("<|im_start|>user\n"), ids("<|vision_start|>"))
        self._after = (ids("<|vision_end|>"),)
        self._reply = (self._end, *self._encode("\n<|im_start|>assistant\n"))

    def segment_length(self, qa: QA) -> int:
        """Tokens that one question with its answer takes."""
        return len(self._encode(qa.question)) + len(self._reply) + len(self._encode(qa.answer)) + 1

    def prefix_length(self, grid: tuple[int, int]) -> int:
        """Tokens of the image with what stands around it, for a token grid (rows, columns)."""
        return len(self._before) + grid[0] * grid[1] + len(self._after)

    def pack(self, questions: Sequence[Sequence[QA]], grid: tuple[int, int]) -> Packed:
        """Pack one row per image; all images of a batch have the same token grid."""
        rows = [self._row(qas, grid) for qas in questions]
        length = -(-max(len(row[0]) for row in rows) // 8) * 8
        batch = len(rows)
        ids = np.full((batch, length), self._pad, np.int64)
        positions = np.zeros((3, batch, length), np.int64)
        segments = np.full((batch, length), -1, np.int64)
        targets = np.full((batch, length), IGNORED, np.int64)
        answer_of = np.full((batch, length), -1, np.int64)
        for b, (row_ids, row_positions, row_segments, row_targets, row_answers) in enumerate(rows):
            n = len(row_ids)
            ids[b, :n] = row_ids
            positions[:, b, :n] = row_positions
            segments[b, :n] = row_segments
            targets[b, :n] = row_targets
            answer_of[b, :n] = row_answers
        of_key, of_query = segments[:, None, :], segments[:, :, None]
        allowed = ((of_key == 0) | (of_key == of_query)) & np.tri(length, dtype=bool)
        return Packed(
            torch.from_numpy(ids),
            torch.from_numpy(positions),
            torch.from_numpy(allowed)[:, None],
            torch.from_numpy(targets),
            torch.from_numpy(answer_of),
            tuple(tuple(qa.kind for qa in qas) for qas in questions),
            torch.from_numpy(ids == self.image_token),
        )

    def _row(self, qas: Sequence[QA], grid: tuple[int, int]) -> tuple[np.ndarray, ...]:
        prefix, prefix_positions = self._prefix(grid)
        start = int(prefix_positions.max()) + 1
        ids, positions = [np.array(prefix)], [prefix_positions]
        segments = [np.zeros(len(prefix), np.int64)]
        targets = [np.full(len(prefix), IGNORED)]
        answers = [np.full(len(prefix), -1)]
        for number, qa in enumerate(qas):
            prompt = (*self._encode(qa.question), *self._reply)
            answer = (*self._encode(qa.answer), self._end)
            n = len(prompt) + len(answer)
            target, answer_of = np.full(n, IGNORED), np.full(n, -1)
            target[len(prompt) - 1 : n - 1] = answer
            answer_of[len(prompt) - 1 : n - 1] = number
            ids.append(np.array(prompt + answer))
            positions.append(np.tile(np.arange(start, start + n), (3, 1)))
            segments.append(np.full(n, number + 1))
            targets.append(target)
            answers.append(answer_of)
        return (
            np.concatenate(ids),
            np.concatenate(positions, 1),
            np.concatenate(segments),
            np.concatenate(targets),
            np.concatenate(answers),
        )

    def _prefix(self, grid: tuple[int, int]) -> tuple[tuple[int, ...], np.ndarray]:
        rows, columns = grid
        at = len(self._before)
        row, column = np.divmod(np.arange(rows * columns), columns)
        image = np.stack([np.full(rows * columns, at), at + row, at + column])
        after = at + max(rows, columns) + np.arange(len(self._after))
        positions = np.concatenate(
            [np.tile(np.arange(at), (3, 1)), image, np.tile(after, (3, 1))], axis=1
        )
        ids = self._before + (self.image_token,) * (rows * columns) + self._after
        return ids, positions
