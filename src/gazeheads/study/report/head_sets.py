"""The section that compares rankings of heads under the same intervention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gazeheads.control_draws import GAZE_SHARE
from gazeheads.study import published
from gazeheads.study.experiments import head_sets
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.report import rankings
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.naming import called, heads_called
from gazeheads.study.report.numbers import Results, Runs
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import write_csv, write_estimates
from gazeheads.study.report.theme import save
from gazeheads.study.report.variants import ANOTHER_MODEL, conditions_table
from gazeheads.study.tournament import holm


@section(head_sets.EXPERIMENT, place=70)
def head_sets_section(runs: Runs) -> Section:
    """Gaze heads against heads chosen in other ways."""
    run = runs[head_sets.EXPERIMENT]
    results = run.summary["results"]
    sizes = _published_sizes(run.settings["ks"], results["heads"])
    tables = [
        conditions_table(run.path, results, published.SET_ACCURACY[size], k, size)
        for k, size in sizes.items()
    ]
    shared = [
        block
        for own in results["overlaps"]
        if own["k"] in sizes
        for block in _overlap_blocks(run.path, own, results["heads"], sizes[own["k"]])
    ]
    told = (
        "The same intervention on heads chosen in other ways. Image heads (arXiv 2510.02790) look "
        "at the image at all, localization heads (arXiv 2503.06287) at one clump of it; "
        "\u201caveraged\u201d applies the latter's criteria once to averaged maps, as the gaze "
        "study did. \u201cCausal\u201d ranks heads by how much steering them raises the target's "
        "answer against a rival panel's (integrated gradient), \u201cgreedy\u201d picks them one "
        "by one, \u201celimination\u201d steers all living heads and takes away, again and again, "
        "what is missed least; \u201ctext heads\u201d look at the line asked about when the strip "
        "is told in text."
    )
    tournament = results.get("tournament")  # runs of 0.1 have none
    blocks = [] if tournament is None else [_pairs_table(run.path, tournament)]
    return Section(
        "head-sets",
        "Is it the gaze? Heads chosen in other ways"
        if called(GAZE) == GAZE
        else f"{heads_called().capitalize()} and heads chosen in other ways",
        (told, *([] if tournament is None else _outcome(tournament))),
        (_curves(run.path, results), *blocks, *tables, *shared),
    )


def _outcome(tournament: Results) -> list[str]:
    """The winner, and how few heads do the reference's work, in plain words."""
    winner, ps = tournament["winner"], tournament["winner_p"]
    goal, reference = tournament["goal"], called(tournament["reference"])
    lines = []
    if ps:
        p = max(ps.values())
        nearest = max(ps, key=lambda name: float(ps[name]))
        sure = "the difference is not chance alone" if p <= 0.05 else "this may be chance"
        share = 100 * tournament["mean_over_k"][winner]
        lines.append(
            f"On average over the sizes the ranking \u201c{called(winner)}\u201d steers best "
            f"({share:.1f}% of answers). Against the hardest to tell from it, "
            f"\u201c{called(nearest)}\u201d, p = {p:.4f} after Holm's correction: {sure}. The "
            "winner was picked on these same strips."
        )
    ahead = [
        f"\u201c{pair['ranking']}\u201d with {pair['k']} heads "
        f"({100 * pair['difference']:+.1f} points, p = {pair['p_holm']:.4f})"
        for pair in tournament["pairs"]
        if pair["difference"] > 0 and pair["p_holm"] <= rankings.SURE
    ]
    if ahead:
        lines.append(
            f"Ahead of the {reference} score with as many heads, and not by chance alone: "
            f"{', '.join(ahead)}."
        )
    half = goal["half"]
    told = (
        ", ".join(f"\u201c{name}\u201d (with {goal['needed'][name]})" for name in half)
        if half
        else "no other ranking"
    )
    lines.append(
        f"The {reference} score is at its best, {100 * goal['accuracy']:.1f}%, with {goal['k']} "
        f"heads; at least as much with at most half as many is reached by {told}."
    )
    return lines


def _published_sizes(ks: list[int], heads: int) -> dict[int, int]:
    """By our sizes the study's: its small size, and the one nearest to its share of heads."""
    peak = min(ks, key=lambda k: (abs(k - GAZE_SHARE * heads), k))
    small = min(ks, key=lambda k: (abs(k - head_sets.SMALL), k))
    return {small: head_sets.SMALL, peak: published.PEAK_K}


def _curves(folder: Path, results: Results) -> FigureBlock:
    conditions = results["conditions"]
    shown = [c for c in conditions if c["condition"] != ALL]
    ks = sorted({c["k"] for c in shown})
    series = {
        name: [
            next((c["accuracy"] for c in shown if (c["condition"], c["k"]) == (name, k)), None)
            for k in ks
        ]
        for name in _best_first(shown)
    }
    head = ("condition", "k", "measure")
    rows = [((c["condition"], c["k"], "accuracy"), c["accuracy"]) for c in conditions]
    return FigureBlock(
        save(
            folder,
            "head-sets",
            lambda theme: rankings.small_curves(theme, ks, series, GAZE, results["chance"]),
        ),
        f"Accuracy by number of heads, for every ranking beside the {called(GAZE)} score.",
        "Share of answers that follow, by number of heads: one chart per way of choosing them, "
        f"the best on average first, each beside the {called(GAZE)} score (dashed). Bands: 95% "
        f"bootstrap intervals over strips. Dotted: chance. {RANDOM.capitalize()}: living heads "
        "outside the set under test, matched by layer.",
        (write_estimates(folder / "head-sets.csv", head, rows),),
    )


