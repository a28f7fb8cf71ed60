"""Last-row attention per region for many questions: vision once, common prefix once, one batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from gazeheads.attention.plan import plain_plan
from gazeheads.attention.recorder import Recorder
from gazeheads.errors import GazeheadsError
from gazeheads.models.batch import left_pad, make_batch
from gazeheads.models.inputs import Inputs
from gazeheads.region_reading import region_of
from gazeheads.regions import ImageTokens, Region, Rule

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

logger = logging.getLogger("gazeheads")
Item = TypeVar("Item")
Result = TypeVar("Result")


class ScoringError(GazeheadsError):
    """Questions that cannot be scored."""


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions about one image and the regions to sum attention over.

    Attributes:
        prompts: encoded, all with the same image.
        regions: of that image.
    """

    prompts: tuple[Inputs, ...]
    regions: tuple[Region, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(region_of(each) for each in self.regions))


def score(vlm: VLM, strips: Sequence[Questions], rule: Rule) -> list[np.ndarray]:
    """(Q, L, H, R) attention mass of the last prompt token per strip, all strips in one batch.

    Raises:
        ScoringError: nothing to score, or steering is in force.
    """
    if vlm.state.surrounding():
        raise ScoringError("scores are of the plain model: take them outside `with vlm.steer(...)`")
    if not all(strip.prompts and strip.regions for strip in strips):
        raise ScoringError("scoring needs at least one question and one region")
    counts = [len(strip.prompts) for strip in strips]
    groups = [_groups(s.prompts[0].tokens, s.regions, rule) for s in strips]
    lengths = [_prefix(strip.prompts) for strip in strips]
    shared = vlm.family.shares_prefix and all(length > 0 for length in lengths)
    if shared and _seen_whole(vlm.text_config, strips, lengths):
        mass = _score_shared(vlm, strips, groups, lengths)
    else:
        mass = _score_whole(vlm, strips, groups)
    attending = mass.reshape(len(mass), len(vlm.attention_layers), vlm.num_heads, -1)
    # layers without heads, as hybrid models have, look nowhere
    mass = np.zeros((len(attending), vlm.num_layers, *attending.shape[2:]), dtype=attending.dtype)
    mass[:, list(vlm.attention_layers)] = attending
    ends = np.cumsum([0, *counts])
    return [
        mass[a:b, ..., : len(strip.regions)]
        for a, b, strip in zip(ends, ends[1:], strips, strict=False)
    ]


def _seen_whole(text: Any, strips: Sequence[Questions], lengths: Sequence[int]) -> bool:
    """Whether a sliding window holds every row, with the padding between prefix and tail.

    A window counts keys, padding among them: a row longer than it would see fewer tokens of its
    prompt than the same prompt does alone.
    """
    kinds = getattr(text, "layer_types", None) or ("sliding_attention", "chunked_attention")
    windows = [
        getattr(text, name, None)
        for kind, name in (("sliding", "sliding_window"), ("chunked", "attention_chunk_size"))
        if any(kind in each for each in kinds)
    ]
    tails = [
        len(prompt) - length
        for strip, length in zip(strips, lengths, strict=True)
        for prompt in strip.prompts
    ]
    return all(window is None or max(lengths) + max(tails) <= window for window in windows)


def _groups(tokens: ImageTokens, regions: Sequence[Region], rule: Rule) -> np.ndarray:
    """(T, R) 1 where a token belongs to a region."""
    table = np.zeros((len(tokens), len(regions)), dtype=np.float32)
    for i, region in enumerate(regions):
        table[tokens.indices(region, rule), i] = 1.0
    return table


def _prefix(prompts: Sequence[Inputs]) -> int:
    """Length of the prefix the prompts share, image included; 0 if the image is not in it."""
    shortest = min(len(prompt) for prompt in prompts)
    rows = torch.stack([prompt.ids[:shortest] for prompt in prompts])
    same = (rows == rows[0]).all(0).int().cumprod(0).sum()
    # the last token is the one whose attention is asked for, so it is never in the prefix
    length = min(int(same), shortest - 1)
    return length if length > int(prompts[0].tokens.positions.max()) else 0


