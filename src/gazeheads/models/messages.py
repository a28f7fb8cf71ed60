"""Conversations: what a user writes, in the one form that chat templates are given, and its text.

A template may want a message's content as a list of parts or as a string, and says so only by what
it writes. So the text is checked: every image has one placeholder, every word of the conversation
is there, and no list was printed into it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError
from PIL import Image

from gazeheads.errors import one_line
from gazeheads.models.families.family import Family
from gazeheads.models.templates import CLOSE, EncodingError, ended, options_for

Message = dict[str, Any]
ROLES = ("system", "user", "assistant")
_WANTED = (
    'each part is {"type": "text", "text": ...} or {"type": "image"}, and the pictures are given '
    "in images"
)


def read(images: Sequence[Any], messages: Any) -> tuple[list[Any], list[Message]]:
    """A conversation's pictures, and its messages with the content of each as a list of parts.

    Args:
        images: the pictures, in the order of the image parts; empty: the parts hold them.
        messages: with content as a string or a list of parts, the type of a part named or not.

    Returns:
        the pictures, and messages of `{"type": "image"}` and `{"type": "text", "text": ...}` parts.

    Raises:
        EncodingError: unknown roles or parts, nothing asked, more or fewer images than parts.
    """
    if isinstance(messages, Mapping | str) or not isinstance(messages, Sequence):
        raise EncodingError(
            f"messages is a list of {{'role': ..., 'content': ...}}, not {type(messages).__name__}"
        )
    held: list[Any] = []
    plain = [_message(number, message, held) for number, message in enumerate(messages, 1)]
    _check_turns(plain)
    return _pictures(list(images), held), plain


def words(messages: Sequence[Message]) -> str:
    """All the text of a conversation that was read."""
    return " ".join(part["text"] for part in _parts(messages) if part["type"] == "text")


def _parts(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    for message in messages:
        yield from message["content"]


def _message(number: int, message: Any, held: list[Any]) -> Message:
    if not isinstance(message, Mapping):
        raise EncodingError(f"message {number} is not a dict with a role and content")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise EncodingError(f"message {number} has the role {_short(role)}: use {', '.join(ROLES)}")
    if isinstance(content, str | Mapping):
        content = [content]
    if not isinstance(content, list | tuple):
        raise EncodingError(
            f"message {number} has no text or parts: its content is {type(content).__name__}"
        )
    return {"role": role, "content": [_part(number, part, held) for part in content]}


def _part(number: int, part: Any, held: list[Any]) -> dict[str, Any]:
    """One part in its plain form; its picture, or None, goes to `held` if it is an image."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, Mapping):
        raise EncodingError(f"message {number} has a part of type {type(part).__name__}: {_WANTED}")
    kind = part.get("type") or next((k for k in ("text", "image") if k in part), None)
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise EncodingError(f"message {number} has a text part without a text: {_WANTED}")
        return {"type": "text", "text": part["text"]}
    if kind != "image":
        named = _short(kind) if kind else f"with {_short(sorted(map(str, part)))}"
        raise EncodingError(f"message {number} has a part of unknown type {named}: {_WANTED}")
    for key in ("url", "base64"):
        if part.get(key) is not None:
            raise EncodingError(
                f"message {number} has an image by {key}, which is not fetched: {_WANTED}"
            )
    picture = part.get("image")
    held.append(part.get("path") if picture is None else picture)
    return {"type": "image"}


def _pictures(given: list[Any], held: list[Any]) -> list[Any]:
    """The pictures of the image parts, from beside the conversation or from within it."""
    inside = [picture for picture in held if picture is not None]
    if not given and len(inside) == len(held):
        return inside
    if len(given) != len(held):
        where = "image" if len(held) == 1 else "images"
        raise EncodingError(
            f"the conversation has {len(held)} {where} ({{'type': 'image'}}), but "
            f"{len(given)} {'was' if len(given) == 1 else 'were'} given"
        )
    for number, (beside, within) in enumerate(zip(given, held, strict=True), 1):
        if within is not None and not _same(beside, within):
            raise EncodingError(
                f"image {number} is given twice, in images and in its part: give one of them"
            )
    return given


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, str | os.PathLike) and isinstance(b, str | os.PathLike):
        return os.fspath(a) == os.fspath(b)
    return isinstance(a, Image.Image) and isinstance(b, Image.Image) and a == b


