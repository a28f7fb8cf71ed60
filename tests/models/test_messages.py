"""Conversations of every form: understood alike, or refused in one clear line."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_families import BUILDERS, make_family

from gazeheads import VLM, GazeheadsError
from gazeheads.models import wrap
from gazeheads.models.messages import read
from models.conftest import wrapped

PICTURE = Image.new("RGB", (60, 40), "red")
OTHER = Image.new("RGB", (40, 60), "blue")
IMAGE = {"type": "image"}
# writes a list as Python prints it, as GLM-4.1V's does for all but the user
STRINGS_FOR_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'user' %}<|user|>"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ONLY_STRINGS = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}<|user|>{% for p in m.content %}"
    "{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
THINKS = NO_SYSTEM.replace("<|assistant|>", "<|assistant|><think>\n")
CAN_THINK = NO_SYSTEM.replace(
    "<|assistant|>",
    "<|assistant|>{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>"
    "\n\n{% endif %}",
)


def with_template(template: str, **options: Any) -> VLM:
    model, processor = make_family("llava")
    processor.chat_template = template
    return wrap(model, processor, "llava", template=options)


def text_of(vlm: VLM, encoded: Any) -> str:
    ids = [token for token in encoded.ids.tolist() if token != vlm.model.config.image_token_id]
    return str(vlm.tokenizer.decode(ids))


QUESTION = {"type": "text", "text": "what?"}
ALIKE = [
    [{"role": "user", "content": [IMAGE, QUESTION]}],
    [{"role": "user", "content": [IMAGE, "what?"]}],
    [{"role": "user", "content": [IMAGE, {"text": "what?"}]}],
    [{"role": "user", "content": ({"image": None}, {"text": "what?"})}],
    [{"role": "user", "content": [{"type": "image", "image": PICTURE}, QUESTION]}],
    [{"role": "user", "content": [{"image": PICTURE}, QUESTION]}],
]


@pytest.mark.parametrize("messages", ALIKE)
def test_all_ways_to_write_a_conversation_are_one_prompt(messages: list[dict[str, Any]]) -> None:
    vlm = wrapped("qwen3_vl")
    expected = vlm.encode(PICTURE, "what?")
    assert vlm.encode_messages([PICTURE], messages).ids.tolist() == expected.ids.tolist()
    if messages[0]["content"][0].get("image") is not None:
        assert vlm.encode_messages([], messages).ids.tolist() == expected.ids.tolist()


@pytest.mark.parametrize("family", list(BUILDERS), indirect=True)
def test_a_string_is_a_part_of_text_in_every_family(family: VLM) -> None:
    user = {"role": "user", "content": [IMAGE, QUESTION]}
    answered = [user, {"role": "assistant", "content": "A cat."}, {"role": "user", "content": "?!"}]
    parts = [user, {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
             {"role": "user", "content": [{"type": "text", "text": "?!"}]}]  # fmt: skip
    one, other = (family.encode_messages([PICTURE], each) for each in (answered, parts))
    assert one.ids.tolist() == other.ids.tolist() and one.prompt == "what? A cat. ?!"
    assert "A cat." in text_of(family, one) and "type" not in text_of(family, one)


WRONG = {
    "not a list|is a list": "what?",
    "empty": [],
    "not a dict": ["what?"],
    "role 'bot'": [{"role": "bot", "content": "what?"}],
    "role None": [{"content": "what?"}],
    "no text or parts": [{"role": "user", "content": None}],
    "unknown type 'image_url'": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, QUESTION]}
    ],
    "unknown type 'video'": [{"role": "user", "content": [{"type": "video"}, QUESTION]}],
    "unknown type with": [{"role": "user", "content": [{"words": "?"}, IMAGE, QUESTION]}],
    "image by url": [
        {"role": "user", "content": [{"type": "image", "url": "https://a/b.png"}, QUESTION]}
    ],
    "part of type int": [{"role": "user", "content": [1, IMAGE]}],
    "text part without a text": [{"role": "user", "content": [IMAGE, {"type": "text"}]}],
    "no user message": [{"role": "system", "content": "Be brief."}],
    "no user text": [{"role": "user", "content": [IMAGE]}],
    "last message is the assistant's": [
        {"role": "user", "content": [IMAGE, QUESTION]}, {"role": "assistant", "content": "A"},
    ],
    "has 0 images .* 1 was given": [{"role": "user", "content": "what?"}],
    "has 2 images .* 1 was given": [{"role": "user", "content": [IMAGE, IMAGE, QUESTION]}],
    "given twice": [{"role": "user", "content": [{"image": OTHER}, QUESTION]}],
    "placeholder": [{"role": "user", "content": [IMAGE, "<|image_pad|>"]}],
}  # fmt: skip


@pytest.mark.parametrize("said", list(WRONG))
def test_what_is_wrong_is_said_in_one_line(said: str) -> None:
    with pytest.raises(GazeheadsError, match=said) as caught:
        wrapped("qwen3_vl").encode_messages([PICTURE], WRONG[said])  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "image"]), inner)
    ),
    max_leaves=8,
)


@given(ANYTHING | st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": ANYTHING})))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_anything_is_read_or_refused(messages: Any) -> None:
    try:
        _, plain = read([PICTURE], messages)
    except GazeheadsError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert sum(part == IMAGE for m in plain for part in m["content"]) == 1
    assert all(set(part) <= {"type", "text"} for m in plain for part in m["content"])


SYSTEM = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [IMAGE, {"type": "text", "text": "what?"}]},
]


@pytest.mark.parametrize("template", [STRINGS_FOR_SYSTEM, ONLY_STRINGS])
def test_a_template_that_needs_strings_gets_strings(template: str) -> None:
    vlm = with_template(template)
    encoded = vlm.encode_messages([PICTURE], SYSTEM)
    text = text_of(vlm, encoded)
    assert "Be brief." in text and "{" not in text and "[" not in text
    assert len(encoded.tokens) == 16


def test_a_template_that_drops_a_message_or_an_image_is_refused() -> None:
    with pytest.raises(GazeheadsError, match="leaves out text of the system message"):
        with_template(NO_SYSTEM).encode_messages([PICTURE], SYSTEM)
    dropped = NO_SYSTEM.replace("<image>", "")
    with pytest.raises(GazeheadsError, match="0 image placeholders for 1 images"):
        with_template(dropped).encode(PICTURE, "what?")


def test_a_long_error_of_a_template_is_cut_to_a_line() -> None:
    with pytest.raises(GazeheadsError, match="template failed") as caught:
        with_template("{{ raise_exception('no' * 4000) }}")
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("template", [THINKS, CAN_THINK])
def test_a_prompt_ends_where_the_answer_begins(template: str) -> None:
    vlm = with_template(template)
    for encoded in (vlm.encode(PICTURE, "what?"), *vlm.encode_many(PICTURE, ["what?", "who?"])):
        assert text_of(vlm, encoded).endswith("<think>\n\n</think>\n\n")
    thinking = with_template(template, enable_thinking=True)
    assert "</think>" not in text_of(thinking, thinking.encode(PICTURE, "what?"))
    for encoded in thinking.encode_many(PICTURE, ["what?", "who?"], answering=True):
        assert text_of(thinking, encoded).endswith("<think>\n\n</think>\n\n")


def test_scores_are_asked_where_the_answer_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    from gazeheads import Region

    thinking, plain = with_template(THINKS, enable_thinking=True), with_template(THINKS)
    left = Region.from_box(0, 0, 30, 40)
    a, b = (vlm.score_regions(PICTURE, ["what?"], [left]) for vlm in (thinking, plain))
    assert (a == b).all() and a.sum() > 0


def test_a_thought_can_be_refused_where_the_template_knows_none() -> None:
    vlm = with_template(NO_SYSTEM, enable_thinking=False)
    assert text_of(vlm, vlm.encode(PICTURE, "what?")).endswith("<think>\n\n</think>\n\n")
    plain = with_template(NO_SYSTEM)
    assert "think" not in text_of(plain, plain.encode(PICTURE, "what?"))


def test_tokens_spent_on_a_thought_are_said(caplog: pytest.LogCaptureFixture) -> None:
    thinking = with_template(THINKS, enable_thinking=True)
    with caplog.at_level(logging.WARNING, logger="gazeheads"):
        thinking.ask(PICTURE, "what?", max_new_tokens=3)
    assert "ends inside the model's thought" in caplog.text
    assert "--template enable_thinking=false" in caplog.text
    caplog.clear()
    with_template(THINKS).ask(PICTURE, "what?", max_new_tokens=3)
    assert "thought" not in caplog.text


def test_an_unknown_option_of_the_template_names_the_known_ones() -> None:
    with pytest.raises(GazeheadsError, match=r"no option 'enable_thinkng'.*enable_thinking"):
        with_template(CAN_THINK, enable_thinkng=False)


def test_several_images_of_one_sample_go_to_the_processor_together() -> None:
    """LLaVA-OneVision tiles one image, and does not tile several."""
    vlm = wrapped("llava_onevision")
    big = Image.new("RGB", (240, 240))
    alone = len(vlm.encode(big, "what?").tokens)
    assert len(vlm.encode([big, big], "what?").tokens) == 2 * (16 + 1) < 2 * alone
