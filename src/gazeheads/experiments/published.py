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

K_CURVE = {
    5: 36.0, 10: 45.3, 50: 63.2, 75: 76.3, 100: 83.1, 125: 79.4, 150: 75.6, 200: 73.0,
}  # fmt: skip
"""Number of gaze heads -> percent."""

GAZE_LAYERS = (20, 28)
LAYERS = 36
CHANCE = 16.7
