"""Modules by the names they had in 0.1: importable for one release, with a deprecation warning."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_ROOT = "gazeheads."
MOVED: dict[str, str] = {
    "atomic": "files",
    "demo": "live",
    "demo.commands": "cli.commands.demo",
    "demo.export": "export",
    "demo.export.commands": "cli.commands.export",
    "demo.house": "live.worker",
    "demo.pictures": "live.uploads",
    "demo.seats": "live.slots",
    "demo.telling": "live.generation",
    "demo.visitor": "live.connection",
    "experiments": "study.experiments",
    "experiments.arrays": "study.arrays",
    "experiments.bench": "study.context",
    "experiments.commands": "cli.commands.experiments",
    "experiments.discover": "study.experiments.discover",
    "experiments.discover_layouts": "study.experiments.discover_layouts",
    "experiments.disk": "study.disk",
    "experiments.head_sets": "study.experiments.head_sets",
    "experiments.identity": "study.identity",
    "experiments.labelled": "study.experiments.labelled",
    "experiments.main_job": "study.experiments.main_job",
    "experiments.merging": "study.merging",
    "experiments.natural": "study.experiments.natural",
    "experiments.natural_pictures": "data.objects",
    "experiments.options": "study.options",
    "experiments.pictures": "study.pictures",
    "experiments.prior_heads": "study.experiments.prior_heads",
    "experiments.published": "study.published",
    "experiments.reading_directions": "study.experiments.reading_directions",
    "experiments.reading_order": "study.experiments.reading_order",
    "experiments.reading_probe": "study.experiments.reading_probe",
    "experiments.rejudge": "study.rejudge",
    "experiments.reproduce": "study.experiments.reproduce",
    "experiments.runs": "study.runs",
    "experiments.session": "cli.session",
    "experiments.staircase": "study.experiments.staircase",
    "experiments.statistics": "study.stats",
    "experiments.steer_dynamic": "study.experiments.steer_dynamic",
    "experiments.steer_vqa": "study.experiments.steer_vqa",
    "experiments.steered_answers": "study.experiments.steered_answers",
    "experiments.sweeps": "study.experiments.sweeps",
    "experiments.written_stories": "study.experiments.written_stories",
    "groups": "attention.head_groups",
    "inputs": "cli.resolve",
    "judge_commands": "cli.commands.judge",
    "judge_options": "cli.judge_options",
    "judging": "judges",
    "judging.agreement": "judges.calibration",
    "layer": "attention.call",
    "model_commands": "cli.commands.models",
    "plan": "attention.intervention",
    "probing": "residual",
    "recording": "attention.recorder",
    "report": "study.report",
    "running": "attention.state",
    "scores": "discovery",
    "scores.gaze": "discovery.gaze",
    "scores.image": "discovery.image_heads",
    "scores.localization": "discovery.localization_heads",
    "scores.tokens": "discovery.maps",
    "services.options": "cli.service_options",
    "strips": "data",
    "strips.actions": "data.drawn.actions",
    "strips.artwork": "data.drawn.artwork",
    "strips.backdrop": "data.drawn.backdrop",
    "strips.brush": "data.drawn.brush",
    "strips.captions": "data.drawn.captions",
    "strips.comics": "data.comics",
    "strips.commands": "cli.commands.strips",
    "strips.drawn": "data.drawn.strips",
    "strips.folders": "data.folders",
    "strips.hub": "data.hub",
    "strips.layout": "data.layout",
    "strips.places": "data.drawn.places",
    "strips.props": "data.drawn.props",
    "strips.rendering": "data.written.rendering",
    "strips.scenes": "data.drawn.scenes",
    "strips.stage": "data.drawn.canvas",
    "strips.stories": "data.written.stories",
    "strips.strip": "data.strip",
    "strips.truth": "data.drawn.truth",
    "strips.weather": "data.drawn.weather",
    "terminal": "cli.terminal",
    "tiny.bank": "tiny.panel_cache",
    "tiny.commands": "cli.commands.tiny",
    "vlm": "models",
    "vlm.ambient": "attention.ambient",
    "vlm.attaching": "attention.install",
    "vlm.base": "models.vlm",
    "vlm.batching": "models.batch",
    "vlm.checking": "models.check",
    "vlm.decoding": "models.generate",
    "vlm.drawing": "models.token_figure",
    "vlm.encoding": "models.inputs",
    "vlm.families": "models.families",
    "vlm.family": "models.families.family",
    "vlm.fitting": "models.fit",
    "vlm.forking": "attention.fork",
    "vlm.loading": "models.load",
    "vlm.options": "models.options",
    "vlm.published": "models.checkpoints",
    "vlm.rows": "models.rows",
    "vlm.scoring": "models.score",
    "watching": "trace",
    "weights": "attention.weights",
}
"""Old name -> new name, both below the package; a folder stands for everything in it."""
FOLDERS = (
    "demo", "demo.export", "experiments", "judging", "report", "scores", "strips", "vlm",
    "vlm.families", "vlm.published",
)  # fmt: skip


def new_name(name: str) -> str | None:
    """Where a module or folder of 0.1 is now; None if it never moved.

    Example:
        >>> new_name("gazeheads.strips.drawn")
        'gazeheads.data.drawn.strips'
    """
    if not name.startswith(_ROOT):
        return None
    parts = name.removeprefix(_ROOT).split(".")
    for count in range(len(parts), 0, -1):
        if new := MOVED.get(".".join(parts[:count])):
            return _ROOT + ".".join([new, *parts[count:]])
    return None


class MovedModules(MetaPathFinder, Loader):
    """Answers an old name with the module itself, and an old folder by forwarding to the new."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        del path, target
        new = new_name(fullname)
        try:
            if new is None or importlib.util.find_spec(new) is None:
                return None
        except ModuleNotFoundError:
            return None
        return ModuleSpec(fullname, self, is_package=fullname.removeprefix(_ROOT) in FOLDERS)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module under its new name, or for a folder one that forwards to it.

        A folder cannot be the new package itself: its old parts would become attributes of that.
        """
        new = new_name(spec.name) or spec.name
        warnings.warn(f"{spec.name} is now {new}", DeprecationWarning, stacklevel=2)
        module = importlib.import_module(new)
        if spec.submodule_search_locations is None:
            self._specs[spec.name] = module.__spec__
            return module
        forward = ModuleType(spec.name, module.__doc__)
        forward.__path__ = []  # nothing is ever found below it but by this finder
        forward.__dict__["__getattr__"] = partial(getattr, module)
        return forward

    def exec_module(self, module: ModuleType) -> None:
        """The module ran when it was imported by its new name; it keeps that name."""
        spec = module.__spec__
        if spec is not None and spec.name in self._specs:
            module.__spec__ = self._specs.pop(spec.name)

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}


def install() -> None:
    """Makes the old names importable."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
