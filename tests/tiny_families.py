"""A tiny random model of every family with its processor, built offline from config classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from tiny_late import LATE
from tiny_parts import (
    HYBRID,
    VISION,
    Made,
    clip,
    make_tokenizer,
    siglip,
    template,
    text_of,
    token_id,
)  # fmt: skip


def llava() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.CLIPImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    processor = hf.LlavaProcessor(
        pixels, tokenizer, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=template("<image>\n"),
    )  # fmt: skip
    config = hf.LlavaConfig(
        vision_config=clip(), text_config={"model_type": "llama", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<image>"), vision_feature_layer=-2,
    )  # fmt: skip
    return hf.LlavaForConditionalGeneration(config), processor


def vipllava() -> Made:
    _, processor = llava()
    config = hf.VipLlavaConfig(
        vision_config=clip(),
        text_config={"model_type": "llama", **text_of(processor.tokenizer)},
        image_token_index=token_id(processor.tokenizer, "<image>"), vision_feature_layer=[-2, 1],
    )  # fmt: skip
    return hf.VipLlavaForConditionalGeneration(config), processor


def llava_next() -> Made:
    tokenizer = make_tokenizer()
    grid = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]
    pixels = hf.LlavaNextImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=grid
    )
    processor = hf.LlavaNextProcessor(
        pixels, tokenizer, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=template("<image>\n"),
    )  # fmt: skip
    config = hf.LlavaNextConfig(
        vision_config=clip(), text_config={"model_type": "llama", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<image>"), image_grid_pinpoints=grid,
        vision_feature_layer=-2,
    )  # fmt: skip
    return hf.LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> Made:
    tokenizer = make_tokenizer()
    grid = [[60 * r, 60 * c] for r in range(1, 5) for c in range(1, 5)]
    pixels = hf.LlavaOnevisionImageProcessor(
        size={"height": 60, "width": 60}, image_grid_pinpoints=grid
    )
    processor = hf.LlavaOnevisionProcessor(
        pixels, tokenizer, hf.LlavaOnevisionVideoProcessor(), num_image_tokens=16,
        vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_4",
        chat_template=template("<image>\n"),
    )  # fmt: skip
    config = hf.LlavaOnevisionConfig(
        vision_config=siglip(60), text_config={"model_type": "qwen2", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<image>"),
        video_token_id=token_id(tokenizer, "<video>"),
        image_grid_pinpoints=grid, vision_aspect_ratio="anyres_max_4",
    )  # fmt: skip
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def internvl() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.GotOcr2ImageProcessor(
        size={"height": 56, "width": 56}, crop_to_patches=True, max_patches=6
    )
    processor = hf.InternVLProcessor(
        pixels, tokenizer, hf.InternVLVideoProcessor(), image_seq_length=4,
        chat_template=template("<IMG_CONTEXT>\n"),
    )  # fmt: skip
    config = hf.InternVLConfig(
        vision_config={"image_size": [56, 56], "patch_size": [14, 14], **VISION},
        text_config={"model_type": "qwen3", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<IMG_CONTEXT>"), image_seq_length=4,
    )  # fmt: skip
    return hf.InternVLForConditionalGeneration(config), processor


def qianfan_ocr() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.GotOcr2ImageProcessor(
        size={"height": 56, "width": 56}, crop_to_patches=True, max_patches=6
    )
    processor = hf.QianfanOCRProcessor(
        pixels, tokenizer, image_seq_length=4, chat_template=template("<image>\n")
    )
    config = hf.QianfanOCRConfig(
        vision_config={"image_size": [56, 56], "patch_size": [14, 14], **VISION},
        text_config={"model_type": "qwen3", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<IMG_CONTEXT>"), image_seq_length=4,
    )  # fmt: skip
    return hf.QianfanOCRForConditionalGeneration(config), processor


def aya_vision() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.GotOcr2ImageProcessor(
        size={"height": 56, "width": 56}, crop_to_patches=True, max_patches=6
    )
    processor = hf.AyaVisionProcessor(
        pixels, tokenizer, patch_size=14, img_size=56, downsample_factor=2,
        img_patch_token="<IMG_CONTEXT>", start_of_img_token="<img>", end_of_img_token="</img>",
        tile_token="<IMG_COL>", tile_global_token="<global-img>",
        chat_template=template("<image>"),
    )  # fmt: skip
    text = text_of(tokenizer, sliding_window=64, logit_scale=1.0)
    text["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    config = hf.AyaVisionConfig(
        vision_config=siglip(56), text_config={"model_type": "cohere2", **text},
        image_token_index=token_id(tokenizer, "<IMG_CONTEXT>"), downsample_factor=2,
    )  # fmt: skip
    return hf.AyaVisionForConditionalGeneration(config), processor


def ovis2() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.Ovis2ImageProcessor(
        size={"height": 56, "width": 56}, crop_to_patches=True, max_patches=6
    )
    processor = hf.Ovis2Processor(
        pixels, tokenizer, image_seq_length=4, chat_template=template("<image>\n")
    )
    indicators = ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
    config = hf.Ovis2Config(
        vision_config={
            "image_size": 56, "patch_size": 14, "hidden_stride": 2, "vocab_size": 60, **VISION
        },
        text_config={"model_type": "qwen2", **text_of(tokenizer)}, hidden_size=32,
        vocab_size=len(tokenizer), image_token_id=token_id(tokenizer, "<IMG_ATOM>"),
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(indicators),
    )  # fmt: skip
    return hf.Ovis2ForConditionalGeneration(config), processor


def _idefics(pixels: Any, tokenizer: Any) -> dict[str, Any]:
    return {
        "vision_config": {"image_size": 56, "patch_size": 14, **VISION},
        "text_config": {"model_type": "llama", **text_of(tokenizer)},
        "image_token_id": token_id(tokenizer, "<image>"), "scale_factor": 2,
    }  # fmt: skip


def idefics3() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.Idefics3ImageProcessor(
        size={"longest_edge": 168}, max_image_size={"longest_edge": 56}
    )
    processor = hf.Idefics3Processor(
        pixels, tokenizer, image_seq_len=4, chat_template=template("<image>")
    )
    config = hf.Idefics3Config(**_idefics(pixels, tokenizer))
    return hf.Idefics3ForConditionalGeneration(config), processor


def smolvlm() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.SmolVLMImageProcessor(
        size={"longest_edge": 168}, max_image_size={"longest_edge": 56}
    )
    processor = hf.SmolVLMProcessor(
        pixels, tokenizer, hf.SmolVLMVideoProcessor(), image_seq_len=4,
        chat_template=template("<image>"),
    )  # fmt: skip
    config = hf.SmolVLMConfig(**_idefics(pixels, tokenizer))
    return hf.SmolVLMForConditionalGeneration(config), processor


def gemma3() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.Gemma3ImageProcessor(size={"height": 56, "width": 56})
    processor = hf.Gemma3Processor(
        pixels, tokenizer, image_seq_length=4,
        chat_template="{{ bos_token }}" + template("<start_of_image>"),
    )  # fmt: skip
    text = text_of(tokenizer, sliding_window=64, query_pre_attn_scalar=8)
    text["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    config = hf.Gemma3Config(
        vision_config=siglip(56), text_config=text, mm_tokens_per_image=4,
        image_token_id=token_id(tokenizer, "<image>"),
        boi_token_id=token_id(tokenizer, "<start_of_image>"),
        eoi_token_id=token_id(tokenizer, "<end_of_image>"),
    )  # fmt: skip
    return hf.Gemma3ForConditionalGeneration(config), processor


def _paligemma(text: dict[str, Any]) -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.SiglipImageProcessor(size={"height": 56, "width": 56})
    pixels.image_seq_length = 16
    processor = hf.PaliGemmaProcessor(pixels, tokenizer)
    config = hf.PaliGemmaConfig(
        vision_config=siglip(56), text_config={**text_of(tokenizer), **text},
        image_token_id=token_id(tokenizer, "<image>"), projection_dim=32,
    )  # fmt: skip
    return hf.PaliGemmaForConditionalGeneration(config), processor


def paligemma() -> Made:
    return _paligemma({"model_type": "gemma"})


def paligemma2() -> Made:
    return _paligemma({"model_type": "gemma2", "query_pre_attn_scalar": 8, "sliding_window": 64})


def mistral3() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.PixtralImageProcessor(size={"longest_edge": 140}, patch_size=14)
    processor = hf.PixtralProcessor(
        pixels, tokenizer, patch_size=14, spatial_merge_size=2, chat_template=template("[IMG]")
    )
    vision = {"model_type": "pixtral", "image_size": 140, "patch_size": 14, "head_dim": 16}
    config = hf.Mistral3Config(
        vision_config={**VISION, **vision},
        text_config={"model_type": "mistral", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "[IMG]"), spatial_merge_size=2,
    )  # fmt: skip
    return hf.Mistral3ForConditionalGeneration(config), processor


def pixtral() -> Made:
    """Pixtral-12B: a LLaVA with Pixtral's tower, without merging of patches."""
    tokenizer = make_tokenizer()
    pixels = hf.PixtralImageProcessor(size={"longest_edge": 140}, patch_size=14)
    processor = hf.PixtralProcessor(
        pixels, tokenizer, patch_size=14, spatial_merge_size=1, chat_template=template("[IMG]")
    )
    vision = {"model_type": "pixtral", "image_size": 140, "patch_size": 14, "head_dim": 16}
    config = hf.LlavaConfig(
        vision_config={**VISION, **vision},
        text_config={"model_type": "mistral", **text_of(tokenizer)},
        image_token_index=token_id(tokenizer, "[IMG]"), vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )  # fmt: skip
    return hf.LlavaForConditionalGeneration(config), processor


