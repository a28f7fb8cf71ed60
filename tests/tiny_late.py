"""Tiny random models of the types that transformers took in late."""

from __future__ import annotations

from typing import Any

import transformers as hf
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


def llava_next_video() -> Made:
    """Asked about images, as LLaVA-NeXT is."""
    tokenizer = make_tokenizer()
    grid = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]
    pixels = hf.LlavaNextImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, image_grid_pinpoints=grid
    )
    processor = hf.LlavaNextVideoProcessor(
        hf.LlavaNextVideoVideoProcessor(), pixels, tokenizer, patch_size=14,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template("<image>\n"),
    )  # fmt: skip
    config = hf.LlavaNextVideoConfig(
        vision_config=clip(), text_config={"model_type": "llama", **text_of(tokenizer)},
        image_token_index=token_id(tokenizer, "<image>"),
        video_token_index=token_id(tokenizer, "<video>"), image_grid_pinpoints=grid,
    )  # fmt: skip
    return hf.LlavaNextVideoForConditionalGeneration(config), processor


def deepseek_vl() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.DeepseekVLImageProcessor(size={"height": 56, "width": 56}, min_size=4)
    processor = hf.DeepseekVLProcessor(
        pixels, tokenizer, chat_template=template("<image>"), num_image_tokens=16
    )
    config = hf.DeepseekVLConfig(
        vision_config=siglip(56), text_config={"model_type": "llama", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<image>"),
    )  # fmt: skip
    return hf.DeepseekVLForConditionalGeneration(config), processor


def cohere2_vision() -> Made:
    tokenizer = make_tokenizer(
        image_token="<image>", boi_token="<img>", eoi_token="</img>",
        img_line_break_token="<line_break>",
    )  # fmt: skip
    pixels = hf.Cohere2VisionImageProcessor(
        size={"height": 56, "width": 56}, max_patches=6, patch_size=2
    )
    processor = hf.Cohere2VisionProcessor(pixels, tokenizer, chat_template=template("<image>"))
    text = text_of(tokenizer, sliding_window=64, logit_scale=1.0)
    text["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    config = hf.Cohere2VisionConfig(
        vision_config=siglip(56), text_config={"model_type": "cohere2", **text},
        image_token_id=token_id(tokenizer, "<image>"), alignment_intermediate_size=64,
    )  # fmt: skip
    return hf.Cohere2VisionForConditionalGeneration(config), processor


def llama4() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.Llama4ImageProcessor(size={"height": 56, "width": 56}, max_patches=6)
    processor = hf.Llama4Processor(
        pixels, tokenizer, patch_size=14, chat_template=template("<|image|>")
    )
    text = text_of(tokenizer)
    text |= {
        "intermediate_size_mlp": 48, "num_local_experts": 4, "interleave_moe_layer_step": 2,
        "attention_chunk_size": 4096, "no_rope_layers": [1, 0, 1],
    }  # fmt: skip
    config = hf.Llama4Config(
        vision_config={
            **VISION, "image_size": 56, "patch_size": 14, "vision_output_dim": 24,
            "projector_input_dim": 24, "projector_output_dim": 24, "intermediate_size": 128,
        },
        text_config=text, image_token_index=token_id(tokenizer, "<|patch|>"),
    )  # fmt: skip
    return hf.Llama4ForConditionalGeneration(config), processor


def lfm2_vl() -> Made:
    """Hybrid: some layers are short convolutions."""
    tokenizer = make_tokenizer(
        image_start_token="<|image_start|>", image_end_token="<|end_of_image|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )  # fmt: skip
    pixels = hf.Lfm2VlImageProcessor(
        encoder_patch_size=14, tile_size=56, max_image_tokens=12, min_image_tokens=4, max_tiles=6,
        size={"height": 56, "width": 56},
    )  # fmt: skip
    processor = hf.Lfm2VlProcessor(pixels, tokenizer, chat_template=template("<image>"))
    text = text_of(tokenizer, num_hidden_layers=5)
    text["layer_types"] = ["conv", "full_attention", "full_attention", "conv", "full_attention"]
    text.pop("head_dim")
    config = hf.Lfm2VlConfig(
        vision_config={
            **VISION, "model_type": "siglip2_vision_model", "patch_size": 14, "num_patches": 16,
            "vision_use_head": False,
        },
        text_config={"model_type": "lfm2", **text}, projector_hidden_size=48,
        image_token_id=token_id(tokenizer, "<image>"),
    )  # fmt: skip
    return hf.Lfm2VlForConditionalGeneration(config), processor


def _gemma_tokens() -> dict[str, str]:
    return {
        "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "audio_token": "<audio>",
        "boa_token": "<start_of_audio>", "eoa_token": "<end_of_audio>",
    }  # fmt: skip


def gemma4() -> Made:
    """Its last layers reuse earlier keys; layers of full attention have wider heads."""
    tokenizer = make_tokenizer(**_gemma_tokens())
    pixels = hf.Gemma4ImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70)
    processor = hf.Gemma4Processor(
        hf.Gemma4AudioFeatureExtractor(), pixels, tokenizer, hf.Gemma4VideoProcessor(),
        chat_template="{{ bos_token }}" + template("<image>"),
    )  # fmt: skip
    text = text_of(
        tokenizer, num_hidden_layers=4, sliding_window=256, vocab_size_per_layer_input=400,
        hidden_size_per_layer_input=8, num_kv_shared_layers=2, global_head_dim=16,
    )  # fmt: skip
    text["layer_types"] = [
        "sliding_attention",
        "full_attention",
        "sliding_attention",
        "full_attention",
    ]
    vision: dict[str, Any] = {
        **VISION, "num_key_value_heads": 2, "head_dim": 16, "patch_size": 4,
        "pooling_kernel_size": 2,
    }  # fmt: skip
    config = hf.Gemma4Config(
        vision_config=vision, text_config=text, audio_config=None,
        **{
            name: token_id(tokenizer, token) for name, token in {
                "image_token_id": "<image>", "video_token_id": "<|video|>",
                "audio_token_id": "<audio>", "boi_token_id": "<start_of_image>",
                "eoi_token_id": "<end_of_image>", "boa_token_id": "<start_of_audio>",
            }.items()
        },
    )  # fmt: skip
    return hf.Gemma4ForConditionalGeneration(config), processor


def gemma3n() -> Made:
    """Its vision tower is convolutional; hidden states have a dimension more than elsewhere."""
    tokenizer = make_tokenizer(**_gemma_tokens())
    pixels = hf.SiglipImageProcessor(size={"height": 64, "width": 64})
    processor = hf.Gemma3nProcessor(
        hf.Gemma3nAudioFeatureExtractor(), pixels, tokenizer, image_seq_length=4,
        chat_template="{{ bos_token }}" + template("<image>"),
    )  # fmt: skip
    text = text_of(
        tokenizer, num_hidden_layers=4, sliding_window=256, num_kv_shared_layers=2, laurel_rank=4,
        vocab_size_per_layer_input=len(tokenizer), hidden_size_per_layer_input=8,
    )  # fmt: skip
    text["layer_types"] = [
        "sliding_attention",
        "full_attention",
        "sliding_attention",
        "full_attention",
    ]
    ids = {
        name: token_id(tokenizer, token) for name, token in {
            "image_token_id": "<image>", "audio_token_id": "<audio>",
            "boi_token_id": "<start_of_image>", "eoi_token_id": "<end_of_image>",
            "boa_token_id": "<start_of_audio>", "eoa_token_id": "<end_of_audio>",
        }.items()
    }  # fmt: skip
    offset = len(tokenizer) - 8
    config = hf.Gemma3nConfig(
        vision_config={
            "architecture": "resnet18", "hidden_size": 512, "vocab_size": 4, "vocab_offset": offset,
        },
        audio_config={
            "hidden_size": 16, "conf_num_hidden_layers": 1, "conf_num_attention_heads": 2,
            "vocab_size": 4, "vocab_offset": offset + 4, "input_feat_size": 32,
            "sscp_conv_channel_size": (4, 4),
        },
        text_config=text, vision_soft_tokens_per_image=4, **ids,
    )  # fmt: skip
    return hf.Gemma3nForConditionalGeneration(config), processor


def janus() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.JanusImageProcessor(size={"height": 56, "width": 56}, min_size=4)
    processor = hf.JanusProcessor(
        pixels, tokenizer, chat_template=template("<image>"), num_image_tokens=16
    )
    vision = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56,
        "patch_size": 14, "mlp_ratio": 2, "projection_dim": 32, "depth": 2,
    }  # fmt: skip
    config = hf.JanusConfig(
        vision_config=vision, text_config={"model_type": "llama", **text_of(tokenizer)},
        vq_config={
            "embed_dim": 4, "num_embeddings": 8, "base_channels": 32, "channel_multiplier": [1, 1],
            "num_res_blocks": 1, "projection_dim": 32, "latent_channels": 32,
            "image_token_embed_dim": 32, "num_patches": 4,
        },
        image_token_id=token_id(tokenizer, "<image>"),
    )  # fmt: skip
    return hf.JanusForConditionalGeneration(config), processor


