"""The arrows of docs/architecture.md: which room may know which, read from the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gazeheads

ROOT = Path(gazeheads.__file__).parent
VALUES = {
    "errors", "files", "prompts", "heads", "head_set", "regions", "gazeheads", "figure_text",
    "progress", "control_draws", "frames", "html_parts", "head_rankings", "region_reading",
    "head_names",
}  # fmt: skip
"""Plain values: anybody may know them."""
MAY_KNOW: dict[str, set[str]] = {
    "gazeheads": {
        "moved",
        "heads",
        "regions",
        "steering",
        "trace",
        "models",
        "discovery",
        "heads_by_default",
        "locating",
        "errors",
    },
    "moved": set(),
    "errors": set(),
    "prompts": set(),
    "progress": set(),
    "html_parts": set(),
    "files": {"errors"},
    "head_names": {"errors"},
    "head_set": {"head_names", "errors", "files", "html_parts"},
    "control_draws": {"head_set"},
    "heads_registry": {"errors", "files", "head_set"},
    "frames": {"errors"},
    "heads": {"head_names", "errors", "files", "head_set", "control_draws", "frames", "html_parts"},
    "head_rankings": {"errors", "files", "heads"},
    "regions": {"errors", "boxes", "masks", "uncovered", "panel_columns", "html_parts"},
    "panel_columns": set(),
    "region_reading": {"regions"},
    "figure_text": {"errors", "files", "html_parts"},
    "ray_cluster": {"errors"},
    "own_code": {"errors"},
    "spans": {"errors"},
    "trace_figures": VALUES,
    "panel_trace": VALUES | {"trace_figures"},
    "trace": VALUES | {"trace_figures", "panel_trace"},
    "trace_files": VALUES | {"trace"},
    "attention": VALUES,
    "live_steering": VALUES | {"attention"},
    "steering": VALUES | {"attention", "live_steering"},
    "boxes": {"errors"},
    "masks": {"boxes"},
    "uncovered": {"boxes"},
    "data": VALUES | {"boxes", "panel_columns"},
    "services": VALUES | {"data"},
    "data.written": VALUES | {"data", "services"},
    "models": VALUES | {"boxes", "attention", "steering", "live_steering", "trace", "data"},
    "residual": VALUES | {"attention", "models"},
    "heads_by_default": VALUES | {"models", "discovery", "data", "heads_registry"},
    "locating": VALUES | {"boxes", "models", "discovery", "data", "heads_by_default"},
    "discovery": VALUES | {"models", "attention", "steering", "boxes"},
    "judges": VALUES | {"data", "services", "spans", "own_code"},
    "study": VALUES
    | {"attention", "steering", "trace", "models", "residual", "discovery", "data", "judges"}
    | {"services", "data.written", "boxes", "locating", "heads_by_default", "heads_registry"}
    | {"own_code", "ray_cluster"},
    "tiny": VALUES | {"data", "models"},
    "results": VALUES | {"study", "judges"},
    # edges: they know everything below, and nobody knows them
    "study.report": VALUES | {"study", "data", "judges", "locating"},
    "transcript": VALUES | {"trace", "spans"},
    "notebook": VALUES | {"models", "data", "boxes"},
    "live": VALUES | {"models", "steering", "data", "trace", "attention", "boxes"},
    "serving": VALUES | {"live", "models", "steering", "data", "boxes"},
    "export": VALUES | {"attention", "models", "steering", "live", "data"},
}
ROOMS_INSIDE = {"study.report", "data.written"}
EDGES = {"cli", "live", "serving", "study.report", "export", "transcript", "notebook"}
LONGEST = 300


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    if ".".join(parts[:2]) in ROOMS_INSIDE:
        return ".".join(parts[:2])
    return parts[0] if parts and parts[0] != "__init__" else "gazeheads"


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield ".".join(path.relative_to(ROOT.parent).with_suffix("").parts), path


class _AtRunTime(ast.NodeTransformer):
    """Leaves out what only a type checker imports: a name for a type is no arrow."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if only_types else self.generic_visit(node)


def imports_of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(_AtRunTime().visit(tree)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gazeheads"):
            for alias in node.names:
                own = f"{node.module}.{alias.name}"
                file = ROOT.parent / Path(*own.split("."))
                known = file.is_dir() or file.with_suffix(".py").exists()
                yield own if known else node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "gazeheads")


def arrows() -> Iterator[tuple[str, str, str]]:
    for module, path in modules():
        for name in imports_of(path):
            if room_of(module) != room_of(name):
                yield room_of(module), room_of(name), module


def test_every_arrow_points_the_way_of_the_plan() -> None:
    wrong = [
        f"{module} knows {other}"
        for room, other, module in arrows()
        if room != "cli" and other not in MAY_KNOW[room]
    ]
    assert wrong == []


def test_nobody_knows_the_edges_but_edges() -> None:
    assert [arrow for arrow in arrows() if arrow[1] in EDGES and arrow[0] not in EDGES] == []


def test_rooms_make_no_circle() -> None:
    known: dict[str, set[str]] = {}
    for room, other, _ in arrows():
        if other != "gazeheads":  # the version alone
            known.setdefault(room, set()).add(other)
    done: set[str] = set()
    while len(done) < len(known.keys() | set().union(*known.values())):
        ready = {room for room in known.keys() | set().union(*known.values()) if room not in done}
        ready = {room for room in ready if known.get(room, set()) <= done}
        assert ready, f"a circle among {sorted(set(known) - done)}"
        done |= ready


@pytest.mark.parametrize(
    ("room", "packages"),
    [("data", {"torch", "transformers"}), ("regions", {"torch"}), ("heads", {"torch"}),
     ("judges", {"torch"}), ("study.report", {"torch"})],
)  # fmt: skip
def test_rooms_without_a_model_load_none_of_its_packages(room: str, packages: set[str]) -> None:
    loaded = set()
    for module, path in modules():
        if room_of(module) == room:
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.Import):
                    loaded |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    loaded.add(node.module.split(".")[0])
    assert not loaded & packages


def test_no_module_is_long_or_vague() -> None:
    long = [
        f"{module}: {count} lines"
        for module, path in modules()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    ]
    assert long == []
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [module for module, _ in modules() if set(module.split(".")) & vague] == []


def types_of(path: Path) -> Iterator[str]:
    """Public classes and type aliases of a module; type variables have no meaning of their own."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            variable = isinstance(node.value, ast.Call)  # TypeVar, or a value
            name = node.targets[0].id
            if not variable and name[0].isupper() and not name.isupper():
                yield name


def test_one_name_means_one_type() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in modules():
        if room_of(module) != "cli":  # there a name is an option
            for name in types_of(path):
                homes.setdefault(name, []).append(module)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
