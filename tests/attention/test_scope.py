"""What is inside a `with vlm.steer(...)`: threads, pools, tasks, generators, two models."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
import torch
from transformers import TextIteratorStreamer

from gazeheads import UNSTEERED, GazeheadsError, HeadSet, Steering, wrap
from gazeheads.attention.ambient import NothingSteeredError

PROMPT = "what happens in this panel?"
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 6


@pytest.fixture
def encoded(gqa, strip):
    return gqa.encode(strip.image, PROMPT)


@pytest.fixture
def asked(gqa, encoded):
    """The text of transformers' own generate, as tokens."""

    def ask(**options):
        options = {"max_new_tokens": STEPS, "do_sample": False} | options
        return gqa.model.generate(**encoded.inputs, **options)[0, len(encoded) :].tolist()

    return ask


@pytest.fixture
def texts(gqa, strip, asked):
    """Unsteered, and steered to each of three panels: all different."""
    found = [asked()]
    for panel in (1, 2, 3):
        with gqa.steer(HEADS, strip.panel(panel)):
            found.append(asked())
    assert len({tuple(text) for text in found}) == 4
    return found


def test_a_streaming_thread_is_steered(gqa, strip, encoded, texts):
    streamer = TextIteratorStreamer(gqa.tokenizer, skip_prompt=True, timeout=60)
    options = {**encoded.inputs, "max_new_tokens": STEPS, "do_sample": False, "streamer": streamer}
    with gqa.steer(HEADS, strip.panel(2)):
        thread = threading.Thread(target=gqa.model.generate, kwargs=options)
        thread.start()
        text = "".join(streamer)
        thread.join()
    assert text == gqa.tokenizer.decode(texts[2])


def test_a_handler_that_streams_from_a_thread_is_steered_to_the_end(gqa, strip, encoded, texts):
    """The usual handler of a web demo: a generator, paused at every piece its thread writes."""
    streamer = TextIteratorStreamer(gqa.tokenizer, skip_prompt=True, timeout=60)
    options = {**encoded.inputs, "max_new_tokens": STEPS, "do_sample": False, "streamer": streamer}

    def handler():
        with gqa.steer(HEADS, strip.panel(3)):
            thread = threading.Thread(target=gqa.model.generate, kwargs=options)
            thread.start()
            yield from streamer
            thread.join()

    assert "".join(handler()) == gqa.tokenizer.decode(texts[3])


def test_a_text_begun_inside_stays_steered_when_the_with_ends_before_it(gqa, strip, encoded, texts):
    begun, ended, found = threading.Event(), threading.Event(), []

    def wait(ids, scores):
        begun.set()
        ended.wait()
        return scores

    def work():
        options = {"max_new_tokens": STEPS, "do_sample": False, "logits_processor": [wait]}
        found.append(gqa.model.generate(**encoded.inputs, **options)[0, len(encoded) :].tolist())

    thread = threading.Thread(target=work)
    with gqa.steer(HEADS, strip.panel(2)):
        thread.start()
        begun.wait()
    ended.set()
    thread.join()
    assert found == [texts[2]]


def test_a_cache_filled_inside_is_plain_to_go_on_with_outside(gqa, strip, encoded):
    with gqa.steer(HEADS, strip.panel(1)), torch.no_grad():
        out = gqa.model(**encoded.inputs, use_cache=True)
    token = out.logits[:, -1:].argmax(-1)
    again = copy.deepcopy(out.past_key_values)
    outside = gqa.model(input_ids=token, past_key_values=out.past_key_values).logits
    plain = copy.deepcopy(gqa.model)
    plain.model.rope_deltas = gqa.model.model.rope_deltas
    torch.testing.assert_close(
        outside, plain(input_ids=token, past_key_values=again).logits, atol=1e-5, rtol=0
    )


def test_jobs_of_another_kind_of_pool_are_steered(gqa, strip, asked, texts):
    with ThreadPool(1) as pool:
        assert pool.apply(asked) == texts[0]
        with gqa.steer(HEADS, strip.panel(2)):
            assert pool.apply(asked) == texts[2]
            assert pool.map(lambda _: asked(), [0]) == [texts[2]]


def test_jobs_of_a_pool_are_steered(gqa, strip, asked, texts):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asked).result() == texts[0]  # the worker is older than the `with`
        with gqa.steer(HEADS, strip.panel(2)):
            assert pool.submit(asked).result() == texts[2]
        assert pool.submit(asked).result() == texts[0]


def test_executors_and_tasks_of_a_loop_are_steered(gqa, strip, asked, texts):
    async def task():
        return asked()

    async def main():
        loop = asyncio.get_running_loop()
        with gqa.steer(HEADS, strip.panel(1)):
            found = [
                await loop.run_in_executor(None, asked),
                await asyncio.to_thread(asked),
                await asyncio.create_task(task()),
                await task(),
            ]
        return [*found, await asyncio.to_thread(asked)]

    assert asyncio.run(main()) == [texts[1]] * 4 + [texts[0]]


