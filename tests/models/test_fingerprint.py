"""Equal weights have equal fingerprints, however they came; any change is another one."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gazeheads.models import VLM, load, wrap
from gazeheads.models import fingerprint as module
from gazeheads.models.fingerprint import BLOCK, fingerprint_of


class Bare(nn.Module):
    """Tensors as a model."""

    config = type("Config", (), {})()

    def __init__(self, **tensors: torch.Tensor) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))


def of(tensor: torch.Tensor) -> str:
    return fingerprint_of(Bare(w=tensor))


def attention(model: Any, layer: int = 1) -> Any:
    return model.model.language_model.layers[layer].self_attn


@pytest.fixture
def fresh(gqa: VLM) -> Any:
    """A model of its own to change."""
    return copy.deepcopy(gqa.model)


def test_a_folder_a_copy_of_it_and_a_wrapped_model_share_it(
    gqa: VLM, model: str, tmp_path: Path
) -> None:
    loaded = load(model, device="cpu", check=False)
    parts = tmp_path / "my-finetune"
    loaded.model.save_pretrained(parts, max_shard_size="20KB")
    loaded.processor.save_pretrained(parts)
    assert len(list(parts.glob("*.safetensors"))) > 1
    again = load(parts, device="cpu", check=False)
    wrapped = wrap(copy.deepcopy(loaded.model), loaded.processor)
    assert {each.fingerprint for each in (loaded, again, wrapped, gqa)} == {gqa.fingerprint}


def test_lossless_precision_makes_no_difference_and_rounding_does(fresh: Any) -> None:
    exact = fingerprint_of(fresh)
    half = copy.deepcopy(fresh).bfloat16()
    rounded = fingerprint_of(half)
    assert rounded != exact
    assert fingerprint_of(copy.deepcopy(half).float()) == rounded
    halves = copy.deepcopy(fresh).half()
    assert fingerprint_of(copy.deepcopy(halves).float()) == fingerprint_of(halves)


@given(
    count=st.integers(0, 3 * BLOCK + 5),
    kind=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    threads=st.integers(1, 4),
)
@settings(max_examples=20)
def test_threads_and_layout_make_no_difference(count: int, kind: torch.dtype, threads: int) -> None:
    numbers = torch.randn(2 * count, generator=torch.Generator().manual_seed(count)).to(kind)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = of(numbers[::2].clone())
        torch.set_num_threads(threads)
        assert of(numbers[::2]) == one == of(numbers[::2].float())
    finally:
        torch.set_num_threads(before)


def test_another_process_finds_the_same() -> None:
    numbers = torch.arange(100_000, dtype=torch.float32) / 7
    text = (
        "import torch; from torch import nn; from gazeheads.models.fingerprint import *\n"
        "m = nn.Module(); m.config = None\n"
        "m.w = nn.Parameter(torch.arange(100_000, dtype=torch.float32) / 7)\n"
        "print(fingerprint_of(m))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == of(numbers)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_the_same(fresh: Any) -> None:
    assert fingerprint_of(fresh) == fingerprint_of(copy.deepcopy(fresh).cuda())


@given(
    shape=st.sampled_from([(1,), (7,), (33, 65), (3, BLOCK), (4, 5, 6)]),
    seed=st.integers(0, 1000),
    data=st.data(),
)
@settings(max_examples=60)
def test_any_changed_or_exchanged_number_changes_it(
    shape: tuple[int, ...], seed: int, data: st.DataObject
) -> None:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    own = of(numbers)
    at = data.draw(st.integers(0, numbers.numel() - 1))
    for change in (
        lambda flat: flat[at].neg_(),
        lambda flat: flat.__setitem__(at, torch.nextafter(flat[at], torch.tensor(9.0))),
        lambda flat: flat.__setitem__(at, 0.0),
        lambda flat: flat.copy_(flat.roll(1)) if flat.numel() > 1 else flat.neg_(),
        lambda flat: flat.copy_(flat.flip(0)) if flat.numel() > 1 else flat.neg_(),
        lambda flat: flat.neg_(),
    ):
        changed = numbers.clone()
        change(changed.view(-1))
        assert of(changed) != own
    assert len(shape) == 1 or of(numbers.reshape(shape[1], -1)) != own


def test_two_sign_flips_do_not_cancel() -> None:
    """Sums modulo a power of two lose what only the highest bits hold."""
    numbers = torch.randn(64).bfloat16()
    seen = {of(numbers)}
    for i in range(63):
        flipped = numbers.clone()
        flipped[i : i + 2].neg_()
        seen.add(of(flipped))
    assert len(seen) == 64


def test_exchanged_tensors_change_it() -> None:
    a, b = torch.randn(8, 8), torch.randn(8, 8)
    assert fingerprint_of(Bare(a=a, b=b)) != fingerprint_of(Bare(a=b, b=a))


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize("head", range(4))
@pytest.mark.parametrize("how", ["no_grad", "data"])
def test_every_ablated_head_is_noticed_and_coming_back_too(
    fresh: Any, layer: int, head: int, how: str
) -> None:
    own = attention(fresh, layer)
    for projection, part in ((own.o_proj, (slice(None), slice(16 * head, 16 * head + 16))),
                             (own.q_proj, slice(16 * head, 16 * head + 16))):  # fmt: skip
        before = fingerprint_of(fresh)
        kept = projection.weight.detach().clone()
        with torch.no_grad():
            target = projection.weight if how == "no_grad" else projection.weight.data
            target[part] = 0
        assert fingerprint_of(fresh, quick=True) != before
        with torch.no_grad():
            projection.weight.copy_(kept)
        assert fingerprint_of(fresh) == before


def test_a_change_of_one_number_of_any_tensor_is_noticed(fresh: Any) -> None:
    seen = {fingerprint_of(fresh)}
    state = fresh.state_dict()
    for tensor in state.values():
        tensor.view(-1)[-1] += 1
        seen.add(fingerprint_of(fresh))
    assert len(seen) == len(state) + 1
    fresh.lm_head.weight.data[7, 7] += 1  # not counted by torch
    assert fingerprint_of(fresh) not in seen


@given(rows=st.integers(1, 3000), columns=st.integers(32, 5000), data=st.data())
@settings(max_examples=200)
def test_samples_meet_every_head_of_a_projection(
    rows: int, columns: int, data: st.DataObject
) -> None:
    heads = data.draw(
        st.sampled_from([h for h in (2, 4, 7, 16, 40, 64, 96) if columns % h == 0] or [1])
    )
    head = data.draw(st.integers(0, heads - 1))
    width = columns // heads
    for turned in (False, True):
        weight = torch.ones(columns, rows) if turned else torch.ones(rows, columns)
        own = module._sampled([weight])
        part = slice(head * width, (head + 1) * width)
        weight[part if turned else (slice(None), part)] = 0
        assert module._sampled([weight]) != own


def test_what_is_known_is_not_computed_again(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", 0)
    own = fingerprint_of(fresh)
    monkeypatch.setattr(module, "_digest_of", lambda tensor: pytest.fail("computed again"))
    assert fingerprint_of(fresh) == own


def test_buffers_count_if_they_are_weights() -> None:
    norm = nn.BatchNorm1d(4)
    norm.config = None  # type: ignore[assignment]
    own = fingerprint_of(norm)
    norm.num_batches_tracked += 1
    norm.register_buffer("table", torch.randn(3), persistent=False)
    assert fingerprint_of(norm) == own
    norm.running_mean += 1
    assert fingerprint_of(norm) != own


def test_tied_and_copied_embeddings_are_one(fresh: Any) -> None:
    apart = fingerprint_of(fresh)
    fresh.lm_head.weight = fresh.get_input_embeddings().weight
    tied = fingerprint_of(fresh)
    fresh.lm_head.weight = nn.Parameter(fresh.get_input_embeddings().weight.detach().clone())
    assert tied == fingerprint_of(fresh) != apart
    with torch.no_grad():
        fresh.lm_head.weight[0, 0] += 1
    assert fingerprint_of(fresh) != tied


def test_a_compiled_model_is_the_same_model(fresh: Any) -> None:
    assert fingerprint_of(torch.compile(fresh)) == fingerprint_of(fresh)


def test_a_quantised_model_says_so(fresh: Any) -> None:
    own = fingerprint_of(fresh)
    fresh.config.quantization_config = {"quant_method": "some-method"}
    fresh.lm_head.weight = nn.Parameter(
        (fresh.lm_head.weight * 100).to(torch.int8), requires_grad=False
    )
    found = fingerprint_of(fresh)
    assert found.endswith("-some-method") and found.split("-")[1] != own.split("-")[1]


def test_weights_that_are_nowhere_are_refused() -> None:
    from gazeheads.errors import GazeheadsError

    with pytest.raises(GazeheadsError, match="not in memory"):
        fingerprint_of(Bare(w=torch.empty(3, device="meta")))


def test_models_of_one_name_and_shape_are_told_apart(
    processor: Any, make_strip: Callable[..., Any]
) -> None:
    from tiny_models import make_model

    from gazeheads import GazeheadsError, discover

    one, other = (wrap(make_model(processor, 4, 2, seed), processor, "model") for seed in (0, 1))
    strip = make_strip("s")
    heads = discover(one, [strip]).top(3)
    with pytest.raises(GazeheadsError) as refused:
        other.steer(heads, strip.panel(1))
    for told in (one.fingerprint, other.fingerprint, "--heads-anyway", "force=True", "forced()"):
        assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(GazeheadsError, match=other.fingerprint):
        other.watch(strip.image, "what?", heads, max_new_tokens=1)
    with one.steer(heads, strip.panel(1)), other.steer(heads, strip.panel(1), force=True):
        for vlm in (one, other):
            vlm.ask(strip.image, "what?", max_new_tokens=1)
    assert len(other.watch(strip.image, "what?", heads.forced(), max_new_tokens=1).heads) == 3


def test_heads_of_a_model_changed_meanwhile_are_refused(
    gqa: VLM, fresh: Any, make_strip: Callable[..., Any]
) -> None:
    from gazeheads import GazeheadsError, discover

    vlm = wrap(fresh, gqa.processor, "mine")
    strip = make_strip("s")
    heads = discover(vlm, [strip]).top(2)
    vlm.steer(heads, strip.panel(1))
    attention(fresh).o_proj.weight.data[:, :16] = 0
    with pytest.raises(GazeheadsError, match="mine"):
        vlm.steer(heads, strip.panel(1))


def adapted(model: Any, name: str = "default", **more: Any) -> Any:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|o_proj)", **more)
    torch.manual_seed(1)
    made = peft.get_peft_model(model, config, adapter_name=name).eval()
    for parameter, weight in made.named_parameters():
        if "lora_B" in parameter:
            nn.init.normal_(weight, std=0.1)
    return made


def test_adapters_that_act_count_and_others_do_not(gqa: VLM) -> None:
    base = gqa.fingerprint
    model = adapted(copy.deepcopy(gqa.model))
    own = fingerprint_of(model)
    assert own != base and own == fingerprint_of(adapted(copy.deepcopy(gqa.model)))
    with model.disable_adapter():
        assert fingerprint_of(model) == base
    assert fingerprint_of(model) == own
    assert fingerprint_of(adapted(copy.deepcopy(gqa.model), lora_alpha=32)) != own
    model.merge_adapter()
    merged = fingerprint_of(model)
    assert merged not in (base, own)
    model.unmerge_adapter()
    unloaded = adapted(copy.deepcopy(gqa.model)).merge_and_unload()
    assert fingerprint_of(unloaded) == merged


def test_of_several_adapters_the_active_one_counts(gqa: VLM) -> None:
    model = adapted(copy.deepcopy(gqa.model))
    one = fingerprint_of(model)
    config = copy.deepcopy(model.peft_config["default"])
    model.add_adapter("second", config)
    assert fingerprint_of(model) == one
    model.set_adapter("second")
    assert fingerprint_of(model) != one
    model.set_adapter("default")
    assert fingerprint_of(model) == one


def test_an_adapter_in_the_model_itself_is_the_same(gqa: VLM) -> None:
    around = adapted(copy.deepcopy(gqa.model))
    inside = copy.deepcopy(gqa.model)
    inside.add_adapter(copy.deepcopy(around.peft_config["default"]), adapter_name="default")
    theirs = {n.removeprefix("base_model.model."): p for n, p in around.named_parameters()}
    with torch.no_grad():
        for name, weight in inside.named_parameters():
            weight.copy_(theirs[name])
    assert fingerprint_of(inside) == fingerprint_of(around)
    inside.disable_adapters()
    assert fingerprint_of(inside) == gqa.fingerprint


def test_modules_saved_with_an_adapter_count(gqa: VLM) -> None:
    model = adapted(copy.deepcopy(gqa.model), modules_to_save=["lm_head"])
    own = fingerprint_of(model)
    with torch.no_grad():
        model.get_output_embeddings().modules_to_save["default"].weight.add_(1)
    assert fingerprint_of(model) != own
    with model.disable_adapter():
        assert fingerprint_of(model) == gqa.fingerprint


def test_weights_that_accelerate_keeps_elsewhere_are_read(fresh: Any, tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    own = fingerprint_of(fresh)
    away = accelerate.cpu_offload(copy.deepcopy(fresh), execution_device="cpu")
    assert next(away.parameters()).is_meta
    assert fingerprint_of(away) == own
