from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Config

import gazeheads
from gazeheads import GazeheadsError, HeadSet, Region, Steering
from gazeheads.attention.install import install

load = import_module("gazeheads.models.load")


@pytest.fixture(scope="module")
def folder(gqa, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "my-model"
    gqa.model.save_pretrained(path)
    gqa.processor.save_pretrained(path)
    return path


def test_a_saved_folder_loads_and_answers_alike(folder, gqa, strip):
    loaded = gazeheads.load(folder)
    assert loaded.name == "my-model" and "4 layers x 4 heads" in repr(loaded)
    assert loaded.model.dtype == torch.float32
    region = strip.panel(2)
    for vlm in (loaded, gazeheads.load(str(folder), dtype="bfloat16")):
        assert isinstance(vlm.ask(strip.image, "what?", max_new_tokens=3), str)
    encoded = gqa.encode(strip.image, "what?")
    heads = gazeheads.HeadSet.of([(1, 1)])
    rows = [(encoded, Steering(heads, region))]
    assert loaded.generate(rows)[0].tokens == gqa.generate(rows)[0].tokens


def test_wrong_models_are_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cases = {
        str(tmp_path / "nothing"): "folder not found",
        "./nothing": "folder not found",
        str(tmp_path): "config.json is missing",
        "no-such-owner/no-such-model": "cannot load",
    }
    for name, text in cases.items():
        with pytest.raises(GazeheadsError, match=text) as caught:
            gazeheads.load(name)
        assert "\n" not in str(caught.value)
    Qwen2Config().save_pretrained(tmp_path)
    with pytest.raises(GazeheadsError, match="not a vision-language model"):
        gazeheads.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(GazeheadsError, match="cannot load"):
        gazeheads.load(tmp_path)


def test_a_folder_without_weights(folder, tmp_path):
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(GazeheadsError, match="cannot load"):
        gazeheads.load(tmp_path)


def test_comic_tiny_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "__file__", str(tmp_path / "models" / "load.py"))
    with pytest.raises(GazeheadsError, match="comic-tiny is not in this installation"):
        gazeheads.load("comic-tiny")


def test_an_unsupported_family():
    class Config:
        model_type = "other_vl"
        vision_config = object()

    with pytest.raises(GazeheadsError, match="qwen3_vl"):
        load.family_of(Config(), "x")


def test_attention_code_of_its_own_is_refused(gqa):
    class Foreign(torch.nn.Module):
        layer_idx = 0
        q_proj = torch.nn.Linear(1, 1)

    class Config:
        num_hidden_layers = 1

        def get_text_config(self):
            return self

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = Config()
            self.attention = Foreign()
            self.attention.config = self.config

    with pytest.raises(GazeheadsError, match="attention code of its own"):
        install(Model())
    model = Model()
    model.config.num_hidden_layers = 2
    with pytest.raises(GazeheadsError, match="attention interface"):
        install(model)


def test_wrapping_twice_keeps_one_hook(gqa):
    hooks = len(gqa.model.base_model._forward_pre_hooks)
    assert hooks == 1
    again = gazeheads.wrap(gqa.model, gqa.processor, "again")
    assert len(gqa.model.base_model._forward_pre_hooks) == hooks
    assert again.state is gqa.state


def test_import_is_light():
    code = (
        "import sys, gazeheads; gazeheads.__version__, gazeheads.Region, gazeheads.HeadScores;"
        "gazeheads.Steering, gazeheads.GazeTrace; dir(gazeheads);"
        "assert not {'torch', 'transformers', 'matplotlib'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        _ = gazeheads.nothing
    for name in gazeheads.__all__:
        assert getattr(gazeheads, name) is not None


def test_qwen2_5_vl(gqa, strip):
    """Other members of the family: patches of 14 and text-only rope dimensions."""
    text = gqa.model.config.text_config
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": text.vocab_size, "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                                "mrope_section": [2, 3, 3]},
        },
        vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": 32, "patch_size": 16, "fullatt_block_indexes": [0],
            "window_size": 64,
        },
        image_token_id=gqa.model.config.image_token_id,
        video_token_id=gqa.model.config.video_token_id,
        vision_start_token_id=gqa.model.config.vision_start_token_id,
        vision_end_token_id=gqa.model.config.vision_end_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    vlm = gazeheads.wrap(Qwen2_5_VLForConditionalGeneration(config).eval(), gqa.processor)
    encoded = vlm.encode(strip.image, "what?")
    ours = vlm.generate(encoded, max_new_tokens=5, ignore_eos=True)[0].tokens
    theirs = vlm.model.generate(**encoded.inputs, max_new_tokens=5, min_new_tokens=5,
                                do_sample=False)  # fmt: skip
    assert list(ours) == theirs[0, len(encoded) :].tolist()
    trace = vlm.watch(
        encoded, steering=Steering(gazeheads.HeadSet.of([(0, 1)]), strip.panel(1)), max_new_tokens=2
    )
    inside = encoded.tokens.indices(strip.panel(1))
    assert trace.attention[:, 1, inside].sum(-1) == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_was_unwrapped_says_so(processor: Any) -> None:
    from tiny_models import make_model

    vlm = gazeheads.wrap(make_model(processor, 4, 2), processor, "mine")
    picture = Image.new("RGB", (96, 32))
    encoded = vlm.encode(picture, "what?")
    vlm.unwrap()
    left = Region.from_box(0, 0, 48, 32)
    for use in (
        lambda: vlm.generate((encoded, Steering(HeadSet.of([(1, 0)]), left)), max_new_tokens=2),
        lambda: vlm.watch(encoded, heads=[(1, 0)], max_new_tokens=2),
    ):
        with pytest.raises(GazeheadsError, match=r"taken off by unwrap.*wrap the model again"):
            use()
