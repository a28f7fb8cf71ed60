"""The page's files, as they ship: what the server serves and what an export copies."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Literal

from gazeheads.errors import GazeheadsError
from gazeheads.live.shipped import whole_model

GraphProvider = Literal["wasm", "webgpu"]
HERE = Path(__file__).parent
STATIC = HERE / "static"
GALLERY = HERE / "gallery"
MODEL = "model/"
DESCRIPTION = MODEL + "model.json"
"""Of the model that ships with the page, if one does: the folder `model` of an export."""
CHECKPOINT = HERE.parent / "tiny" / "model" / "model.safetensors"
"""The weights that the model's files are made of."""
GPU_RUNTIME = "assets/ort-wasm-simd-threaded.asyncify-D5D0fo7z.wasm"
"""ONNX Runtime for WebGPU. It is in a clone and in the sdist; the wheel has no room for it."""
GPU_RUNTIME_HASH = "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
GPU_RUNTIME_ORIGIN = "onnxruntime-web@1.30.0"
"""Its package on npm, where it is dist/ort-wasm-simd-threaded.asyncify.wasm."""
_NOT_USED = {
    "wasm": re.compile(r"asyncify|ort\.webgpu"),
    "webgpu": re.compile(r"ort-wasm-simd-threaded-|ort\.wasm"),
}


def page_files(static: Path = STATIC) -> dict[str, bytes]:
    """Every file of the page by its path in a URL, with the model that ships.

    Args:
        static: what Vite built from `web/`, and the folder `model` if a model ships.

    Raises:
        GazeheadsError: the page was not built, or the model's files do not fit the weights.
    """
    model = whole_model(static / MODEL, CHECKPOINT)
    return page_for("wasm", static) | {MODEL + name: data for name, data in model.items()}


def page_for(
    provider: GraphProvider, static: Path = STATIC, runtime: Path | None = None
) -> dict[str, bytes]:
    """The page without a model, and of ONNX Runtime what a model needs.

    Args:
        provider: what the model runs on.
        static: what Vite built.
        runtime: the runtime for WebGPU, where this installation has none.

    Raises:
        GazeheadsError: the page was not built, or the runtime for WebGPU is missing.
    """
    if not (static / "index.html").is_file():
        raise GazeheadsError(
            f"the page is not in this installation (no {static / 'index.html'}): reinstall, or "
            "build it with `npm ci && npm run build` in web/"
        )
    files = {
        prefix + path.relative_to(root).as_posix(): path.read_bytes()
        for root, prefix in ((static, ""), (GALLERY, "gallery/"))
        for path in sorted(root.rglob("*"))
        if path.is_file() and not _NOT_USED[provider].search(path.name)
    }
    files = {path: data for path, data in files.items() if not path.startswith(MODEL)}
    if provider == "webgpu" and (runtime is not None or GPU_RUNTIME not in files):
        files[GPU_RUNTIME] = _gpu_runtime(runtime)
    return files


def _gpu_runtime(given: Path | None) -> bytes:
    """The runtime for WebGPU from a file, which must be the one that the page was built with."""
    how = (
        f"get it with `npm pack {GPU_RUNTIME_ORIGIN}`, unpack it, and name its file "
        "dist/ort-wasm-simd-threaded.asyncify.wasm with --runtime"
    )
    if given is None:
        raise GazeheadsError(f"this installation has no runtime for WebGPU (27 MB): {how}")
    if not given.is_file():
        raise GazeheadsError(f"no runtime for WebGPU at {given}: {how}")
    data = given.read_bytes()
    if sha256(data).hexdigest() != GPU_RUNTIME_HASH:
        raise GazeheadsError(f"{given} is not the runtime that the page was built with: {how}")
    return data
