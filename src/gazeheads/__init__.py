"""Find, watch and steer the attention heads that point a vision-language model at a place.

Names are imported on first use, so that `import gazeheads` does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gazeheads import moved

if TYPE_CHECKING:
    from gazeheads.discovery.gaze import discover
    from gazeheads.errors import GazeheadsError
    from gazeheads.heads import Head, HeadScores, HeadSet
    from gazeheads.heads_by_default import default_heads
    from gazeheads.locating.located import Located
    from gazeheads.locating.naming import locate
    from gazeheads.models import UNSTEERED, VLM, Inputs, load, wrap
    from gazeheads.regions import Region
    from gazeheads.steering import LiveSteering, LiveTarget, Schedule, Steering
    from gazeheads.trace import GazeTrace

__version__ = "0.2.0"

_HOME = {
    "GazeheadsError": "gazeheads.errors",
    "Head": "gazeheads.heads",
    "HeadScores": "gazeheads.heads",
    "HeadSet": "gazeheads.heads",
    "Region": "gazeheads.regions",
    "default_heads": "gazeheads.heads_by_default",
    "discover": "gazeheads.discovery.gaze",
    "Inputs": "gazeheads.models",
    "LiveSteering": "gazeheads.steering",
    "LiveTarget": "gazeheads.steering",
    "Located": "gazeheads.locating.located",
    "UNSTEERED": "gazeheads.models",
    "Schedule": "gazeheads.steering",
    "Steering": "gazeheads.steering",
    "VLM": "gazeheads.models",
    "load": "gazeheads.models",
    "locate": "gazeheads.locating.naming",
    "wrap": "gazeheads.models",
    "GazeTrace": "gazeheads.trace",
}

__all__ = [
    "UNSTEERED",
    "VLM",
    "GazeTrace",
    "GazeheadsError",
    "Head",
    "HeadScores",
    "HeadSet",
    "Inputs",
    "LiveSteering",
    "LiveTarget",
    "Located",
    "Region",
    "Schedule",
    "Steering",
    "__version__",
    "default_heads",
    "discover",
    "load",
    "locate",
    "wrap",
]

moved.install()


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gazeheads' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
