"""Every way through the model: caches, chunks, gradients, compilation, wrappers, live changes."""

from __future__ import annotations

import copy
import math
import random
import threading
import time

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from gazeheads import GazeheadsError, HeadSet, LiveSteering, Schedule, Steering, wrap
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.recorder import Recorder
from gazeheads.models.generate import TextPieces
from gazeheads.models.rows import prepare

PROMPT = "what happens in this panel?"
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 6


@pytest.mark.parametrize("cache", ["none", "static", "dynamic"])
def test_any_cache_gives_the_same_steered_text(gqa, strip, cache):
    encoded = gqa.encode(strip.image, PROMPT)
    options = {
        "none": {"use_cache": False},
        "static": {"cache_implementation": "static", "disable_compile": True},
        "dynamic": {},
    }[cache]
    schedule = Schedule(((0, strip.panel(2)), (2, strip.panel(1)), (4, None)))
    for when in ("both", "decode", "prefill"):
        steering = Steering(HEADS, schedule, when=when)
        expected = gqa.generate((encoded, steering), max_new_tokens=STEPS)[0].tokens
        with gqa.steered(steering):
            out = gqa.model.generate(
                **encoded.inputs, max_new_tokens=STEPS, do_sample=False, **options
            )
        assert out[0, len(encoded) :].tolist() == list(expected)


def test_a_live_change_without_a_cache_acts_on_the_next_token_only(gqa, strip):
    """Older queries are read again at every pass: they keep what acted on them."""
    encoded = gqa.encode(strip.image, PROMPT)
    schedule = Schedule(((0, strip.panel(2)), (3, strip.panel(1))))
    expected = gqa.generate((encoded, Steering(HEADS, schedule)), max_new_tokens=STEPS)[0].tokens
    live = LiveSteering(HEADS, strip.panel(2))

    class Moves:
        calls = 0

        def __call__(self, ids, scores):
            self.calls += 1
            if self.calls == 3:
                live.set(region=strip.panel(1))
            return scores

    with gqa.steer(live):
        out = gqa.model.generate(
            **encoded.inputs, max_new_tokens=STEPS, do_sample=False, use_cache=False,
            logits_processor=[Moves()],
        )  # fmt: skip
    assert out[0, len(encoded) :].tolist() == list(expected)


def test_a_checkpoint_that_says_no_cache_works(processor, strip):
    from tiny_models import make_model

    vlm = wrap(make_model(processor, 4, 2), processor)
    encoded = vlm.encode(strip.image, PROMPT)
    steered = (encoded, Steering(HEADS, strip.panel(1)))
    expected = vlm.generate(steered, max_new_tokens=STEPS)[0].tokens
    vlm.model.generation_config.use_cache = False
    vlm.model.config.get_text_config().use_cache = False
    assert vlm.generate(steered, max_new_tokens=STEPS)[0].tokens == expected
    with vlm.steer(HEADS, strip.panel(1)):
        out = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=False)
    assert tuple(out[0, len(encoded) :].tolist()) == expected


def test_a_prompt_read_in_parts_is_refused_with_the_reason(gqa, strip):
    encoded = gqa.encode(strip.image, PROMPT)
    with (
        gqa.steer(HEADS, strip.panel(1)),
        pytest.raises(GazeheadsError, match="prefill_chunk_size"),
    ):
        gqa.model.generate(**encoded.inputs, max_new_tokens=2, prefill_chunk_size=7)


def test_output_attentions_of_a_wrapped_model_are_refused(gqa, strip):
    encoded = gqa.encode(strip.image, PROMPT)
    for call in (gqa.model, gqa.model.model):
        with pytest.raises(GazeheadsError, match=r"vlm\.unwrap"):
            call(**encoded.inputs, output_attentions=True)
    with pytest.raises(GazeheadsError, match=r"vlm\.watch"):
        gqa.model.generate(
            **encoded.inputs, max_new_tokens=2, output_attentions=True,
            return_dict_in_generate=True,
        )  # fmt: skip


