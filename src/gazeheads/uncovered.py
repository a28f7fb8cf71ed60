"""Why no image token belongs to a region, and what helps."""

from __future__ import annotations

import math

import numpy as np

from gazeheads.boxes import RegionError, areas, text


class UncoveredError(RegionError):
    """A region inside the image that no image token belongs to."""


class TooSmallError(UncoveredError):
    """It lies between the centres of the tokens, or covers too little of each."""


class CroppedError(UncoveredError):
    """It lies in a part of the image that has no token: the model does not see it."""


def why_uncovered(
    called: str, boxes: np.ndarray, covered: np.ndarray, rule: str, threshold: float
) -> UncoveredError:
    """The error for a region that no token belongs to.

    Args:
        called: the region in words.
        boxes: (n, 4) of the image's tokens.
        covered: (n,) how many square pixels of each lie in the region.
        rule, threshold: how tokens were picked (see `ImageTokens.indices`).
    """
    real = areas(boxes) > 0
    boxes, covered = boxes[real], covered[real]
    if not (covered > 1e-9).any():
        seen = "nothing"
        if len(boxes):
            seen = text([*boxes[:, :2].min(0), *boxes[:, 2:].max(0)])
        return CroppedError(
            f"{called} covers no image token: it lies where the model sees nothing of the image. "
            f"Its tokens cover {seen}; where a processor cuts the rest off, load the model with "
            "fit='squash' (gazeheads --fit squash)"
        )
    share = float((covered / areas(boxes)).max())
    width, height = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    token = f"a token is {width:.0f}x{height:.0f} pixels of this image"
    lower = advised(share)
    if rule == "overlap":
        return TooSmallError(
            f"{called} covers no image token by {threshold:g} of its area, the most is "
            f"{share:.2g}: {token}. Take threshold={lower:g}, gazeheads steer --threshold {lower:g}"
        )
    return TooSmallError(
        f"{called} covers no image token's centre: {token}. Take a larger region, a closer look "
        "(gazeheads describe --closer zoom), or the tokens it touches: "
        f"Steering(..., rule='overlap', threshold={lower:g}), gazeheads steer --rule "
        f"overlap --threshold {lower:g}"
    )


def advised(share: float) -> float:
    """A threshold that a token of which `share` is covered certainly reaches."""
    for digits in range(2, 8):
        step = 10.0**digits
        found = math.floor(share * step * 0.999) / step
        if found > 0:
            return found
    return share / 2
