"""The model families: one small module per rule of where image tokens lie."""

from __future__ import annotations

from gazeheads.vlm.families.anyres import LlavaNext, LlavaOnevision
from gazeheads.vlm.families.mistral import Mistral3
from gazeheads.vlm.families.molmo import Molmo2
from gazeheads.vlm.families.qwen import Glm, Qwen
from gazeheads.vlm.families.square import FastVlm, Gemma3, Llava, PaliGemma
from gazeheads.vlm.families.tiled import AyaVision, Idefics3, InternVL, Ovis2
from gazeheads.vlm.family import Family

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
    FastVlm(),
    Molmo2(),
    AyaVision(),
)
