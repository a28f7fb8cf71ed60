"""What experiments start from: scores that are there already, and how many heads to steer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scripted_model import ScriptedVlm, scores

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.study import context
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.runs import RunError, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM


def quiet(name: str) -> Any:
    return lambda done, total: None


def test_scores_are_found_once_and_never_with_other_weights(gqa: VLM, tmp_path: Path) -> None:
    strips, options = draw_strips(1, 5, 2, size=32), RunOptions(tmp_path)
    first = context.gaze_scores(gqa, strips, 0, options, quiet)
    # other strips are not looked at: the heads are known
    again = context.gaze_scores(gqa, [], 0, options, quiet)
    np.testing.assert_array_equal(first.scores, again.scores)
    weight = next(iter(gqa.model.state_dict().values()))
    before = weight.clone()
    try:
        weight.add_(1e-3)
        with pytest.raises(RunError, match="other weights"):
            context.gaze_scores(gqa, strips, 0, options, quiet)
    finally:
        weight.copy_(before)


def test_the_number_of_heads_is_the_sweeps_peak_or_the_studys_share(tmp_path: Path) -> None:
    strips = draw_strips(2, 5, 3, size=32)
    vlm: Any = ScriptedVlm(strips, [])
    options = RunOptions(tmp_path)
    assert context.number_of_heads(vlm, scores(), options)[0] == 1  # 8.7% of 16
    settings = SteerVqaSettings((1, 2, 3), ("gaze",))
    steer_vqa.run(vlm, strips, scores(), settings, options, experiment=steer_vqa.SWEEP)
    k, why = context.number_of_heads(vlm, scores(), options)
    assert k == 2 and "sweep-k" in why