def _padded_groups(groups: Sequence[np.ndarray], counts: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Each strip's table once per question, all of the same number of regions."""
    most = max(table.shape[1] for table in groups)
    wide = [np.pad(table, ((0, 0), (0, most - table.shape[1]))) for table in groups]
    return tuple(table for table, n in zip(wide, counts, strict=True) for _ in range(n))


def _score_shared(
    vlm: VLM, strips: Sequence[Questions], groups: Sequence[np.ndarray], lengths: Sequence[int]
) -> np.ndarray:
    """(rows, L * H, R), with one prefill of each strip's prefix."""
    counts = [len(strip.prompts) for strip in strips]
    first = [strip.prompts[0] for strip in strips]
    with torch.no_grad():
        prefix = make_batch(vlm.family, vlm.model, first, vlm.pad, vlm.device, lengths)
    with torch.no_grad(), vlm.state.running(None, padded=True):
        out = vlm.model(**prefix.forward_inputs(vlm.family), use_cache=True, logits_to_keep=1)
    cache = out.past_key_values
    owner = torch.tensor([i for i, n in enumerate(counts) for _ in range(n)], device=vlm.device)
    cache.batch_select_indices(owner)
    tails = [
        prompt.ids[length:]
        for strip, length in zip(strips, lengths, strict=True)
        for prompt in strip.prompts
    ]
    ids, tail_mask = (x.to(vlm.device) for x in left_pad(tails, vlm.pad))
    mask = torch.cat([prefix.mask[owner], tail_mask], 1)
    # padding may stand between prefix and tail, so positions are counted, not left to the model
    plain_positions = prefix.following[owner, None] + (tail_mask.cumsum(-1) - 1).clamp(min=0)
    recorder = Recorder(
        tuple(prefix.tokens[i].positions for i in owner.tolist()),
        groups=_padded_groups(groups, counts),
        when="prefill",
    )
    plan = plain_plan(len(ids), mask.shape[1], recorder)
    extra = {name: torch.zeros_like(ids) for name in prefix.extra}
    with torch.no_grad(), vlm.state.running(plan, padded=True):
        vlm.model(
            input_ids=ids,
            attention_mask=None if bool(mask.all()) else mask,
            position_ids=vlm.family.next_positions(plain_positions),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **extra,
        )
    values: np.ndarray = recorder.attention()[0]
    return values


def _score_whole(vlm: VLM, strips: Sequence[Questions], groups: Sequence[np.ndarray]) -> np.ndarray:
    """(rows, L * H, R), every prompt prefilled whole, for prompts that share no prefix."""
    rows = [prompt for strip in strips for prompt in strip.prompts]
    with torch.no_grad():
        batch = make_batch(vlm.family, vlm.model, rows, vlm.pad, vlm.device)
    recorder = Recorder(
        tuple(tokens.positions for tokens in batch.tokens),
        groups=_padded_groups(groups, [len(strip.prompts) for strip in strips]),
        when="prefill",
    )
    plan = plain_plan(len(rows), batch.ids.shape[1], recorder)
    with torch.no_grad(), vlm.state.running(plan, padded=True):
        vlm.model(**batch.forward_inputs(vlm.family), use_cache=False, logits_to_keep=1)
    values: np.ndarray = recorder.attention()[0]
    return values


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device or the machine has no memory left."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(part in text for part in ("out of memory", "not enough memory", "can't allocate"))
    )


def halving(
    work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], batch: int
) -> list[Result]:
    """Applies `work` to batches of items, halving the batch whenever memory runs out.

    Raises:
        ScoringError: even one item does not fit.
    """
    results: list[Result] = []
    while len(results) < len(items):
        part = items[len(results) : len(results) + batch]
        try:
            results += work(part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(part) == 1:
                raise ScoringError(
                    "out of memory with a batch of 1: use a smaller image, model or dtype"
                ) from error
            batch = len(part) // 2
            logger.warning("out of memory with %d at once; going on with %d", len(part), batch)
        else:
            continue
        # outside the except block, so that the failed pass's tensors are free to go
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return results
