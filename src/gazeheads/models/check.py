"""What is tried right after loading, on one small image, before anybody trusts the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from gazeheads.attention.implementations import ours
from gazeheads.attention.install import ModelError
from gazeheads.attention.plan import ForwardPlan, plain_plan
from gazeheads.attention.recorder import Recorder
from gazeheads.errors import GazeheadsError, one_line
from gazeheads.models.inputs import Inputs
from gazeheads.models.vlm import VLM

SIZE = (64, 48)
PROMPT = "What is this?"


def check(vlm: VLM) -> None:
    """Tries a loaded model on one small image.

    The number of image features equals the geometry's, every recorded attention row sums to one,
    and the model under an empty plan is the plain model.

    Raises:
        ModelError: names the family and what differed.
    """
    crops = vlm.encoder.fit == "keep" and vlm.family.crops(vlm.processor)
    width, height = (SIZE[0], SIZE[0]) if crops else SIZE
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    try:
        encoded = vlm.encode(Image.fromarray(noise), PROMPT)
        _check_count(vlm, encoded)
        _check_rows(vlm, encoded)
        _check_plain(vlm, encoded)
    except ModelError:
        raise
    except GazeheadsError as error:
        raise _failed(vlm, str(error)) from error
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise _failed(vlm, f"the model failed: {one_line(error)}") from error


def _failed(vlm: VLM, what: str) -> ModelError:
    return ModelError(
        f"{vlm.name} ({vlm.family.name}) does not pass the check on a small image: {what} "
        "(check=False or gazeheads --no-check COMMAND loads it anyway)"
    )


def _check_count(vlm: VLM, encoded: Inputs) -> None:
    inputs = {name: tensor.to(vlm.device) for name, tensor in encoded.inputs.items()}
    with torch.no_grad():
        features = vlm.family.vision(vlm.model, inputs).pooler_output
    count = sum(part.shape[:-1].numel() for part in features)
    if count != len(encoded.tokens):
        raise _failed(
            vlm, f"its vision tower makes {count} features for {len(encoded.tokens)} image tokens"
        )


def _check_rows(vlm: VLM, encoded: Inputs) -> None:
    length = len(encoded)
    recorder = Recorder((np.arange(length),), when="prefill")
    _logits(vlm, encoded, plain_plan(1, length, recorder))
    sums = recorder.attention()[0, 0].sum(-1)
    wrong = float(np.abs(sums - 1).max())
    if len(sums) != len(vlm.attention_layers) * vlm.num_heads or not wrong < 1e-2:
        raise _failed(vlm, f"attention rows should sum to 1, one is off by {wrong:.3g}")


def _check_plain(vlm: VLM, encoded: Inputs) -> None:
    """Plain is the attention it was loaded with; soft-capped models have no sdpa, but eager."""
    text: Any = vlm.text_config
    before = vlm.state.before
    capped = before == "sdpa" and getattr(text, "attn_logit_softcapping", None) is not None
    part = "" if text is vlm.model.config else "text_config"
    empty = _logits(vlm, encoded, plain_plan(1, len(encoded)))
    try:
        vlm.model.set_attn_implementation({part: "eager" if capped else before})
        plain = _logits(vlm, encoded, None)
    finally:
        vlm.model.set_attn_implementation({part: ours(before)})
    differ = float((empty - plain).abs().max() / plain.abs().max().clamp(min=1e-6))
    if not differ <= (5e-2 if capped else 1e-3):
        raise _failed(vlm, f"an empty plan changes the logits by {differ:.2g} of their size")


def _logits(vlm: VLM, encoded: Inputs, plan: ForwardPlan | None) -> torch.Tensor:
    inputs = {name: tensor.to(vlm.device) for name, tensor in encoded.inputs.items()}
    with torch.no_grad(), vlm.state.running(plan):
        result: torch.Tensor = vlm.model(**inputs, use_cache=False, logits_to_keep=1).logits.float()
        return result
