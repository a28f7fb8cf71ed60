"""``gazeheads doctor``: what it says of a model is what the loaded model is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image


def test_what_is_told_is_what_loading_gives(command: Command, model: str, tmp_path: Path) -> None:
    from gazeheads.models import load

    Image.effect_noise((320, 96), 40).convert("RGB").save(tmp_path / "photo.png")
    code, out, err = command("doctor", "--model", model, "--image", tmp_path / "photo.png")
    assert code == 0, err
    told = dict(line.split(": ", 1) for line in out.splitlines())
    assert list(told) == [
        "model", "weights", "precision", "memory", "attention", "picture", "heads", "discovery"
    ]  # fmt: skip
    vlm = load(model)
    assert f"{vlm.num_layers} layers x {vlm.num_heads} heads" in told["model"]
    millions = sum(p.numel() for p in vlm.model.parameters()) / 1e6
    assert f"{millions:.1f} million parameters" in told["model"]
    encoded = vlm.encode(tmp_path / "photo.png", "")
    assert f"{len(encoded.tokens)} image tokens" in told["picture"]
    assert told["precision"].startswith(str(vlm.model.dtype).removeprefix("torch."))
    assert told["weights"] == "on this machine" and "sdpa" in told["attention"]
    assert told["heads"].startswith("none registered for tiny-random")
    assert re.search(r"\d s or so for 12 pictures|under 1 s or so", told["discovery"])


def test_comic_tiny_has_registered_heads_and_json_says_the_same(command: Command) -> None:
    code, out, _ = command("doctor", "--json", "--card", "h100")
    found = json.loads(out)
    told = {each["about"]: each["told"] for each in found["findings"]}
    assert code == 0 and found["usable"] and found["model"] == "comic-tiny"
    assert told["heads"].startswith("12 registered for comic-tiny, kept in this package")
    assert "54 image tokens, 9 per panel" in told["picture"]


def test_a_model_without_weights_cannot_be_used(
    command: Command, model: str, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(model, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    code, out, err = command("doctor", "--model", bare, "--card", "h100")
    assert code == 2 and "weights: not on this machine" in out
    assert err == "gazeheads: bare cannot be used here: weights: not on this machine\n"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_type": "bert"}, "is not a vision-language model (its type is 'bert')"),
        ({"model_type": "mllama"}, "reads the image by cross-attention"),
        (None, "config.json is missing"),
    ],
)
def test_what_is_not_supported_is_one_line(
    command: Command, tmp_path: Path, config: dict[str, str] | None, told: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    code, out, err = command("doctor", "--model", folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_a_missing_picture_and_an_unknown_precision_are_one_line(command: Command) -> None:
    code, out, err = command("doctor", "--image", "nowhere.png")
    assert (code, out, err) == (2, "", "gazeheads: image not found: nowhere.png\n")
    code, out, err = command("--dtype", "float3", "doctor", "--card", "h100")
    assert (code, out, err.count("\n")) == (2, "", 1) and "no precision 'float3'" in err