def minicpmv4_6() -> Made:
    """Hybrid: every other layer keeps a recurrent state instead of keys."""
    return _minicpm("MiniCPMV4_6")


def minicpmv4_7() -> Made:
    marks = {
        "image_start_id": "<img>", "image_end_id": "</img>", "slice_start_id": "<slice>",
        "slice_end_id": "</slice>", "newline_id": "\u010a",
    }  # fmt: skip
    return _minicpm("MiniCPMV4_7", marks)


def minicpm_ocr() -> Made:
    return _minicpm("MiniCPMOcr")


def _minicpm(kind: str, marks: dict[str, str] | None = None) -> Made:
    tokenizer = make_tokenizer(
        image_start_token="<img>", image_end_token="</img>", slice_start_token="<slice>",
        slice_end_token="</slice>", image_id_start_token="<image_id>",
        image_id_end_token="</image_id>",
    )  # fmt: skip
    pixels = getattr(hf, f"{kind.replace('4_7', '4_6')}ImageProcessor")(
        scale_resolution=112, patch_size=14, max_slice_nums=6
    )
    processor = getattr(hf, f"{kind}Processor")(
        pixels,
        getattr(hf, f"{kind.replace('4_7', '4_6')}VideoProcessor")(),
        tokenizer,
        chat_template=template("<image>"),
    )
    config = getattr(hf, f"{kind}Config")(
        vision_config={
            **VISION, "image_size": 112, "patch_size": 14, "insert_layer_id": 0,
        },
        text_config={
            "model_type": "qwen3_5_text", **text_of(tokenizer), **HYBRID,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1],
                "mrope_interleaved": True, "partial_rotary_factor": 1.0,
            },
        },
        insert_layer_id=0, image_token_id=token_id(tokenizer, "<image>"),
        **{name: token_id(tokenizer, token) for name, token in (marks or {}).items()},
        video_token_id=token_id(tokenizer, "<video>"),
    )  # fmt: skip
    return getattr(hf, f"{kind}ForConditionalGeneration")(config), processor


