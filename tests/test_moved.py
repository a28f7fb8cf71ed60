"""Names of 0.1 still import, say where they went, and are the very same modules."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from gazeheads.moved import FOLDERS, MOVED, new_name


@pytest.mark.parametrize("old", sorted(set(MOVED) - set(FOLDERS)))
def test_an_old_module_is_the_new_one_and_says_so(old: str) -> None:
    name = f"gazeheads.{old}"
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=f"{name} is now gazeheads.{MOVED[old]}"):
        module = importlib.import_module(name)
    assert module is sys.modules[f"gazeheads.{MOVED[old]}"]
    assert module.__name__ == module.__spec__.name == f"gazeheads.{MOVED[old]}"


def test_old_folders_forward_without_touching_the_new_ones() -> None:
    code = """
import warnings; warnings.simplefilter("ignore")
from gazeheads.strips.drawn import draw_strips
from gazeheads.vlm import VLM, encoding
from gazeheads.judging import LabelJudge
import gazeheads.data.drawn.strips
import gazeheads.judges
assert gazeheads.data.drawn.__name__ == "gazeheads.data.drawn"
assert gazeheads.data.drawn.strips.draw_strips is draw_strips
assert gazeheads.judges.LabelJudge is LabelJudge
assert encoding.__name__ == "gazeheads.models.inputs"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_never_were_do_not_import() -> None:
    assert new_name("gazeheads.heads") is None
    assert new_name("torch.nn") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gazeheads.strips.nothing")
