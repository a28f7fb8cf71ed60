"""Published layouts in native classes, against their arithmetic put together here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import save_file
from tiny_families import make_tokenizer

import gazeheads
from gazeheads import GazeheadsError, HeadSet, Region, Steering

VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 60, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 4, "initializer_range": 0.3, "hidden_act": "gelu_new",
}  # fmt: skip
KINDS = {
    "bunny-phi": (hf.PhiConfig, hf.PhiForCausalLM, {"partial_rotary_factor": 0.5}),
    "bunny-llama": (hf.LlamaConfig, hf.LlamaForCausalLM, {"hidden_act": "silu"}),
    "bunny-qwen2": (hf.Qwen2Config, hf.Qwen2ForCausalLM, {"hidden_act": "silu"}),
}


class Published:
    """A tiny checkpoint in the published layout, and its parts for the reference."""

    def __init__(self, folder: Path, kind: str, room: int = 0, **more: Any) -> None:
        torch.manual_seed(0)
        self.tokenizer = make_tokenizer()
        self.tokenizer.init_kwargs.pop("image_token", None)
        config, model, own = KINDS[kind]
        fields = {**TEXT, **own, "vocab_size": len(self.tokenizer) + room}
        self.text = model(config(**fields)).eval()
        self.vision = hf.SiglipVisionModel(hf.SiglipVisionConfig(**VISION)).eval()
        self.first, self.second = torch.nn.Linear(32, 32), torch.nn.Linear(32, 32)
        for parameter in self.text.parameters():
            if parameter.ndim == 1 and parameter.abs().sum() == 0:
                torch.nn.init.normal_(parameter)  # biases, lm_head's too, must not be lost
        weights = {name: tensor for name, tensor in self.text.state_dict().items()}
        for name, tensor in self.vision.state_dict().items():
            own_name = name.removeprefix("vision_model.")
            weights[f"model.vision_tower.vision_tower.vision_model.{own_name}"] = tensor
        for number, layer in (("0", self.first), ("2", self.second)):
            weights[f"model.mm_projector.{number}.weight"] = layer.weight.data
            weights[f"model.mm_projector.{number}.bias"] = layer.bias.data
        tower = folder.parent / "tower"
        self.vision.config.save_pretrained(tower)
        folder.mkdir()
        save_file({k: v.clone().contiguous() for k, v in weights.items()},
                  folder / "model.safetensors")  # fmt: skip
        told = {
            **fields, "model_type": kind, "mm_projector_type": "mlp2x_gelu",
            "mm_vision_tower": str(tower), "mm_hidden_size": 32, "image_aspect_ratio": "pad",
            "auto_map": {"AutoModelForCausalLM": "modeling_bunny.Bunny"}, **more,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(told))
        (folder / "modeling_bunny.py").write_text("raise SystemExit('remote code was run')")
        self.tokenizer.save_pretrained(folder)

    def logits(self, image: Image.Image, question: str) -> torch.Tensor:
        """The published forward pass: pad, tower, MLP, embeddings in place of <image>."""
        side = max(image.size)
        square = Image.new("RGB", (side, side), (127, 127, 127))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        pixels = hf.SiglipImageProcessor(size={"height": 60, "width": 60})(
            square, return_tensors="pt"
        )["pixel_values"]
        system = (
            "A chat between a curious user and an artificial intelligence assistant. The assistant "
            "gives helpful, detailed, and polite answers to the user's questions."
        )
        before, after = f"{system} USER: ", f"\n{question} ASSISTANT:"
        with torch.no_grad():
            seen = self.vision(pixels, output_hidden_states=True).hidden_states[-2]
            features = self.second(torch.nn.functional.gelu(self.first(seen)))
            parts = [
                self.text.get_input_embeddings()(
                    torch.tensor([self.tokenizer(part, add_special_tokens=False)["input_ids"]])
                )
                for part in (before, after)
            ]
            embedded = torch.cat([parts[0], features, parts[1]], 1)
            return self.text(inputs_embeds=embedded).logits


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("room", [0, 30], ids=["full", "roomy"])
def test_the_native_model_computes_the_published_one(kind: str, room: int, tmp_path: Path) -> None:
    published = Published(tmp_path / "bunny", kind, room)
    vlm = gazeheads.load(tmp_path / "bunny")
    noise = np.random.default_rng(1).integers(0, 255, (4, 9, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((120, 52), Image.Resampling.NEAREST)
    encoded = vlm.encode(image, "what happens?")
    expected = published.logits(image, "what happens?")
    with torch.no_grad():
        ours = vlm.model(**encoded.inputs).logits
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=1e-4)
    # the image lies in the middle of a padded square: 4x4 patches, one row is padding
    known = encoded.tokens.boxes[~np.isnan(encoded.tokens.boxes[:, 0])]
    assert len(encoded.tokens) == 16 and len(known) == 12
    trace = vlm.watch(
        encoded, heads=[(1, 2)], max_new_tokens=2, ignore_eos=True,
        steering=Steering(HeadSet.of([(1, 2)]), Region.from_box(0, 0, 60, 52)),
    )  # fmt: skip
    target = encoded.tokens.indices(Region.from_box(0, 0, 60, 52))
    assert trace.attention[..., target].sum(-1) == pytest.approx(1.0, abs=1e-5)


def test_checkpoints_without_the_unused_last_layer(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    published = Published(tmp_path / "bunny", "bunny-phi")
    file = tmp_path / "bunny" / "model.safetensors"
    kept = {k: v.clone() for k, v in load_file(file).items()}
    weights = {k: v for k, v in kept.items() if ".encoder.layers.2." not in k}
    save_file(weights, file)
    vlm = gazeheads.load(tmp_path / "bunny", fit="squash")
    assert vlm.num_layers == 2
    gone = {k: v for k, v in weights.items() if "layers.1.self_attn.q_proj" not in k}
    save_file(gone, file)
    with pytest.raises(GazeheadsError, match="lacks"):
        gazeheads.load(tmp_path / "bunny")
    assert published.tokenizer is not None


def test_variants_without_a_native_counterpart_are_refused(tmp_path: Path) -> None:
    Published(tmp_path / "bunny", "bunny-phi", use_s2=True)
    with pytest.raises(GazeheadsError, match="no native counterpart"):
        gazeheads.load(tmp_path / "bunny")


class PublishedOvis:
    """A tiny Ovis1.5 in the published layout, and its parts for the reference."""

    def __init__(self, folder: Path, stride: int = 1, **more: Any) -> None:
        torch.manual_seed(0)
        self.tokenizer = make_tokenizer()
        self.stride = stride
        fields = {**TEXT, "hidden_act": "silu", "vocab_size": len(self.tokenizer)}
        self.text = hf.LlamaForCausalLM(hf.LlamaConfig(**fields)).eval()
        self.vision = hf.SiglipVisionModel(hf.SiglipVisionConfig(**VISION)).eval()
        words = 20
        self.head = torch.nn.Sequential(
            torch.nn.Linear(32 * stride**2, words - 2, bias=False), torch.nn.LayerNorm(words - 2)
        )
        torch.nn.init.normal_(self.head[1].bias)
        self.table = torch.randn(words, 32)
        weights = {f"llm.{name}": tensor for name, tensor in self.text.state_dict().items()}
        for name, tensor in self.vision.state_dict().items():
            own_name = name.removeprefix("vision_model.")
            weights[f"visual_tokenizer.backbone.vision_model.{own_name}"] = tensor
        for name, tensor in self.head.state_dict().items():
            weights[f"visual_tokenizer.head.{name}"] = tensor
        weights["vte.weight"] = self.table
        folder.mkdir()
        save_file({k: v.clone().contiguous() for k, v in weights.items()},
                  folder / "model.safetensors")  # fmt: skip
        visual = {
            "model_type": "siglip_visual_tokenizer", "vocab_size": words, "use_indicators": True,
            "tokenize_function": "softmax", "hidden_stride": stride, "hd_booster": None,
            "backbone_config": {"model_type": "siglip_vision_model", **VISION}, **more,
        }  # fmt: skip
        told = {
            "model_type": "ovis", "hidden_size": 32, "visual_tokenizer_config": visual,
            "llm_config": {"model_type": "llama", **fields},
            "auto_map": {"AutoModelForCausalLM": "modeling_ovis.Ovis"},
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps(told))
        (folder / "modeling_ovis.py").write_text("raise SystemExit('remote code was run')")
        self.tokenizer.save_pretrained(folder)

    def encoded_by_the_tower(self, pixels: torch.Tensor) -> torch.Tensor:
        """The encoder's last layer, before the norm that follows it."""
        kept: list[torch.Tensor] = []
        norm = self.vision.get_submodule("post_layernorm")
        hook = norm.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
        self.vision(pixels)
        hook.remove()
        return kept[0]

    def logits(self, image: Image.Image, question: str) -> torch.Tensor:
        side = VISION["image_size"]
        size = [int(edge / max(image.size) * side) for edge in image.size]
        small = hf.SiglipImageProcessor(size={"height": size[1], "width": size[0]})
        square = torch.zeros(1, 3, side, side)
        left, top = (side - size[0]) // 2, (side - size[1]) // 2
        square[:, :, top : top + size[1], left : left + size[0]] = small(
            image, return_tensors="pt"
        )["pixel_values"]
        turn = "<|start_header_id|>{}<|end_header_id|>\n\n"
        system = "You are a helpful and honest multimodal assistant."
        before = f"<|begin_of_text|>{turn.format('system')}{system}<|eot_id|>{turn.format('user')}"
        after = f"\n{question}<|eot_id|>{turn.format('assistant')}"
        with torch.no_grad():
            seen = self.encoded_by_the_tower(square)
            if self.stride == 2:  # 4x4 patches to 2x2 of 4
                seen = seen.reshape(1, 2, 2, 2, 2, 32).transpose(2, 3).reshape(1, 4, 128)
            mixed = torch.softmax(self.head(seen), -1) @ self.table[:-2]
            words = [
                self.text.get_input_embeddings()(
                    torch.tensor([self.tokenizer(part, add_special_tokens=False)["input_ids"]])
                )
                for part in (before, after)
            ]
            start, end = self.table[-2][None, None], self.table[-1][None, None]
            return self.text(
                inputs_embeds=torch.cat([words[0], start, mixed, end, words[1]], 1)
            ).logits


