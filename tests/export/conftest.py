"""A small random model exported once for all processes, and a browser to run it in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from gazeheads.heads import HeadScores
from gazeheads.regions import Region

if TYPE_CHECKING:
    from gazeheads.models import VLM


def scores_of(vlm: VLM) -> HeadScores:
    """Scores of a model, the same for every call."""
    noise = np.random.default_rng(0)
    shape = (vlm.num_layers, vlm.num_heads)
    matrices = noise.random((*shape, 3, 3)) / 3
    scores = np.trace(matrices, axis1=2, axis2=3) / 3
    return HeadScores(scores, matrices, "gaze", {"model": vlm.name, "fingerprint": vlm.fingerprint})


@pytest.fixture(scope="session")
def scores(gqa: VLM) -> HeadScores:
    return scores_of(gqa)


class _Strip(NamedTuple):
    """Three panels of coarse noise."""

    image: Image.Image
    regions: tuple[Region, ...]


@pytest.fixture(scope="session")
def strips() -> tuple[Any, ...]:
    """Strips of whole cells: stretched pictures differ a little, and random weights notice."""
    return noisy_strips((288, 96), (192, 64))


def noisy_strips(*sizes: tuple[int, int]) -> tuple[Any, ...]:
    """Strips of so many pixels."""
    made = []
    for seed, (width, height) in enumerate(sizes):
        noise = np.random.default_rng(seed).integers(0, 255, (6, 18, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((width, height), Image.Resampling.BILINEAR)
        third = width / 3
        corners = [third * k for k in range(3)]
        regions = [Region.from_box(x, 0, x + third, height, f"panel at {x}") for x in corners]
        made.append(_Strip(image, tuple(regions)))
    return tuple(made)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder in one test process; the others wait for it and use the same."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    # each process of pytest-xdist has a folder of its own in that of the run
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports"
    shared.mkdir(exist_ok=True)

    def make(name: str, write: Callable[[Path], Any]) -> Path:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / name).exists():
                write(shared / name)
        return shared / name

    return make


@pytest.fixture(scope="session")
def exported(
    gqa: VLM, scores: HeadScores, once: Callable[..., Path], strips: tuple[Any, ...]
) -> Path:
    """The tiny random model with its weights as they are."""
    pytest.importorskip("onnxscript", reason="needs pip install 'gazeheads[web]'")
    from gazeheads.export.web import WebSettings, export_web

    settings = WebSettings(weights="float32", k=4)
    return once("tiny-random", lambda out: export_web(gqa, scores, out, settings, strips))


@pytest.fixture(scope="session")
def rounded(processor: Any) -> VLM:
    """A tiny random model with weights of four bits."""
    pytest.importorskip("onnxscript", reason="needs pip install 'gazeheads[web]'")
    from tiny_models import make_model

    from gazeheads.export.fourbit import round_weights
    from gazeheads.models import wrap

    vlm = wrap(make_model(processor, 4, 2, seed=5), processor, "tiny-rounded")
    round_weights(vlm.model)
    return vlm


@pytest.fixture(scope="session")
def exported_four_bits(rounded: VLM, once: Callable[..., Path], strips: tuple[Any, ...]) -> Path:
    """The rounded model as it is exported for WebGPU."""
    from gazeheads.export.web import WebSettings, export_web

    settings = WebSettings(weights="int4", k=4)
    own = scores_of(rounded)
    return once("tiny-rounded", lambda out: export_web(rounded, own, out, settings, strips))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on a free port; gives its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
