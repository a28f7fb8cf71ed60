"""Control heads: many random sets for one set of gaze heads, and what their distribution says.

One random draw says nothing: independent replications of the study's control span 0.7% to 66%. So
every draw is measured on the same strips, and the gaze heads on those strips stand beside them.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from gazeheads.control_draws import in_their_layers, shared, study_size
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.head_set import head_named
from gazeheads.heads import Head, HeadError, HeadScores, HeadSet, Pool
from gazeheads.study.experiment import Option
from gazeheads.study.stats import add_one_p

ControlPool = Literal["matched"] | Pool
"""Where control heads come from: as many in every layer as the gaze heads have, or one of the
study's three pools (see `HeadScores.random`)."""
MATCHED: Literal["matched"] = "matched"
DRAWS = 20
"""The least number of draws that can tell chance at 5%: the smallest p is 1 in 21."""
Draws = Annotated[int, Option("Random head sets to compare with.", least=1)]
DrawStrips = Annotated[
    int | None,
    Option("Measure them on so many strips; default: all, long texts 10, sweeps 4.", least=1),
]
"""Options of the commands that have random heads as a control."""


def check_draws(draws: int, draw_strips: int | None) -> None:
    """Raises GazeheadsError for numbers of draws or strips below 1."""
    if draws < 1:
        raise GazeheadsError(f"at least 1 draw of control heads is needed, not {draws}")
    if draw_strips is not None and draw_strips < 1:
        raise GazeheadsError(f"draws are measured on at least 1 strip, not {draw_strips}")


@dataclass(frozen=True)
class Drawn:
    """Control sets, and what is not as it should be about them.

    Attributes:
        sets: none if too few living heads are left.
        note: in a few words; empty if nothing is to be said.
    """

    sets: tuple[HeadSet, ...]
    note: str = ""


def control_heads(
    scores: HeadScores,
    k: int,
    draws: int,
    seed: int,
    pool: ControlPool,
    heads: HeadSet | None = None,
) -> tuple[HeadSet, ...]:
    """`draw_controls`; what is not as it should be is said in a warning."""
    drawn = draw_controls(scores, k, draws, seed, pool, heads)
    say([drawn.note])
    return drawn.sets


def draw_controls(
    scores: HeadScores,
    k: int,
    draws: int,
    seed: int,
    pool: ControlPool,
    heads: HeadSet | None = None,
) -> Drawn:
    """Random sets beside the `k` gaze heads.

    Matched sets are drawn from all living heads outside the set under test: heads that rank just
    below it are the hardest control. The study's pools leave out its own share of the ranking too.

    Args:
        scores: of the heads.
        k: how many heads a set has.
        draws: how many sets.
        seed: of the draws.
        pool: where the heads come from.
        heads: the set under test; default: the top `k`.
    """
    gaze = scores.top(k) if heads is None else heads
    least = min(max(k, study_size(len(scores))), len(scores))
    if pool == MATCHED:
        return _matched(scores, gaze, draws, seed)
    return _of_pool(scores, k, draws, seed, pool, least)


def _matched(scores: HeadScores, gaze: HeadSet, draws: int, seed: int) -> Drawn:
    k = len(gaze)
    try:
        drawn = scores.matched(gaze, draws, seed)
    except HeadError as error:
        return Drawn((), f"no random heads beside {k} gaze heads: {error}")
    short = max(k - in_their_layers(each, gaze) for each in drawn)
    notes = [f"{short} of {k} from the layers nearest to theirs"] if short else []
    if len(drawn) < draws:
        notes.append(f"no more than {len(drawn)} different sets of {k}")
    return Drawn(
        drawn, f"controls, as too few living heads are left: {', '.join(notes)}" if notes else ""
    )


def _of_pool(scores: HeadScores, k: int, draws: int, seed: int, pool: Pool, least: int) -> Drawn:
    """By the study's protocol; if a pool holds too few, more of the ranking is excluded first."""
    for count in range(least, len(scores)):
        try:
            return _distinct(scores, k, draws, seed, pool, scores.top(count))
        except HeadError:  # the layers of these heads hold too few others
            continue
    gaze = scores.top(least)
    try:
        drawn = _distinct(scores, k, draws, seed, pool, gaze, widen=True)
    except HeadError as error:
        return Drawn((), f"no random heads beside {k} gaze heads: {error}")
    few = f"too few living heads in the layers of the top {least}"
    notes = [f"{few}: as controls {drawn.sets[0].name}", drawn.note]
    return Drawn(drawn.sets, "; ".join(note for note in notes if note))


def _distinct(
    scores: HeadScores,
    k: int,
    draws: int,
    seed: int,
    pool: Pool,
    gaze: HeadSet,
    widen: bool = False,
) -> Drawn:
    """Different sets of a pool; a set that was drawn before is drawn again, a while."""
    found: dict[frozenset[Head], HeadSet] = {}
    for attempt in range(50 * draws):
        one = scores.random(k, seed + attempt, gaze, pool, widen)
        found.setdefault(frozenset(one), one)
        if len(found) == draws:
            return Drawn(tuple(found.values()))
    note = f"no more than {len(found)} different sets of {k} in the pool {pool!r}"
    return Drawn(tuple(found.values()), note)


def about_draws(draws: Sequence[Sequence[str]], gaze: Sequence[str] | None) -> dict[str, Any]:
    """What control sets are like, from the names of their heads.

    Args:
        draws: of every set.
        gaze: of the set under test; None: it was not measured.

    Returns:
        How many sets there are, how much two of them share on average, and how many heads of a
        set stand in for one of their own layer, in the set where fewest do.
    """
    sets = [[head_named(name) for name in names] for names in draws]
    own = None
    if gaze is not None:
        tested = [head_named(name) for name in gaze]
        own = min(in_their_layers(each, tested) for each in sets)
    return {"sets": len(sets), "shared": shared(sets), "own_layer": own}


def say(notes: Sequence[str]) -> None:
    """Warns once of everything that is not as it should be about the controls."""
    told = list(dict.fromkeys(note for note in notes if note))
    start = "controls, as too few living heads are left: "
    alike = [note.removeprefix(start) for note in told if note.startswith(start)]
    rest = [note for note in told if not note.startswith(start)]
    if alike or rest:
        joined = [start + "; ".join(alike)] if alike else []
        warnings.warn("; ".join([*joined, *rest]), GazeheadsWarning, stacklevel=3)


def distribution(
    draws: Sequence[dict[str, Any]], gaze: dict[str, Any] | None, strips: int
) -> dict[str, Any]:
    """What the draws of a control say together.

    Args:
        draws: the share of every draw (see `Estimate`), all measured on the same strips.
        gaze: the gaze heads' share on those strips; None: they were not measured.
        strips: how many there were.

    Returns:
        Every draw's share, their median and range, the gaze heads' share, and the add-one
        empirical p: of gaze and draws together the part that does at least as well as gaze.
    """
    values = [own["value"] for own in draws]
    return {
        "draws": list(draws),
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "strips": strips,
        "gaze": gaze,
        "p": None if gaze is None else add_one_p(gaze["value"], values),
    }
