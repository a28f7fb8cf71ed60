"""The study's own figures, to stand beside ours: those of Qwen3-VL-8B, never of our model."""

from __future__ import annotations

MODEL = "Qwen3-VL-8B"
STUDY = "the study (arXiv 2606.14703)"
HEADS = 1152
PEAK_K = 100
STRIPS = 500
PAIRS = 3000

VQA_ACCURACY = {"gaze": 83.1, "random": 14.6, "all": 0.9}
"""Percent of strip-target pairs that follow the steering, K = 100."""
NARRATION_ACCURACY = {"gaze": 79.4, "random": 5.6, "all": 0.5}
"""The same for the static narration."""
SET_ACCURACY = {
    100: {**VQA_ACCURACY, "image": 69.0, "localization averaged": 60.2},
    10: {"gaze": 45.3, "all": 0.9, "image": 10.0, "localization averaged": 24.3},
}
"""K -> the percent of the main table for other head sets. The study averaged the maps of the
localization heads."""
OVERLAPS = {
    100: {"gaze+image": 43, "gaze+localization averaged": 26, "image+localization averaged": 33},
    10: {"gaze+image": 0, "gaze+localization averaged": 1, "image+localization averaged": 0},
}
SHARED_BY_ALL = {100: 13, 10: 0}
"""K -> heads that two of the three sets share, and that all three do."""

K_CURVE = {
    5: 36.0, 10: 45.3, 50: 63.2, 75: 76.3, 100: 83.1, 125: 79.4, 150: 75.6, 200: 73.0,
}  # fmt: skip
"""Number of gaze heads -> percent."""

SWEEPS = {
    "sweep-delta": {"1": 33.2, "10": 79.8, "100": 79.8, "1,000": 76.8, "10,000": 83.1},
    "sweep-pools": {"below-median": 38.6, "bottom": 14.7, "layers": 14.6},
}
"""Sweep -> variant -> percent."""
PROMPT_ACCURACY = (83.1, 64.7, 80.3, 74.2, 78.3)
"""Percent for the study's wordings of the question, the default first."""

RHO_DYNAMIC = {"gaze": 0.87, "image": 0.42, "localization averaged": 0.33, "random": -0.15}
"""Spearman's rho between the schedule and what the segments tell."""
BLIND = {
    "gaze": {"segments": 71.1, "rho_schedule": 0.589, "rho_natural": 0.259},
    "random": {"segments": 16.4, "rho_schedule": -0.140, "rho_natural": 0.983},
}
"""The same by a judge that does not know the schedule; segments in percent."""

FLIPS = {
    "Qwen3-VL-2B": (10.0, 19), "Qwen3-VL-4B": (98.3, 22), "Qwen3-VL-8B": (97.0, 21),
    "Qwen3-VL-32B": (85.0, 49),
}  # fmt: skip
"""Model -> best flip rate of the reading order in percent, and its layer."""
FLIPS_BY_PANELS = {3: 90.0, 4: 93.0, 6: 97.0}
FLIPS_DIGITS = 100.0
ORDERS_REVERSE, ORDERS_OTHERS, ORDERS_BEST = 91.3, 39.9, 60.4
"""Percent that follow the reverse order, the other 719 on average, and the best of them."""
NARRATION_RHO = (-0.78, 0.46)
"""Spearman's rho of the narrated order with the reverse one, before and with the direction."""
STARTS_AT_LAST = 65.0
SILHOUETTE_LAYER = 23

COCO = {
    "large": (80.3, 36.6), "medium": (76.2, 19.4), "small": (61.7, 18.6), "overall": (76.5, 25.9),
}  # fmt: skip
"""Size class -> percent for gaze heads and for random heads."""

MODELS = {
    "Qwen3-VL-2B": (10, 68.6, 1.3, 0.0, 448),
    "Qwen3-VL-4B": (75, 72.9, 1.5, 0.0, 1152),
    "Qwen3-VL-8B": (100, 83.1, 14.6, 0.9, 1152),
    "Qwen3-VL-32B": (500, 70.2, 12.0, 0.2, 4096),
    "Ovis1.5-8B": (100, 68.7, 13.0, 2.7, None),
    "Qwen2-VL-7B": (90, 66.2, 0.0, 0.8, None),
    "InternVL3.5-8B": (140, 62.7, 31.0, 0.8, None),
    "InternVL3.5-2B": (50, 64.0, 24.0, None, None),
    "LLaVA-1.5-13B": (160, 39.0, 13.8, 0.0, None),
    "LLaVA-1.5-7B": (150, 38.7, 16.3, None, None),
    "LLaVA-NeXT-7B": (100, 35.3, 26.7, 0.0, None),
    "Bunny-3B": (10, 8.3, 0.0, 0.0, None),
}
"""Model -> peak K, percent with gaze, non-gaze and all heads, and number of heads; None where the
study gives none."""

GAZE_LAYERS = (20, 28)
LAYERS = 36
CHANCE = 16.7
