"""A training loop: optimiser, learning rate, gradient averaging, reports and checkpoints."""

from __future__ import annotations

import json
import math
import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from torch import Tensor, nn

REPORT_EVERY = 20


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides a training run.

    Attributes:
        encoder_steps: Steps that train the image encoder alone, first.
        steps: Steps of question answering; the curriculum and the learning rate follow their share.
        images: Images per process and step.
        processes: Training processes, one core each.
        panels: Drawn panels in the cache.
        learning_rate: Peak learning rate.
        weight_decay: Of matrices; norms and biases have none.
        warmup: Steps of linear warm-up.
        seed: Seed of every choice.
        save_every: Steps between checkpoints.
        start: Model folder to go on from; empty: random weights.
        begin: Share of the curriculum to begin at, for a model that has learned something already.
        heads_kept: Heads of the language model left alive; the others are pruned on the way.
    """

    encoder_steps: int = 2600
    steps: int = 8000
    images: int = 8
    processes: int = 2
    panels: int = 30_000
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup: int = 150
    seed: int = 0
    save_every: int = 200
    start: str = ""
    begin: float = 0.0
    heads_kept: int = 48


@dataclass(frozen=True)
class TrainProcess:
    """Which process of how many this is, where it writes and prints."""

    rank: int
    processes: int
    folder: Path
    console: Console


class Phase(ABC):
    """One phase of training; a subclass says what to learn (`loss`) and how to report it."""

    name: str

    def __init__(
        self, process: TrainProcess, settings: TrainSettings, learning: nn.Module, steps: int
    ):
        self.process, self.settings, self.learning, self.steps = process, settings, learning, steps
        self.parameters = list(dict.fromkeys(learning.parameters()))
        matrices = [p for p in self.parameters if p.ndim >= 2]
        vectors = [p for p in self.parameters if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.checkpoint = process.folder / f"{self.name}.pt"
        self.step = 0

    @abstractmethod
    def loss(self) -> Tensor:
        """Draw a batch and return its loss."""

    @abstractmethod
    def summary(self) -> tuple[str, dict[str, Any]]:
        """What was learned since the last call: a line to print and numbers to record."""

    def prepare(self) -> None:  # noqa: B027 - may stay empty
        """Called once the step to continue from is known."""

    def updated(self) -> None:  # noqa: B027 - may stay empty
        """Called after every step of the optimiser."""

    def saved(self) -> None:  # noqa: B027 - may stay empty
        """Called in the first process after a checkpoint was written."""

    def run(self) -> bool:
        """Train from the last checkpoint to the end; False when the command was killed."""
        self._resume()
        self.prepare()
        began = time.monotonic()
        parent = os.getppid()
        while self.step < self.steps:
            if os.getppid() != parent:  # the command was killed: go with it
                return False
            learning_rate = self._learning_rate()
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate
            self.loss().backward()
            self._average_gradients()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.updated()
            self.optimizer.zero_grad(set_to_none=False)
            self.step += 1
            if self.step % REPORT_EVERY == 0 and self.process.rank == 0:
                self._report(time.monotonic() - began)
                began = time.monotonic()
            if self.step % self.settings.save_every == 0 or self.step == self.steps:
                self._save()
        return True

    def _learning_rate(self) -> float:
        s = self.settings
        if self.step < s.warmup:
            return s.learning_rate * (self.step + 1) / s.warmup
        share = (self.step - s.warmup) / max(1, self.steps - s.warmup)
        return s.learning_rate * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * share)))

    def _average_gradients(self) -> None:
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        flat = torch.cat([gradient.view(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.process.processes
        start = 0
        for p in self.parameters:
            p.grad = flat[start : start + p.numel()].view_as(p)
            start += p.numel()

    def _report(self, seconds: float) -> None:
        said, numbers = self.summary()
        line = {
            "phase": self.name,
            "step": self.step,
            "seconds": round(seconds, 2),
            "learning_rate": self._learning_rate(),
            **numbers,
        }
        append_line(self.process.folder / "curve.jsonl", line)
        each = seconds / REPORT_EVERY
        left = each * (self.steps - self.step) / 60
        self.process.console.print(
            f"{self.name} {self.step}/{self.steps}  {said}  {each:.2f} s/step  {left:.0f} min left"
        )

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        self.learning.load_state_dict(state["learning"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def _save(self) -> None:
        if self.process.rank == 0:
            state = {
                "learning": self.learning.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
            }
            partial = self.checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            os.replace(partial, self.checkpoint)
            self.saved()
        dist.barrier()


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Append one JSON line."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
