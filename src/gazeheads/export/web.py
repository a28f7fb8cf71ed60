"""`export_web`: a model, its page and what the page needs to know, as a folder of static files."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_ir

from gazeheads import __version__
from gazeheads.errors import GazeheadsError
from gazeheads.export import fourbit, shards
from gazeheads.export.check import Comparison, PanelPicture, compare, insist
from gazeheads.export.decoder import DecoderGraph
from gazeheads.export.errors import ExportError
from gazeheads.export.prompt import Template
from gazeheads.export.runner import Runner
from gazeheads.export.storing import Weights, store
from gazeheads.export.tracing import exportable, trace_decoder, trace_vision
from gazeheads.export.vision import VisionGraph
from gazeheads.files import appearing, write_json
from gazeheads.heads import HeadScores
from gazeheads.live.info import model_info
from gazeheads.models.vlm import VLM

KIND = "gazeheads-web-model"
FOLDER = "model"
"""Of the model's files, beside the page."""
VISION, DECODER, DESCRIPTION = "vision.onnx", "decoder.onnx", "model.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
FAMILIES = ("qwen3_vl",)
TOLERANCE: dict[Weights, float] = {"float32": 1e-3, "float16": 0.1, "int8": 1.0, "int4": 1e-3}
"""Largest difference of logits that still passes, by how weights are stored."""
HALF_TOLERANCE = 0.5
"""The same for models that compute in 16 bits; closer choices than this may fall either way."""

Busy = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class WebSettings:
    """How a model is exported.

    Attributes:
        weights: how matrices are stored. "int4" is for WebGPU, the others are for WebAssembly.
        k: heads the page steers at first.
        seed: of the control heads.
        most_cells: image tokens of one picture, at most; fewer if the model says so.
        most_positions: length of prompt and answer together, at most.
    """

    weights: Weights = "int8"
    k: int = 10
    seed: int = 0
    most_cells: int = 1024
    most_positions: int = 4096


