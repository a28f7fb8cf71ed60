"""From what a user names on the command line to strips, heads and regions."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from gazeheads.cli.heads_options import DISCOVERED
from gazeheads.cli.places import region_of_text
from gazeheads.cli.region_options import Rule, Units
from gazeheads.cli.strength_options import Strength
from gazeheads.cli.terminal import ProgressBars, err, in_a_grid, load_quietly
from gazeheads.control_draws import study_size
from gazeheads.data.drawn.mark import is_drawn
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import read_strips
from gazeheads.data.layout import relaid, relaid_picture
from gazeheads.data.pictures import open_image
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.files import read_text
from gazeheads.head_rankings import heads_of_text, read_ranking
from gazeheads.heads import HeadScores, HeadSet, HeadsWarning
from gazeheads.heads_by_default import (
    TUNING_SEED,
    discovered_heads,
    registered,
)
from gazeheads.regions import Region

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.steering import Steering

Found = TypeVar("Found", HeadSet, HeadScores)
LENGTH_SEED = 10_007
"""Distance of the seeds of strips of different lengths."""


def strips_for(folder: Path | None, limit: int, seed: int, panels: int = 6) -> list[Strip]:
    """The first strips of a folder, or held-out drawn ones."""
    if limit < 1:
        raise GazeheadsError(f"--limit must be at least 1, not {limit}")
    strips = read_strips(folder, limit) if folder is not None else None
    strips = strips or draw_strips(limit, seed, panels)
    return [relaid(strip) for strip in strips] if in_a_grid() else strips


def tuning_strips(strips: Sequence[Strip], seed: int) -> list[Strip]:
    """As many drawn strips of the same shape, none of them among `strips`."""
    first = strips[0]
    if any(len(strip) != len(first) for strip in strips):
        raise GazeheadsError("all strips must have the same number of panels")
    return draw_strips(len(strips), seed + TUNING_SEED, len(first), columns=first.columns)


@dataclass(frozen=True)
class Shown:
    """The picture to ask about.

    Attributes:
        name: in outputs.
        image: what the model sees.
        panels: its panels in reading order; none if they are not known.
        drawn: whether it is known to be drawn by this package.
    """

    name: str
    image: Image.Image
    panels: tuple[Region, ...]
    drawn: bool = False

    def targets(
        self, panel: int | None, box: str | None, units: Units | None = None
    ) -> tuple[Region, ...]:
        """Where to point the heads: a box, a panel, or every panel in turn.

        Args:
            panel: its number, from 1.
            box: four numbers in `units`, which are pixels if they are not named.
            units: of the box.

        Raises:
            GazeheadsError: both were named, neither is known, or it lies outside.
        """
        if panel is not None and box is not None:
            raise GazeheadsError("name either --panel or --box, not both")
        if box is not None:
            return (region_of_text(box, units or Units.pixels, self.image.size, "--box"),)
        if units is not None:
            raise GazeheadsError("--units says what the numbers of --box are: name a --box too")
        if not self.panels:
            raise GazeheadsError(
                f"where in {self.name}? Name a --box x0,y0,x1,y1 in pixels, or say with --panels "
                "how many panels it has"
            )
        if panel is None:
            return self.panels
        if not 1 <= panel <= len(self.panels):
            raise GazeheadsError(
                f"no panel {panel}: {self.name} has panels 1 to {len(self.panels)}"
            )
        return (self.panels[panel - 1],)


def shown_at(
    path: Path, comic: str | None, panels: int | None = None, columns: int | None = None
) -> Shown:
    """A comic of a strips folder, or an image, cut into equal panels if it has any.

    Args:
        path: of the folder or the image.
        comic: id or number of the comic in a folder; None: the first.
        panels, columns: of an image; columns None: one row.

    Raises:
        GazeheadsError: the picture cannot be read, or the comic's panels are known.
    """
    if path.is_dir():
        if panels is not None or columns is not None:
            told = "--panels" if panels is not None else "--columns"
            raise GazeheadsError(f"the panels of the strips in {path} are known: leave {told} out")
        strip = relaid(_comic(path, comic)) if in_a_grid() else _comic(path, comic)
        return Shown(strip.id, strip.image, strip.regions, is_drawn(strip.image))
    image = open_image(path)
    cut = _cut(image.size, panels, columns) if panels else ()
    if cut and in_a_grid():
        image, cut = relaid_picture(image, cut)
    return Shown(path.name, image, cut, is_drawn(path))


def _comic(folder: Path, comic: str | None) -> Strip:
    strips = read_strips(folder)
    if comic is None:
        return strips[0]
    for number, strip in enumerate(strips, 1):
        if comic in (strip.id, str(number)):
            return strip
    raise GazeheadsError(
        f"no comic {comic!r} in {folder}: name its id ({strips[0].id} ...) or its number, "
        f"1 to {len(strips)}"
    )


def _cut(size: tuple[int, int], panels: int, columns: int | None) -> tuple[Region, ...]:
    """Equal panels in rows."""
    across = columns or panels
    if not (1 <= panels <= size[0] * size[1] and 1 <= across <= size[0]):
        raise GazeheadsError(f"cannot cut an image into {panels} panels in {across} columns")
    width, height = size[0] / across, size[1] / -(-panels // across)
    corners = [(n % across * width, n // across * height) for n in range(panels)]
    return tuple(
        Region.from_box(x, y, x + width, y + height, f"panel {n}")
        for n, (x, y) in enumerate(corners, 1)
    )


def overlap_share(rule: Rule, threshold: float | None) -> float:
    """The share of a token that has to lie in a region for the rule "overlap".

    Raises:
        GazeheadsError: it is named for the other rule, or not in (0, 1].
    """
    if threshold is None:
        return 0.5
    if rule is not Rule.overlap:
        raise GazeheadsError("--threshold is of --rule overlap: name that too")
    if not 0 < threshold <= 1:
        raise GazeheadsError(f"--threshold must be above 0 and at most 1, not {threshold:g}")
    return threshold


def steerings(
    heads: HeadSet, targets: Sequence[Region], rule: Rule, threshold: float, strength: Strength
) -> list[Steering]:
    """One steering per target, as strong as asked for, or as the heads recommend."""
    from gazeheads.steering import Steering

    how = strength.of(heads)
    return [
        Steering(heads, where, **how, rule=rule.value, threshold=threshold) for where in targets
    ]


def heads_mark(path: Path | None) -> str | None:
    """Of what stands in a file of heads; a missing one is told by who reads it."""
    if path is None or path == DISCOVERED or heads_of_text(str(path)) is not None:
        return None if path is None else str(path)
    return hashlib.sha256(read_text(path).encode()).hexdigest()[:16]


def read_heads(path: Path, k: int | None) -> HeadSet:
    """Heads from a file of scores, of a head set or of the study's, or by name: L3H1,L4H0.

    Args:
        path: of the file, or the names.
        k: how many; None: the whole set, or of scores the study's share.
    """
    found = heads_of_text(str(path)) or read_ranking(path)
    if isinstance(found, HeadScores):
        return best_heads(found, k)
    return found.top(k) if k is not None else found


def best_heads(scores: HeadScores, k: int | None) -> HeadSet:
    """The top `k` heads, or the study's share of the model."""
    return scores.top(k if k is not None else study_size(len(scores)))