def test_unwrapping_undoes_everything(processor, strip):
    from tiny_models import make_model

    model = make_model(processor, 4, 2)
    before = {name: dict(vars(module)) for name, module in model.named_modules()}
    hooks = [len(module._forward_pre_hooks) for module in model.modules()]
    config = model.config.get_text_config()._attn_implementation
    vlm = wrap(model, processor)
    encoded = vlm.encode(strip.image, PROMPT)
    plain = model(**encoded.inputs).logits
    with pytest.raises(GazeheadsError, match="inside"), vlm.steer(HEADS, strip.panel(1)):
        vlm.unwrap()
    assert vlm.unwrap() is model
    assert model.config.get_text_config()._attn_implementation == config
    assert [len(module._forward_pre_hooks) for module in model.modules()] == hooks
    assert {name: set(vars(module)) for name, module in model.named_modules()} == {
        name: set(own) for name, own in before.items()
    }
    assert torch.equal(model(**encoded.inputs).logits, plain)
    model.set_attn_implementation("eager")
    assert len(model(**encoded.inputs, output_attentions=True).attentions) == 4


def test_wrap_runs_the_check_of_load(processor):
    from tiny_models import make_model

    broken = make_model(processor, 4, 2)
    broken.model.visual.config.out_hidden_size = 0
    broken.model.visual.merger.linear_fc2 = torch.nn.Identity()
    with pytest.raises(GazeheadsError, match="does not pass the check"):
        wrap(broken, processor)
    assert wrap(broken, processor, check=False)
    with pytest.raises(GazeheadsError, match="no transformers model"):
        wrap(torch.nn.Linear(1, 1), processor)


@pytest.mark.parametrize("mode", ["hard", "soft", "paper"])
def test_gradients_flow_through_steering_and_recording(processor, strip, mode):
    """The gradient of a steered logit and of a recorded weight, against finite differences."""
    from tiny_models import make_model

    vlm = wrap(make_model(processor, 4, 2).double(), processor, check=False)
    encoded = vlm.encode(strip.image, PROMPT)
    delta = math.inf if mode == "hard" else 1.5
    steering = Steering(HEADS, strip.panel(2), delta, mode)
    layer = vlm.model.model.language_model.layers[1].self_attn.v_proj
    direction = torch.randn(layer.weight.shape, dtype=torch.float64, generator=seeded()) * 0.1

    def value(size: torch.Tensor) -> torch.Tensor:
        batch, _ = prepare(vlm, [(encoded, steering)], None, "none")
        positions = batch.tokens[0].positions
        recorder = Recorder([positions], None)
        acting = steering.on(batch.tokens[0], (4, 4), batch.ids.shape[1])
        plan = ForwardPlan([[acting]], batch.ids.shape[1], recorder)
        weights = {"weight": layer.weight.detach() + size * direction}
        with (
            vlm.state.running(plan),
            torch.nn.utils.stateless._reparametrize_module(layer, weights),
        ):
            inputs = batch.forward_inputs(vlm.family)
            logits = vlm.model(**inputs).logits[0, -1]
        recorded = recorder.tensor()[0]
        return logits[3] + 5 * recorded[8:].square().sum()

    size = torch.zeros((), dtype=torch.float64, requires_grad=True)
    value(size).backward()
    step = 1e-4
    with torch.no_grad():
        change = value(torch.tensor(step)) - value(torch.tensor(-step))
    assert size.grad is not None and abs(float(size.grad)) > 1e-4
    assert float(size.grad) == pytest.approx(float(change) / (2 * step), rel=2e-3)


def seeded():
    return torch.Generator().manual_seed(0)


def test_inputs_get_gradients_inside_with(gqa, strip):
    inputs = dict(gqa.encode(strip.image, PROMPT).inputs)
    inputs["pixel_values"] = inputs["pixel_values"].clone().requires_grad_(True)
    with gqa.steer(HEADS, strip.panel(1)):
        gqa.model(**inputs).logits[0, -1].max().backward()
    assert torch.isfinite(inputs["pixel_values"].grad).all()
    assert inputs["pixel_values"].grad.abs().sum() > 0


