"""Finding the gaze heads on strips of other lengths and in grids: are they the same heads?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.discovery.nulls import RATE, permutation_null, split_half
from gazeheads.heads import HeadScores
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Command, Experiment, Work, register
from gazeheads.study.experiments import discover
from gazeheads.study.experiments.discover import DiscoverRecord, DiscoverSettings
from gazeheads.study.identity import model_fingerprint, strips_fingerprint
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "discover-layouts"
SEED = 2_000_003
"""Distance of the seeds of these strips from those that are measured on."""


@dataclass(frozen=True)
class StripLayout:
    """Panels of a strip, in one row or in a grid."""

    panels: int
    columns: int | None = None

    @property
    def name(self) -> str:
        """In records and reports."""
        if self.columns is None:
            return f"{self.panels} in a row"
        return f"{self.columns} x {-(-self.panels // self.columns)} grid"


class LayoutRecord(DiscoverRecord):
    """The same of a strip of some layout."""

    layout: str


LAYOUTS = (*(StripLayout(n) for n in range(2, 9)), StripLayout(6, 3), StripLayout(6, 2))
MAIN = StripLayout(6)
"""The layout that all others are compared with; also the study's."""


def run(
    vlm: VLM,
    strips: Mapping[StripLayout, Sequence[Strip]],
    settings: DiscoverSettings,
    k: int,
    options: RunOptions,
) -> RunFolder:
    """Scores every head on every layout; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: by layout; the main layout among them.
        settings: of discovery.
        k: how many of the best heads to compare.
        options: where to and how.
    """
    whole = {
        **asdict(settings),
        "k": k,
        "layouts": [layout.name for layout in strips],
        "strips_mark": strips_fingerprint([strip for own in strips.values() for strip in own]),
        "model_mark": model_fingerprint(vlm),
        discover.LIVING: packed(vlm.living_heads(), "u1"),
    }

    def work(folder: RunFolder) -> list[Work[tuple[StripLayout, Strip]]]:
        def do(part: Sequence[tuple[StripLayout, Strip]]) -> list[dict[str, Any]]:
            ((layout, strip),) = part
            return [{"layout": layout.name, **discover.record_of(vlm, strip, settings)}]

        units = [
            (f"{layout.name}: {strip.id}", (layout, strip))
            for layout, own in strips.items()
            for strip in own
        ]
        return [Work(units, do)]

    return DISCOVER_LAYOUTS.carry_out(vlm.name, whole, options, work)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records, k = folder.ordered(), int(folder.settings["k"])
    living, seed = discover.living_of(folder), int(folder.settings["seed"])
    each = {
        name: _matrices([record for record in records if record["layout"] == name])
        for name in folder.settings["layouts"]
    }
    without = records[0].get("layers_without_heads") or []
    scores = {name: _scores(own, living, without) for name, own in each.items()}
    main = set(scores[MAIN.name].top(k))
    return {
        "k": k,
        "rate": RATE,
        "layouts": [
            {
                "name": name,
                "best": str(own.ranking()[0]),
                "score": float(own.scores.max()),
                "mean_of_top": float(np.mean([own[head] for head in own.top(k)])),
                "shared": len(main & set(own.top(k))),
                **_chance(each[name], own, k, seed),
            }
            for name, own in scores.items()
        ],
    }


def _matrices(records: Sequence[dict[str, Any]]) -> np.ndarray:
    """(S, L, H, R, R) of the strips of one layout, in float32."""
    return np.stack([unpacked(record, "matrices").astype(np.float32) for record in records])


def _scores(each: np.ndarray, living: np.ndarray | None, without: list[int]) -> HeadScores:
    matrices = each.mean(0, dtype=np.float64)
    scores = np.trace(matrices, axis1=2, axis2=3) / matrices.shape[-1]
    provenance = {"layers_without_heads": without} if without else {}
    return HeadScores(scores, matrices, "gaze", provenance, living)


def _chance(each: np.ndarray, scores: HeadScores, k: int, seed: int) -> dict[str, Any]:
    """How many heads are more than chance on this layout's strips, and how stable the top is."""
    tested = scores.tested()
    null = permutation_null(each, tested, seed)
    stability = split_half(each, k, tested, seed)
    return {
        "strips": len(each),
        "count": null.count(),
        "tested": int(tested.sum()),
        "permutations": null.permutations,
        "stability": None if stability is None else asdict(stability),
    }


@dataclass(frozen=True)
class LayoutOptions:
    """What `reproduce` does.

    Attributes:
        layouts: of the strips.
        each: strips of each layout; None: as many as are asked for.
    """

    layouts: tuple[StripLayout, ...] = LAYOUTS
    each: int | None = None


def _found(context: ExperimentContext, options: LayoutOptions) -> list[RunFolder]:
    seed, count = context.seed + SEED, options.each or context.limit
    strips = {
        layout: draw_strips(count, seed + i, layout.panels, columns=layout.columns)
        for i, layout in enumerate(options.layouts)
    }
    announced = context.announced("Finding gaze heads on other layouts")
    return [run(context.vlm, strips, DiscoverSettings(seed=context.seed), context.k, announced)]


DISCOVER_LAYOUTS = register(
    Experiment(
        EXPERIMENT,
        "The gaze heads of strips of other lengths and of grids",
        DiscoverSettings,
        results,
        LayoutRecord,
        Command(
            "discover-layouts",
            "Find the gaze heads on strips of 2 to 8 panels and in grids (drawn strips only).",
            _found,
            LayoutOptions,
            judges=False,
            draws_strips=True,
            place=65,
            full=(LayoutOptions(each=6),),
            quick=(LayoutOptions((StripLayout(3), MAIN, StripLayout(6, 3)), each=2),),
        ),
    )
)