@pytest.mark.parametrize("stride", [1, 2])
def test_ovis15_computes_the_published_model(stride: int, tmp_path: Path) -> None:
    published = PublishedOvis(tmp_path / "ovis", stride)
    vlm = gazeheads.load(tmp_path / "ovis")
    noise = np.random.default_rng(1).integers(0, 255, (4, 9, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((120, 84), Image.Resampling.NEAREST)
    encoded = vlm.encode(image, "what happens?")
    expected = published.logits(image, "what happens?")
    with torch.no_grad():
        ours = vlm.model(**encoded.inputs).logits
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=1e-4)
    assert len(encoded.tokens) == (4 // stride) ** 2
    heads = HeadSet.of([(0, 1), (1, 2)])
    left = Region.from_box(0, 0, 60, 84)
    rows = [(encoded, None), (encoded, Steering(heads, left))]
    plain, steered = vlm.generate(rows, watch=heads, max_new_tokens=3, ignore_eos=True)
    assert max(plain.tokens) < len(published.tokenizer)
    target = encoded.tokens.indices(left)
    assert steered.trace is not None
    assert steered.trace.attention[..., target].sum(-1) == pytest.approx(1.0, abs=1e-5)


def test_ovis_variants_that_are_not_supported(tmp_path: Path) -> None:
    PublishedOvis(tmp_path / "ovis", hd_booster="s2wrapper")
    with pytest.raises(GazeheadsError, match="hd_booster is 's2wrapper'"):
        gazeheads.load(tmp_path / "ovis")
