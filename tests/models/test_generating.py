"""Batches and streams: rows that share a prefill, text token by token."""

from __future__ import annotations

import pytest

from gazeheads import HeadSet, Schedule, Steering
from gazeheads.attention.install import decoder_blocks

PROMPTS = ["what happens in this panel?", "what is it?", "in the strip of this comic: what?"]
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 7


def test_streamed_text_is_the_generated_text(vlm, strip):
    steering = Steering(HEADS, strip.panel(2))
    encoded = vlm.encode(strip.image, PROMPTS[1])
    whole = vlm.generate((encoded, steering), max_new_tokens=STEPS)[0]
    pieces = list(vlm.stream(encoded, steering=steering, watch=HEADS, max_new_tokens=STEPS))
    assert whole.text.startswith("".join(piece.text for piece in pieces))
    assert pieces[0].attention.shape == (len(HEADS), len(encoded.tokens))


def test_batched_rows_equal_the_same_rows_alone(vlm, strip, make_strip):
    other = make_strip("other", panels=5, seed=3)
    rows = []
    for source, prompt, steering in [
        (strip, PROMPTS[0], None),
        (strip, PROMPTS[2], Steering(HEADS, strip.panel(3))),
        (strip, PROMPTS[0], Steering(HEADS, strip.panel(1), 4.0)),
        (other, PROMPTS[1], Steering(HEADS, other.panel(5), mode="paper", when="decode")),
        (other, PROMPTS[2], Steering(HEADS.top(2), Schedule.every(3, [other.panel(1)]))),
    ]:
        rows.append((vlm.encode(source.image, prompt), steering))
    together = vlm.generate(rows, max_new_tokens=STEPS, watch=HEADS)
    for row, generation in zip(rows, together, strict=True):
        alone = vlm.generate(row, max_new_tokens=STEPS, watch=HEADS)[0]
        assert generation.tokens == alone.tokens
        assert generation.steered_to == alone.steered_to
        assert generation.trace.attention == pytest.approx(alone.trace.attention, abs=1e-5)
        assert generation.trace.norms == pytest.approx(alone.trace.norms, abs=1e-4)


def test_an_abandoned_stream_leaves_nothing_behind(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    before = vlm.generate(encoded, max_new_tokens=STEPS)[0].tokens
    stream = vlm.stream(encoded, steering=Steering(HEADS, strip.panel(3)), max_new_tokens=STEPS)
    next(stream)
    assert vlm.generate(encoded, max_new_tokens=STEPS)[0].tokens == before


def test_rows_of_one_prompt_share_a_prefill(vlm, strip):
    """Forked rows give what each row gives alone, whatever layer it is steered from."""
    encoded = vlm.encode(strip.image, PROMPTS[0])
    everything = HeadSet.of([(n, h) for n in range(vlm.num_layers) for h in range(vlm.num_heads)])
    late = HeadSet.of([(3, 0), (3, 2)])
    rows = [
        (encoded, None),
        (encoded, Steering(late, strip.panel(1))),
        (encoded, Steering(everything, strip.panel(3))),
        (encoded, Steering(HeadSet.of([(2, 1)]), strip.panel(2), 4.0)),
        (encoded, Steering(HEADS, strip.panel(2), when="decode")),
        (encoded, [Steering(late, strip.panel(2)), Steering(HeadSet.of([(2, 0)]), strip.panel(1))]),
        (encoded, None),
    ]
    sizes = []
    blocks = decoder_blocks(vlm.model)
    handles = [
        block.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
        for block in blocks.values()
    ]
    together = vlm.generate(rows, max_new_tokens=STEPS, watch="all")
    for handle in handles:
        handle.remove()
    # layers 0 and 1 add vision features, so early rows are there from the start
    assert sizes[: vlm.num_layers] == [2, 2, 4, 5] and set(sizes[vlm.num_layers :]) == {len(rows)}
    for row, ours in zip(rows, together, strict=True):
        alone = vlm.generate(row, max_new_tokens=STEPS, watch="all")[0]
        assert ours.tokens == alone.tokens and ours.steered_to == alone.steered_to
        assert ours.trace.attention == pytest.approx(alone.trace.attention, abs=1e-5)
        assert ours.trace.norms == pytest.approx(alone.trace.norms, abs=1e-4)
