from __future__ import annotations

import numpy as np
import pytest
import torch
from eager_reference import STATE, Reference, bias_of

from gazeheads import GazeheadsError, GazeTrace, Head, HeadSet, Region, Steering
from gazeheads.attention.install import attention_layers
from gazeheads.regions import ImageTokens
from gazeheads.trace_files import load_trace, save_trace

PROMPT = "what happens in this panel?"
HEADS = HeadSet.of([(2, 3), (0, 1), (2, 0)])
STEPS = 5


@pytest.fixture(scope="module")
def reference(vlm):
    return Reference(vlm)


@pytest.mark.parametrize("steered", [False, True])
def test_rows_equal_the_eager_reference(vlm, reference, strip, steered):
    encoded = vlm.encode(strip.image, PROMPT)
    heads = HeadSet.of([(2, 3), (1, 0)])
    steering = Steering(heads, strip.panel(2), 2.0) if steered else None
    trace = vlm.watch(encoded, heads=HEADS, steering=steering, max_new_tokens=STEPS)
    tokens = vlm.generate((encoded, steering), max_new_tokens=STEPS)[0].tokens
    assert trace.attention.shape == (len(tokens), len(HEADS), len(encoded.tokens))
    biases = [bias_of(vlm, encoded, heads, strip.panel(2), "soft", 2.0, "both")] if steered else []
    reference.logits(encoded, list(tokens[:-1]), biases)
    for step in range(len(tokens)):
        query = len(encoded) - 1 + step
        for i, (layer, head) in enumerate(HEADS):
            row = STATE.weights[layer][0, head, query].numpy()[encoded.tokens.positions]
            assert trace.attention[step, i] == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize("norms", ["value", "output"])
def test_norms_are_those_of_the_value_vectors(vlm, strip, norms):
    encoded = vlm.encode(strip.image, PROMPT)
    values = {}
    layers = attention_layers(vlm.model)

    def keep(module, args, output):
        values[owner[module]] = output.detach()

    owner = {module.v_proj: layer for layer, module in layers.items()}
    handles = [module.register_forward_hook(keep) for module in owner]
    with torch.no_grad():
        vlm.model(**encoded.inputs)
    for handle in handles:
        handle.remove()
    trace = vlm.watch(encoded, heads=HEADS, norms=norms, max_new_tokens=2)
    groups = layers[0].num_key_value_groups
    for i, (layer, head) in enumerate(HEADS):
        size = layers[layer].head_dim
        shared = head // groups
        own = values[layer][0, encoded.tokens.positions, shared * size : (shared + 1) * size]
        if norms == "output":
            own = own @ layers[layer].o_proj.weight[:, head * size : (head + 1) * size].T
        assert trace.norms[i] == pytest.approx(own.norm(dim=-1).detach().numpy(), rel=1e-4)


def test_all_heads_and_no_norms(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPT)
    everything = vlm.watch(encoded, norms="none", max_new_tokens=2)
    assert len(everything.heads) == vlm.num_layers * vlm.num_heads and everything.norms is None
    few = vlm.watch(encoded, heads=HEADS, norms="none", max_new_tokens=2)
    assert everything.of(HEADS).attention == pytest.approx(few.attention, abs=1e-6)
    with pytest.raises(GazeheadsError, match="value norms"):
        few.by_panel(strip)
    with pytest.raises(GazeheadsError, match="not watched"):
        few.of(HeadSet.of([(0, 0)]))
    assert everything.text == "".join(everything.pieces)


