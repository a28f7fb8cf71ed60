"""How many heads to steer and how strongly, found on some strips and checked on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gazeheads.data import objects
from gazeheads.data.objects import ObjectPictures, drawn_pictures
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.heads_by_default import TUNING_SEED
from gazeheads.study.context import ExperimentContext
from gazeheads.study.experiments import dose, natural, steer_vqa
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.experiments.natural import NaturalSettings
from gazeheads.study.experiments.question import SteerVqaSettings, default_ks
from gazeheads.study.runs import RunFolder

ENOUGH = 0.95
"""The smallest number that reaches this share of the best is taken for regions."""
SCENES = 15
"""Drawn scenes that objects are pointed at in, and as many others for the check."""
DRAW_STRIPS = 10
"""Strips that the random heads of the check are measured on."""


def run(context: ExperimentContext) -> tuple[list[RunFolder], HeadSet]:
    """Finds the number and the strength on the tuning strips, and measures both on the others.

    Every part is a run of its own and goes on where it stopped: the sweep over the number of heads
    (its peak is taken), the doses at that number (the smallest strength within 95% of the best is
    taken), the main table with these, with random heads and all heads beside it, and how many
    heads to point at one object of a picture, on drawn scenes.

    Args:
        context: the model; its `k` is not used.

    Returns:
        The runs, and the heads with the strength, what they were found on and how well they steer.

    Raises:
        GazeheadsError: no strength makes any answer follow, so that there is nothing to recommend.
    """
    swept = steer_vqa.sweep_k(context, shared=True)
    k = int(swept.summary["results"]["peak"]["k"])
    priced = dose.tried(context, k)
    recommended = priced.summary["results"]["recommended"]
    if recommended is None:
        raise GazeheadsError(
            f"no strength makes an answer of {context.vlm.name} describe the panel that {k} heads "
            "are pointed at: there is nothing to recommend"
        )
    delta = float(recommended["delta"])
    settings = SteerVqaSettings((k,), delta=delta, draw_strips=DRAW_STRIPS, seed=context.seed)
    checked = steer_vqa.answers(context, settings, shared=True)
    best = context.scores.top(k)
    heads = replace(best, delta=delta, found=_found(context, swept, checked))
    pointed, regions = _regions(context, heads)
    heads = replace(heads, found={**heads.found, "regions": regions})
    return [swept, priced, checked, *pointed], heads


def _regions(
    context: ExperimentContext, heads: HeadSet
) -> tuple[list[RunFolder], dict[str, Any] | None]:
    """How many heads to point at one object of a picture: tried on some scenes, checked on others.

    Returns:
        The runs, and the number with what it reaches; None if no object is ever named.
    """
    living = len(context.scores.living_ranking())
    sizes = [k for k in default_ks(len(context.scores)) if k <= living]
    tried, curve = _pointed(context, heads, sizes, context.seed + TUNING_SEED, "Trying how many")
    best = max(curve[k]["value"] for k in sizes)
    if not best:
        return [tried], None
    k = next(k for k in sizes if curve[k]["value"] >= ENOUGH * best)
    checked, own = _pointed(context, heads, [k], context.seed, "Checking the number")
    summary = checked.summary["results"]["classes"][-1]["accuracy"]
    return [tried, checked], {
        "k": k,
        "accuracy": own[k],
        "unsteered": summary[natural.UNSTEERED],
        "scenes": SCENES,
        "by_number": {str(size): curve[size]["value"] for size in sizes},
    }


def _pointed(
    context: ExperimentContext, heads: HeadSet, sizes: Sequence[int], seed: int, title: str
) -> tuple[RunFolder, dict[int, dict[str, Any]]]:
    """Objects of drawn scenes named by so many heads pointed at them as `describe` points them."""
    pictures = ObjectPictures(tuple(drawn_pictures(SCENES, seed)))
    delta = heads.delta or NaturalSettings.delta
    settings = NaturalSettings(objects.SCENES, delta=delta, when="prefill", seed=seed)
    sets = {f"{GAZE}-{k}": context.scores.top(k) for k in sizes}
    options = context.announced(f"{title} heads to point at objects")
    run = natural.run(context.vlm, pictures, sets, settings, options, shared=True)
    accuracy = run.summary["results"]["classes"][-1]["accuracy"]
    return run, {k: accuracy[f"{GAZE}-{k}"] for k in sizes}


def _found(context: ExperimentContext, swept: RunFolder, checked: RunFolder) -> dict[str, Any]:
    """How and on what a set was found, and how well it steers, as JSON values."""
    conditions = checked.summary["results"]["conditions"]
    own = {each["condition"]: each for each in conditions}
    random = own.get(RANDOM)
    return {
        "how": f"{context.scores.name or 'gaze'} score; the number of heads by a sweep, the "
        "strength by doses, both on the tuning strips",
        "ranking": [str(head) for head in context.scores.living_ranking()],
        "tuning_strips": len(context.tuning),
        "strips": len(context.strips),
        "strips_mark": checked.settings["strips_mark"],
        "prompt": checked.settings["prompt"],
        "judge": checked.settings["judge"],
        "seed": context.seed,
        "accuracy": own[GAZE]["accuracy"],
        "clean": own[GAZE]["clean"],
        "random": _told(random["controls"] if random is not None else None),
        "all_heads": own[ALL]["accuracy"] if ALL in own else None,
        "by_number": _curve(swept.summary["results"]["conditions"]),
        "versions": checked.versions,
    }


def _told(controls: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the random heads reached; the shares of the single draws stay with the run."""
    if controls is None:
        return None
    kept = {key: controls[key] for key in ("median", "least", "most", "strips", "p")}
    return {"sets": len(controls["draws"]), **kept}


def _curve(conditions: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Accuracy of the gaze heads on the tuning strips, by how many are steered."""
    return {
        str(each["k"]): each["accuracy"]["value"]
        for each in conditions
        if each["condition"] == GAZE
    }
