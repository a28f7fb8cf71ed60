"""The gaze score: how much a head looks at the panel the question asks about."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from gazeheads import prompts
from gazeheads.discovery.nulls import permutation_null
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores, HeadsWarning
from gazeheads.progress import Progress
from gazeheads.regions import Region

if TYPE_CHECKING:
    from gazeheads.models import VLM


KEPT_BYTES = 1 << 30
"""Bound of the strips' own matrices, which the null of the scores needs; float32."""


class DiscoveryError(GazeheadsError):
    """Strips that heads cannot be discovered on."""


class StripLike(Protocol):
    """A picture with regions in reading order."""

    @property
    def id(self) -> str:
        """Name in records."""
        ...

    @property
    def image(self) -> Image.Image:
        """What the model sees."""
        ...

    @property
    def regions(self) -> Sequence[Region]:
        """The panels."""
        ...

    def __len__(self) -> int: ...


def discover(
    vlm: VLM,
    strips: Iterable[StripLike],
    prompt: str | Callable[[int, int], str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    batch_size: int = 1,
) -> HeadScores:
    """Scores every head by the gaze protocol.

    Per strip one question per panel k; A[k, j] is the raw attention mass from the last prompt token
    to panel j's image tokens, averaged over strips; the score is the mean of A's diagonal. The
    scores' q tell which heads look at the panel asked about more than chance (`discovery.nulls`).

    Args:
        vlm: the model.
        strips: with the same number of panels each.
        prompt: the question, with {k} (panel from 1), {n} (number of panels) and {region} (name
            of the region, the same in all strips), or a function of the first two; default: the
            study's.
        limit: use at most so many strips, drawn by `seed` in their order.
        progress: called with (strips done, strips in all).
        seed: of the draw.
        batch_size: strips at once; halved when memory runs out.

    Warns:
        HeadsWarning: the matrices of so many strips would take more than 1 GiB; q is None then.

    Example:
        >>> scores = discover(vlm, strips)
        >>> len(scores.top(12))
        12
    """
    if not isinstance(strips, Iterable):
        raise DiscoveryError("heads are discovered on several strips: give a list, such as [strip]")
    chosen = _choose(list(strips), limit, seed)
    each: list[np.ndarray] | None = [] if _kept_bytes(vlm, chosen) <= KEPT_BYTES else None
    questions, matrices = measure(vlm, chosen, prompt, progress, batch_size, each)
    scores = np.trace(matrices, axis1=2, axis2=3) / len(questions)
    provenance = _provenance(vlm, chosen, questions, seed)
    found = HeadScores(scores, matrices, "gaze", provenance, vlm.living_heads())
    if each is None:
        warnings.warn(
            f"{len(chosen)} strips are too many to keep the matrices of each: the scores come "
            "without q; give a limit to have it",
            HeadsWarning,
            stacklevel=2,
        )
        return found
    return replace(found, q=permutation_null(np.stack(each), found.tested(), seed).q)


def _kept_bytes(vlm: VLM, chosen: Sequence[StripLike]) -> int:
    """What the strips' own matrices take in float32."""
    return 4 * len(chosen) * vlm.num_layers * vlm.num_heads * len(chosen[0].regions) ** 2


def measure(
    vlm: VLM,
    chosen: Sequence[StripLike],
    prompt: str | Callable[[int, int], str] | None = None,
    progress: Progress | None = None,
    batch_size: int = 1,
    each: list[np.ndarray] | None = None,
) -> tuple[list[str], np.ndarray]:
    """The questions of `discover`, and the (L, H, R, R) matrices that its scores are made of.

    Args:
        chosen: the strips, at least one.
        vlm, prompt, progress, batch_size: as in `discover`.
        each: gets every strip's own (L, H, R, R) matrices, in float32.
    """
    panels = len(chosen[0].regions)
    for strip in chosen:
        if len(strip.regions) != panels:
            raise DiscoveryError(
                f"strips must have equally many panels: {chosen[0].id!r} has {panels}, "
                f"{strip.id!r} has {len(strip.regions)}"
            )
    names = [region.name for region in chosen[0].regions]
    if isinstance(prompt, str) and "{region" in prompt:
        _check_names(chosen, names)
    questions = [_question(prompt, k, panels, name) for k, name in enumerate(names, 1)]
    total = np.zeros((panels, vlm.num_layers, vlm.num_heads, panels))
    done = 0
    remaining = iter(chosen)
    while part := list(islice(remaining, max(1, batch_size))):
        items = [(strip.image, questions, strip.regions) for strip in part]
        for mass in vlm.score_many(items, batch_size):
            total += mass
            if each is not None:
                each.append(np.moveaxis(mass, 0, 2).astype(np.float32))
            done += 1
        if progress is not None:
            progress(done, len(chosen))
    return questions, np.moveaxis(total / done, 0, 2)


def _choose(strips: list[StripLike], limit: int | None, seed: int) -> list[StripLike]:
    if not strips:
        raise DiscoveryError("no strips to discover heads on")
    if limit is None or limit >= len(strips):
        return strips
    if limit < 1:
        raise DiscoveryError(f"limit must be at least 1, not {limit}")
    kept = np.random.default_rng(seed).choice(len(strips), size=limit, replace=False)
    return [strips[int(i)] for i in sorted(kept)]


def _check_names(chosen: Sequence[StripLike], names: Sequence[str]) -> None:
    """Raises DiscoveryError unless every region has a name, the same in all pictures."""
    if not all(names) or len(set(names)) < len(names):
        raise DiscoveryError(f"regions asked about by name need different names, found {names}")
    for strip in chosen:
        if [region.name for region in strip.regions] != list(names):
            raise DiscoveryError(
                f"regions asked about by name have the same names in all pictures: "
                f"{chosen[0].id!r} has other ones than {strip.id!r}"
            )


def _question(
    prompt: str | Callable[[int, int], str] | None, k: int, panels: int, name: str
) -> str:
    if prompt is None:
        return prompts.discovery(k, panels)
    if callable(prompt):
        return prompt(k, panels)
    try:
        return prompt.format(k=k, n=panels, region=name)
    except (KeyError, IndexError, ValueError) as error:
        raise DiscoveryError(
            f"prompt may only contain {{k}}, {{n}} and {{region}}: {prompt!r}"
        ) from error


def _provenance(
    vlm: VLM, strips: Sequence[StripLike], questions: Sequence[str], seed: int
) -> dict[str, Any]:
    without = sorted(set(range(vlm.num_layers)) - set(vlm.attention_layers))
    return {
        "model": vlm.name,
        "fingerprint": vlm.fingerprint,
        **({"layers_without_heads": without} if without else {}),
        "strips": [strip.id for strip in strips],
        "questions": list(questions),
        "seed": seed,
        "versions": {
            "python": platform.python_version(),
            "torch": version("torch"),
            "transformers": version("transformers"),
        },
    }