def test_tasks_that_each_open_their_own_do_not_see_each_other(gqa, strip, asked, texts):
    async def one(panel):
        await asyncio.sleep(0)
        if panel == 0:
            return asked()
        with gqa.steer(HEADS, strip.panel(panel)):
            await asyncio.sleep(0)
            found = asked()
            await asyncio.sleep(0)
            assert asked() == found
        return found

    async def main():
        return await asyncio.gather(*(one(panel) for panel in (0, 1, 2, 3)))

    assert asyncio.run(main()) == texts


def test_a_thread_that_could_be_inside_several_is_refused(gqa, strip, asked):
    opened, done = threading.Barrier(3), threading.Event()

    def elsewhere(panel):
        with contextlib.suppress(NothingSteeredError), gqa.steer(HEADS, strip.panel(panel)):
            opened.wait()
            done.wait()

    threads = [threading.Thread(target=elsewhere, args=(panel,)) for panel in (1, 2)]
    for thread in threads:
        thread.start()
    opened.wait()
    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(asked).exception()
    done.set()
    for thread in threads:
        thread.join()
    assert isinstance(error, GazeheadsError)
    assert "several are open" in str(error) and str(error).count(__file__) == 2


def test_a_thread_of_another_life_is_not_steered(gqa, strip, asked, texts):
    """A thread that was there before the `with` and is nobody's worker has a life of its own."""
    go, found = threading.Event(), []

    def life():
        go.wait()
        found.append(asked())

    thread = threading.Thread(target=life)
    thread.start()
    with gqa.steer(HEADS, strip.panel(1)):
        go.set()
        thread.join()
        assert asked() == texts[1]
    assert found == [texts[0]]


def test_a_paused_generator_does_not_steer_its_caller(gqa, strip, encoded, asked, texts):
    def handler():
        with gqa.steer(HEADS, strip.panel(2)):
            yield asked()
            yield asked()

    it = handler()
    assert next(it) == texts[2]
    assert asked() == texts[0] and gqa.generate(encoded, max_new_tokens=STEPS)[0].steered_to == (
        (None,) * STEPS
    )
    assert next(it) == texts[2]
    it.close()
    assert asked() == texts[0]


