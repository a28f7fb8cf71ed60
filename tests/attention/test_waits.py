"""The host waits for the device once per step, for its tokens, and never inside a pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from waits import Waits, no_copies, on_a_pretended_gpu

from gazeheads import HeadSet, LiveSteering, Steering
from gazeheads.attention.function import STATE, gaze_attention
from gazeheads.attention.intervention import Intervention
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.recorder import Recorder
from gazeheads.heads import Head
from gazeheads.models.continuous import ContinuousBatch, TextRequest
from gazeheads.models.generate import Decoding, decode
from gazeheads.models.rows import prepare

HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
PROMPT = 10


class State:
    """Says which plan a pass runs under; nothing else is asked of it here."""

    def __init__(self, plan: ForwardPlan) -> None:
        self.plan = plan

    def consult(self) -> ForwardPlan:
        return self.plan


def layer_of(plan: ForwardPlan) -> torch.nn.Module:
    layer = torch.nn.Module()
    layer.layer_idx, layer.num_key_value_groups, layer.is_causal = 1, 2, True
    layer.__dict__[STATE] = State(plan)
    return layer


def tensors(queries: int, keys: int) -> tuple[torch.Tensor, ...]:
    query = torch.empty(2, 4, queries, 8, device="cuda")
    key, value = (torch.empty(2, 2, keys, 8, device="cuda") for _ in range(2))
    return query, key, value


def plan_of(mode: str, delta: float, watched: tuple[Head, ...] | None) -> ForwardPlan:
    acting = [
        Intervention.of(HEADS, (4, 4), np.arange(3, 3 + n), np.array([7]), PROMPT, delta, mode)
        for n in (2, 3)
    ]
    recorder = Recorder([np.arange(3, 8)] * 2, watched)
    return ForwardPlan([[lambda step, decoding, i=i: i] for i in acting], PROMPT, recorder)


@pytest.mark.parametrize("watched", [None, (Head(1, 1), Head(1, 3))])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("mode", "delta"), [("hard", np.inf), ("soft", 3.0), ("paper", 10.0), ("within", 2.0)]
)
def test_the_attention_function_reads_nothing_and_copies_nothing(mode, delta, padded, watched):
    plan = plan_of(mode, delta, watched)
    layer = layer_of(plan)
    with on_a_pretended_gpu(), torch.no_grad():
        for past, queries in ((0, PROMPT), (PROMPT, 1), (PROMPT + 1, 1)):
            plan.begin(past, queries, 2)
            keys = past + queries
            mask = torch.ones(2, 1, queries, keys, dtype=torch.bool, device="cuda")
            call = (layer, *tensors(queries, keys), mask if padded else None)
            out, _ = gaze_attention(*call)  # the first pass under a plan brings it to the device
            with no_copies():
                again, _ = gaze_attention(*call)
            assert again.device.type == "cuda"
            assert again.shape == out.shape == (2, queries, 4, 8)


def test_the_pretended_gpu_would_tell():
    with on_a_pretended_gpu():
        scores = torch.empty(3, device="cuda")
        for read in (scores.tolist, lambda: bool(scores.any()), lambda: scores[scores > 0]):
            with pytest.raises(Exception, match=r"_local_scalar_dense|nonzero"):
                read()
        with no_copies(), pytest.raises(AssertionError, match="copies between"):
            torch.zeros(3).to("cuda")


def test_waits_are_counted():
    numbers = torch.arange(3.0)
    with Waits() as waits:
        numbers.tolist()
        numbers[[0, 1]]
        numbers[numbers > 1]
        torch.tensor([1])
        numbers[torch.arange(2)]  # no wait
    found = [what for what, _ in waits.seen]
    assert found == ["tolist", "__getitem__", "__getitem__", "tensor"]


@pytest.mark.parametrize("padded", [False, True])
def test_a_decode_step_waits_for_its_tokens_alone(gqa, strip, padded):
    live = LiveSteering(HEADS, strip.panel(1), delta=3.0)
    prompts = ["what happens?", "what is it?" if padded else "what happens?"]
    rows = [(gqa.encode(strip.image, prompt), live) for prompt in prompts]
    batch, plan = prepare(gqa, rows, None, "none")
    decoding = Decoding(max_new_tokens=9, ignore_eos=True)
    steps = decode(gqa.family, gqa.model, gqa.state, batch, plan, decoding, gqa.stops, gqa.pad)
    next(steps), next(steps)
    for step in range(6):
        if step == 3:
            live.move(strip.panel(2))
        with Waits() as waits:
            next(steps)
        assert [what for what, _ in waits.seen] == ["tolist"], waits.seen


@pytest.mark.parametrize("sampled", [False, True])
def test_a_step_of_many_texts_waits_for_their_tokens_alone(gqa, strip, sampled):
    def request(prompt: str, panel: int, heads: list[tuple[int, int]]) -> TextRequest:
        options = {"do_sample": True, "repetition_penalty": 1.2} if sampled else {}
        return TextRequest(
            gqa.encode(strip.image, prompt),
            Steering(HeadSet.of(heads), strip.panel(panel)),
            Decoding(max_new_tokens=30, ignore_eos=True, **options),
        )

    batch = ContinuousBatch(gqa)
    first = [request("what?", 1, [(1, 0)]), request("what happens here?", 2, [(2, 1)])]
    batch.join(first)
    batch.join([request("and in the strip?", 3, [(3, 1)])])
    batch.step(), batch.step()
    with Waits() as waits:
        batch.step(), batch.step()
    assert [what for what, _ in waits.seen] == ["tolist"] * 2, waits.seen
    batch.leave(first[:1])
    batch.step()
    with Waits() as waits:
        batch.step()
    assert [what for what, _ in waits.seen] == ["tolist"], waits.seen
