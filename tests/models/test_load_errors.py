"""What can be wrong with a model or an image: one clear line each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_families import make_family
from transformers import BitsAndBytesConfig, Qwen2Config, T5Config

import gazeheads
from gazeheads import GazeheadsError
from gazeheads.models import wrap
from gazeheads.models.check import check
from gazeheads.models.options import load_error, quantization_config
from models.conftest import wrapped

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "llava"
    vlm = wrapped("llava")
    vlm.model.save_pretrained(folder)
    vlm.processor.save_pretrained(folder)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A copy of the folder, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "llava"))


def refused(model: Path | str, **options: object) -> str:
    with pytest.raises(GazeheadsError) as caught:
        gazeheads.load(model, **options)
    said = str(caught.value)
    assert "\n" not in said and Path(str(model)).name in said
    return said


def test_a_whole_folder_loads_offline_with_a_fit(model: Path) -> None:
    vlm = gazeheads.load(model, offline=True, fit="squash", dtype="bfloat16", device="cpu")
    assert vlm.encoder.fit == "squash" and str(vlm.model.dtype) == "torch.bfloat16"


def test_damaged_folders(model: Path) -> None:
    # copies: the file is written over while its tensors would still be mapped
    weights = {k: v.clone() for k, v in load_file(model / "model.safetensors").items()}
    (model / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    assert "cannot load model" in refused(model)
    gone = next(name for name in weights if "language_model" in name and "q_proj" in name)
    save_file({k: v for k, v in weights.items() if k != gone}, model / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    said = refused(model)
    assert "lacks 1 weights" in said and "q_proj" in said
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    for file in ("processor_config.json", "preprocessor_config.json"):
        (model / file).unlink(missing_ok=True)
    assert "processor" in refused(model)


def test_models_that_cannot_be_steered(model: Path, tmp_path: Path) -> None:
    T5Config().save_pretrained(tmp_path / "t5")
    assert "encoder-decoder" in refused(tmp_path / "t5")
    Qwen2Config().save_pretrained(tmp_path / "qwen2")
    assert "not a vision-language model" in refused(tmp_path / "qwen2")
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "nobody_knows", "auto_map": {"AutoConfig": "remote.Config"}}
    (model / "config.json").write_text(json.dumps(config))
    (model / "remote.py").write_text("raise SystemExit('remote code was run')")
    assert "--trust-remote-code" in refused(model)
    (model / "config.json").write_text("[]")
    assert "not a JSON object" in refused(model)


def test_the_check_names_the_family_and_what_differs() -> None:
    model, processor = make_family("internvl")
    processor.image_seq_length = 16
    with pytest.raises(GazeheadsError, match=r"bad \(InternVL\).*image tokens") as caught:
        check(wrap(model, processor, "bad"))
    assert "--no-check" in str(caught.value)
    for name in ("qwen3_vl", "paligemma2", "gemma3"):
        check(wrapped(name))


def test_the_hub_s_errors_are_readable() -> None:
    response = httpx2.Response(403, request=httpx2.Request("GET", "https://hub/x"))
    cases = {
        "gated": GatedRepoError("403 Client Error", response=response),
        "private": RepositoryNotFoundError("401 Client Error", response=response),
        "cannot be reached": OfflineModeIsEnabled("offline"),
    }
    for text, cause in cases.items():
        error = OSError("We could not\nconnect")
        error.__cause__ = cause
        assert text in str(load_error("owner/name", error))


def test_quantisation(model: Path) -> None:
    own = BitsAndBytesConfig(load_in_8bit=True)
    assert quantization_config(own) is own
    with pytest.raises(GazeheadsError, match="bnb-4bit, bnb-8bit"):
        quantization_config("int3")
    for name, package in (("bnb-4bit", "bitsandbytes"), ("torchao-int8", "torchao")):
        if shutil.which(package) is None and not _installed(package):
            with pytest.raises(GazeheadsError, match=f"pip install {package}"):
                gazeheads.load(model, quantization=name)


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def test_bad_images_on_the_command_line(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    huge = tmp_path / "huge.png"
    Image.new("1", (400, 400)).save(huge)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for path, text in ((empty, "cannot read image"), (huge, "too large"), ("no.png", "not found")):
        for words in (("steer", path, "--panels", 2), ("tokens", path, "-o", tmp_path / "t.png")):
            code, out, err = command(*words, "--model", model)
            assert (code, out) == (2, "") and text in err and err.count("\n") == 1
    assert not (tmp_path / "t.png").exists()
