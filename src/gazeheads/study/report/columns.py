"""The columns of every CSV beside the figures: one name means one thing, one value per cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Column:
    """What stands under a column's name.

    Attributes:
        meaning: of a cell.
        number: whether every cell is a number, or empty where there is none; otherwise a text.
    """

    meaning: str
    number: bool = True


ESTIMATE = ("value", "low", "high", "n")
"""The last columns of a file of estimates."""

COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        # what is measured
        "measure": Column("what `value` is: `accuracy`, `clean`, `rho_schedule`, ...", False),
        "value": Column("the estimate; a share lies between 0 and 1"),
        "low": Column("lower end of its 95% interval; empty if it has none"),
        "high": Column("upper end of its 95% interval; empty if it has none"),
        "n": Column("how many were counted: answers, tokens, strips, draws, ..."),
        "count": Column("a number of things: answers of that kind, heads of that layer"),
        # under what
        "model": Column("name of the model", False),
        "run": Column("title of the run's chapter in the report", False),
        "experiment": Column("name of the experiment", False),
        "heads": Column("heads of the model"),
        "condition": Column("the heads steered: `gaze`, a ranking's name, `random`, `all`", False),
        "other": Column("the ranking compared with", False),
        "k": Column("number of heads steered, or compared"),
        "draw": Column("number of the random set, from 1; empty: not a random set"),
        "strips": Column("strips measured on"),
        "variant": Column("the one thing changed: wording, pool, layout, strength, ...", False),
        "mode": Column("mode of steering", False),
        "delta": Column("strength of steering; inf: hard"),
        "target": Column("panel steered to, from 1; empty: unsteered"),
        "panel": Column("panel described, from 1; empty: no single panel"),
        "label_judge_panel": Column("panel that the exact label judge finds; empty: none"),
        "segment": Column("place in the schedule, from 1; empty: all together"),
        "moment": Column("`prompt_end` or `writing`", False),
        "steering": Column("`plain` or `steered`", False),
        "group": Column("group of tokens", False),
        "order": Column("order of reading: panels joined by hyphens", False),
        "direction": Column("what a direction was found on", False),
        "place": Column("place of a token of the prompt, from 0"),
        "word": Column("text of that token", False),
        "size": Column("size class of a box", False),
        "tokens": Column("class by image tokens in a box", False),
        "way": Column("what is done about a small region", False),
        "method": Column("how a phrase is located", False),
        # about heads
        "layer": Column("layer, from 0; empty: without one"),
        "head": Column("head in its layer, from 0"),
        "score": Column("score of the head"),
        "mean_of_top": Column("mean score of the top k"),
        "shared": Column("heads that two sets of k share"),
        "expected": Column("heads that two sets of k share by chance"),
        "tested": Column("heads tested against chance"),
        "spearman": Column("correlation of two halves of the strips"),
        "difference": Column("accuracy minus that of `other`"),
        "p": Column("p value"),
        "p_holm": Column("p after Holm's correction"),
        "q": Column("false-discovery rate"),
        "published": Column("heads shared in the study, another model"),
        "published_k": Column("size of the study's sets"),
    }
)
"""Every column by name. `docs/results.md` says the same, and which file has which."""