def _vision_tokens() -> dict[str, str]:
    return {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}


def paddleocr_vl() -> Made:
    tokenizer = make_tokenizer(**_vision_tokens())
    edge = 28
    pixels = hf.PaddleOCRVLImageProcessor(
        patch_size=14, merge_size=2, size={"shortest_edge": edge**2, "longest_edge": edge**2 * 60}
    )
    chat = template("<|vision_start|><|image_pad|><|vision_end|>")
    processor = hf.PaddleOCRVLProcessor(pixels, tokenizer, chat_template=chat)
    text = text_of(tokenizer)
    text["rope_parameters"] = {
        "rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]
    }  # fmt: skip
    config = hf.PaddleOCRVLConfig(
        vision_config={**VISION, "patch_size": 14, "image_size": 56, "spatial_merge_size": 2},
        text_config=text,
        **{
            name: token_id(tokenizer, token) for name, token in {
                "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
                "vision_start_token_id": "<|vision_start|>",
                "vision_end_token_id": "<|vision_end|>",
            }.items()
        },
    )  # fmt: skip
    return hf.PaddleOCRVLForConditionalGeneration(config), processor


def exaone4_5() -> Made:
    tokenizer = make_tokenizer(**_vision_tokens())
    edge = 28
    geometry = {
        "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2,
        "size": {"shortest_edge": edge**2, "longest_edge": edge**2 * 60},
    }  # fmt: skip
    processor = hf.Exaone4_5_Processor(
        hf.Qwen2VLImageProcessor(**geometry), tokenizer, hf.Qwen2VLVideoProcessor(**geometry),
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    text = text_of(tokenizer, sliding_window=256)
    text["layer_types"] = ["sliding_attention", "full_attention", "sliding_attention"]
    config = hf.Exaone4_5_Config(
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4,
            "num_key_value_heads": 2, "out_hidden_size": 32, "patch_size": 14, "window_size": 56,
            "fullatt_block_indexes": [1], "initializer_range": 0.2,
        },
        text_config={"model_type": "exaone4", **text},
        image_token_id=token_id(tokenizer, "<|image_pad|>"),
        video_token_id=token_id(tokenizer, "<|video_pad|>"),
    )  # fmt: skip
    return hf.Exaone4_5_ForConditionalGeneration(config), processor


