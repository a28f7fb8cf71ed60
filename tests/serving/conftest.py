"""A gaze server on loopback, with a tiny random model."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from live.serving import Running
from PIL import Image

from gazeheads.heads import HeadSet
from gazeheads.live.uploads import PictureLimits
from gazeheads.live.worker import ModelWorker, PreparedModel, WorkerLimits

if TYPE_CHECKING:
    from gazeheads.models import VLM

HEADS = HeadSet.of([(1, 0), (2, 3), (3, 2), (0, 1)])
LIMITS = WorkerLimits(
    slots=16, queue=80, max_tokens=600, max_prompt=200, text_seconds=60,
    pictures=PictureLimits(max_bytes=200_000, max_pixels=100_000, max_side=1000),
)  # fmt: skip
KEYS = ("first-key-of-some-length", "second-key-of-some-length")


def hosted(vlm: VLM, limits: WorkerLimits = LIMITS, keys: tuple[str, ...] = ()) -> Running:
    from gazeheads.serving.app import make_app

    worker = ModelWorker(lambda report: PreparedModel(vlm, HEADS), limits)
    return Running(worker, {}, make_app(worker, ["127.0.0.1", "localhost"], keys))


@pytest.fixture(scope="module")
def api(gqa: VLM) -> Iterator[Running]:
    server = hosted(gqa)
    server.healthy()
    yield server
    server.end()


@pytest.fixture
def client(api: Running) -> Any:
    """The official client."""
    return client_of(api)


def client_of(server: Running, key: str = "none", asynchronous: bool = False) -> Any:
    import openai

    kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return kind(base_url=f"{server.url}v1", api_key=key, max_retries=0, timeout=60)


def data_url(image: Image.Image, kind: str = "png") -> str:
    file = io.BytesIO()
    image.save(file, kind)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def asking(prompt: str, *images: Image.Image) -> list[dict[str, Any]]:
    pictures = [{"type": "image_url", "image_url": {"url": data_url(each)}} for each in images]
    return [{"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]}]


Ask = Callable[..., Any]


@pytest.fixture
def ask(client: Any) -> Ask:
    def ask(prompt: str, image: Image.Image, gaze: Any = None, **more: Any) -> Any:
        body = {} if gaze is None else {"gaze": gaze}
        options: dict[str, Any] = {"max_tokens": 8, "model": "tiny-random", **more}
        return client.chat.completions.create(
            messages=asking(prompt, image), extra_body=body, **options
        )

    return ask