def glm4v() -> Made:
    return _glm("Glm4v", {}, "Glm4v")


def glm4v_moe() -> Made:
    experts = {
        "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "first_k_dense_replace": 1, "partial_rotary_factor": 1.0,
    }  # fmt: skip
    return _glm("Glm4vMoe", experts, "Glm4v")


def glm46v() -> Made:
    return _glm("Glm46V", {"model_type": "glm4v_text"}, "Glm46V")


def glmga() -> Made:
    return _glm("Glmga", {"model_type": "glm4v_text"}, "Glmga")


def glm_ocr() -> Made:
    return _glm("GlmOcr", {}, "Glm46V")


def _glm(kind: str, text: dict[str, Any], parts: str) -> Made:
    tokenizer = make_tokenizer(image_token="<|image|>", video_token="<|video|>")
    size = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 60}
    prompts = "Glm46V" if parts == "Glmga" else parts
    processor = getattr(hf, f"{prompts}Processor")(
        getattr(hf, f"{parts}ImageProcessor")(size=size), tokenizer,
        getattr(hf, f"{parts}VideoProcessor")(),
        chat_template=template("<|begin_of_image|><|image|><|end_of_image|>"),
    )  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    vision_kind = {"model_type": "glm4v_vision"} if kind in ("Glm46V", "Glmga") else {}
    config = getattr(hf, f"{kind}Config")(
        vision_config={
            **vision_kind,
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 32, "image_size": 56, "initializer_range": 0.2,
        },
        text_config={**text_of(tokenizer), "rope_parameters": rope, **text},
        **{
            name: token_id(tokenizer, token) for name, token in {
                "image_token_id": "<|image|>", "video_token_id": "<|video|>",
                "image_start_token_id": "<|begin_of_image|>",
                "image_end_token_id": "<|end_of_image|>",
                "video_start_token_id": "<|begin_of_video|>",
                "video_end_token_id": "<|end_of_video|>",
            }.items()
        },
    )  # fmt: skip
    model = "Glm46V" if kind == "Glmga" else kind
    return getattr(hf, f"{model}ForConditionalGeneration")(config), processor