def check_k(vlm: VLM, k: int | None) -> None:
    """Raises GazeheadsError unless the model has `k` heads."""
    heads = vlm.num_layers * vlm.num_heads
    if k is not None and not 1 <= k <= heads:
        raise GazeheadsError(f"K = {k} does not exist: {vlm.name} has {heads} heads")


def heads_of(vlm: VLM, found: Found, anyway: bool) -> Found:
    """Heads or scores of a file, as those of the model; what is doubtful is said on stderr.

    Args:
        vlm: the model.
        found: in the file.
        anyway: take them although they were found in other weights (`--heads-anyway`).

    Raises:
        HeadError: another shape, or other weights.
    """
    found = found.forced(vlm.name, vlm.fingerprint) if anyway else found
    own = vlm.fingerprint if found.fingerprint else ""
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", HeadsWarning)
        found.check(vlm.num_layers, vlm.num_heads, vlm.name, own)
    for doubt in doubts:
        err.print(f"Note: {doubt.message}", markup=False)
    # said once: the library need not say it again at every use
    return found.forced(vlm.name, own) if doubts else found


def model_and_heads(
    model: str,
    file: Path | None,
    k: int | None,
    seed: int,
    bars: ProgressBars,
    anyway: bool = False,
    for_regions: bool = False,
) -> tuple[VLM, HeadSet]:
    """The model, and its heads: from a file, registered for it, or discovered now.

    Args:
        model: as the user names it.
        file: of heads; None: those registered; `DISCOVERED`: found now.
        k: how many; None: as the heads recommend.
        seed: of the strips, if heads are found now.
        bars: tell what takes time.
        anyway: see `heads_of`.
        for_regions: of what the heads recommend, the number for parts of any picture.
    """
    anew = file == DISCOVERED
    read = read_heads(file, k) if file is not None and not anew else None
    vlm = load_quietly(model)
    check_k(vlm, k)
    if read is not None:
        own = heads_of(vlm, read, anyway)
        return vlm, own.for_regions() if for_regions and k is None else own
    if not anew and not in_a_grid() and (known := registered(vlm)) is not None:
        chosen = known.heads if k is None else known.heads.resized(k)
        chosen = chosen.for_regions() if for_regions and k is None else chosen
        told = f"Heads: {len(chosen)} registered for {vlm.name}, kept in {known.source}"
        err.print(told, markup=False)
        if known.by_name:
            err.print(
                "Note: they are kept by its name alone: whether they were found in these very "
                "weights is unknown",
                markup=False,
            )
        return vlm, chosen
    progress = bars("Finding gaze heads")
    in_rows = in_a_grid()
    return vlm, discovered_heads(vlm, k, seed=seed, in_rows=in_rows, progress=progress)
