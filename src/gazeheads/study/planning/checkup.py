"""What can be told of a model on this machine before its weights are read, one finding each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers.utils.import_utils import is_flash_attn_2_available, is_torch_flex_attn_available

from gazeheads import prompts
from gazeheads.errors import GazeheadsError
from gazeheads.heads_by_default import DISCOVERY_STRIPS
from gazeheads.heads_registry import registered_heads
from gazeheads.models.blueprint import ELEMENT_BYTES
from gazeheads.models.fit import resize_cost
from gazeheads.models.load import best_device
from gazeheads.study.planning.estimate import Estimator, duration
from gazeheads.study.planning.loads import Load, PromptLike, Workload
from gazeheads.study.planning.machines import CARDS, GIB, memory_of_machine

QUANTISED = {"bnb-4bit": 0.6, "bnb-8bit": 1.1, "torchao-int8": 1.1, "torchao-int4": 0.6}
"""Bytes of a parameter, about: some layers stay as they are."""


@dataclass(frozen=True)
class Finding:
    """One thing found out.

    Attributes:
        about: in a word.
        usable: whether the model can be used as far as this goes.
        told: in a line.
    """

    about: str
    usable: bool
    told: str


def findings(
    estimator: Estimator, options: dict[str, Any], dtype: str, image: Image.Image, panels: int
) -> Iterator[Finding]:
    """Everything about a model that is supported.

    Args:
        estimator: of the model on this machine.
        options: of loading.
        dtype: the precision that it would have.
        image: a picture like those it will be shown.
        panels: how many panels the picture has; 0: it is no strip.
    """
    device = torch.device(options.get("device") or best_device())
    yield _model(estimator)
    yield _weights(estimator, bool(options.get("offline")))
    yield _precision(estimator, options, dtype, device)
    yield _memory(estimator, options, device)
    yield _attention(device)
    yield _picture(estimator, image, panels)
    yield _heads(estimator.model.name)
    yield _discovery(estimator, image, panels)


def _model(estimator: Estimator) -> Finding:
    model, shape = estimator.model, estimator.shape
    some = ""
    if shape.attention_layers < shape.layers:
        some = f", attention heads in {shape.attention_layers} of them"
    size = (
        f"{shape.parameters / 1e9:.1f} billion"
        if shape.parameters >= 1e9
        else f"{shape.parameters / 1e6:.1f} million"
    )
    told = (
        f"supported: {model.family.name} (type {model.config.model_type}), {shape.layers} layers x "
        f"{shape.heads} heads{some}, {size} parameters"
    )
    return Finding("model", True, told)


def _weights(estimator: Estimator, offline: bool) -> Finding:
    model = estimator.model
    if model.local:
        return Finding("weights", True, "on this machine")
    if model.folder or offline:
        return Finding("weights", False, "not on this machine")
    size = estimator.shape.parameters * ELEMENT_BYTES.get(estimator.shape.dtype, 2)
    return Finding("weights", True, f"to be fetched from the hub, about {size / GIB:.1f} GiB")


def _precision(
    estimator: Estimator, options: dict[str, Any], dtype: str, device: torch.device
) -> Finding:
    if options.get("quantization"):
        return Finding("precision", True, f"quantised by {options['quantization']}")
    why = "as asked" if options.get("dtype") not in (None, "auto") else "as the checkpoint"
    if options.get("dtype") is None and device.type == "cpu":
        why = f"as always on a CPU; the checkpoint is {estimator.shape.dtype}"
    return Finding("precision", True, f"{dtype}, {why}")


def _memory(estimator: Estimator, options: dict[str, Any], device: torch.device) -> Finding:
    weights: float = estimator.weights
    if options.get("quantization"):
        weights = QUANTISED.get(str(options["quantization"]), 1.0) * estimator.shape.parameters
    had, where = memory_had(device)
    told = f"{weights / GIB:.1f} GiB of weights; {where}"
    if not had:
        return Finding("memory", True, told)
    if weights < had:
        return Finding("memory", True, f"{told}: enough")
    smaller = (
        "gazeheads --dtype=bfloat16 COMMAND takes half of float32, "
        "gazeheads --quantization=bnb-4bit COMMAND less"
    )
    return Finding("memory", False, f"{told}: not enough ({smaller})")


def memory_had(device: torch.device) -> tuple[int, str]:
    """Bytes free on a device, and where, in words; 0 if nobody tells."""
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        return free, f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free on {name}"
    whole, told = memory_of_machine(), Path("/proc/meminfo")
    free = whole
    if told.exists():
        lines = dict(line.split(":", 1) for line in told.read_text().splitlines())
        free = min(whole, 1024 * int(lines["MemAvailable"].split()[0]))
    if not whole:
        return 0, "how much memory this machine has is unknown"
    return free, f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free on this machine"


def _attention(device: torch.device) -> Finding:
    kernels = ["eager", "sdpa"]
    if device.type == "cuda" and is_flash_attn_2_available():
        kernels.append("flash_attention_2")
    if is_torch_flex_attn_available():
        kernels.append("flex_attention")
    told = (
        f"here are {', '.join(kernels)}; untouched heads take sdpa, as the model is loaded, or "
        "what attn_implementation= of gazeheads.load names"
    )
    return Finding("attention", True, told)


def _picture(estimator: Estimator, image: Image.Image, panels: int) -> Finding:
    asked = PromptLike(prompts.VQA, (image,))
    encoded = estimator.encode(asked)
    each = f", {len(encoded.tokens) / panels:.0f} per panel" if panels else ""
    told = (
        f"{resize_cost(encoded.tokens, encoded.shown)}: {len(encoded.tokens)} image tokens{each}, "
        f"{len(encoded)} in a prompt"
    )
    return Finding("picture", len(encoded.tokens) > 0, told)


def _heads(name: str) -> Finding:
    for kept in registered_heads():
        if kept.heads.model == name:
            sure = "" if kept.by_name else ", if it has the weights they were found in"
            told = f"{len(kept.heads)} registered for {name}, kept in {kept.source}{sure}"
            return Finding("heads", True, told)
    told = f"none registered for {name}: they are found when they are needed (gazeheads tune)"
    return Finding("heads", True, told)


def _discovery(estimator: Estimator, image: Image.Image, panels: int) -> Finding:
    count = panels or 6
    first, second = (prompts.discovery(k, count) for k in (1, 2))
    load = Load(PromptLike(first, (image,), second), count, DISCOVERY_STRIPS)
    cost = estimator.cost(Workload("discover", DISCOVERY_STRIPS, (load,)))
    return Finding(
        "discovery",
        True,
        f"{duration(cost.seconds)} or so for {DISCOVERY_STRIPS} pictures like this one with "
        f"{count} questions each, {cost.memory / GIB:.1f} GiB",
    )


def card_here(device: str | None) -> str:
    """The card that a model would run on, as plans call it.

    Raises:
        GazeheadsError: it is not known how fast it is.
    """
    place = torch.device(device) if device else best_device()
    if place.type != "cuda":
        return "cpu"
    name = torch.cuda.get_device_name(place).lower().replace(" ", "")
    for card in sorted(CARDS, key=len, reverse=True):
        if card in name:
            return card
    raise GazeheadsError(f"how fast a {name} is is unknown: name one like it with --card")