def _qwen(patch: int) -> tuple[Any, dict[str, Any], dict[str, Any], dict[str, int]]:
    tokenizer = make_tokenizer(image_token="<|image_pad|>", video_token="<|video_pad|>")
    edge = 2 * patch
    geometry = {
        "patch_size": patch, "merge_size": 2, "temporal_patch_size": 2,
        "size": {"shortest_edge": edge * edge, "longest_edge": edge * edge * 60},
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
        "out_hidden_size": 32, "patch_size": patch, "initializer_range": 0.2,
    }  # fmt: skip
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    ids = {name: token_id(tokenizer, token) for name, token in zip(names, tokens, strict=True)}
    return tokenizer, geometry, vision, ids


def _qwen_made(kind: str, patch: int, vision: dict[str, Any], text: dict[str, Any]) -> Made:
    tokenizer, geometry, base, ids = _qwen(patch)
    chat = template("<|vision_start|><|image_pad|><|vision_end|>")
    own = "Qwen2VL" if kind == "Qwen2_5_VL" else kind.removesuffix("Moe")
    own = "Qwen3VL" if kind.startswith("Qwen3_5") else own
    processors = {"Qwen2_5_VL": "Qwen2_5_VLProcessor"}
    video = getattr(hf, f"{own}VideoProcessor")(**geometry)
    processor = getattr(hf, processors.get(kind, f"{own}Processor"))(
        hf.Qwen2VLImageProcessor(**geometry), tokenizer, video, chat_template=chat
    )
    config = getattr(hf, f"{kind}Config")(
        vision_config={**base, **vision}, text_config={**text_of(tokenizer), **text}, **ids
    )
    return getattr(hf, f"{kind}ForConditionalGeneration")(config), processor


def _rope(**more: Any) -> dict[str, Any]:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], **more}
    return {"rope_parameters": rope}


