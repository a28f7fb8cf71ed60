"""The two phases of training: the image encoder alone, then question answering end to end."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gazeheads.tiny.batches import (
    CURRICULUM,
    ENCODER_STAGE,
    BatchMaker,
    Scenes,
    Sheet,
    Stage,
    TrainingBatch,
    stage_at,
)
from gazeheads.tiny.encoder import Probes, image_tokens, scene_loss, sheet_loss
from gazeheads.tiny.forward import answer_states, encode_images
from gazeheads.tiny.loop import Phase, TrainProcess, TrainSettings, append_line
from gazeheads.tiny.model import save_model
from gazeheads.tiny.packing import IGNORED, Packed, Packer
from gazeheads.tiny.panel_cache import FOLDER, PanelCache, build_panel_cache
from gazeheads.tiny.pruning import HeadPruner
from gazeheads.tiny.tally import Tally

EXAM = Stage(1.0, ((6, 1.0),), 0.0, 0.2, 0.2, 0.0, 0.0, 0.2, 0.1, 0.0, 240)
EXAM_PANELS = 400
EXAM_BATCHES = 8
PROBE_WEIGHT = 0.5
KEY_WEIGHT = 3.0
"""Of the first word of a line, which says which panel is meant, and of short answers: the other
words of long ones can be found by it."""
SHORT = 5
"""Tokens of a short answer, such as "Panel 3.", at most."""


class TrainState:
    """What is trained, and on what: the model, its probes, and the cache of panels."""

    def __init__(self, model: Any, processor: Any, cache: PanelCache, seed: int):
        torch.manual_seed(seed)
        self.model, self.processor, self.cache = model, processor, cache
        self.probes = Probes(model.config.text_config.hidden_size)
        self.packer = Packer(processor.tokenizer)

    def probe_loss(
        self, shown: Sheet | Scenes, embeds: Tensor, deepstack: list[Tensor]
    ) -> tuple[Tensor, dict[str, float]]:
        """The probes' loss on encoded images, and the shares they get right."""
        tokens = image_tokens(embeds, deepstack, shown.images.shape[0])
        if isinstance(shown, Scenes):
            return scene_loss(self.probes, tokens, shown.scenes)
        return sheet_loss(self.probes, tokens, shown)


class EncoderPhase(Phase):
    """The image encoder learns to tell panels and objects apart, read out by linear probes."""

    name = "encoder"

    def __init__(self, process: TrainProcess, settings: TrainSettings, state: TrainState):
        self.state = state
        learning = nn.ModuleDict({"visual": state.model.model.visual, "probes": state.probes})
        super().__init__(process, settings, learning, settings.encoder_steps)
        self.losses: list[float] = []
        self.right: dict[str, list[float]] = defaultdict(list)

    def prepare(self) -> None:
        """Draw other batches than before the checkpoint."""
        seed = (self.settings.seed, 0, self.step)
        self.maker = BatchMaker(self.state.cache, self.state.packer, seed, self.process.rank)

    def loss(self) -> Tensor:
        """Name everything on a sheet of strips, or in scenes."""
        shown = self.maker.show(ENCODER_STAGE, 2 * self.settings.images)
        loss, right = self.state.probe_loss(shown, *encode_images(self.state.model, shown.images))
        if isinstance(shown, Sheet):
            self.losses.append(float(loss.detach()))
        for probe, share in right.items():
            self.right[probe].append(share)
        return loss

    def summary(self) -> tuple[str, dict[str, Any]]:
        """Share of right read-outs by probe."""
        right = {probe: round(float(np.mean(shares)), 4) for probe, shares in self.right.items()}
        loss = float(np.mean(self.losses)) if self.losses else math.nan
        self.losses.clear()
        self.right.clear()
        said = "  ".join(f"{probe} {share:.0%}" for probe, share in right.items())
        return f"loss {loss:.2f}  {said}", {"loss": loss, "right": right}


