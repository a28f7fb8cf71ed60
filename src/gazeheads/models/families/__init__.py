"""The model families: one small module per rule of where image tokens lie."""

from __future__ import annotations

from gazeheads.models.families.anyres import LlavaNext, LlavaOnevision
from gazeheads.models.families.family import Family
from gazeheads.models.families.gemma import Gemma3n, Gemma4, Gemma4Unified
from gazeheads.models.families.lfm import Lfm2Vl
from gazeheads.models.families.llama4 import Llama4
from gazeheads.models.families.minicpm import MiniCPMV, MiniCPMV47
from gazeheads.models.families.mistral import Mistral3
from gazeheads.models.families.molmo import Molmo2
from gazeheads.models.families.qwen import (
    Exaone,
    Glm,
    Lfm3Vl,
    PaddleOcrVL,
    Qwen,
    Qwen35,
    VideoLlama3,
)
from gazeheads.models.families.square import DeepseekVL, FastVlm, Gemma3, Llava, PaliGemma
from gazeheads.models.families.tiled import (
    AyaVision,
    Cohere2Vision,
    Idefics3,
    InternVL,
    Ovis2,
    PerceptionLM,
)

FAMILIES: tuple[Family, ...] = (
    Qwen(),
    InternVL(),
    Llava(),
    LlavaNext(),
    LlavaOnevision(),
    Ovis2(),
    Idefics3(),
    Gemma3(),
    PaliGemma(),
    Mistral3(),
    Glm(),
    Qwen35(),
    PaddleOcrVL(),
    FastVlm(),
    Molmo2(),
    AyaVision(),
    Cohere2Vision(),
    PerceptionLM(),
    Exaone(),
    VideoLlama3(),
    DeepseekVL(),
    Gemma4(),
    Gemma4Unified(),
    Gemma3n(),
    MiniCPMV(),
    MiniCPMV47(),
    Lfm3Vl(),
    Lfm2Vl(),
    Llama4(),
)