def test_a_generator_resumed_in_other_contexts_is_steered_and_ends_cleanly(
    gqa, strip, asked, texts
):
    def handler():
        with gqa.steer(HEADS, strip.panel(3)):
            for _ in range(3):
                yield asked()

    it = handler()
    found = [contextvars.copy_context().run(next, it) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        found.append(pool.submit(next, it).result())
    contextvars.copy_context().run(it.close)
    assert found == [texts[3]] * 3
    assert asked() == texts[0] and not gqa.state.open


def test_a_paused_asynchronous_generator_does_not_steer_its_caller(gqa, strip, asked, texts):
    async def handler():
        with gqa.steer(HEADS, strip.panel(2)):
            yield await asyncio.to_thread(asked)
            yield asked()

    async def main():
        it = handler()
        found = [await anext(it), asked(), await anext(it)]
        await it.aclose()
        return found

    assert asyncio.run(main()) == [texts[2], texts[0], texts[2]]


def test_ones_own_context_manager_around_it_is_in_force(gqa, strip, asked, texts):
    @contextlib.contextmanager
    def looking_at(panel):
        with gqa.steer(HEADS, strip.panel(panel)):
            yield

    with looking_at(1):
        assert asked() == texts[1]
    with contextlib.ExitStack() as stack:
        stack.enter_context(looking_at(2))
        assert asked() == texts[2]
    with contextlib.ExitStack() as stack:
        stack.enter_context(gqa.steer(HEADS, strip.panel(3)))
        assert asked() == texts[3]
    assert asked() == texts[0]


def test_two_models_nested_are_both_steered(gqa, processor, strip, encoded, texts):
    other = wrap(copy.deepcopy(gqa.model), processor, "other")
    assert other.state is not gqa.state
    prompt = other.encode(strip.image, PROMPT)
    options = {"max_new_tokens": STEPS, "do_sample": False}
    with gqa.steer(HEADS, strip.panel(1)), other.steer(HEADS, strip.panel(3)):
        ours = gqa.model.generate(**encoded.inputs, **options)[0, len(encoded) :].tolist()
        theirs = other.model.generate(**prompt.inputs, **options)[0, len(prompt) :].tolist()
    assert (ours, theirs) == (texts[1], texts[3])


def test_a_row_can_be_told_unsteered(gqa, strip, encoded, texts):
    with gqa.steer(HEADS, strip.panel(1)):
        rows = [
            encoded,
            (encoded, UNSTEERED),
            (encoded, ()),
            (encoded, Steering(HEADS, strip.panel(2))),
        ]
        done = [list(row.tokens) for row in gqa.generate(rows, max_new_tokens=STEPS)]
        alone = gqa.generate((encoded, ()), max_new_tokens=STEPS)[0]
        streamed = [p.region for p in gqa.stream(encoded, steering=(), max_new_tokens=2)]
    cut = [
        text[: len(own)]
        for text, own in zip((1, 0, 0, 2), done, strict=True)
        for text in [texts[text]]
    ]
    assert done == cut and list(alone.tokens) == done[1] and streamed == [None, None]
    for wrong in ((encoded, (), ()), (strip.image, ()), (encoded, ["left"])):
        with pytest.raises(GazeheadsError, match="row"):
            gqa.generate(wrong)


def test_inputs_steers_that_prompt_and_no_other(gqa, strip, make_strip, encoded, asked, texts):
    other = gqa.encode(strip.image, "what is it?")
    picture = gqa.encode(make_strip("another", seed=5).image, PROMPT)
    assert picture.ids.tolist() == encoded.ids.tolist()
    plain = [gqa.generate(each, max_new_tokens=STEPS)[0].tokens for each in (other, picture)]
    with gqa.steer(HEADS, strip.panel(2), inputs=encoded):
        assert asked() == texts[2]
        for each, expected in zip((other, picture), plain, strict=True):
            out = gqa.model.generate(**each.inputs, max_new_tokens=STEPS, do_sample=False)
            assert tuple(out[0, len(each) :].tolist()) == expected
            assert gqa.generate(each, max_new_tokens=STEPS)[0].tokens == expected
    with (
        pytest.raises(NothingSteeredError, match="inputs="),
        gqa.steer(HEADS, strip.panel(2), inputs=encoded),
    ):
        gqa.ask(strip.image, "what is it?", max_new_tokens=2)


def test_a_with_that_steers_nothing_says_so(gqa, strip, encoded):
    copied = copy.deepcopy(gqa.model)
    with (
        pytest.raises(NothingSteeredError, match="a copy, a wrapper or another object"),
        gqa.steer(HEADS, strip.panel(1)),
    ):
        copied.generate(**encoded.inputs, max_new_tokens=2)
    with (
        pytest.raises(NothingSteeredError, match="no forward pass"),
        gqa.steer(HEADS, strip.panel(1)),
    ):
        pass
    # an error inside is not hidden behind another
    with pytest.raises(KeyError), gqa.steer(HEADS, strip.panel(1)):
        raise KeyError


def test_an_attention_switched_after_wrapping_is_refused(processor, strip):
    from tiny_models import make_model

    vlm = wrap(make_model(processor, 4, 2), processor)
    vlm.model.set_attn_implementation("eager")
    for call in (
        lambda: vlm.watch(strip.image, PROMPT, HEADS, max_new_tokens=2),
        lambda: vlm.score_regions(strip.image, [PROMPT], strip.regions),
    ):
        with pytest.raises(GazeheadsError, match="switched to 'eager'"):
            call()
    with (
        pytest.raises(GazeheadsError, match="switched to 'eager'"),
        vlm.steer(HEADS, strip.panel(1)),
    ):
        vlm.ask(strip.image, PROMPT, max_new_tokens=2)
    assert vlm.ask(strip.image, PROMPT, max_new_tokens=2)  # plain passes go on


def test_layers_replaced_after_wrapping_are_noticed(processor, strip):
    from tiny_models import make_model
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    vlm = wrap(make_model(processor, 4, 2), processor)
    layer = vlm.model.model.language_model.layers[2].self_attn
    own = type(layer).forward

    def forward(*args, **kwargs):
        kept, layer.config = layer.config, copy.copy(layer.config)
        layer.config._attn_implementation = "sdpa"
        try:
            return own(layer, *args, **kwargs)
        finally:
            layer.config = kept

    assert sdpa_attention_forward is not None
    layer.forward = forward
    with pytest.raises(GazeheadsError, match="only 3 of 4 attention layers"):
        vlm.generate(
            (vlm.encode(strip.image, PROMPT), Steering(HEADS, strip.panel(1))), max_new_tokens=1
        )


def test_a_part_of_the_model_called_by_itself_is_refused(gqa, strip, encoded):
    embeddings = gqa.model.get_input_embeddings()(encoded.inputs["input_ids"])
    with (
        pytest.raises(GazeheadsError, match="called by itself"),
        gqa.steer(HEADS, strip.panel(1)),
    ):
        gqa.model.model.language_model(inputs_embeds=embeddings)


def test_steering_begun_after_the_prompt_was_read_is_refused(gqa, strip, encoded):
    out = gqa.model(**encoded.inputs, use_cache=True)
    token = out.logits[:, -1:].argmax(-1)
    with (
        pytest.raises(GazeheadsError, match="when the prompt is read"),
        gqa.steer(HEADS, strip.panel(1)),
    ):
        gqa.model(input_ids=token, past_key_values=out.past_key_values)
