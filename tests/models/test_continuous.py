"""Continuous batching: a text in a changing batch is the text alone, whatever the others do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from gazeheads import GazeheadsError, HeadSet, LiveSteering, Region, Schedule, Steering
from gazeheads.heads import Head
from gazeheads.models.continuous import ContinuousBatch, TextRequest, Token
from gazeheads.models.generate import Decoding
from models.conftest import wrapped

if TYPE_CHECKING:
    from gazeheads.models import VLM

HYBRID_AND_WINDOWED = [
    "qwen3_vl", "gemma3", "qwen3_5", "lfm2_vl", "internvl", "llava_next", "mistral3", "llama4",
]  # fmt: skip
WIDE = Image.effect_noise((150, 100), 90).convert("RGB")
TALL = Image.effect_noise((90, 140), 90).convert("RGB")
LEFT = Region.from_box(0, 0, 75, 100, "left")
RIGHT = Region.from_box(75, 0, 150, 100, "right")
TOP = Region.from_box(0, 0, 90, 70, "top")


def written(batch: ContinuousBatch, texts: dict[TextRequest, list[Token]]) -> None:
    """Writes on until every text has ended."""
    for _ in range(200):
        made = batch.step()
        if not made:
            return
        for request, token in made.items():
            texts[request].append(token)
    raise AssertionError("the texts do not end")


def requests_of(vlm: VLM) -> list[TextRequest]:
    layer = vlm.attention_layers[-1]
    heads = HeadSet.of([(layer, 0), (layer, 2)])
    longer = Decoding(max_new_tokens=9, ignore_eos=True)
    return [
        TextRequest(vlm.encode(WIDE, "what?"), decoding=longer),
        TextRequest(
            vlm.encode(WIDE, "what happens in the picture?"), Steering(heads, LEFT),
            Decoding(max_new_tokens=6, ignore_eos=True), (Head(layer, 0), Head(layer, 1)),
        ),
        TextRequest(
            vlm.encode(TALL, "what?"),
            Steering(heads, Schedule(((0, TOP), (4, None), (6, TOP))), 3.0), longer,
        ),
        TextRequest(vlm.encode(WIDE, "what?"), Steering(heads, RIGHT, mode="within"), longer),
    ]  # fmt: skip


@pytest.mark.parametrize("name", HYBRID_AND_WINDOWED)
def test_rows_that_join_and_leave_write_what_they_write_alone(name: str) -> None:
    vlm = wrapped(name)
    first, second, third, fourth = requests_of(vlm)
    batch = ContinuousBatch(vlm)
    texts: dict[TextRequest, list[Token]] = {}
    texts |= {request: [token] for request, token in batch.join([first, second]).items()}
    for request, token in batch.step().items():
        texts[request].append(token)
    for request, token in batch.step([first]).items():  # the second waits a step
        texts[request].append(token)
    texts |= {request: [token] for request, token in batch.join([third]).items()}
    for request, token in batch.step().items():
        texts[request].append(token)
    texts |= {request: [token] for request, token in batch.join([fourth]).items()}
    written(batch, texts)
    assert len(batch) == 0
    for request in (first, second, third, fourth):
        steering, decoding = request.steering, request.decoding
        alone = vlm.generate(
            (request.inputs, steering), max_new_tokens=decoding.max_new_tokens, ignore_eos=True,
            watch=request.watched or None,
        )[0]  # fmt: skip
        tokens = texts[request]
        assert tuple(token.id for token in tokens) == alone.tokens
        assert tuple(token.region for token in tokens) == alone.steered_to
        assert "".join(token.text for token in tokens) == vlm.tokenizer.decode(
            list(alone.tokens), skip_special_tokens=True
        )
        assert [token.ended for token in tokens] == [None] * (len(tokens) - 1) + ["length"]
        if request.watched:
            assert alone.trace is not None
            seen = np.stack([token.attention for token in tokens if token.attention is not None])
            np.testing.assert_allclose(seen, alone.trace.attention, atol=1e-5)
        else:
            assert all(token.attention is None for token in tokens)


def test_a_steered_row_leaves_the_others_as_they_are(gqa: VLM) -> None:
    """And is itself steered: the test could not fail if nothing were."""
    prompt = gqa.encode(WIDE, "what happens?")
    decoding = Decoding(max_new_tokens=8, ignore_eos=True)
    every = HeadSet.of([(n, h) for n in range(4) for h in range(4)])
    plain = TextRequest(prompt, decoding=decoding)
    steered = TextRequest(prompt, Steering(every, LEFT), decoding)
    batch = ContinuousBatch(gqa)
    texts = {request: [token] for request, token in batch.join([plain, steered]).items()}
    written(batch, texts)
    alone = gqa.generate(prompt, max_new_tokens=8, ignore_eos=True)[0]
    assert tuple(token.id for token in texts[plain]) == alone.tokens
    assert [token.region for token in texts[plain]] == [None] * 8
    assert [token.region for token in texts[steered]] == ["left"] * 8
    assert [t.id for t in texts[steered]] != [t.id for t in texts[plain]]


def test_a_live_target_acts_on_the_next_token_of_its_row_alone(gqa: VLM) -> None:
    prompt = gqa.encode(WIDE, "what happens?")
    decoding = Decoding(max_new_tokens=6, ignore_eos=True)
    live = LiveSteering(HeadSet.of([(1, 0), (3, 2)]), LEFT)
    moved = TextRequest(prompt, live, decoding)
    still = TextRequest(prompt, LiveSteering(HeadSet.of([(1, 0), (3, 2)]), LEFT), decoding)
    batch = ContinuousBatch(gqa)
    texts = {request: [token] for request, token in batch.join([moved, still]).items()}
    texts_of = lambda made: [texts[r].append(t) for r, t in made.items()]  # noqa: E731
    texts_of(batch.step())
    live.move(RIGHT)
    texts_of(batch.step())
    live.move(None)
    texts_of(batch.step())
    assert [token.region for token in texts[moved]] == ["left", "left", "right", None]
    assert [token.region for token in texts[still]] == ["left"] * 4


def test_what_is_sampled_depends_on_the_seed_of_the_row_and_on_nothing_else(gqa: VLM) -> None:
    prompt = gqa.encode(WIDE, "what happens?")

    def request(seed: int) -> TextRequest:
        return TextRequest(prompt, decoding=Decoding(8, True, 1.5, seed=seed, ignore_eos=True))

    def ids(*together: TextRequest) -> list[int]:
        batch = ContinuousBatch(gqa)
        texts = {asked: [token] for asked, token in batch.join(together).items()}
        written(batch, texts)
        return [token.id for token in texts[together[0]]]

    alone = ids(request(3))
    assert alone == ids(request(3), request(4), TextRequest(prompt))
    assert alone != ids(request(4))


def test_a_penalty_reads_the_row_s_own_text_without_padding(gqa: VLM) -> None:
    short, long = gqa.encode(WIDE, "what?"), gqa.encode(WIDE, "what happens in the picture then?")
    penalised = Decoding(8, repetition_penalty=5.0, ignore_eos=True)
    batch = ContinuousBatch(gqa)
    texts = {
        r: [t]
        for r, t in batch.join([TextRequest(long), TextRequest(short, (), penalised)]).items()
    }
    written(batch, texts)
    mine = next(tokens for r, tokens in texts.items() if r.decoding is penalised)
    alone = gqa.generate(short, max_new_tokens=8, repetition_penalty=5.0, ignore_eos=True)[0]
    assert tuple(token.id for token in mine) == alone.tokens


def test_rows_that_leave_free_their_columns(gqa: VLM) -> None:
    decoding = Decoding(max_new_tokens=30, ignore_eos=True)
    long = TextRequest(
        gqa.encode(WIDE, "what happens in this very long question, say?"), (), decoding
    )
    short = TextRequest(gqa.encode(TALL, "what?"), (), decoding)
    batch = ContinuousBatch(gqa)
    batch.join([long, short])
    batch.step()
    (group,) = batch._groups
    assert group.mask.shape == (2, len(long.inputs) + 1)
    batch.leave([long, TextRequest(short.inputs)])  # one that never joined is left out
    (group,) = batch._groups
    assert len(batch) == 1 and group.mask.shape == (1, len(short.inputs) + 1)
    assert bool(group.mask.all()) and group.cache.get_seq_length() == len(short.inputs) + 1
    assert batch.step([long]) == {}
    batch.clear()
    assert len(batch) == 0 and batch.step() == {}


def test_a_request_that_cannot_be_steered_joins_nothing(gqa: VLM) -> None:
    prompt = gqa.encode(WIDE, "what?")
    outside = Region.from_box(500, 500, 600, 600, "outside")
    batch = ContinuousBatch(gqa)
    batch.join([TextRequest(prompt, decoding=Decoding(20, ignore_eos=True))])
    for heads, region in (([(0, 1)], outside), ([(9, 9)], LEFT)):
        with pytest.raises(GazeheadsError):
            batch.join([TextRequest(prompt, Steering(HeadSet.of(heads), region))])
    assert len(batch) == 1 and len(batch.step()) == 1


def test_a_cache_of_an_unknown_kind_is_not_joined(gqa: VLM) -> None:
    from transformers.cache_utils import DynamicCache, DynamicLayer

    from gazeheads.models.caches import can_join

    class OtherLayer(DynamicLayer):
        pass

    known, other = DynamicCache(), DynamicCache()
    for cache in (known, other):
        cache.update(torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4), 0)
    other.layers[0].__class__ = OtherLayer
    assert can_join(known) and not can_join(other) and not can_join(None)