def qwen2_vl() -> Made:
    vision = {"embed_dim": 32, "mlp_ratio": 2}
    made = {"hidden_size": 32, **vision}
    return _qwen_made("Qwen2VL", 14, made, _rope())


def qwen2_5_vl() -> Made:
    return _qwen_made("Qwen2_5_VL", 14, {"fullatt_block_indexes": [1], "window_size": 56}, _rope())


QWEN3 = {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}


def qwen3_vl() -> Made:
    return _qwen_made("Qwen3VL", 16, QWEN3, _rope(mrope_interleaved=True))


def qwen3_vl_moe() -> Made:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    return _qwen_made("Qwen3VLMoe", 16, QWEN3, {**_rope(mrope_interleaved=True), **experts})


def qwen3_5() -> Made:
    vision = {"num_position_embeddings": 64}
    return _qwen_made("Qwen3_5", 16, vision, {**_rope(mrope_interleaved=True), **HYBRID})


def qwen3_5_moe() -> Made:
    vision = {"num_position_embeddings": 64}
    experts = {
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    }  # fmt: skip
    text = {**_rope(mrope_interleaved=True), **HYBRID, **experts}
    return _qwen_made("Qwen3_5Moe", 16, vision, text)


def fast_vlm() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.CLIPImageProcessor(
        size={"shortest_edge": 128}, crop_size={"height": 128, "width": 128}
    )
    processor = hf.LlavaProcessor(
        pixels, tokenizer, patch_size=32, vision_feature_select_strategy="full",
        chat_template=template("<image>\n"),
    )  # fmt: skip
    config = hf.FastVlmConfig(
        vision_config={
            "model_type": "timm_wrapper", "architecture": "fastvit_t8", "do_pooling": True,
            "global_pool": "avg", "hidden_size": 768, "initializer_range": 0.02,
            "model_args": {"inference_mode": True},
        },
        text_config={"model_type": "qwen2", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<image>"),
    )  # fmt: skip
    return hf.FastVlmForConditionalGeneration(config), processor


def molmo2() -> Made:
    tokenizer = make_tokenizer(image_token="<|image|>", video_token="<|video|>")
    pixels = hf.Molmo2ImageProcessor(
        size={"height": 70, "width": 70}, max_crops=6, overlap_margins=[1, 1]
    )
    processor = hf.Molmo2Processor(
        pixels, hf.Molmo2VideoProcessor(), tokenizer, chat_template=template("<|image|>")
    )
    tower = {
        "num_key_value_heads": 2, "head_dim": 16, "hidden_size": 32, "num_attention_heads": 2,
        "intermediate_size": 48, "initializer_range": 0.2,
    }  # fmt: skip
    config = hf.Molmo2Config(
        vision_config={**tower, "num_hidden_layers": 2, "image_size": [70, 70]},
        adapter_config={**tower, "vision_feature_layer": [0, 1], "text_hidden_size": 32},
        text_config={**text_of(tokenizer), "additional_vocab_size": 4, **_rope()},
        **{
            name: token_id(tokenizer, token) for name, token in {
                "image_start_token_id": "<im_start>", "image_end_token_id": "<im_end>",
                "low_res_image_start_token_id": "<low_res_im_start>",
                "image_patch_id": "<im_patch>", "frame_start_token_id": "<frame_start>",
                "frame_end_token_id": "<frame_end>",
            }.items()
        },
    )  # fmt: skip
    return hf.Molmo2ForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], Made]] = {
    make.__name__: make for make in (
        qwen2_vl, qwen2_5_vl, qwen3_vl, qwen3_vl_moe, internvl, llava, llava_next, llava_onevision,
        ovis2, idefics3, smolvlm, gemma3, paligemma, paligemma2, mistral3, glm4v, fast_vlm, molmo2,
        vipllava, qianfan_ocr, aya_vision, qwen3_5, qwen3_5_moe, pixtral, glm4v_moe, glm46v, glmga,
        glm_ocr,
        *LATE,
    )
}  # fmt: skip


def make_family(name: str, seed: int = 0) -> Made:
    """(model, processor); the model's attention is sharper than random weights give."""
    torch.manual_seed(seed)
    model, processor = BUILDERS[name]()
    for parameter, weight in model.named_parameters():
        if parameter.endswith(("q_proj.weight", "k_proj.weight")) and "vision" not in parameter:
            weight.data.mul_(1.5)
        if parameter.endswith("mm_input_projection_weight"):  # zeros when made from a config
            torch.nn.init.normal_(weight, std=0.2)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model.eval(), processor