def test_gradient_checkpointing_under_steering_is_refused(processor, strip):
    from tiny_models import make_model

    vlm = wrap(make_model(processor, 4, 2), processor)
    encoded = vlm.encode(strip.image, PROMPT)
    vlm.model.gradient_checkpointing_enable()
    vlm.model.train()
    with pytest.raises(GazeheadsError, match="checkpointing"), vlm.steer(HEADS, strip.panel(1)):
        vlm.model(**encoded.inputs)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["before", "after"])
def test_a_compiled_model_is_steered(processor, strip, order):
    from tiny_models import make_model

    torch._dynamo.reset()
    model = make_model(processor, 4, 2)
    compiled = torch.compile(model, backend="eager") if order == "before" else model
    vlm = wrap(compiled, processor, check=False)
    if order == "after":
        compiled = torch.compile(vlm.model, backend="eager")
    encoded = vlm.encode(strip.image, PROMPT)
    with torch.no_grad():
        plain = compiled(**encoded.inputs).logits
        with vlm.steer(HEADS, strip.panel(1)):
            steered = compiled(**encoded.inputs).logits
            expected = vlm.model(**encoded.inputs).logits
        again = compiled(**encoded.inputs).logits
    torch.testing.assert_close(steered, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(plain, again, atol=1e-5, rtol=0)
    assert (steered - plain).abs().max() > 0.01


def test_adapters_around_a_model_are_steered(processor, strip):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    from tiny_models import make_model

    settings = peft.LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|v_proj)")
    adapted = peft.get_peft_model(make_model(processor, 4, 2), settings).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:  # a fresh adapter changes nothing
            torch.nn.init.normal_(parameter, std=0.3, generator=seeded())
    vlm = wrap(adapted, processor)
    encoded = vlm.encode(strip.image, PROMPT)
    options = {**encoded.inputs, "max_new_tokens": STEPS, "do_sample": False}
    plain = adapted.generate(**options).tolist()
    with vlm.steer(HEADS, strip.panel(1)):
        theirs = adapted.generate(**options)[0, len(encoded) :].tolist()
        ours = vlm.generate(encoded, max_new_tokens=STEPS)[0].tokens
        adapted(**encoded.inputs)
    assert tuple(theirs) == ours and plain[0][len(encoded) :] != theirs


def test_a_copy_of_a_wrapped_model_is_a_model_of_its_own(gqa, strip):
    encoded = gqa.encode(strip.image, PROMPT)
    copied = copy.deepcopy(gqa.model)
    plain = copied(**encoded.inputs).logits
    assert torch.equal(plain, gqa.model(**encoded.inputs).logits)
    with gqa.steer(HEADS, strip.panel(1)):
        steered = gqa.model(**encoded.inputs).logits
        assert torch.equal(copied(**encoded.inputs).logits, plain)
    assert not torch.equal(steered, plain)


class Counting(TorchFunctionMode):
    """Counts what makes the host wait for the device."""

    WAITS = ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "nonzero")

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in self.WAITS:
            self.calls.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("watch", [None, HEADS, "all"])
def test_a_decode_step_waits_for_the_device_once(gqa, strip, watch):
    """For the token itself; not for every layer, however many are steered and recorded."""
    encoded = gqa.encode(strip.image, PROMPT)
    everything = HeadSet.of([(n, h) for n in range(4) for h in range(4)])
    counts = {}
    for name, steering in {
        "plain": None,
        "hard": Steering(everything, strip.panel(1)),
        "soft": Steering(everything, strip.panel(1), 3.0),
        "paper": Steering(everything, strip.panel(1), mode="paper"),
    }.items():
        batch, plan = prepare(gqa, [(encoded, steering)], watch, "none")
        from gazeheads.models.generate import Decoding, decode

        tokens = decode(
            gqa.family, gqa.model, gqa.state, batch, plan,
            Decoding(max_new_tokens=5, ignore_eos=True), set(), gqa.pad,
        )  # fmt: skip
        next(tokens), next(tokens)
        with Counting() as counting:
            next(tokens), next(tokens)
        counts[name] = len(counting.calls)
    assert set(counts.values()) == {2}, counts


