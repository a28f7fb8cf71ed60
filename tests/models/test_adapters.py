"""A PEFT adapter's folder loads as its base model with the adapter in place."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import gazeheads
from gazeheads import GazeheadsError
from models.conftest import wrapped

peft = pytest.importorskip("peft")
PICTURE = Image.new("RGB", (60, 40), "red")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(base, adapter), of random weights."""
    base = tmp_path_factory.mktemp("models") / "base"
    wrapped("qwen3_vl").model.save_pretrained(base)
    wrapped("qwen3_vl").processor.save_pretrained(base)
    torch.manual_seed(1)
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(gazeheads.load(base).model, config)
    adapted.save_pretrained(base.parent / "adapter")
    return base, base.parent / "adapter"


def test_an_adapter_loads_onto_its_base_model(folders: tuple[Path, Path]) -> None:
    base, adapter = folders
    vlm = gazeheads.load(adapter)
    assert vlm.name == "adapter"
    encoded = vlm.encode(PICTURE, "what?")
    reference = peft.PeftModel.from_pretrained(
        type(vlm.model).from_pretrained(base, dtype=torch.float32), adapter
    ).eval()
    with torch.no_grad():
        ours, theirs = (model(**encoded.inputs).logits for model in (vlm.model, reference))
        plain = wrapped("qwen3_vl").model(**encoded.inputs).logits
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - plain).abs().max() > 1e-2


def test_the_base_model_may_lie_beside_the_adapter(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = folders
    copy = Path(shutil.copytree(adapter, tmp_path / "adapter"))
    shutil.copytree(base, copy / "base")
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": "base"})
    )
    assert gazeheads.load(copy).ask(PICTURE, "what?", max_new_tokens=2) is not None


def test_what_is_wrong_with_an_adapter_is_one_line(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, adapter = folders
    copy = Path(shutil.copytree(adapter, tmp_path / "adapter"))
    config = json.loads((copy / "adapter_config.json").read_text())

    def refused(**changes: object) -> str:
        (copy / "adapter_config.json").write_text(json.dumps({**config, **changes}))
        with pytest.raises(GazeheadsError) as caught:
            gazeheads.load(copy)
        assert "\n" not in str(caught.value) and "adapter" in str(caught.value)
        return str(caught.value)

    assert "not found: /nowhere/base" in refused(base_model_name_or_path="/nowhere/base")
    assert "names no base model" in refused(base_model_name_or_path=None)
    prompt = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "task_type": "CAUSAL_LM"}
    base = config["base_model_name_or_path"]
    (copy / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": base, **prompt})
    )
    with pytest.raises(GazeheadsError, match="before the prompt"):
        gazeheads.load(copy)
    (copy / "adapter_config.json").write_text(json.dumps(config))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(GazeheadsError, match="pip install peft"):
        gazeheads.load(copy)
    (copy / "adapter_config.json").write_text("{")
    with pytest.raises(GazeheadsError, match="cannot read"):
        gazeheads.load(copy)
