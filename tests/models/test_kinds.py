"""Every image-text type of the installed transformers is supported, or refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as INSTALLED,
)

import gazeheads
from gazeheads import GazeheadsError
from gazeheads.models.families import FAMILIES
from gazeheads.models.kinds import NATIVE, REFUSED, supported_types
from gazeheads.models.load import family_of

Command = Callable[..., tuple[int, str, str]]


def test_no_installed_type_is_in_neither_list() -> None:
    new = sorted(set(INSTALLED) - set(supported_types()) - set(REFUSED))
    assert not new, f"new in transformers: give each a family, or a reason in REFUSED: {new}"
    assert not set(supported_types()) & set(REFUSED)
    assert len({name for family in FAMILIES for name in (family.name,)}) == len(FAMILIES)


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_a_refused_type_says_its_reason_in_one_line(kind: str) -> None:
    class Config:
        model_type = kind
        vision_config = object()

    with pytest.raises(GazeheadsError) as caught:
        family_of(Config(), "owner/name")
    said = str(caught.value)
    assert REFUSED[kind] in said and repr(kind) in said and "\n" not in said


def _published(folder: Path, kind: str | None, **more: object) -> Path:
    folder.mkdir()
    config = {"auto_map": {"AutoConfig": "remote.Config", "AutoModel": "remote.Model"}, **more}
    if kind is not None:
        config["model_type"] = kind
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "remote.py").write_text("raise SystemExit('remote code was run')")
    return folder


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("kind", [*sorted(NATIVE), "nobody_knows"])
def test_code_of_a_checkpoint_is_never_run(kind: str, trusted: bool, tmp_path: Path) -> None:
    folder = _published(tmp_path / "published", kind)
    with pytest.raises(GazeheadsError) as caught:
        gazeheads.load(folder, trust_remote_code=trusted)
    said = str(caught.value)
    assert kind in said and "\n" not in said
    assert NATIVE.get(kind, "native") in said or "own classes" in said


def test_the_native_repository_is_named(tmp_path: Path) -> None:
    folder = _published(tmp_path / "published", "internvl_chat")
    with pytest.raises(GazeheadsError, match="OpenGVLab/InternVL3-8B-hf"):
        gazeheads.load(folder, trust_remote_code=True)


@pytest.mark.parametrize("trusted", [False, True])
def test_code_beside_a_type_of_transformers_is_not_run_either(
    trusted: bool, tmp_path: Path
) -> None:
    """Its own class reads it; what fails then is the missing processor, not code."""
    folder = _published(tmp_path / "published", "qwen2_vl")
    assert "qwen2_vl" in CONFIG_MAPPING
    with pytest.raises(GazeheadsError, match="cannot load"):
        gazeheads.load(folder, trust_remote_code=trusted)


def test_a_config_without_a_type(tmp_path: Path) -> None:
    folder = _published(tmp_path / "published", None)
    with pytest.raises(GazeheadsError, match="names no model_type"):
        gazeheads.load(folder)


def test_the_command_line_lists_every_type(command: Command) -> None:
    code, out, _ = command("models")
    words = {word.strip("[]│,:") for word in out.split()}
    assert code == 0
    assert {kind for kind in INSTALLED if kind not in words} == set()