class AnswerPhase(Phase):
    """The whole model learns to answer questions about strips and scenes."""

    name = "answers"

    def __init__(self, process: TrainProcess, settings: TrainSettings, state: TrainState):
        self.state = state
        learning = nn.ModuleDict({"model": state.model, "probes": state.probes})
        super().__init__(process, settings, learning, settings.steps)
        self.recent = Tally()

    def prepare(self) -> None:
        """Draw other batches than before the checkpoint."""
        seed = (self.settings.seed, 1, self.step)
        self.maker = BatchMaker(self.state.cache, self.state.packer, seed, self.process.rank)
        self.pruner = HeadPruner(self.state.model, self.settings.heads_kept)

    def loss(self) -> Tensor:
        """Cross-entropy of the answer tokens, and a little of the probes' loss.

        The probes come almost for free and name every panel of the image, not only those asked for.
        """
        stage = stage_at(self._share())
        # Short sequences come in larger batches, so that every step costs about the same.
        images = self.settings.images * CURRICULUM[-1].tokens // stage.tokens
        batch = self.maker.draw(stage, images)
        seen = encode_images(self.state.model, batch.shown.images)
        losses, right = self._predict(batch, *seen)
        if self.process.rank == 0:
            self.recent.add(batch, losses.detach(), right)
        weights = torch.where(self._is_key(batch.packed), KEY_WEIGHT, 1.0)
        answers = (losses * weights).sum() / weights.sum()
        return answers + PROBE_WEIGHT * self.state.probe_loss(batch.shown, *seen)[0]

    def updated(self) -> None:
        """Prune the heads that are due, so that the few that are needed do the looking."""
        self.pruner.step(self._share())

    def _share(self) -> float:
        """How much of the curriculum is done."""
        begin = self.settings.begin
        return begin + (1 - begin) * self.step / self.steps

    def summary(self) -> tuple[str, dict[str, Any]]:
        """Loss and share of exact answers, by kind of question and size of image."""
        loss, exact = self.recent.mean()
        kinds = self.recent.summary(by_size=True)
        self.recent = Tally()
        return f"loss {loss:.3f}  exact {exact:.1%}", {"kinds": kinds}

    def saved(self) -> None:
        """Write the model folder and examine the model on combinations never trained on."""
        save_model(self.state.model, self.state.processor, self.process.folder / "model")
        kinds = self._examine()
        append_line(self.process.folder / "exam.jsonl", {"step": self.step, "kinds": kinds})
        line = ", ".join(f"{kind} {entry['exact']:.0%}" for kind, entry in kinds.items())
        self.process.console.print(f"held out, six panels: {line}")

    def _predict(
        self, batch: TrainingBatch, embeds: Tensor, deepstack: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Per answer token of the batch: its loss, and whether greedy decoding would say it."""
        wanted = batch.packed.targets != IGNORED
        targets = batch.packed.targets[wanted]
        hidden = answer_states(self.state.model, batch.packed, embeds, deepstack)[wanted]
        logits = F.linear(hidden, self.state.model.lm_head.weight)
        return F.cross_entropy(logits, targets, reduction="none"), logits.argmax(-1) == targets

    def _is_key(self, packed: Packed) -> Tensor:
        """Per answer token, whether it opens an answer or a line, or its answer is short."""
        before = F.pad(packed.answer_of, (1, 0), value=-1)[:, :-1]
        opens = (packed.answer_of != before) | (packed.input_ids == self.state.packer.newline)
        wanted = packed.targets != IGNORED
        row = torch.arange(len(opens))[:, None] * packed.answer_of.shape[1]
        _, answer, sizes = (row + packed.answer_of)[wanted].unique(
            return_inverse=True, return_counts=True
        )
        key: Tensor = opens[wanted] | (sizes[answer] <= SHORT)
        return key

    @torch.no_grad()
    def _examine(self) -> dict[str, dict[str, Any]]:
        """Exact answers by kind; an answer is exact when every token of it is."""
        seed = self.settings.seed + 1
        cache = build_panel_cache(self.process.folder / FOLDER, EXAM_PANELS, seed, 1, held_out=True)
        maker = BatchMaker(cache, self.state.packer, (seed,))
        tally = Tally()
        for _ in range(EXAM_BATCHES):
            batch = maker.draw(EXAM, self.settings.images)
            seen = encode_images(self.state.model, batch.shown.images)
            tally.add(batch, *self._predict(batch, *seen))
        return tally.summary()
