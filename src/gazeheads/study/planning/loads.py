"""The work of an experiment in a model's terms: prompts read and tokens written.

What a command will do is told by a function registered under its name, from the very settings,
conditions and lengths that it runs with. `tests/study/planning` holds it against real runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from PIL import Image

from gazeheads.attention.fork import Fork
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.study.experiments.steer_dynamic import segment_for
from gazeheads.study.modules import import_all

if TYPE_CHECKING:
    from gazeheads.models.inputs import Inputs

_MODULES = "gazeheads.study.planning.work"


@dataclass(frozen=True)
class PromptLike:
    """A prompt like those that will be asked.

    Attributes:
        text: of the question.
        images: it is about.
        other: another question about the same images: what both begin with is read once for all
            rows; None: every row is read whole.
        answer: tokens of an answer that is read with it.
    """

    text: str
    images: tuple[Image.Image, ...] = ()
    other: str | None = None
    answer: int = 0


@dataclass(frozen=True)
class Load:
    """Batches that are all alike.

    Attributes:
        asked: a prompt of theirs.
        rows: prompts in a batch.
        times: how many batches.
        new: tokens written per row, at most.
        layers: of all rows together, the share of the layers that is run (see `forked`); None:
            every row runs through all layers.
        encoded: how often the images are encoded per batch.
        acted: whether heads are steered or watched meanwhile.
        backward: whether the gradient is taken too.
    """

    asked: PromptLike
    rows: int
    times: int = 1
    new: int = 0
    layers: float | None = None
    encoded: int = 1
    acted: bool = True
    backward: bool = False


@dataclass(frozen=True)
class Workload:
    """What one experiment will do.

    Attributes:
        experiment: its name.
        units: records that it will have.
        loads: what the model does for them.
    """

    experiment: str
    units: int
    loads: tuple[Load, ...]

    @property
    def prompts(self) -> int:
        """Prompts with their steering, every one counted."""
        return sum(load.rows * load.times for load in self.loads)

    @property
    def written(self) -> int:
        """Tokens written, at most."""
        return sum(load.rows * load.times * load.new for load in self.loads)


@dataclass(frozen=True)
class Scale:
    """How large an experiment is.

    Attributes:
        model: its name.
        strip: one like those that are measured on.
        strips: how many of them; heads are found on as many others.
        limit: strips or pictures that an experiment draws itself, unless its options say.
        scores: of the heads, or a stand-in of the model's shape.
        encode: a prompt as the model will get it.
        tokens: of an answer.
        k: how many gaze heads are steered.
        seed: of every random choice.
        batch_size: rows at once.
        fork_from: the first layer that rows of one prompt may part at.
        k_asked: whether the user said how many heads.
    """

    model: str
    strip: Strip
    strips: int
    limit: int
    scores: HeadScores
    encode: Callable[[PromptLike], Inputs]
    tokens: Callable[[str], int]
    k: int
    seed: int = 0
    batch_size: int = 64
    fork_from: int = 0
    k_asked: bool = False

    def picture(self, panels: int, columns: int | None = None) -> Image.Image:
        """A strip of so many panels like those that the experiment draws."""
        if panels == len(self.strip) and columns in (None, self.strip.columns):
            return self.strip.image
        return draw_strips(1, self.seed, panels, columns=columns)[0].image

    def said(self, panels: int, most: int) -> int:
        """Tokens of a text about so many panels; the study's model needs 50 per panel."""
        return min(most, segment_for(self.model) * panels)

    @property
    def num_layers(self) -> int:
        """Layers of the language model."""
        return self.scores.shape[0]

    def steering(
        self, asked: PromptLike, sets: Iterable[HeadSet | None], new: int, times: int = 1
    ) -> list[Load]:
        """Batches of one prompt under many steerings.

        Args:
            asked: the prompt.
            sets: the heads steered in every row; None: unsteered.
            new: tokens written per row, at most.
            times: how often.
        """
        rows = list(sets)
        parts = [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        return [
            Load(asked, len(part), times, new, forked(part, self.num_layers, self.fork_from))
            for part in parts
        ]

    def plain(self, asked: PromptLike, rows: int, new: int = 0, times: int = 1) -> list[Load]:
        """Batches of prompts that share no pass."""
        return [
            Load(asked, min(self.batch_size, rows - begun), times, new, acted=False)
            for begun in range(0, rows, self.batch_size)
        ]


def forked(rows: Sequence[HeadSet | None], layers: int, fork_from: int) -> float:
    """How many times the layers are run when one prompt's rows part at their first steered layer.

    Args:
        rows: the heads steered in each; None: none.
        layers: of the model.
        fork_from: rows that are steered below part at the bottom.
    """
    lowest = [layers if heads is None else min(h.layer for h in heads) for heads in rows]
    first = [0 if layer < fork_from else layer for layer in lowest]
    fork = Fork(tuple(first), layers, any(first))
    if fork.initial >= len(rows):
        return float(len(rows))
    return sum(1 + max(fork.streams(layer)) for layer in range(layers)) / layers


PlanOf = Callable[[Scale, Any], list[Workload]]
_PLANNED: dict[str, PlanOf] = {}


def plans(command: str) -> Callable[[PlanOf], PlanOf]:
    """Registers what tells the work of a command, from the scale and the command's options."""

    def register(plan: PlanOf) -> PlanOf:
        _PLANNED[command] = plan
        return plan

    return register


def planned() -> Mapping[str, PlanOf]:
    """By name of the command what tells its work."""
    import_all(_MODULES)
    return MappingProxyType(_PLANNED)
