"""Model types that are not supported, each with its reason, and published code that is never run.

Every image-text type of the installed transformers is either handled by a family or listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from gazeheads.attention.install import ModelError
from gazeheads.models.families import FAMILIES

_CROSS = "its text reads the image by cross-attention, so no image token is in the prompt"
_ENCODER = "an encoder-decoder: its prompt is read by an encoder that has no decode step to steer"
_QUERIES = "learned queries gather the whole image, so no image token stands for a place in it"
_UNMAPPED = "where its image tokens lie in the picture has not been worked out and tested yet"
_CODES = "its image tokens are codes of the vocabulary, not features of places in the picture"
_LATENT = "its keys and values come from one compressed vector for all heads: not tested here"
_SPARSE = "its attention first chooses keys by an index of its own, which steering does not reach"

REFUSED: dict[str, str] = {
    "aria": _QUERIES,
    "blip": _CROSS,
    "blip-2": _QUERIES,
    "chameleon": _CODES,
    "cohere_compass": _UNMAPPED,
    "cosmos3_edge": _UNMAPPED,
    "cosmos3_omni": _UNMAPPED,
    "deepseek_ocr2": _QUERIES,
    "deepseek_vl_hybrid": _UNMAPPED,
    "diffusion_gemma": "it writes blocks of text by diffusion, not token by token",
    "dots3_note": _SPARSE,
    "emu3": _CODES,
    "ernie4_5_vl_moe": _UNMAPPED,
    "evolla": "it reads proteins, not images",
    "florence2": _ENCODER,
    "fuyu": "its attention has one projection for queries, keys and values",
    "git": "its image stands before the prompt without tokens of its own",
    "glm5_next": _SPARSE,
    "got_ocr2": _UNMAPPED,
    "granite4_vision": _UNMAPPED,
    "granite_docling": _UNMAPPED,
    "hunyuan_vl": _UNMAPPED,
    "idefics": _CROSS,
    "idefics2": _QUERIES,
    "inkling2": _UNMAPPED,
    "inkling_mm_model": _UNMAPPED,
    "instructblip": _QUERIES,
    "instructblipvideo": _QUERIES,
    "kimi_k25": _LATENT,
    "kosmos-2": _QUERIES,
    "kosmos-2.5": _QUERIES,
    "minimax_m3_vl": _SPARSE,
    "mistral4": "a language model without a vision tower",
    "mistral_large4": _SPARSE,
    "mllama": _CROSS,
    "muse_glimmer": _UNMAPPED,
    "muse_spark": _UNMAPPED,
    "nemotron_h_omni": _UNMAPPED,
    "phi4_multimodal": "its attention has one projection for queries, keys and values",
    "pi0": "it moves a robot: it writes actions, not text",
    "pix2struct": _ENCODER,
    "pp_chart2table": _UNMAPPED,
    "pp_formulanet": _ENCODER,
    "qwen2_5_omni_thinker": _UNMAPPED,
    "qwen3_omni_moe_thinker": _UNMAPPED,
    "qwen4_exp": _SPARSE,
    "shieldgemma2": "a classifier of images: it writes no text about them",
    "step3p7": _UNMAPPED,
    "t5gemma2": _ENCODER,
    "udop": _ENCODER,
    "unlimited_ocr": _UNMAPPED,
    "video_llava": _UNMAPPED,
    "vision-encoder-decoder": _ENCODER,
}
"""Types of the installed transformers that no family handles, and why."""

NATIVE: dict[str, str] = {
    "internvl_chat": "load the same model in native classes, whose name ends in -hf, such as "
    "OpenGVLab/InternVL3-8B-hf",
    "llava_llama": "load llava-hf/llava-1.5-7b-hf",
    "llava_mistral": "load llava-hf/llava-v1.6-mistral-7b-hf",
    "llava_qwen": "load llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "llava_phi": "load a LLaVA of llava-hf, such as llava-hf/llava-1.5-7b-hf",
    "molmo": "Molmo 2 has native classes (type molmo2), such as allenai/Molmo2-8B",
    "minicpmv": "no native classes read this checkpoint; MiniCPM-V 4.6 and later have some",
    "minicpmo": "no native classes read this checkpoint; MiniCPM-V 4.6 and later have some",
    "phi3_v": "no native classes read this checkpoint (Phi-3-vision, Phi-3.5-vision)",
    "phi4mm": "no native classes read this checkpoint",
    "multi_modality": "load deepseek-community/deepseek-vl-1.3b-chat or "
    "deepseek-community/Janus-Pro-1B, the same models in native classes",
    "ovis": "the native classes read Ovis 2, such as thisisiron/Ovis2-2B-hf",
    "ovis2_5": "the native classes read Ovis 2, such as thisisiron/Ovis2-2B-hf",
    "qwen": "Qwen-VL's successors have native classes, such as Qwen/Qwen2.5-VL-3B-Instruct",
    "llava_onevision1_5": "load a LLaVA-OneVision of llava-hf",
}
"""Types whose modelling code comes with the checkpoint, and what to load instead."""


def supported_types() -> list[str]:
    """All model types that a family handles."""
    return sorted({kind for family in FAMILIES for kind in family.model_types})


def check_published(raw: Mapping[str, Any], name: str) -> None:
    """Refuses a checkpoint that only its own code could read, before anything of it runs.

    Args:
        raw: its config.json.
        name: of the model.

    Raises:
        ModelError: its type is not one of transformers' own.
    """
    kind = raw.get("model_type")
    known = isinstance(kind, str) and (kind in CONFIG_MAPPING or kind in supported_types())
    coded = "AutoConfig" in (raw.get("auto_map") or {}) or kind in NATIVE
    if known and kind not in NATIVE:
        return
    if not coded and kind:
        return  # transformers says what it does not know
    if not kind:
        raise ModelError(f"cannot load model {name!r}: its config.json names no model_type")
    instead = NATIVE.get(str(kind), "look for the same model in transformers' own classes")
    raise ModelError(
        f"{name!r} (type {kind!r}) is read only by code that comes with it, whose attention cannot "
        f"be steered; it is not run, with or without --trust-remote-code: {instead}"
    )
