"""Chat templates: their variables, and where a prompt of a model that thinks first ends.

A prompt ends where the answer begins: an empty thought is closed, unless thinking was asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from transformers.utils.chat_template_utils import _get_template_variables

from gazeheads.errors import GazeheadsError

logger = logging.getLogger("gazeheads")

OPEN, CLOSE = "<think>", "</think>"
THINKING = ("enable_thinking", "thinking")
"""Names under which templates know whether the model is to think first."""
_TAIL = 8  # tokens at the end of a prompt in which a thought may be opened
# what every template is given, whatever the model
_ALWAYS = {
    "messages", "add_generation_prompt", "tools", "documents", "raise_exception", "strftime_now",
    "bos_token", "eos_token", "pad_token", "unk_token", "range", "namespace",
}  # fmt: skip


class EncodingError(GazeheadsError):
    """A prompt that cannot be turned into model inputs, or inputs of unknown geometry."""


def options_for(
    processor: Any, template: Mapping[str, Any], answering: bool
) -> tuple[dict[str, Any], bool, bool]:
    """Variables for the template, whether to think first, and whether that was asked for."""
    asked = [bool(template[name]) for name in THINKING if name in template]
    think = any(asked) and not answering
    known = [name for name in THINKING if _reads(template_source(processor), name)]
    options = {name: value for name, value in template.items() if name not in THINKING}
    return options | dict.fromkeys(known, think), think, bool(asked)


def ended(text: str, think: bool, explicit: bool) -> str:
    """The prompt, up to where the answer begins unless the model is to think first."""
    if think:
        return text
    begun = text.rstrip()
    if begun.endswith(OPEN):
        return f"{begun}\n\n{CLOSE}\n\n"
    if explicit and not begun.endswith(CLOSE):
        return f"{text}{OPEN}\n\n{CLOSE}\n\n"
    return text


def template_source(processor: Any) -> str:
    """The text of a processor's chat template; empty if it has none."""
    for owner in (processor, getattr(processor, "tokenizer", None)):
        source = getattr(owner, "chat_template", None)
        if isinstance(source, Mapping):
            source = source.get("default") or next(iter(source.values()), None)
        if isinstance(source, str):
            return source
    return ""


@lru_cache(maxsize=16)
def template_variables(source: str) -> frozenset[str]:
    """Variables that a chat template reads."""
    return frozenset(_get_template_variables(source)) if source else frozenset()


def _reads(source: str, name: str) -> bool:
    return name in template_variables(source)


def check_template(processor: Any, template: Mapping[str, Any]) -> None:
    """Raises EncodingError for variables that the chat template does not read."""
    known = (template_variables(template_source(processor)) - _ALWAYS) | {THINKING[0]}
    for name in template:
        if name not in known:
            raise EncodingError(
                f"the model's chat template has no option {name!r}; it has "
                f"{', '.join(sorted(known))}"
            )


def tell_unfinished_thought(tokenizer: Any, prompt: Any, tokens: Sequence[int]) -> None:
    """Says on the log that a text never came to its answer.

    Args:
        tokenizer: of the model.
        prompt: (S,) ids.
        tokens: what was generated.
    """
    # a thought that the prompt opens stands at its end
    ids = [*prompt[-_TAIL:].tolist(), *tokens]
    text = tokenizer.decode(ids, skip_special_tokens=False)
    if text.rfind(OPEN) > text.rfind(CLOSE):
        logger.warning(
            "the text ends inside the model's thought (no %s): allow more tokens, or load the "
            "model with template=dict(enable_thinking=False), --template enable_thinking=false",
            CLOSE,
        )
