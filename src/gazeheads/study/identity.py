"""What the records of a run depend on, besides its settings: model, strips, heads, software."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from gazeheads.data.strip import Strip
from gazeheads.heads import HeadSet

if TYPE_CHECKING:
    from gazeheads.judges import Judge
    from gazeheads.models import VLM

_PACKAGES = ("torch", "transformers", "numpy")
IDENTITY = ("gazeheads", "torch", "transformers")
"""Packages whose versions are part of a run: it goes on, and is merged, with the same ones only."""


def versions() -> dict[str, str]:
    """Of gazeheads, Python and the packages results may depend on."""
    from gazeheads import __version__  # noqa: PLC0415 - the package imports this lazily

    found = {"gazeheads": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # e.g. vendored: the run is still worth recording
            found[package] = "unknown"
    return found


def model_fingerprint(vlm: VLM) -> str:
    """The fingerprint of the weights, so that records of different models are not mixed."""
    return vlm.fingerprint


def strips_fingerprint(strips: Iterable[Strip]) -> str:
    """A short fingerprint of strips: ids, truths and pixels."""
    digest = hashlib.sha256()
    for strip in strips:
        truths = [truth.attributes() for truth in strip.truths or ()]
        digest.update(json.dumps([strip.id, strip.image.size, truths]).encode())
        digest.update(strip.image.tobytes())
    return digest.hexdigest()[:12]


def whole_settings(
    settings: Any,
    vlm: VLM,
    strips: Sequence[Strip],
    head_sets: Mapping[str, Sequence[HeadSet]] | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """A settings dataclass with everything else the records depend on.

    Args:
        settings: of the experiment.
        vlm, strips: enter as short fingerprints.
        head_sets: by name the heads, and of random ones every draw; entered in full.
        judge: of the texts, if there is one; its own settings enter.
    """
    whole = {
        **asdict(settings),
        "strips": len(strips),
        "strips_mark": strips_fingerprint(strips),
        "model_mark": model_fingerprint(vlm),
    }
    if judge is not None:
        whole["judge_settings"] = dict(judge.about)
    if head_sets is not None:
        whole["head_sets"] = {
            name: [[str(head) for head in heads] for heads in draws]
            for name, draws in head_sets.items()
        }
    return whole


def differences(
    there: Mapping[str, Any], asked: Mapping[str, Any], names: Iterable[str] | None = None
) -> str:
    """Which settings, or versions, differ and how, in words; empty if none does.

    Args:
        there, asked: to be compared.
        names: of those that count; None: all.
    """
    return ", ".join(
        f"{key} {_short(there.get(key))} -> {_short(asked.get(key))}"
        for key in ({**there, **asked} if names is None else names)
        if there.get(key) != asked.get(key)
    )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