def test_hammered_live_steering_never_breaks_a_text(gqa, strip):
    """Heads, region and strength move fifty times a second from another thread."""
    encoded = gqa.encode(strip.image, PROMPT)
    values = [
        {"heads": heads, "region": region, "delta": delta}
        for heads in (HEADS, HEADS.top(1), HeadSet.of([(0, 1)]))
        for region in (strip.panel(1), strip.panel(3), None)
        for delta in (math.inf, 3.0, -1.0)
    ]
    live, stop = LiveSteering(HEADS, strip.panel(1)), threading.Event()

    def hammer():
        choose = random.Random(0)
        while not stop.is_set():
            live.set(**choose.choice(values))
            time.sleep(0.002)

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        for _ in range(4):
            pieces = list(
                gqa.stream(encoded, steering=live, max_new_tokens=40, ignore_eos=True, watch=HEADS)
            )
            assert len(pieces) == 40
            assert {piece.region for piece in pieces} <= {"panel 1", "panel 3", None}
    finally:
        stop.set()
        thread.join()


def test_live_steering_changes_heads_region_and_strength_at_once(gqa, strip):
    encoded = gqa.encode(strip.image, PROMPT)
    live = LiveSteering(HEADS, strip.panel(1))
    few, target = HeadSet.of([(2, 1), (3, 3)]), strip.panel(3)
    texts, names = "", []
    for step, piece in enumerate(
        gqa.stream(encoded, steering=live, max_new_tokens=STEPS, ignore_eos=True)
    ):
        texts, names = texts + piece.text, [*names, piece.region]
        if step == 1:
            live.set(heads=few, region=target, delta=4.0)
    assert names == ["panel 1"] * 2 + ["panel 3"] * (STEPS - 2)
    first = Steering(HEADS, Schedule(((0, strip.panel(1)), (2, None))))
    then = Steering(few, Schedule(((0, None), (2, target))), 4.0)
    expected = gqa.generate((encoded, first), max_new_tokens=2, ignore_eos=True)[0]
    # heads that both use would be steered twice: the two stand in for one value only if apart
    both = gqa.generate((encoded, [first, then]), max_new_tokens=STEPS, ignore_eos=True)[0]
    assert both.tokens[:2] == expected.tokens and texts == both.text
    with pytest.raises(GazeheadsError, match="heads, region and delta, not mode"):
        live.set(mode="soft")
    with pytest.raises(GazeheadsError, match="names no heads"):
        gqa.generate((encoded, LiveSteering(region=target)))
    assert np.isfinite(len(texts))


def test_pieces_cost_the_same_however_long_the_text(gqa):
    """A token's piece does not decode the whole text again, and no half character is lost."""
    tokens = gqa.tokenizer("naïve café 🦊 what happens " * 3)["input_ids"]

    class Counted:
        def __init__(self):
            self.backend_tokenizer, self.decoded = None, []

        def decode(self, ids, skip_special_tokens):
            self.decoded.append(len(ids))
            return gqa.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    slow = Counted()
    for tokenizer in (gqa.tokenizer, slow):
        texts = TextPieces(tokenizer)
        whole = "".join(texts.push(token) for token in tokens) + texts.rest()
        assert whole == gqa.tokenizer.decode(tokens)
        half = TextPieces(tokenizer)
        cut = tokens[: tokens.index(gqa.tokenizer("🦊")["input_ids"][-1]) - 1]
        ends = "".join(half.push(token) for token in cut) + half.rest()
        assert ends == gqa.tokenizer.decode(cut)
    assert max(slow.decoded) < 12
