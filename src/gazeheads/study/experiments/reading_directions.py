"""Where the order of reading is kept: states under "read in reverse" minus states under plain ones.

At the last token of every question about a label the residual stream after each layer is kept.
For every panel k asked about, the mean difference over (plain, reverse) pairs of THAT k is the
direction that `reading_order` adds: it says "go to that panel". Averaged over all k it says
nothing, because plain and reverse questions are about the same panels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.data.strip import Strip
from gazeheads.files import read_json, write_json
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Experiment, Work, register
from gazeheads.study.experiments.labelled import (
    Layout,
    asked,
    forward_questions,
    label_tokens,
    labelled,
    reverse_questions,
)
from gazeheads.study.identity import model_fingerprint, strips_fingerprint
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import PackedArray, Record
from gazeheads.study.stats import share

if TYPE_CHECKING:
    from gazeheads.models import VLM

EXPERIMENT = "reading-directions"
DIRECTIONS = "directions.json"
LAYOUTS = (Layout(6), Layout(3), Layout(4), Layout(6, "digit"))
"""The main one first."""
TUNING_SEED, SEED = 3_000_017, 4_000_037
"""Distances of the seeds of the strips that directions are found on, and tried on."""
KEPT_STATES = 20  # strips whose states are kept whole, for the picture of the positions


@dataclass(frozen=True)
class ReadingSettings:
    """Settings of `run`.

    Attributes:
        layouts: kinds of strips.
        seed: of the labels.
    """

    layouts: tuple[Layout, ...] = LAYOUTS
    seed: int = 0


class DirectionRecord(Record):
    """One labelled strip.

    Attributes:
        layout: its name.
        direction: (panels, L, D) from plain reading to reading in reverse, by panel asked about.
        plain_right, reverse_right: answers that name the label asked for.
        states: (panels, L, D) of the plain questions, of the first strips of the main layout.
    """

    layout: str
    direction: PackedArray
    plain_right: int
    reverse_right: int
    states: PackedArray | None = None


def run(
    vlm: VLM,
    strips: Mapping[str, Sequence[Strip]],
    settings: ReadingSettings,
    options: RunOptions,
) -> RunFolder:
    """Collects states on strips of every layout; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: by name of the layout, without labels.
        settings: see there.
        options: where to and how.
    """
    whole = {
        **asdict(settings),
        "strips": {name: len(own) for name, own in strips.items()},
        "strips_mark": strips_fingerprint([strip for own in strips.values() for strip in own]),
        "model_mark": model_fingerprint(vlm),
    }

    def work(folder: RunFolder) -> list[Work[tuple[Layout, int, Strip]]]:
        def do(part: Sequence[tuple[Layout, int, Strip]]) -> list[dict[str, Any]]:
            ((layout, number, strip),) = part
            shown = labelled(strip, layout, settings.seed, number)
            kept = layout == settings.layouts[0] and number < KEPT_STATES
            return [_record(vlm, shown, layout, kept, options.batch_size)]

        units = [
            (f"{layout.name}: {strip.id}", (layout, number, strip))
            for layout in settings.layouts
            for number, strip in enumerate(strips[layout.name])
        ]
        return [Work(units, do)]

    return READING_DIRECTIONS.carry_out(vlm.name, whole, options, work)


def _record(vlm: VLM, strip: Strip, layout: Layout, kept: bool, batch: int) -> dict[str, Any]:
    from gazeheads.residual import difference_of_means, probe  # noqa: PLC0415 - loads torch

    labels, panels = label_tokens(vlm, strip), layout.panels
    questions = [*forward_questions(layout), *reverse_questions(layout)]
    done = probe(vlm, asked(vlm, strip, questions), batch_size=batch)
    plain, reverse = done[:panels], done[panels:]
    direction = np.stack(
        [difference_of_means([b.states], [a.states]) for a, b in zip(plain, reverse, strict=True)]
    )
    record = {
        "layout": layout.name,
        "direction": packed(direction),
        "plain_right": sum(int(p.logits.argmax()) == t for p, t in zip(plain, labels, strict=True)),
        "reverse_right": sum(
            int(p.logits.argmax()) == t for p, t in zip(reverse, labels[::-1], strict=True)
        ),
    }
    if kept:
        record["states"] = packed(np.stack([p.states for p in plain]), "<f2")
    return record


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; also writes its directions."""
    records = folder.ordered()
    layouts = [Layout(**own) for own in folder.settings["layouts"]]
    by_layout = {
        layout.name: [record for record in records if record["layout"] == layout.name]
        for layout in layouts
    }
    directions = {
        name: packed(np.mean([unpacked(record, "direction") for record in own], axis=0))
        for name, own in by_layout.items()
    }
    write_json(folder.path / DIRECTIONS, {"kind": "reading-directions", **directions})
    return {
        "layouts": [
            {
                "name": layout.name,
                "panels": layout.panels,
                "plain": _right(by_layout[layout.name], "plain_right", layout.panels),
                "reverse": _right(by_layout[layout.name], "reverse_right", layout.panels),
            }
            for layout in layouts
        ],
        "positions": positions([unpacked(r, "states") for r in records if "states" in r]),
    }


def _right(records: Sequence[dict[str, Any]], name: str, panels: int) -> dict[str, Any]:
    return share([record[name] for record in records], [panels] * len(records)).as_dict()


def positions(states: Sequence[np.ndarray]) -> dict[str, Any]:
    """How well the states tell the panels asked about apart, layer by layer.

    Args:
        states: per strip (K, L, D), one row per panel asked about.

    Returns:
        The silhouette score per layer, the layer where it peaks, and the states there on their
        first two principal components with the panel of each.
    """
    from sklearn.decomposition import PCA  # noqa: PLC0415 - slow to load
    from sklearn.metrics import silhouette_score  # noqa: PLC0415 - slow to load

    table = np.stack(states)  # strips, K, L, D
    count, panels, layers, _ = table.shape
    labels = np.tile(np.arange(1, panels + 1), count)
    if count < 2:
        return {"silhouette": [], "layer": None, "points": [], "panels": []}
    flat = table.reshape(count * panels, layers, -1)
    scores = [float(silhouette_score(flat[:, layer], labels)) for layer in range(layers)]
    best = int(np.argmax(scores))
    points = PCA(2, random_state=0).fit_transform(flat[:, best])
    return {
        "silhouette": scores,
        "layer": best,
        "points": points.round(4).tolist(),
        "panels": labels.tolist(),
    }


def load_directions(path: Path) -> dict[str, np.ndarray]:
    """(panels, L, D) by layout, from the folder of a finished run."""
    data = read_json(path / DIRECTIONS, "reading-directions")
    return {name: unpacked(data, name) for name in data if name != "kind"}


READING_DIRECTIONS = register(
    Experiment(
        EXPERIMENT,
        "Directions from plain reading to reading in reverse",
        ReadingSettings,
        results,
        DirectionRecord,
    )
)