def export_web(
    vlm: VLM,
    scores: HeadScores,
    out: Path,
    settings: WebSettings,
    strips: Sequence[PanelPicture],
    page: dict[str, bytes] | None = None,
    busy: Busy = lambda name: nullcontext(),
) -> list[Comparison]:
    """Writes a folder that any web server can serve: the page, the graphs, the description.

    The graphs run the model's own weights and layers and are compared with it before anything is
    left in `out`. Weights of "int4" are rounded in `vlm` itself, which is not the same model after.

    Args:
        vlm: a Qwen3-VL on the CPU, in float32 or float16; the graphs compute in the same.
        scores: gaze scores with matrices.
        out: a new or empty folder, or one this function wrote before.
        settings: how.
        strips: pictures to compare on.
        page: files of the page by their path.
        busy: told what is being done.

    Returns:
        the comparisons.

    Raises:
        ExportError: another family, or graphs that do not repeat the model.
        HeadError: scores of other weights.
        GazeheadsError: `out` holds something else.
    """
    check_family(vlm)
    if scores.shape != (vlm.num_layers, vlm.num_heads):
        raise ExportError(
            f"the head scores are of {scores.model or 'a model'} with {scores.shape[0]} x "
            f"{scores.shape[1]} heads; {vlm.name} has {vlm.num_layers} x {vlm.num_heads}"
        )
    scores.check(vlm.num_layers, vlm.num_heads, vlm.name, vlm.fingerprint)
    check_free(out)
    info = model_info(scores, settings.k, settings.seed)
    if settings.weights == "int4":
        fourbit.round_weights(vlm.model)
    with appearing(out) as folder:
        model = folder / FOLDER
        model.mkdir()
        shape = _limits(vlm, settings)
        saved = _write_graphs(vlm, settings, shape, model, busy)
        _write_tokenizer(vlm, model)
        with busy("Comparing the graphs with the model"):
            runner = Runner(model / VISION, model / DECODER)
            # rounded weights are other weights, and these heads are meant all the same
            found = compare(vlm, runner, scores.top(settings.k).forced(), strips)
        half = HALF_TOLERANCE if _computes_in(vlm) == "float16" else 0.0
        insist(found, max(TOLERANCE[settings.weights], half), half)
        description = _description(vlm, info, settings, shape, model)
        description["graph"]["weights"] = {name: own.files for name, own in saved.items()}
        description["graph"]["largest"] = max(own.largest for own in saved.values())
        description["checked"] = [asdict(each) for each in found]
        description["scores"] = scores.provenance
        write_json(model / DESCRIPTION, description)
        for path, data in (page or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    return found


def check_family(vlm: VLM) -> None:
    """Raises ExportError unless the model can be exported."""
    kind = str(vlm.model.config.model_type)
    if kind not in FAMILIES:
        raise ExportError(
            f"{vlm.name} is of type {kind!r}, which cannot be exported yet: only Qwen3-VL can "
            "(comic-tiny is one); `gazeheads demo --engine server` shows any model"
        )
    if _computes_in(vlm) not in ("float32", "float16"):
        raise ExportError(f"{vlm.name} is in {_computes_in(vlm)}: load it in float32 or float16")
    visual = vlm.model.model.visual
    if (visual.interpolation_mode, visual.interpolation_align_corners) != ("bilinear", True):
        raise ExportError(f"{vlm.name} stretches its learned positions in a way not known here")


def check_free(out: Path) -> None:
    """Raises GazeheadsError if `out` holds anything that was not exported before."""
    if not out.exists() or (out / FOLDER / DESCRIPTION).is_file():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise GazeheadsError(f"{out} is no empty folder and no export: choose another")


@dataclass(frozen=True)
class Limits:
    """Sizes of pictures and texts that the graphs are made for."""

    cell: int
    least_pixels: int
    most_pixels: int
    positions: int


def _limits(vlm: VLM, settings: WebSettings) -> Limits:
    processor = vlm.processor.image_processor
    cell = int(processor.patch_size * processor.merge_size)
    most = min(int(processor.size["longest_edge"]), settings.most_cells * cell * cell)
    least = min(int(processor.size["shortest_edge"]), most)
    positions = min(int(vlm.text_config.max_position_embeddings), settings.most_positions)
    return Limits(cell, least, most, positions)


def _write_graphs(
    vlm: VLM, settings: WebSettings, limits: Limits, folder: Path, busy: Busy
) -> dict[str, shards.Saved]:
    """Both graphs, one after the other."""
    processor, visual = vlm.processor.image_processor, vlm.model.model.visual
    longest = limits.most_pixels // limits.cell**2 * processor.merge_size
    levels = len(visual.deepstack_visual_indexes)
    with exportable(vlm.model):
        with busy("Tracing the vision graph"):
            vision = VisionGraph(visual, processor.image_mean, processor.image_std, longest)
            seen = _save(trace_vision(vision), settings, folder / VISION)
        with busy("Tracing the decoder graph"):
            decoder = DecoderGraph(vlm.model, limits.positions)
            traced = trace_decoder(decoder, vlm.text_config, levels)
            told = _save(traced, settings, folder / DECODER)
    return {"vision": seen, "decoder": told}


def _save(model: onnx_ir.Model, settings: WebSettings, path: Path) -> shards.Saved:
    if settings.weights == "int4":
        fourbit.pack(model)
    else:
        store(model, settings.weights)
    return shards.save(model, path)


def _computes_in(vlm: VLM) -> str:
    return str(vlm.model.dtype).removeprefix("torch.")


def _write_tokenizer(vlm: VLM, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        vlm.tokenizer.save_pretrained(temporary)
        for name in TOKENIZER:
            source = Path(temporary) / name
            if not source.is_file():
                raise ExportError(f"the tokenizer of {vlm.name} has no {name}")
            shutil.copyfile(source, folder / name)


def _description(
    vlm: VLM, info: dict[str, Any], settings: WebSettings, limits: Limits, folder: Path
) -> dict[str, Any]:
    """What `web/src/engine/description.ts` reads."""
    config = vlm.text_config
    return {
        "kind": KIND,
        "info": info,
        "provider": "webgpu" if settings.weights == "int4" else "wasm",
        "files": [_stored(path) for path in sorted(folder.iterdir())],
        "graph": {
            "layers": vlm.num_layers,
            "heads": vlm.num_heads,
            "keyHeads": config.num_key_value_heads,
            "headSize": config.head_dim,
            "cache": _computes_in(vlm),
        },
        "picture": {
            "cell": limits.cell,
            "leastPixels": limits.least_pixels,
            "mostPixels": limits.most_pixels,
        },
        "prompt": {
            **asdict(Template.of(vlm)),
            "imageToken": vlm.model.config.image_token_id,
            "stops": sorted(vlm.stops),
            "positions": limits.positions,
        },
        "settings": asdict(settings),
        "versions": {
            name: version(name) for name in ("torch", "transformers", "onnx", "onnxscript")
        }
        | {"gazeheads": __version__},
    }


def _stored(path: Path) -> dict[str, Any]:
    """A file's name, size and a hash of its contents: browsers cache it by that, and compare."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "hash": digest[:16]}
