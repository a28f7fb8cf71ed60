"""Where heads looked while a text was written: by region, by phrase, as a heatmap."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.figure_text import save_figure
from gazeheads.frames import data_frame
from gazeheads.heads import Head, HeadSet
from gazeheads.panel_trace import PanelTrace
from gazeheads.regions import ImageTokens, Region, Rule
from gazeheads.trace_figures import contact_sheet, trace_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from PIL import Image

__all__ = ["ELSEWHERE", "GazeTrace", "HasRegions", "PanelTrace", "TraceError", "regions_of"]

ELSEWHERE = "elsewhere"
"""The image outside all regions."""


class TraceError(GazeheadsError):
    """A question a trace cannot answer."""


class HasRegions(Protocol):
    """Anything with regions, such as a comic strip."""

    @property
    def regions(self) -> Sequence[Region]:
        """In reading order."""
        ...


def regions_of(strip: HasRegions | Iterable[Region]) -> tuple[Region, ...]:
    """The regions of a strip, or the regions themselves."""
    found = tuple(strip.regions if hasattr(strip, "regions") else strip)
    if not found:
        raise TraceError("no regions were given")
    return found


@dataclass(frozen=True, eq=False)
class GazeTrace:
    """Attention to the image's tokens at every step of one generation.

    Step t is the pass that chose the t-th new token, from 0 (the prefill's last row).

    Attributes:
        attention: (steps, heads, T) raw attention mass.
        norms: (heads, T) norm of each image token's value vector; None if not recorded.
        heads: the heads, in the order of the arrays.
        tokens: the T image tokens.
        pieces: text each step added.
        steered_to: per step, what the row was steered to.
        image: the picture the text is about, upright RGB, if it is known.
        dropped: indices of image tokens whose attention was left out, such as sinks.

    Example:
        >>> trace = vlm.watch(strip.image, "What happens?", [(3, 1)], max_new_tokens=8)
        >>> trace.by_panel(strip).values.shape == (len(trace.pieces), 6)
        True
    """

    attention: np.ndarray
    norms: np.ndarray | None
    heads: tuple[Head, ...]
    tokens: ImageTokens
    pieces: tuple[str, ...]
    steered_to: tuple[str | None, ...] = ()
    image: Image.Image | None = None
    dropped: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.attention)

    def __repr__(self) -> str:
        return f"GazeTrace({len(self)} tokens, {len(self.heads)} heads)"

    @property
    def text(self) -> str:
        """What was written."""
        return "".join(self.pieces)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """(start, stop) of each step's piece in the text, in characters."""
        ends = np.cumsum([0, *map(len, self.pieces)])
        return tuple((int(a), int(b)) for a, b in itertools.pairwise(ends))

    def of(self, heads: HeadSet) -> GazeTrace:
        """The trace of some of the heads."""
        heads = heads if isinstance(heads, HeadSet) else HeadSet.of(heads)
        missing = [head for head in heads if head not in self.heads]
        if missing:
            raise TraceError(f"head {missing[0]} was not watched")
        index = [self.heads.index(head) for head in heads]
        norms = None if self.norms is None else self.norms[index]
        return replace(self, attention=self.attention[:, index], norms=norms, heads=heads.heads)

    def without(self, tokens: Sequence[int] | np.ndarray) -> GazeTrace:
        """The trace with no attention to some image tokens, such as `Sinks.tokens`.

        Args:
            tokens: indices among the T image tokens.
        """
        gone = tuple(sorted({*self.dropped, *(int(token) for token in tokens)}))
        if gone and not 0 <= gone[0] <= gone[-1] < len(self.tokens):
            raise TraceError(f"image tokens are 0..{len(self.tokens) - 1}, not {gone[-1]}")
        attention = self.attention.copy()
        attention[:, :, list(gone)] = 0
        return replace(self, attention=attention, dropped=gone)

    def values(self, value_weighted: bool = True) -> np.ndarray:
        """(steps, T) attention summed over heads.

        Args:
            value_weighted: times the norm of each token's value vector (Kobayashi et al. 2020).
        """
        if not value_weighted:
            return np.asarray(self.attention.sum(1))
        if self.norms is None:
            raise TraceError("no value norms were recorded: use value_weighted=False")
        return np.asarray(np.einsum("sht,ht->st", self.attention, self.norms))

    def by_panel(
        self,
        strip: HasRegions | Iterable[Region],
        value_weighted: bool = True,
        normalise: bool = True,
        rule: Rule = "centre",
    ) -> PanelTrace:
        """Attention per region and step.

        Args:
            strip: a strip or regions.
            value_weighted: see `values`.
            normalise: divide every step by its sum over the regions.
            rule: how regions pick tokens.
        """
        regions = regions_of(strip)
        values = self.values(value_weighted)
        table = np.stack([values[:, self.tokens.indices(r, rule)].sum(1) for r in regions], 1)
        if normalise:
            total = table.sum(1, keepdims=True)
            table = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
        names = tuple(region.name or str(i + 1) for i, region in enumerate(regions))
        return PanelTrace(table, names, self.pieces, normalise)

    def by_region(
        self, regions: Sequence[Region], value_weighted: bool = True, rule: Rule = "centre"
    ) -> PanelTrace:
        """Share of the attention to the whole image that goes to every region, and elsewhere.

        Regions may overlap: a token then counts for each.

        Args:
            regions: any, named in the result by their names.
            value_weighted: see `values`.
            rule: how regions pick tokens.
        """
        chosen = regions_of(regions)
        values = self.values(value_weighted)
        own = [self.tokens.indices(region, rule) for region in chosen]
        rest = np.setdiff1d(np.arange(values.shape[1]), np.concatenate(own))
        table = np.stack([values[:, tokens].sum(1) for tokens in (*own, rest)], 1)
        total = values.sum(1, keepdims=True)
        shares = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
        names = tuple(region.name or str(i + 1) for i, region in enumerate(chosen))
        return PanelTrace(shares, (*names, ELSEWHERE), self.pieces)

    def steps_of(self, phrase: str, occurrence: int = 0) -> range:
        """The steps that wrote a phrase.

        Args:
            phrase: as it stands in the text.
            occurrence: which one, from 0.
        """
        start = -1
        for _ in range(occurrence + 1):
            start = self.text.find(phrase, start + 1)
            if start < 0 or not phrase:
                raise TraceError(
                    f"the text has no such phrase (occurrence {occurrence}): {phrase!r}"
                )
        return self.steps_between(start, start + len(phrase))

    def steps_between(self, start: int, stop: int) -> range:
        """The steps that wrote the characters from `start` to `stop` of the text."""
        touched = [i for i, (a, b) in enumerate(self.offsets) if a < stop and b > start and b > a]
        if not touched:
            raise TraceError(f"no token wrote characters {start} to {stop}")
        return range(touched[0], touched[-1] + 1)

    def by_phrase(
        self, phrase: str, occurrence: int = 0, value_weighted: bool = False
    ) -> np.ndarray:
        """(T,) attention per image token, averaged over the phrase's steps and the heads."""
        steps = self.steps_of(phrase, occurrence)
        return np.asarray(self.values(value_weighted)[list(steps)].mean(0) / len(self.heads))

    def heatmap(
        self,
        steps: int | str | Sequence[int] | None = None,
        value_weighted: bool = False,
        image: int = 0,
    ) -> np.ndarray:
        """(height, width) attention per pixel of the original image.

        Args:
            steps: one step, several, those of a phrase, or None for all.
            value_weighted: see `values`.
            image: which image of the prompt.
        """
        if isinstance(steps, str):
            chosen: list[int] = list(self.steps_of(steps))
        elif isinstance(steps, int):
            chosen = [steps]
        else:
            chosen = list(range(len(self)) if steps is None else steps)
        if not chosen or not all(-len(self) <= step < len(self) for step in chosen):
            raise TraceError(f"the trace has steps 0..{len(self) - 1}")
        values = self.values(value_weighted)[chosen].mean(0) / len(self.heads)
        return self.tokens.heatmap(values, image)

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Figure:
        """A contact sheet: the picture under a heatmap for the whole text, then phrase by phrase.

        Args:
            path: also save the figure there; the ending chooses the format.
            title: above the figure.

        Raises:
            TraceError: it is not known what picture the text is about.
            GazeheadsError: the figure cannot be saved.
        """
        figure = contact_sheet(self, self.known_image(), title)
        if path is not None:
            save_figure(figure, path, dpi=120)
        return figure

    def known_image(self) -> Image.Image:
        """The picture; raises TraceError if it is not known."""
        if self.image is None:
            raise TraceError(
                "the trace does not know its picture: watch the picture itself instead of an "
                "encoded prompt, or set it with dataclasses.replace(trace, image=picture)"
            )
        return self.image

    def to_dataframe(self) -> DataFrame:
        """One row per step, head and image token.

        Columns: `step`, `piece`, `steered_to`, `layer`, `head`, `token` (from 0), `image` (which
        of the prompt), the token's box `x0`, `y0`, `x1`, `y1` in pixels, `attention` (raw mass)
        and `norm` (of the value vector; missing where none was recorded).

        Raises:
            GazeheadsError: pandas is not installed.
        """
        step, head, token = (part.ravel() for part in np.indices(self.attention.shape))
        pieces, to = np.array(self.pieces, dtype=object), self.steered_to or [None] * len(self)
        norms = np.nan if self.norms is None else self.norms[head, token]
        layers, numbers = np.array(self.heads).reshape(-1, 2).T
        box = dict(zip(("x0", "y0", "x1", "y1"), self.tokens.boxes[token].T, strict=True))
        return data_frame(
            {"step": step, "piece": pieces[step], "steered_to": np.array(to, dtype=object)[step],
             "layer": layers[head], "head": numbers[head], "token": token,
             "image": self.tokens.image_index[token], **box,
             "attention": self.attention.ravel(), "norm": norms}
        )  # fmt: skip

    _repr_html_ = trace_html