def make_trace() -> GazeTrace:
    """Two heads, four tokens in a row of an 80 x 10 image, five steps."""
    tokens = ImageTokens.of_grid([3, 4, 5, 6], (80, 10), 4, 1)
    attention = np.zeros((5, 2, 4))
    for step, token in enumerate([0, 0, 1, 2, 3]):
        attention[step, 0, token] = 0.4
        attention[step, 1, token] = 0.2
        attention[step, 1, 0] += 0.1
    norms = np.array([[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    pieces = ("a dog", " runs", ", ", "a dog", " eats")
    return GazeTrace(attention, norms, (Head(1, 0), Head(2, 1)), tokens, pieces)


def panels(n=4):
    return [Region.from_box(80 / n * i, 0, 80 / n * (i + 1), 10, f"p{i + 1}") for i in range(n)]


def test_by_panel():
    trace = make_trace()
    raw = trace.by_panel(panels(), value_weighted=False, normalise=False)
    assert raw.values[0] == pytest.approx([0.7, 0, 0, 0])
    assert raw.values[3] == pytest.approx([0.1, 0, 0.6, 0])
    weighted = trace.by_panel(panels(), normalise=False)
    assert weighted.values[3] == pytest.approx([0.1, 0, 0.4 * 2 + 0.2, 0])
    shares = trace.by_panel(panels(2))
    assert shares.values.sum(1) == pytest.approx(np.ones(5))
    assert shares.gaze().tolist() == [0, 0, 0, 1, 1]
    assert shares.names == ("p1", "p2")
    with pytest.raises(GazeheadsError, match="no regions"):
        trace.by_panel([])


def test_phrases_and_heatmaps():
    trace = make_trace()
    assert trace.text == "a dog runs, a dog eats"
    assert trace.offsets[1] == (5, 10)
    assert trace.steps_of("dog runs") == range(0, 2)
    assert trace.steps_of("a dog", occurrence=1) == range(3, 4)
    assert trace.by_phrase("eats") == pytest.approx([0.05, 0, 0, 0.3])
    heat = trace.heatmap("eats")
    assert heat.shape == (10, 80) and heat.sum() == pytest.approx(0.35)
    assert heat[:, 60:].sum() == pytest.approx(0.3)
    assert trace.heatmap(0).sum() == pytest.approx(0.35)
    assert trace.heatmap().sum() == pytest.approx(0.35)
    for call in (lambda: trace.steps_of("cat"), lambda: trace.steps_of("a dog", 2)):
        with pytest.raises(GazeheadsError, match="no such phrase"):
            call()
    with pytest.raises(GazeheadsError, match="steps 0"):
        trace.heatmap([7])


def test_the_staircase_is_a_figure(tmp_path):
    figure = make_trace().by_panel(panels()).plot(tmp_path / "stairs.png", "title")
    assert len(figure.axes[0].lines) == 4
    assert (tmp_path / "stairs.png").stat().st_size > 1000
    with pytest.raises(GazeheadsError, match="cannot save"):
        make_trace().by_panel(panels()).plot(tmp_path / "no" / "stairs.png")


def test_a_step_without_image_attention_has_no_shares():
    trace = make_trace()
    trace.attention[2] = 0
    assert trace.by_panel(panels()).values[2].tolist() == [0, 0, 0, 0]


def test_shares_of_regions_that_overlap_and_of_the_rest() -> None:
    tokens = ImageTokens.of_grid(range(4), (40, 10), 4, 1)
    trace = GazeTrace(np.array([[[1.0, 2, 3, 4]]]), np.ones((1, 4)), (Head(0, 0),), tokens, ("x",))
    boxes = [Region.from_box(0, 0, 20, 10, "a"), Region.from_box(10, 0, 30, 10, "b")]
    shares = trace.by_region(boxes)
    assert shares.names == ("a", "b", "elsewhere")
    assert shares.values == pytest.approx(np.array([[0.3, 0.5, 0.4]]))


def test_a_trace_knows_its_picture_and_shows_it_in_a_notebook(vlm, strip) -> None:
    trace = vlm.watch(strip.image, PROMPT, HEADS, max_new_tokens=2)
    assert trace.image is not None and trace.image.size == strip.image.size
    assert "<img" in trace._repr_html_()
    encoded = vlm.watch(vlm.encode(strip.image, PROMPT), heads=HEADS, max_new_tokens=2)
    assert np.array_equal(encoded.attention, trace.attention) and encoded.image is None
    assert "<img" not in encoded._repr_html_()
    with pytest.raises(GazeheadsError, match="does not know its picture"):
        encoded.plot()


def test_traces_are_read_back_as_they_were_written(vlm, strip, tmp_path) -> None:
    trace = vlm.watch(strip.image, PROMPT, HEADS, max_new_tokens=2).without([1])
    back = load_trace(save_trace(trace, tmp_path / "trace.npz"))
    assert np.array_equal(back.attention, trace.attention.astype(np.float32))
    assert (back.heads, back.pieces, back.dropped) == (trace.heads, trace.pieces, (1,))
    assert (back.steered_to, back.tokens.sizes) == (trace.steered_to, trace.tokens.sizes)
    assert np.array_equal(back.tokens.boxes, trace.tokens.boxes, equal_nan=True)
    for content in (b"", b"PK", (tmp_path / "trace.npz").read_bytes()[:200]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(GazeheadsError, match=r"broken\.npz"):
            load_trace(tmp_path / "broken.npz")
    with pytest.raises(GazeheadsError, match="cannot read"):
        load_trace(tmp_path / "none.npz")
