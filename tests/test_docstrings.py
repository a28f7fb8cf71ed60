"""Examples in docstrings run, and every public name has one or is named here with the reason."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from PIL import Image

import gazeheads

EXPLAINED_ELSEWHERE = {
    "GazeheadsError": "raised, never made",
    "Head": "a pair of numbers; HeadSet.of takes it in every form",
    "HeadScores": "made by discover",
    "LiveTarget": "LiveSteering has it",
    "Region": "Steering and describe take it; docs/pictures.md",
    "UNSTEERED": "a constant",
    "VLM": "made by load; its methods have examples",
    "__version__": "a constant",
}


def modules() -> list[str]:
    found = pkgutil.walk_packages(gazeheads.__path__, "gazeheads.")
    return sorted(
        m.name for m in found if ".static" not in m.name and not m.name.endswith("main__")
    )


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = []
    for name in modules():
        source = inspect.getsource(importlib.import_module(name)) if _has_examples(name) else ""
        if source:
            found += [test for test in finder.find(importlib.import_module(name)) if test.examples]
    return found


def _has_examples(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return False
    with open(spec.origin, encoding="utf-8") as file:
        return ">>> " in file.read()


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What examples speak of."""
    from gazeheads.data.drawn.strips import draw_strips

    strips = draw_strips(2, seed=0)
    vlm = gazeheads.load("comic-tiny")
    return {
        "gazeheads": gazeheads,
        "vlm": vlm,
        "strips": strips,
        "strip": strips[0],
        "image": strips[0].image,
        "heads": gazeheads.default_heads(vlm),
        "draw_strips": draw_strips,
    }


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_an_example_does_what_it_says(
    example: doctest.DocTest, names: dict[str, Any], tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((256, 256), 60).convert("RGB").save("photo.png")
    Image.effect_noise((256, 256), 60).convert("RGB").save("photo.jpg")
    example.globs.update({**importlib.import_module(_module(example)).__dict__, **names})
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.append)
    assert told == []


def _module(example: doctest.DocTest) -> str:
    name = example.name
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def test_every_public_name_has_an_example() -> None:
    without = {
        name
        for name in gazeheads.__all__
        if ">>> " not in (inspect.getdoc(getattr(gazeheads, name)) or "")
    }
    assert without == set(EXPLAINED_ELSEWHERE)