def _best_first(conditions: Sequence[Results]) -> list[str]:
    """Names of the rankings by their mean accuracy, the random heads last."""
    names = list(dict.fromkeys(c["condition"] for c in conditions))

    def mean(name: str) -> float:
        own = [float(c["accuracy"]["value"]) for c in conditions if c["condition"] == name]
        return sum(own) / len(own)

    return sorted(names, key=lambda name: (name == RANDOM, -mean(name)))


def _pairs_table(folder: Path, tournament: Results) -> TableBlock:
    """One row per ranking: its difference to the reference at every number of heads."""
    head = ("condition", "other", "k", "difference", "p", "p_holm")
    each = [
        (pair["ranking"], tournament["reference"], *(pair[name] for name in head[2:]))
        for pair in tournament["pairs"]
    ]
    write_csv(folder / "tournament.csv", head, each)
    ks = sorted({pair["k"] for pair in tournament["pairs"]})
    cells = {
        (pair["ranking"], pair["k"]): f"{100 * pair['difference']:+.1f} (p {pair['p_holm']:.3f})"
        for pair in tournament["pairs"]
    }
    rows = tuple(
        (name, *(cells[name, k] for k in ks))
        for name in tournament["mean_over_k"]
        if name != tournament["reference"]
    )
    note = (
        f"Points of accuracy above or below the {called(tournament['reference'])} score at as many "
        "heads, with p over strips (flipped signs), after Holm's correction for all of these "
        "comparisons."
    )
    return TableBlock(("ranking", *(f"K = {k}" for k in ks)), rows, note)


def _overlap_blocks(
    folder: Path, own: Results, heads: int, size: int
) -> tuple[FigureBlock | TableBlock, ...]:
    """All pairs as a map, those with the reference and the published ones as a table."""
    k, theirs = own["k"], published.OVERLAPS[size]
    head = (f"sets of {k}", "heads shared", "by chance", "p", "published")
    cells = {
        "+".join(pair["sets"]): (
            " and ".join(map(called, pair["sets"])),
            f"{pair['shared']} of {k}",
            f"{pair.get('expected', k * k / heads):.1f}",
            f"{pair['p']:.4f}" if "p" in pair else "",
            f"{theirs[key]} of {size}" if (key := "+".join(pair["sets"])) in theirs else "",
        )
        for pair in own["pairs"]
    }
    data = _overlap_numbers(folder, own, theirs, size)
    rows = tuple(
        row
        for pair, (key, row) in zip(own["pairs"], cells.items(), strict=True)
        if own["reference"] in pair["sets"] or key in theirs
    )
    note = (
        "By chance: living heads drawn with as many per layer; p is exact and uncorrected. "
        f"{own['shared_by_all']} heads are in all of these sets; in the study "
        f"{published.SHARED_BY_ALL[size]} of {size} are in all of its three. {ANOTHER_MODEL}"
    )
    table = TableBlock(head, rows, note)
    if not all("p" in pair for pair in own["pairs"]):  # a run of 0.1
        return (table,)
    return (_overlap_map(folder, own, data), table)


def _overlap_numbers(folder: Path, own: Results, theirs: Mapping[str, int], size: int) -> Path:
    k = own["k"]
    head = ("condition", "other", "k", "shared", "expected", "p", "published", "published_k")
    rows = [
        (*pair["sets"], k, pair["shared"], pair.get("expected"), pair.get("p"), known,
         None if known is None else size)
        for pair in own["pairs"]
        for known in [theirs.get("+".join(pair["sets"]))]
    ]  # fmt: skip
    return write_csv(folder / f"overlaps-{k}.csv", head, rows)


def _overlap_map(folder: Path, own: Results, data: Path) -> FigureBlock:
    k, names = own["k"], list(dict.fromkeys(name for pair in own["pairs"] for name in pair["sets"]))
    corrected = holm([pair["p"] for pair in own["pairs"]])
    pairs = [{**pair, "p_holm": p} for pair, p in zip(own["pairs"], corrected, strict=True)]
    return FigureBlock(
        save(folder, f"overlaps-{k}", lambda theme: rankings.shared_map(theme, names, pairs, k)),
        f"Heads that sets of {k} share, and would by chance.",
        f"How many of their top {k} heads two rankings share (below the diagonal), and how many "
        "sets of living heads with as many heads per layer would (above it). Bold with a dot: "
        f"more than chance, p at most {rankings.SURE} after Holm's correction.",
        (data,),
    )
