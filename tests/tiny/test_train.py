import json

import numpy as np
import pytest
import torch
from rich.console import Console

from gazeheads.errors import GazeheadsError
from gazeheads.tiny.batches import CURRICULUM, BatchMaker
from gazeheads.tiny.loop import TrainSettings
from gazeheads.tiny.packing import Packer
from gazeheads.tiny.panel_cache import build_panel_cache
from gazeheads.tiny.train import train

from .conftest import SMALL

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return build_panel_cache(tmp_path_factory.mktemp("panels"), 120, seed=3, workers=1)


def test_the_panel_cache_holds_no_held_out_combination(cache):
    assert not any(truth.held_out for truth in cache.truths)
    assert cache.panels.shape == (120, 192, 192, 3)


def test_drawn_panels_share_no_attribute(cache):
    rng = np.random.default_rng(0)
    for _ in range(50):
        words = [w for i in cache.draw(rng, 4) for w in cache.truths[i].attributes().values()]
        assert len(words) == len(set(words))


def test_batches_depend_on_the_seed_only(cache, tokenizer):
    stage = CURRICULUM[1]
    packer = Packer(tokenizer)
    a, b, c = (BatchMaker(cache, packer, seed).draw(stage, 2) for seed in ((1, 0), (1, 0), (1, 1)))
    assert torch.equal(a.shown.images, b.shown.images)
    assert torch.equal(a.packed.input_ids, b.packed.input_ids)
    x, y = a.shown.images, c.shown.images
    same = x.shape == y.shape and torch.equal(x, y)
    assert not same


@pytest.mark.slow
def test_a_stopped_training_continues(tmp_path):
    settings = TrainSettings(
        encoder_steps=2, steps=4, images=1, processes=1, panels=120, warmup=1, save_every=2
    )
    train(tmp_path, settings, SMALL, QUIET)
    assert torch.load(tmp_path / "encoder.pt", weights_only=True)["step"] == 2
    state = torch.load(tmp_path / "answers.pt", weights_only=True)
    assert state["step"] == 4
    state["step"] = 2
    torch.save(state, tmp_path / "answers.pt")
    train(tmp_path, settings, SMALL, QUIET)
    exams = [json.loads(line) for line in (tmp_path / "exam.jsonl").read_text().splitlines()]
    assert [exam["step"] for exam in exams] == [2, 4, 4]
    with pytest.raises(GazeheadsError, match="steps was 4, is 5"):
        train(tmp_path, TrainSettings(**{**vars(settings), "steps": 5}), SMALL, QUIET)
