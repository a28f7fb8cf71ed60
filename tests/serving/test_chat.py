"""The gaze server through the official client: what it writes is what the library writes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from gazeheads import HeadSet, Region, Schedule, Steering
from serving.conftest import HEADS, Ask, asking, client_of, data_url

if TYPE_CHECKING:
    from live.serving import Running

    from gazeheads.models import VLM

openai = pytest.importorskip("openai", reason="needs pip install 'gazeheads[judge]'")

PICTURE = Image.effect_noise((96, 64), 90).convert("RGB")
OTHER = Image.effect_noise((64, 96), 90).convert("RGB")
QUESTION = "what happens?"
LEFT = Region.from_box(0, 0, 48, 64, "box 0,0,48,64")
MASK = Image.new("L", (96, 64))
MASK.paste(255, (0, 0, 48, 64))
SECOND_OF_THREE = Region.from_box(32, 0, 64, 64, "panel 2")


def written(vlm: VLM, steering: Any, tokens: int = 8, **options: Any) -> str:
    prompt = vlm.encode(PICTURE, QUESTION)
    return vlm.generate((prompt, steering), max_new_tokens=tokens, **options)[0].text


def test_the_models_are_listed(client: Any, gqa: VLM) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.fingerprint) == ("tiny-random", gqa.fingerprint)
    assert model.heads == ["L1H0", "L2H3", "L3H2", "L0H1"]
    assert client.models.retrieve("tiny-random").id == "tiny-random"


def test_a_plain_request_is_the_plain_model(ask: Ask, gqa: VLM) -> None:
    answer = ask(QUESTION, PICTURE)
    (choice,) = answer.choices
    assert choice.message.content == written(gqa, ())
    assert choice.finish_reason == "length" and answer.usage.completion_tokens == 8
    assert answer.usage.prompt_tokens == len(gqa.encode(PICTURE, QUESTION))
    assert answer.system_fingerprint == f"fp_{gqa.fingerprint}"
    assert not hasattr(choice.message, "gaze")


@pytest.mark.parametrize(
    ("gaze", "steering"),
    [
        ({"box": [0, 0, 48, 64]}, Steering(HEADS, LEFT)),
        ({"box": [0, 0, 500, 1000], "units": "per-mille"}, Steering(HEADS, LEFT)),
        ({"mask": data_url(MASK)}, Steering(HEADS, LEFT)),
        ({"cell": [1, 1], "grid": [1, 2]}, Steering(HEADS, LEFT)),
        ({"panel": 2, "panels": 3}, Steering(HEADS, SECOND_OF_THREE)),
        ({"panel": 1, "panels": [[32, 0, 64, 64]]}, Steering(HEADS, SECOND_OF_THREE)),
        ({"box": [0, 0, 48, 64], "k": 2}, Steering(HEADS.top(2), LEFT)),
        (
            {"box": [0, 0, 48, 64], "heads": ["L3H1", [0, 2]], "delta": 4},
            Steering(HeadSet.of([(3, 1), (0, 2)]), LEFT, 4.0),
        ),
        (
            {"box": [0, 0, 48, 64], "heads": "all", "mode": "within", "when": "decode"},
            Steering(
                HeadSet.of([(n, h) for n in range(4) for h in range(4)]), LEFT, math.inf, "within",
                "decode",
            ),
        ),
        (
            {"schedule": [{"step": 0, "panel": 2}, {"step": 3, "release": True},
                          {"step": 5, "box": [0, 0, 48, 64]}], "panels": 3},
            Steering(HEADS, Schedule(((0, SECOND_OF_THREE), (3, None), (5, LEFT)))),
        ),
    ],
)  # fmt: skip
def test_every_gaze_is_the_library_s_steering(
    ask: Ask, gqa: VLM, gaze: dict[str, Any], steering: Steering
) -> None:
    answer = ask(QUESTION, PICTURE, gaze)
    text = answer.choices[0].message.content
    assert text == written(gqa, steering)
    assert answer.choices[0].message.gaze["heads"] == [str(head) for head in steering.heads]


def test_the_gazes_above_change_the_answer(gqa: VLM) -> None:
    """Otherwise they would prove nothing."""
    every = HeadSet.of([(n, h) for n in range(4) for h in range(4)])
    texts = {written(gqa, s) for s in ((), Steering(HEADS, LEFT), Steering(every, LEFT))}
    assert len(texts) == 3


def test_where_it_looked_is_told_of_every_token(ask: Ask, gqa: VLM) -> None:
    gaze = {"panel": 2, "panels": 3, "watch": "regions"}
    told = ask(QUESTION, PICTURE, gaze).choices[0].message.gaze["tokens"]
    prompt = gqa.encode(PICTURE, QUESTION)
    done = gqa.generate(
        (prompt, Steering(HEADS, SECOND_OF_THREE)), watch=HEADS, max_new_tokens=8
    )[0]  # fmt: skip
    assert done.trace is not None
    mass = done.trace.attention.mean(1)
    for n in range(3):
        inside = prompt.tokens.indices(Region.from_box(32 * n, 0, 32 * (n + 1), 64))
        found = [token["attention"][f"panel {n + 1}"] for token in told]
        np.testing.assert_allclose(found, mass[:, inside].sum(1), atol=2e-5)
    assert [token["region"] for token in told] == ["panel 2"] * 8
    assert "".join(token["token"] for token in told) == done.text
    told = ask(QUESTION, PICTURE, {**gaze, "watch": "map"}).choices[0].message.gaze
    rows, columns = told["grid"]
    maps = np.array([token["map"] for token in told["tokens"]])
    assert maps.shape == (8, rows * columns)
    np.testing.assert_allclose(maps.sum(1), mass.sum(1), atol=1e-3)
    assert maps.reshape(8, rows, columns)[:, :, columns // 2].sum() > 0.9 * maps.sum()


def test_a_stream_is_the_same_text_in_pieces(ask: Ask, gqa: VLM) -> None:
    gaze = {"box": [0, 0, 48, 64], "watch": "regions"}
    chunks = list(ask(QUESTION, PICTURE, gaze, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.gaze["mode"] == "hard"
    pieces = [chunk.choices[0].delta for chunk in chunks[1:-2]]
    assert "".join(piece.content for piece in pieces) == written(gqa, Steering(HEADS, LEFT))
    assert [piece.gaze["tokens"][0]["region"] for piece in pieces] == [LEFT.name] * 8
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 8


def test_a_running_stream_is_pointed_elsewhere(client: Any, api: Running, gqa: VLM) -> None:
    import httpx2 as httpx

    stream = client.chat.completions.create(
        model="tiny-random", messages=asking(QUESTION, PICTURE), max_tokens=600, stream=True,
        extra_body={"gaze": {"panels": 3, "panel": 1, "watch": "regions"}},
    )  # fmt: skip
    regions: list[str | None] = []
    for chunk in stream:
        if len(regions) == 0:
            url = f"{api.url}v1/gaze/{chunk.id}"
            moved = httpx.post(url, json={"panel": 3, "k": 1}).json()
            assert moved["region"] == "panel 3" and moved["id"] == chunk.id
            for wrong, status in (
                ({"panel": 9}, 400), ({}, 400), ({"box": [900, 0, 999, 9]}, 400),
                ({"release": True, "heads": ["L9H9"]}, 400), ({"panel": 1, "colour": 2}, 400),
            ):  # fmt: skip
                assert httpx.post(url, json=wrong).status_code == status
        told = getattr(chunk.choices[0].delta, "gaze", None) or {}
        regions += [token["region"] for token in told.get("tokens", ())]
    assert regions[-1] == "panel 3" and set(regions) <= {"panel 1", "panel 3"}
    assert regions == sorted(regions)  # it never goes back
    gone = httpx.post(url, json={"panel": 1})
    assert gone.status_code == 404 and "no such text" in gone.json()["error"]["message"]


@pytest.mark.parametrize(
    ("gaze", "told"),
    [
        ({"schedule": [{"step": 0, "panel": 1}], "panels": 3}, "follows a schedule"),
        ({"panel": 1, "panels": 3, "when": "prefill"}, "read only"),
        ({"panel": 1, "panels": 3, "mode": "within"}, "mode within"),
    ],
)
def test_what_cannot_be_moved_says_so(
    client: Any, api: Running, gaze: dict[str, Any], told: str
) -> None:
    import httpx2 as httpx

    stream = client.chat.completions.create(
        model="tiny-random", messages=asking(QUESTION, PICTURE), max_tokens=600, stream=True,
        extra_body={"gaze": gaze},
    )  # fmt: skip
    chunk = next(iter(stream))
    answer = httpx.post(f"{api.url}v1/gaze/{chunk.id}", json={"panel": 2, "delta": 2.0})
    assert answer.status_code == 409 and told in answer.json()["error"]["message"]
    stream.close()


def test_sampling_is_seeded_and_the_seed_is_told(ask: Ask, gqa: VLM) -> None:
    first = ask(QUESTION, PICTURE, temperature=1.5)
    again = ask(QUESTION, PICTURE, temperature=1.5, seed=first.seed)
    assert again.choices[0].message.content == first.choices[0].message.content
    texts = {ask(QUESTION, PICTURE, temperature=1.5, seed=n).choices[0].message.content
             for n in range(4)}  # fmt: skip
    assert len(texts) > 1
    greedy = ask(QUESTION, PICTURE, temperature=0).choices[0].message.content
    assert greedy == written(gqa, ())


@pytest.mark.parametrize("streams", [False, True])
def test_a_stop_string_ends_the_text_before_it(ask: Ask, gqa: VLM, streams: bool) -> None:
    whole = written(gqa, (), 20)
    stop = whole[len(whole) // 2 : len(whole) // 2 + 3]
    assert stop
    answer = ask(QUESTION, PICTURE, max_tokens=20, stop=["never there", stop], stream=streams)
    if streams:
        chunks = list(answer)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        finish = chunks[-1].choices[0].finish_reason
    else:
        text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert text == whole[: whole.index(stop)] and finish == "stop"


def test_a_conversation_of_two_pictures_looks_at_the_one_named(client: Any, gqa: VLM) -> None:
    messages = asking(QUESTION, PICTURE, OTHER)
    top = Region.from_box(0, 0, 64, 48, "top").in_image(1)
    prompt = gqa.encode([PICTURE, OTHER], QUESTION)
    expected = gqa.generate((prompt, Steering(HEADS, top)), max_new_tokens=8)[0].text
    gaze = {"box": [0, 0, 64, 48], "image": 2}
    answer = client.chat.completions.create(
        model="tiny-random", messages=messages, max_tokens=8, extra_body={"gaze": gaze}
    )
    assert answer.choices[0].message.content == expected


def test_the_asynchronous_client_too(api: Running, gqa: VLM) -> None:
    from live.serving import finished

    async def ask() -> str:
        client = client_of(api, asynchronous=True)
        answer = await client.chat.completions.create(
            model="tiny-random", messages=asking(QUESTION, PICTURE), max_tokens=8
        )
        return answer.choices[0].message.content

    assert finished(ask) == written(gqa, ())