def video_llama_3() -> Made:
    tokenizer = make_tokenizer(**_vision_tokens())
    edge = 28
    geometry = {
        "patch_size": 14, "merge_size": 2,
        "size": {"shortest_edge": edge**2, "longest_edge": edge**2 * 60},
    }  # fmt: skip
    processor = hf.VideoLlama3Processor(
        hf.VideoLlama3ImageProcessor(**geometry), tokenizer,
        hf.VideoLlama3VideoProcessor(), chat_template=template("<|image_pad|>"),
    )  # fmt: skip
    config = hf.VideoLlama3Config(
        vision_config={**VISION, "patch_size": 14},
        text_config={"model_type": "qwen2", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<|image_pad|>"),
        video_token_id=token_id(tokenizer, "<|video_pad|>"),
    )  # fmt: skip
    return hf.VideoLlama3ForConditionalGeneration(config), processor


def perception_lm() -> Made:
    tokenizer = make_tokenizer()
    pixels = hf.PerceptionLMImageProcessor(
        tile_size=56, max_num_tiles=6, size={"height": 56, "width": 56}
    )
    processor = hf.PerceptionLMProcessor(
        hf.PerceptionLMVideoProcessor(), pixels, tokenizer, patch_size=14,
        chat_template=template("<image>"),
    )  # fmt: skip
    config = hf.PerceptionLMConfig(
        vision_config={
            "model_type": "timm_wrapper", "architecture": "vit_pe_core_large_patch14_336",
            "model_args": {
                "embed_dim": 32, "img_size": (56, 56), "depth": 2, "num_heads": 2,
                "global_pool": "", "use_post_transformer_norm": False, "init_values": 0.1,
                "ref_feat_shape": (4, 4),
            },
            "initializer_range": 0.2,
        },
        text_config={"model_type": "llama", **text_of(tokenizer)}, vision_use_cls_token=True,
        projector_pooling_ratio=2,
        image_token_id=token_id(tokenizer, "<image>"),
        video_token_id=token_id(tokenizer, "<video>"),
    )  # fmt: skip
    return hf.PerceptionLMForConditionalGeneration(config), processor


def lfm3_vl() -> Made:
    """Hybrid, and its attention is gated."""
    tokenizer = make_tokenizer(**_vision_tokens())
    edge = 32
    geometry = {
        "patch_size": 16, "merge_size": 2, "temporal_patch_size": 2,
        "size": {"shortest_edge": edge**2, "longest_edge": edge**2 * 60},
    }  # fmt: skip
    processor = hf.Lfm3VlProcessor(
        hf.Qwen2VLImageProcessor(**geometry), tokenizer, hf.Qwen3VLVideoProcessor(**geometry),
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    text = text_of(tokenizer, num_hidden_layers=5, sliding_window=256)
    text["layer_types"] = ["conv", "full_attention", "sliding_attention", "conv", "full_attention"]
    config = hf.Lfm3VlConfig(
        vision_config={
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "patch_size": 16,
            "layer_types": ["full_attention", "full_attention"], "initializer_range": 0.2,
        },
        text_config={"model_type": "lfm3", **text}, projector_hidden_size=48,
        image_token_id=token_id(tokenizer, "<|image_pad|>"),
        video_token_id=token_id(tokenizer, "<|video_pad|>"),
    )  # fmt: skip
    return hf.Lfm3VlForConditionalGeneration(config), processor


def hyperclovax_vision_v2() -> Made:
    tokenizer = make_tokenizer(**_vision_tokens())
    edge = 28
    geometry = {
        "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2,
        "size": {"shortest_edge": edge**2, "longest_edge": edge**2 * 60},
    }  # fmt: skip
    processor = hf.HyperCLOVAXVisionV2Processor(
        hf.Qwen2VLImageProcessor(**geometry), tokenizer, hf.Qwen2VLVideoProcessor(**geometry),
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    config = hf.HyperCLOVAXVisionV2Config(
        vision_config={
            "model_type": "qwen2_5_vl_vision", "depth": 2, "hidden_size": 32,
            "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32, "patch_size": 14,
            "fullatt_block_indexes": [1], "window_size": 56, "initializer_range": 0.2,
        },
        text_config={"model_type": "hyperclovax", **text_of(tokenizer)},
        image_token_id=token_id(tokenizer, "<|image_pad|>"),
        video_token_id=token_id(tokenizer, "<|video_pad|>"),
    )  # fmt: skip
    return hf.HyperCLOVAXVisionV2ForConditionalGeneration(config), processor


def gemma4_unified() -> Made:
    """No vision tower; the tokens of an image see each other."""
    tokenizer = make_tokenizer(**_gemma_tokens())
    pixels = hf.Gemma4UnifiedImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70)
    processor = hf.Gemma4UnifiedProcessor(
        hf.Gemma4UnifiedAudioFeatureExtractor(), pixels, tokenizer,
        hf.Gemma4UnifiedVideoProcessor(),
        chat_template="{{ bos_token }}" + template("<image>"),
    )  # fmt: skip
    text = text_of(tokenizer, num_hidden_layers=4, sliding_window=256, global_head_dim=16)
    text["layer_types"] = [
        "sliding_attention", "full_attention", "sliding_attention", "full_attention"
    ]  # fmt: skip
    vision = {
        "patch_size": 4, "pooling_kernel_size": 2, "mm_embed_dim": 32, "mm_posemb_size": 70,
        "output_proj_dims": 32, "initializer_range": 0.2,
    }  # fmt: skip
    config = hf.Gemma4UnifiedConfig(
        vision_config=vision, text_config=text, audio_config=None,
        **{
            name: token_id(tokenizer, token) for name, token in {
                "image_token_id": "<image>", "video_token_id": "<|video|>",
                "audio_token_id": "<audio>", "boi_token_id": "<start_of_image>",
                "eoi_token_id": "<end_of_image>", "boa_token_id": "<start_of_audio>",
            }.items()
        },
    )  # fmt: skip
    return hf.Gemma4UnifiedForConditionalGeneration(config), processor


LATE = (
    llava_next_video, deepseek_vl, cohere2_vision, llama4, lfm2_vl, gemma4, gemma4_unified,
    gemma3n, janus, minicpmv4_6, minicpmv4_7, minicpm_ocr, paddleocr_vl, exaone4_5, video_llama_3,
    perception_lm, lfm3_vl, hyperclovax_vision_v2,
)  # fmt: skip