def _check_turns(messages: Sequence[Message]) -> None:
    if not messages:
        raise EncodingError("the conversation is empty: give at least one user message")
    asked = [message for message in messages if message["role"] == "user"]
    if not asked:
        raise EncodingError("the conversation has no user message: nothing is asked")
    if not any(part["type"] == "text" for part in _parts(asked)):
        raise EncodingError("the conversation has no user text: nothing is asked")
    if messages[-1]["role"] != "user":
        raise EncodingError(
            f"the last message is the {messages[-1]['role']}'s: a conversation that is to be "
            "answered ends with the user's"
        )


def render(
    family: Family,
    processor: Any,
    messages: list[Message],
    template: Mapping[str, Any] | None = None,
    answering: bool = False,
) -> str:
    """The text of a conversation that was read, image placeholders included.

    Args:
        family: of the model.
        processor: whose template is used.
        messages: as `read` gives them.
        template: variables of the chat template; enable_thinking is understood for every model.
        answering: end where the answer begins, even if `template` asks for a thought.

    Raises:
        EncodingError: the template fails on it, or leaves out or adds parts of it.
    """
    tokens = family.placeholders(processor)
    for part in _parts(messages):
        placeholder = next((token for token in tokens if token in part.get("text", "")), None)
        if placeholder:
            raise EncodingError(
                f"the text contains the model's placeholder of an image, {placeholder!r}: {_WANTED}"
            )
    options, think, explicit = options_for(processor, template or {}, answering)
    faults: list[str] = []
    for form in (_as_parts, _plain_strings, _all_strings(tokens)):
        try:
            text = family.text(processor, [form(message) for message in messages], **options)
        except (ValueError, TypeError, TemplateError, KeyError, AttributeError) as error:
            faults.append(f"the model's chat template failed: {one_line(error)}")
            continue
        fault = _fault(text, messages, tokens)
        if fault is None:
            return ended(text, think, explicit)
        faults.append(f"the model's chat template {fault}")
    raise EncodingError(faults[0])


def _as_parts(message: Message) -> Message:
    return message


def _plain_strings(message: Message) -> Message:
    """Content without images as a string: some templates print anything else as a list."""
    if any(part["type"] == "image" for part in message["content"]):
        return message
    return {**message, "content": "\n".join(part["text"] for part in message["content"])}


def _all_strings(tokens: Sequence[str]) -> Callable[[Message], Message]:
    def form(message: Message) -> Message:
        texts = [
            part["text"] if part["type"] == "text" else tokens[0] if tokens else ""
            for part in message["content"]
        ]
        return {**message, "content": "\n".join(texts)}

    return form


def _fault(text: str, messages: Sequence[Message], tokens: Sequence[str]) -> str | None:
    """What a template did wrong with a conversation."""
    written = words(messages)
    images = 0
    for message in messages:
        for part in message["content"]:
            images += part["type"] == "image"
            printed = next((p for p in (str(part), json.dumps(part)) if p in text), None)
            if printed is not None and printed not in written:
                return f"prints the list of parts of a {message['role']} message as text"
    if tokens and all(text.count(token) != images for token in tokens):
        count = max(text.count(token) for token in tokens)
        return f"writes {count} image placeholders for {images} images"
    for message in messages:
        for part in message["content"]:
            # templates drop the thoughts of earlier answers
            kept = part.get("text", "").rpartition(CLOSE)[2].strip()
            if kept not in text:
                return f"leaves out text of the {message['role']} message"
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
